//! A bounded number of connections, of which none waits for ever for a peer that does not read: each costs a file descriptor,
//! and recording needs those too.

use crate::clock::Clock;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
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
    pub fn new(listener: TcpListener, clock: Clock) -> Self {
        Self::with_limits(listener, clock, LIMIT, OF_ONE_LIMIT)
    }

    fn with_limits(listener: TcpListener, clock: Clock, limit: usize, of_one_limit: usize) -> Self {
        Self { listener, clock, places: Arc::new(Semaphore::new(limit)), of_each: Arc::default(), of_one_limit }
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
            let address = peer.ip().to_canonical();
            if !self.of_each.take(address, self.of_one_limit) {
                continue;
            }
            // An answer goes out when it is whole; a picture must not wait for the next one.
            if let Err(e) = stream.set_nodelay(true) {
                tracing::debug!(error = %e, "a connection is gone already");
            }
            let of_each = Arc::clone(&self.of_each);
            let placed = Placed { stream, clock: self.clock.clone(), stalled: None, address, of_each, _place: place };
            return (placed, peer);
        }
    }
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection and its place, which is free again when the connection goes.
pub(super) struct Placed {
    stream: TcpStream,
    clock: Clock,
    /// Since when the peer takes nothing: what comes to its end when that was too long.
    stalled: Option<Waiting>,
    address: IpAddr,
    of_each: Arc<OfEach>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.of_each.give_back(self.address);
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

impl AsyncRead for Placed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let told = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(cx, told)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
        let bounded = Bounded::with_limits(listener, hands.clock(), 2, 9);
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
        let bounded = Bounded::with_limits(listener, hands.clock(), 9, 1);
        let _first_peer = TcpStream::connect(address).await.unwrap();
        let first = bounded.accept().await;
        let mut second_peer = TcpStream::connect(address).await.unwrap();
        assert!(bounded.accept().now_or_never().is_none());
        assert_eq!(second_peer.read(&mut [0]).await.unwrap(), 0, "it was closed");
        drop(first);
        let _third_peer = TcpStream::connect(address).await.unwrap();
        bounded.accept().await;
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_let_go_of() {
        let (listener, address, hands) = listening().await;
        let bounded = Bounded::with_limits(listener, hands.clock(), 2, 2);
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
            hands.advance(STALL_LIMIT / 2);
        }
        assert!(!writing.is_finished());
        // Until both sides' buffers are full and the last wait has begun.
        for _ in 0..200 {
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(1));
        }
        hands.advance(STALL_LIMIT * 2);
        assert_eq!(writing.await.unwrap(), io::ErrorKind::TimedOut);
    }
}
