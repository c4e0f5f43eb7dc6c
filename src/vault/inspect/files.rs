//! Where the files of a manifest's segments are.

use crate::disk::SharedDisk;
use crate::domain::SegmentId;
use crate::vault::VaultError;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Where the files of a manifest are. A day of 97 cameras has 140,000, so their paths are put together only where one is
/// to be told.
#[derive(Default)]
pub(super) struct SegmentFiles {
    dirs: Vec<PathBuf>,
    /// With the number of its directory.
    segments: BTreeMap<SegmentId, u8>,
}

impl SegmentFiles {
    /// Takes in a directory's; returns what is no segment.
    ///
    /// # Errors
    /// What the disk says; a directory that is not there has no files.
    pub fn list(
        &mut self,
        disk: &SharedDisk,
        dir: PathBuf,
        counts: impl Fn(SegmentId) -> bool,
    ) -> Result<Vec<PathBuf>, VaultError> {
        let number = self.dirs.len() as u8;
        let mut strange = Vec::new();
        let listed = disk.each_file(&dir, &mut |name| match name.parse() {
            Ok(segment) if counts(segment) => drop(self.segments.insert(segment, number)),
            Ok(_) => {}
            Err(_) => strange.push(dir.join(name)),
        });
        match listed {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(VaultError::Disk { what: dir.display().to_string(), source: e });
            }
            Ok(()) | Err(_) => {}
        }
        self.dirs.push(dir);
        Ok(strange)
    }

    pub fn all(&self) -> impl Iterator<Item = SegmentId> {
        self.segments.keys().copied()
    }

    pub fn path(&self, segment: SegmentId) -> Option<PathBuf> {
        let dir = self.dirs.get(usize::from(*self.segments.get(&segment)?))?;
        Some(dir.join(segment.to_string()))
    }
}
