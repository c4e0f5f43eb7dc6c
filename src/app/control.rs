//! The socket in the state directory that the daemon is asked over how it is. Only the site's owner can open it.

use super::status::{Status, StatusDesk};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// The socket's name in the state directory.
pub const CONTROL_NAME: &str = "control.sock";
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Whoever asks and does not read must not keep the daemon from stopping.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Where the disk hangs a status cannot be had; after this long the one before is told.
const LOOK_LIMIT: Duration = Duration::from_secs(2);
const STATUS_LIMIT_BYTES: u64 = 4 << 20;

/// Answers everybody who opens the socket with one status.
pub(super) async fn answer(desk: StatusDesk, path: PathBuf, stop: CancellationToken) {
    // The site's lock is held: a socket that is there already is a left-over.
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            tracing::error!(error = %e, "the control socket cannot be made anew");
            return;
        }
        _ => {}
    }
    let listener = match UnixListener::bind(&path) {
        Ok(listener) => listener,
        Err(e) => {
            tracing::error!(error = %e, "there is no control socket: `custodian status` will not work");
            return;
        }
    };
    // Should a disk hang before anybody asked, there is something to tell of.
    if let Err(e) = desk.within(LOOK_LIMIT).await {
        tracing::debug!(error = %e, "no first status");
    }
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(e) => {
                    tracing::warn!(error = %e, "the control socket failed");
                    // Want of file descriptors comes again at once: not a thousand times a second.
                    desk.clock().sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        match desk.clock().timeout(ANSWER_LIMIT, answer_one(&desk, stream)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::debug!(error = %e, "somebody who asked for the status went away"),
            Err(e) => tracing::debug!(error = %e, "somebody who asked for the status did not read it"),
        }
    }
}

async fn answer_one(desk: &StatusDesk, mut stream: UnixStream) -> io::Result<()> {
    let text = serde_json::to_vec(&desk.within(LOOK_LIMIT).await?)?;
    stream.write_all(&text).await?;
    stream.shutdown().await
}

/// Asks a running daemon how it is; `None` where none is running.
///
/// # Errors
/// What the socket says; `InvalidData` for an answer that is no status.
pub async fn ask_status(state: &Path) -> io::Result<Option<Status>> {
    let stream = match UnixStream::connect(state.join(CONTROL_NAME)).await {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut text = Vec::new();
    stream.take(STATUS_LIMIT_BYTES).read_to_end(&mut text).await?;
    Ok(Some(serde_json::from_slice(&text)?))
}
