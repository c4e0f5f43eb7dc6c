//! Checkpoints leave the machine's disks: each is a line of the system's log, which journald or a syslog daemon keeps, and
//! may send to another machine.
//!
//! One datagram to the socket that syslog(3) writes to. It needs no library, and must not be what one would make of it: a log
//! that does not take it is an alarm, and holds nothing up.

use super::mark::CheckpointMark;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Facility `authpriv`, severity `info` (RFC 5424, 6.2.1): who reads that is who looks after the machine's security.
const PRIORITY: u32 = 10 * 8 + 6;
/// A log that is full or hangs.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// Where checkpoints are sent, and how that went the last time.
#[derive(Debug, Default)]
pub struct Elsewhere {
    socket: Option<PathBuf>,
    failure: Mutex<Option<String>>,
}

impl Elsewhere {
    /// `None`: nowhere.
    pub fn new(socket: Option<PathBuf>) -> Self {
        Self { socket, failure: Mutex::default() }
    }

    /// Sends a checkpoint. What fails is kept as an alarm until one is taken.
    pub fn send(&self, mark: &CheckpointMark) {
        let Some(socket) = &self.socket else { return };
        let told = send_line(socket, &mark.to_string()).err().map(|e| format!("{}: {e}", socket.display()));
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(e) = told.as_ref().filter(|told| Some(*told) != failure.as_ref()) {
            tracing::error!(error = e, "a checkpoint of the ledger did not leave the machine");
        }
        *failure = told;
    }

    /// Why the last checkpoint was not taken.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn send_line(socket: &Path, line: &str) -> io::Result<()> {
    let log = UnixDatagram::unbound()?;
    log.set_write_timeout(Some(SEND_LIMIT))?;
    // The time is left to the log: what stands in the line instead would be believed.
    let sent = format!("<{PRIORITY}>custodian[{}]: {line}", std::process::id());
    log.send_to(sent.as_bytes(), socket).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Digest, SiteId};

    #[test]
    fn a_checkpoint_is_a_line_of_the_systems_log_and_a_log_that_is_away_is_an_alarm() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let elsewhere = Elsewhere::new(Some(socket.clone()));
        let mark = CheckpointMark { site: Some(SiteId([1; 16])), sequence: 7, head: Digest([2; 32]), signature: None };
        elsewhere.send(&mark);
        assert!(elsewhere.failure().unwrap().starts_with(&socket.display().to_string()));
        let log = UnixDatagram::bind(&socket).unwrap();
        elsewhere.send(&mark);
        assert_eq!(elsewhere.failure(), None);
        let mut line = vec![0; 1_000];
        let got = log.recv(&mut line).unwrap();
        let line = String::from_utf8(line[..got].to_vec()).unwrap();
        assert!(
            line.starts_with(&format!("<86>custodian[{}]: custodian checkpoint site=01", std::process::id())),
            "{line}"
        );
        assert_eq!(CheckpointMark::find(&line), Some(mark));
        // One that takes nothing: it holds nobody up for long.
        for _ in 0..2_000 {
            elsewhere.send(&mark);
            if elsewhere.failure().is_some() {
                break;
            }
        }
        assert!(elsewhere.failure().is_some(), "nobody reads it, and it takes no more");
    }
}
