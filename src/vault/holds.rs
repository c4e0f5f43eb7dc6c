//! Holds: what must not be destroyed yet. One flushed file, read before any eraser runs (V7). It holds no person.
//!
//! Order: new file beside it → flush → rename → flush of the directory → (the caller's ledger row). A hold without its row
//! was never answered, and is released at a start.

use super::VaultError;
use crate::disk::{SharedDisk, read_file, replace_file};
use crate::domain::{CameraNumber, RequestId, Span, StateFault, StateVersion};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const LIMIT_BYTES: u64 = 16 << 20;

/// A request's own hold: placed when it is submitted, so that expiry cannot beat it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub request: RequestId,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: StateVersion,
    holds: Vec<Hold>,
}

/// All holds of the site.
#[derive(Debug)]
pub struct Holds {
    disk: SharedDisk,
    path: PathBuf,
    holds: Vec<Hold>,
}

impl Holds {
    /// Reads the file; one that is missing is a site without holds.
    ///
    /// # Errors
    /// [`VaultError::State`] for a file that cannot be read: no eraser may then run.
    pub fn open(disk: SharedDisk, path: PathBuf) -> Result<Self, VaultError> {
        let unreadable = |what: String| VaultError::State { file: path.display().to_string(), what };
        let holds = match read_file(&*disk, &path, LIMIT_BYTES) {
            Ok(bytes) => {
                let parsed = StateVersion::read::<Stored>(&bytes);
                let advice = |e: StateFault| {
                    unreadable(format!("{e}. Move it away: the holds are placed again from the ledger"))
                };
                parsed.map_err(advice)?.holds
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(unreadable(e.to_string())),
        };
        Ok(Self { disk, path, holds })
    }

    pub fn list(&self) -> &[Hold] {
        &self.holds
    }

    /// Whether any hold covers a part of what a camera filmed over `span`.
    pub fn covers(&self, camera: CameraNumber, span: Span) -> bool {
        self.holds.iter().any(|hold| hold.cameras.contains(&camera) && hold.span.overlaps(span))
    }

    /// Places a hold; it is durable when this returns. A request has one: a second takes the first's place.
    ///
    /// # Errors
    /// What the disk says; the hold does not stand then.
    pub fn place(&mut self, hold: Hold) -> Result<(), VaultError> {
        let mut next: Vec<Hold> = self.holds.iter().filter(|known| known.request != hold.request).cloned().collect();
        next.push(hold);
        self.store(next)
    }

    /// Ends a request's hold.
    ///
    /// # Errors
    /// What the disk says; the hold still stands then.
    pub fn release(&mut self, request: RequestId) -> Result<(), VaultError> {
        let next = self.holds.iter().filter(|known| known.request != request).cloned().collect();
        self.store(next)
    }

    fn store(&mut self, holds: Vec<Hold>) -> Result<(), VaultError> {
        let failed = |what: String| VaultError::State { file: self.path.display().to_string(), what };
        let stored = Stored { version: StateVersion, holds };
        let bytes = serde_json::to_vec_pretty(&stored).map_err(|e| failed(e.to_string()))?;
        replace_file(&*self.disk, &self.path, &bytes).map_err(|e| failed(e.to_string()))?;
        self.holds = stored.holds;
        Ok(())
    }
}
