//! What all manifests of a volume add up to, in one small file, so that a start need not read them: a month of 97
//! cameras is 750 MB of records.
//!
//! It holds no truth. A manifest to which something was appended since is read whole; without the file all are. It is
//! written from what a flush covered: a manifest that is shorter than it says was cut short.

use super::VaultError;
use super::manifests::Summed;
use super::volume::Volume;
use crate::disk::{SharedDisk, read_file, replace_file};
use crate::domain::StateVersion;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

pub(super) const NAME: &str = "summary";
const LIMIT_BYTES: u64 = 256 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: StateVersion,
    /// Nothing was written after this, and nothing was left half-way.
    is_clean: bool,
    manifests: Vec<Summed>,
}

/// A summary as a start finds it.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub is_clean: bool,
    pub manifests: HashMap<String, Summed>,
}

impl Volume {
    /// Reads the summary. One that is missing or unreadable is none: the manifests are read in its place.
    pub(super) fn read_summary(&self) -> Result<Summary, VaultError> {
        let path = self.dir.join(NAME);
        let bytes = match read_file(&*self.disk, &path, LIMIT_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Summary::default()),
            Err(e) => return Err(self.on(&path)(e)),
        };
        match read_bytes(&bytes) {
            Ok(summary) => Ok(summary),
            Err(e) => {
                tracing::warn!(volume = %self.id, error = %e, "the summary is not readable: all manifests are read");
                Ok(Summary::default())
            }
        }
    }

    /// Flushes the volume, and writes the summary of what that covered.
    #[track_caller]
    pub(super) fn summarise(&self, is_clean: bool) -> Result<(), VaultError> {
        let stored = self.sum_up(is_clean);
        self.flush()?;
        self.write_summary(&stored)
    }

    /// Takes back that the volume was left clean, before anything is written. Nothing is flushed for it: what the summary
    /// tells of the manifests was flushed before it was written, and is so still.
    #[track_caller]
    pub(super) fn take_back_clean(&self) -> Result<(), VaultError> {
        self.write_summary(&self.sum_up(false))
    }

    fn sum_up(&self, is_clean: bool) -> Stored {
        let (manifests, left_half_way) = {
            let state = self.lock();
            let summed: Vec<Summed> = state.manifests.values().map(super::manifests::ManifestFile::summed).collect();
            let is_open = summed.iter().any(|summed| summed.sum.open > 0);
            (summed, state.left_half_way || is_open || !state.unsurveyed.is_empty())
        };
        Stored { version: StateVersion, is_clean: is_clean && !left_half_way, manifests }
    }

    #[track_caller]
    fn write_summary(&self, stored: &Stored) -> Result<(), VaultError> {
        let path = self.dir.join(NAME);
        let json = serde_json::to_string(stored)
            .map_err(|e| VaultError::State { file: path.display().to_string(), what: e.to_string() })?;
        let bytes = format!("{:08x} {json}", crc32c::crc32c(json.as_bytes())).into_bytes();
        replace_file(&*self.disk, &path, &bytes).map_err(self.on(&path))
    }
}

/// Reads the summary of the volume in `dir` as it lies there.
pub(super) fn read_at_rest(disk: &SharedDisk, dir: &Path) -> Result<Summary, String> {
    match read_file(&**disk, &dir.join(NAME), LIMIT_BYTES) {
        Ok(bytes) => read_bytes(&bytes),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Summary::default()),
        Err(e) => Err(e.to_string()),
    }
}

fn read_bytes(bytes: &[u8]) -> Result<Summary, String> {
    let stored = parse(bytes)?;
    let by_name = stored.manifests.into_iter().map(|summed| (summed.name.clone(), summed));
    Ok(Summary { is_clean: stored.is_clean, manifests: by_name.collect() })
}

/// Its CRC-32C in hexadecimal, a space, JSON: a count that an accident changed could let footage outlive its day.
fn parse(bytes: &[u8]) -> Result<Stored, String> {
    let (crc, json) = bytes.split_at_checked(9).ok_or("it is too short")?;
    if crc != format!("{:08x} ", crc32c::crc32c(json)).as_bytes() {
        return Err("its checksum is wrong".to_owned());
    }
    serde_json::from_slice(json).map_err(|e| e.to_string())
}
