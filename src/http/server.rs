//! Accepting connections and answering on them: with TLS or without, a bounded number, none of which waits for ever.

use super::connections::Bounded;
use super::tls::Tls;
use super::{Routes, router};
use crate::clock::Clock;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// A request's head must be there within this, from the moment that the connection is free for it.
const HEAD_LIMIT: Duration = Duration::from_secs(20);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const HEAD_LIMIT_BYTES: usize = 32 << 10;

/// Answers on `listener` until `stop`; then lets answers under way come to their end.
///
/// # Errors
/// What the listener says.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) -> io::Result<()> {
    let (open, clock) = (routes.connections.clone(), routes.clock.clone());
    let app = router(routes);
    let bounded = Bounded::new(listener, open, clock.clone());
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let (io, peer) = tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => {
                if let Err(e) = ended {
                    tracing::error!(error = %e, "a connection broke off");
                }
                continue;
            }
            accepted = bounded.accept() => accepted,
        };
        let (app, watcher) = (app.clone(), graceful.watcher());
        match &tls {
            None => drop(connections.spawn(answer(io, peer, app, watcher))),
            Some(tls) => {
                let (acceptor, clock) = (tls.acceptor(), clock.clone());
                connections.spawn(async move {
                    if let Some(io) = shake_hands(&clock, acceptor.accept(io)).await {
                        answer(io, peer, app, watcher).await;
                    }
                });
            }
        }
    }
    drop(bounded);
    graceful.shutdown().await;
    while let Some(ended) = connections.join_next().await {
        if let Err(e) = ended {
            tracing::error!(error = %e, "a connection broke off");
        }
    }
    Ok(())
}

/// `None` where there was no handshake, or not in time: whoever knocks and says nothing gets no place for long.
async fn shake_hands<T>(clock: &Clock, handshake: impl Future<Output = io::Result<T>>) -> Option<T> {
    match clock.timeout(HANDSHAKE_LIMIT, handshake).await {
        Ok(Ok(io)) => Some(io),
        Ok(Err(e)) => {
            tracing::debug!(error = %e, "no handshake");
            None
        }
        Err(e) => {
            tracing::debug!(error = %e, "no handshake");
            None
        }
    }
}

async fn answer<I>(io: I, peer: SocketAddr, app: Router, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        // A router is a handle, and is always ready.
        let mut app = app.clone();
        async move { app.call(request).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(HEAD_LIMIT_BYTES);
    let connection = http.serve_connection(TokioIo::new(io), service);
    if let Err(e) = watcher.watch(connection).await {
        // Whoever hangs up, or writes what is no HTTP, is nobody's alarm.
        tracing::debug!(error = %e, "a connection ended");
    }
}
