//! A bounded number of connections, of which none waits for ever for a peer that does not read: each costs a file descriptor,
//! and recording needs those too. An answer of footage can be broken off while it is on its way, also to somebody who does
//! not read it.

use crate::clock::Clock;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A browser opens six. What is over it waits.
const LIMIT: usize = 256;
/// One address alone never takes all the places.
const OF_ONE_LIMIT: usize = 192;
/// A peer that takes nothing for so long is let go of: a page that is not read, footage that is not played.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// After an accept that failed: most likely there is no file descriptor left.
const PAUSE: Duration = Duration::from_secs(1);
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

/// A connection, and whose it is.
pub(super) type Accepted = (Placed, SocketAddr);

/// Takes no more than so many connections at a time; further ones wait to be accepted.
#[derive(Debug)]
pub(super) struct Bounded {
    listener: TcpListener,
    clock: Clock,
    places: Arc<Semaphore>,
    of_each: Arc<OfEach>,
    of_one_limit: usize,
    connections: Connections,
}

/// An IPv4 address that arrives as one of IPv6 is the IPv4 address.
fn address_of(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// How many connections each address has.
#[derive(Debug, Default)]
struct OfEach(Mutex<HashMap<IpAddr, usize>>);

impl OfEach {
    fn take(&self, address: IpAddr, limit: usize) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        let is_free = *count < limit;
        *count += usize::from(is_free);
        is_free
    }

    fn give_back(&self, address: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

impl Bounded {
    pub fn new(listener: TcpListener, connections: Connections, clock: Clock) -> Self {
        Self::with_limits(listener, connections, clock, (LIMIT, OF_ONE_LIMIT))
    }

    fn with_limits(
        listener: TcpListener,
        connections: Connections,
        clock: Clock,
        (limit, of_one_limit): (usize, usize),
    ) -> Self {
        let places = Arc::new(Semaphore::new(limit));
        Self { listener, clock, places, of_each: Arc::default(), of_one_limit, connections }
    }

    /// The next connection. One that its address has no place for is closed at once. Nothing is lost where this is dropped.
    pub async fn accept(&self) -> Accepted {
        loop {
            // The semaphore is never closed, so there always is a place.
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(e) => {
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    self.clock.sleep(PAUSE).await;
                    continue;
                }
            };
            let address = address_of(peer);
            if !self.of_each.take(address, self.of_one_limit) {
                continue;
            }
            // An answer goes out when it is whole; a picture must not wait for the next one.
            if let Err(e) = stream.set_nodelay(true) {
                tracing::debug!(error = %e, "a connection is gone already");
            }
            return (self.placed(stream, peer, place), peer);
        }
    }

    fn placed(&self, stream: TcpStream, peer: SocketAddr, place: Option<OwnedSemaphorePermit>) -> Placed {
        if let Err(e) = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES) {
            tracing::warn!(error = %e, "a connection keeps a large buffer: what is in it cannot be broken off");
        }
        let watch = Watch::default();
        self.connections.lock().insert(peer, watch.clone());
        Placed {
            stream,
            peer,
            clock: self.clock.clone(),
            stalled: None,
            of_each: Arc::clone(&self.of_each),
            connections: self.connections.clone(),
            watch,
            pause: None,
            _place: place,
        }
    }
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection and its place, which is free again when the connection goes.
pub(super) struct Placed {
    stream: TcpStream,
    peer: SocketAddr,
    clock: Clock,
    /// Since when the peer takes nothing: what comes to its end when that was too long.
    stalled: Option<Waiting>,
    of_each: Arc<OfEach>,
    connections: Connections,
    watch: Watch,
    /// Until it is asked again whether what is on its way may go on.
    pause: Option<Waiting>,
    _place: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Placed({})", self.peer)
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.of_each.give_back(address_of(self.peer));
        self.connections.lock().remove(&self.peer);
        if self.watch.is_set() && !self.watch.may_go_on() {
            self.let_go_of_the_rest();
        }
    }
}

impl Placed {
    /// Takes note of whether the peer took something.
    fn noted<T>(&mut self, cx: &mut Context<'_>, told: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if told.is_ready() {
            self.stalled = None;
            return told;
        }
        let clock = &self.clock;
        let waiting = self.stalled.get_or_insert_with(|| {
            let clock = clock.clone();
            Box::pin(async move { clock.sleep(STALL_LIMIT).await })
        });
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
        let told = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(cx, told)
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
        let told = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.noted(cx, told)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::Utc;
    use futures::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn listening() -> (TcpListener, std::net::SocketAddr, ManualClock) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address, ManualClock::standing(Utc::from_micros(0)))
    }

    #[tokio::test]
    async fn one_connection_too_many_waits_until_another_goes() {
        let (listener, address, hands) = listening().await;
        let bounded = Bounded::with_limits(listener, Connections::default(), hands.clock(), (2, 9));
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(TcpStream::connect(address).await.unwrap());
        }
        let first = bounded.accept().await;
        let _second = bounded.accept().await;
        assert!(bounded.accept().now_or_never().is_none());
        drop(first);
        assert_eq!(peers[0].read(&mut [0]).await.unwrap(), 0, "it was closed");
        bounded.accept().await;
    }

    #[tokio::test]
    async fn an_address_that_has_all_of_its_places_is_shut_out_until_one_is_free() {
        let (listener, address, hands) = listening().await;
        let bounded = Bounded::with_limits(listener, Connections::default(), hands.clock(), (9, 1));
        let _first_peer = TcpStream::connect(address).await.unwrap();
        let first = bounded.accept().await;
        let mut second_peer = TcpStream::connect(address).await.unwrap();
        assert!(bounded.accept().now_or_never().is_none());
        assert_eq!(second_peer.read(&mut [0]).await.unwrap(), 0, "it was closed");
        drop(first);
        let _third_peer = TcpStream::connect(address).await.unwrap();
        bounded.accept().await;
    }

    async fn others_run() {
        for _ in 0..200 {
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_let_go_of() {
        let (listener, address, hands) = listening().await;
        let bounded = Bounded::with_limits(listener, Connections::default(), hands.clock(), (2, 2));
        let mut peer = TcpStream::connect(address).await.unwrap();
        let (mut placed, _) = bounded.accept().await;
        let writing = tokio::spawn(async move {
            loop {
                if let Err(e) = placed.write_all(&[0; 1 << 16]).await {
                    return e.kind();
                }
            }
        });
        // As long as it takes some, however slowly, it goes on.
        for _ in 0..3 {
            peer.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
            // That some was taken is noticed before the time goes on.
            others_run().await;
            hands.advance(STALL_LIMIT / 2);
        }
        assert!(!writing.is_finished());
        // Until both sides' buffers are full and the last wait has begun.
        others_run().await;
        hands.advance(STALL_LIMIT * 2);
        assert_eq!(writing.await.unwrap(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_may_not_go_on_is_broken_off_though_nobody_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Connections::default();
        let bounded = Bounded::new(listener, connections.clone(), Clock::system());
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
