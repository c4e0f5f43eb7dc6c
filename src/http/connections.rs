//! A bounded number of connections: each costs a file descriptor, and recording needs those too. An answer of footage can be
//! broken off while it is on its way, also to somebody who does not read it.

use crate::clock::Clock;
use axum::serve::Listener;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How often it is asked whether an answer may go on.
const ASKED_EVERY: Duration = Duration::from_millis(200);
/// What the kernel takes before somebody has read it: it cannot be taken back, so it is little.
const SEND_BUFFER_BYTES: usize = 64 << 10;

type MayGoOn = Arc<dyn Fn() -> bool + Send + Sync>;

/// What an answer depends on that is on its way over a connection; nothing, as a rule.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Option<OnItsWay>>>);

#[derive(Clone)]
struct OnItsWay {
    may_go_on: MayGoOn,
    /// All of it was handed over, and waits to be read.
    is_whole: bool,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Option<OnItsWay>> {
        // Each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_set(&self) -> bool {
        self.lock().is_some()
    }

    fn may_go_on(&self) -> bool {
        let asked = self.lock().as_ref().map(|on_its_way| Arc::clone(&on_its_way.may_go_on));
        asked.is_none_or(|may_go_on| may_go_on())
    }

    /// Everything that was handed over has left.
    fn note_flushed(&self) {
        let mut known = self.lock();
        if known.as_ref().is_some_and(|on_its_way| on_its_way.is_whole) {
            *known = None;
        }
    }
}

/// All connections that are open, by their peer.
#[derive(Clone, Default)]
pub struct Connections(Arc<Mutex<HashMap<SocketAddr, Watch>>>);

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connections({})", self.lock().len())
    }
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Watch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on the connection of `peer` is broken off as soon as `may_go_on` says no, whether or not its peer reads:
    /// until what is returned was dropped, and everything before that has left. It is asked several times a second, and must
    /// not block.
    pub fn watch(&self, peer: SocketAddr, may_go_on: impl Fn() -> bool + Send + Sync + 'static) -> Watched {
        let watch = self.lock().get(&peer).cloned().unwrap_or_default();
        *watch.lock() = Some(OnItsWay { may_go_on: Arc::new(may_go_on), is_whole: false });
        Watched(watch)
    }
}

/// A connection over which something is on its way that may have to be broken off.
pub struct Watched(Watch);

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched(whole: {})", self.0.lock().as_ref().is_none_or(|on_its_way| on_its_way.is_whole))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(on_its_way) = self.0.lock().as_mut() {
            on_its_way.is_whole = true;
        }
    }
}

/// Takes no more than so many connections at a time; further ones wait to be accepted.
#[derive(Debug)]
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    connections: Connections,
    clock: Clock,
}

impl Bounded {
    pub fn new(listener: TcpListener, limit: usize, connections: Connections, clock: Clock) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(limit)), connections, clock }
    }
}

type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection and its place, which is free again when the connection goes.
pub(super) struct Placed {
    stream: TcpStream,
    peer: SocketAddr,
    connections: Connections,
    watch: Watch,
    clock: Clock,
    pause: Option<Pause>,
    _place: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Placed({})", self.peer)
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.peer);
        if self.watch.is_set() && !self.watch.may_go_on() {
            self.let_go_of_the_rest();
        }
    }
}

impl Listener for Bounded {
    type Io = Placed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Placed, SocketAddr) {
        // The semaphore is never closed, so there always is a place.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        if let Err(e) = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES) {
            tracing::warn!(error = %e, "a connection keeps a large buffer: what is in it cannot be broken off");
        }
        let watch = Watch::default();
        self.connections.lock().insert(peer, watch.clone());
        let (connections, clock) = (self.connections.clone(), self.clock.clone());
        (Placed { stream, peer, connections, watch, clock, pause: None, _place: place }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Placed {
    /// What the kernel still has is dropped too, in place of being sent.
    fn let_go_of_the_rest(&self) {
        if let Err(e) = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)) {
            tracing::warn!(error = %e, "what the kernel has of an answer that was broken off may still leave");
        }
    }

    /// Breaks the connection off where what is on its way may not go on, and has this task woken to look again.
    fn look(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.watch.is_set() {
            self.pause = None;
            return Ok(());
        }
        loop {
            if !self.watch.may_go_on() {
                self.let_go_of_the_rest();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let clock = self.clock.clone();
            let pause = self.pause.get_or_insert_with(|| Box::pin(async move { clock.sleep(ASKED_EVERY).await }));
            if pause.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.pause = None;
        }
    }
}

impl AsyncRead for Placed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.look(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.look(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look(cx)?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.watch.note_flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.look(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn one_connection_too_many_waits_until_another_goes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut bounded = Bounded::new(listener, 2, Connections::default(), Clock::system());
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(TcpStream::connect(address).await.unwrap());
        }
        let first = bounded.accept().await;
        let _second = bounded.accept().await;
        assert!(futures::FutureExt::now_or_never(bounded.accept()).is_none());
        drop(first);
        assert_eq!(peers[0].read(&mut [0]).await.unwrap(), 0, "it was closed");
        bounded.accept().await;
    }

    #[tokio::test]
    async fn what_may_not_go_on_is_broken_off_though_nobody_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Connections::default();
        let mut bounded = Bounded::new(listener, 2, connections.clone(), Clock::system());
        let mut peer = TcpStream::connect(address).await.unwrap();
        let (mut placed, from) = bounded.accept().await;
        let allowed = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let asked = Arc::clone(&allowed);
        let watched = connections.watch(from, move || asked.load(std::sync::atomic::Ordering::Relaxed));
        let writing = tokio::spawn(async move {
            // More than both sides' kernels take.
            let told = placed.write_all(&vec![7; 64 << 20]).await;
            drop(watched);
            told
        });
        let clock = Clock::system();
        clock.sleep(Duration::from_millis(500)).await;
        assert!(!writing.is_finished());
        allowed.store(false, std::sync::atomic::Ordering::Relaxed);
        let told = clock.timeout(Duration::from_secs(1), writing).await.expect("it ends within a second");
        assert_eq!(told.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        let mut rest = Vec::new();
        assert_eq!(peer.read_to_end(&mut rest).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(connections.lock().is_empty());
    }
}
