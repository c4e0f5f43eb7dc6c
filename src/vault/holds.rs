//! Holds: what must not be destroyed yet. One flushed file, read before any eraser runs (V7). It holds no person.
//!
//! Several holds may cover the same footage: it is held while any of them does.
//!
//! Order: new file beside it → flush → rename → flush of the directory → (the caller's ledger row). A hold without its row
//! was never answered, and is released at a start. An end comes the other way: the row, then the file.

use super::VaultError;
use crate::disk::{SharedDisk, read_file, replace_file};
use crate::domain::{CameraNumber, HeldFor, HoldId, RequestId, Span, StateFault, StateVersion};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const LIMIT_BYTES: u64 = 16 << 20;

/// What one hold covers. Why, by whom and for how long stands in the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "StoredHold", into = "StoredHold")]
pub struct Hold {
    pub of: HeldFor,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
}

impl Hold {
    /// A request's own: placed when it is submitted, so that expiry cannot beat it.
    pub fn of_request(request: RequestId, cameras: Vec<CameraNumber>, span: Span) -> Self {
        Self { of: HeldFor::Request(request), cameras, span }
    }

    /// Whether it covers a part of what a camera filmed over `span`.
    pub fn covers(&self, camera: CameraNumber, span: Span) -> bool {
        self.cameras.contains(&camera) && self.span.overlaps(span)
    }
}

/// The same as it stands in the file: one of the two numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredHold {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<RequestId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<HoldId>,
    cameras: Vec<CameraNumber>,
    span: Span,
}

impl From<Hold> for StoredHold {
    fn from(Hold { of, cameras, span }: Hold) -> Self {
        let (request, hold) = match of {
            HeldFor::Request(request) => (Some(request), None),
            HeldFor::Hold(hold) => (None, Some(hold)),
        };
        Self { request, hold, cameras, span }
    }
}

impl TryFrom<StoredHold> for Hold {
    type Error = &'static str;

    fn try_from(StoredHold { request, hold, cameras, span }: StoredHold) -> Result<Self, Self::Error> {
        let of = match (request, hold) {
            (Some(request), None) => HeldFor::Request(request),
            (None, Some(hold)) => HeldFor::Hold(hold),
            (Some(_), Some(_)) | (None, None) => return Err("a hold is a request's or an officer's"),
        };
        Ok(Self { of, cameras, span })
    }
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
        self.holds.iter().any(|hold| hold.covers(camera, span))
    }

    /// The holds beside one that cover a part of what a camera filmed over `span`.
    pub fn others(&self, of: HeldFor, camera: CameraNumber, span: Span) -> impl Iterator<Item = HeldFor> {
        self.holds.iter().filter(move |hold| hold.of != of && hold.covers(camera, span)).map(|hold| hold.of)
    }

    /// Places a hold; it is durable when this returns. For what has one already, the new one takes its place.
    ///
    /// # Errors
    /// What the disk says; the hold does not stand then.
    pub fn place(&mut self, hold: Hold) -> Result<(), VaultError> {
        let mut next: Vec<Hold> = self.holds.iter().filter(|known| known.of != hold.of).cloned().collect();
        next.push(hold);
        self.store(next)
    }

    /// Ends a hold. One that has ended already is no error, and nothing is written.
    ///
    /// # Errors
    /// What the disk says; the hold still stands then.
    pub fn release(&mut self, of: HeldFor) -> Result<(), VaultError> {
        if !self.holds.iter().any(|known| known.of == of) {
            return Ok(());
        }
        let next = self.holds.iter().filter(|known| known.of != of).cloned().collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use crate::domain::Utc;
    use std::sync::Arc;

    fn span(from: i64, to: i64) -> Span {
        Span::new(Utc::from_micros(from), Utc::from_micros(to)).unwrap()
    }

    fn opened(text: &str) -> Result<Holds, VaultError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("holds");
        std::fs::write(&path, text).unwrap();
        Holds::open(Arc::new(RealDisk), path)
    }

    #[test]
    fn a_file_of_before_officers_could_hold_is_read() {
        let old = r#"{"version": 1, "holds": [{"request": 4, "cameras": [7],
            "span": {"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:05:00Z"}}]}"#;
        let holds = opened(old).unwrap();
        assert_eq!(holds.list()[0].of, HeldFor::Request(RequestId(4)));
        for wrong in ["\"request\": 4, \"hold\": 4,", ""] {
            assert!(opened(&old.replace("\"request\": 4,", wrong)).is_err(), "{wrong}");
        }
        assert!(opened(&old.replace("\"request\": 4,", "\"hold\": 4, \"reason\": \"x\",")).is_err());
    }

    #[test]
    fn footage_is_held_while_any_hold_covers_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Holds::open(Arc::new(RealDisk), dir.path().join("holds")).unwrap();
        let mut holds = open();
        let camera = CameraNumber::new(1).unwrap();
        let (a, b) = (HeldFor::Hold(HoldId(1)), HeldFor::Request(RequestId(1)));
        for (of, span) in [(a, span(0, 20)), (b, span(10, 30))] {
            holds.place(Hold { of, cameras: vec![camera], span }).unwrap();
        }
        assert_eq!(holds.others(a, camera, span(12, 13)).collect::<Vec<_>>(), [b]);
        holds.release(b).unwrap();
        let holds = open();
        assert!(holds.covers(camera, span(12, 13)) && !holds.covers(camera, span(20, 30)));
        assert!(!holds.covers(CameraNumber::new(2).unwrap(), span(0, 20)));
    }
}
