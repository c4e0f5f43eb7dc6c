//! What anybody sees who looks into a volume's directories: sealed files, and the clear numbers at their beginnings.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"CUSTODSG";
/// Where in a segment's first block the camera and the start stand (big-endian), as docs/format.md says.
const CAMERA_AT: usize = 10;
const START_AT: usize = 40;
const CLEAR_BYTES: usize = 88;

/// A segment file whose first block can still be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredSegment {
    /// A number that tells nothing.
    pub name: String,
    pub path: PathBuf,
    pub camera: u16,
    pub start_us: i64,
    /// Where it ends, told by the same camera's next one; `None` for the camera's newest, which may be growing.
    pub end_us: Option<i64>,
}

impl StoredSegment {
    /// Whether it has any of that time; the newest has all that comes.
    pub fn overlaps(&self, from_us: i64, to_us: i64) -> bool {
        self.start_us < to_us && self.end_us.is_none_or(|end| end > from_us)
    }
}

/// Camera and start of a segment; `None` for what is no segment, an overwritten one too.
pub fn read_head(bytes: &[u8]) -> Option<(u16, i64)> {
    if bytes.len() < CLEAR_BYTES || &bytes[..MAGIC.len()] != MAGIC {
        return None;
    }
    let camera = u16::from_be_bytes(bytes[CAMERA_AT..CAMERA_AT + 2].try_into().ok()?);
    let start_us = i64::from_be_bytes(bytes[START_AT..START_AT + 8].try_into().ok()?);
    Some((camera, start_us))
}

/// The names of all files in the directories of a volume's `rolling` and `held`, with their places.
pub fn files(volume: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for place in ["rolling", "held"] {
        found.extend(files_in(volume, place)?);
    }
    Ok(found)
}

/// The same of one of the two.
pub fn files_in(volume: &Path, place: &str) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let place = volume.join(place);
    for dir in std::fs::read_dir(&place).with_context(|| format!("cannot look into {}", place.display()))? {
        // The eraser removes a directory that has nothing left.
        let Ok(entries) = std::fs::read_dir(dir?.path()) else { continue };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.insert(name, path);
        }
    }
    Ok(found)
}

/// The segments of a volume, by camera and start.
pub fn segments(volume: &Path) -> Result<Vec<StoredSegment>> {
    let mut found = Vec::new();
    for (name, path) in files(volume)? {
        let mut clear = [0; CLEAR_BYTES];
        // Gone or blank between the listing and the look: the eraser was here.
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut clear, 0));
        if let (Ok(()), Some((camera, start_us))) = (read, read_head(&clear)) {
            found.push(StoredSegment { name, path, camera, start_us, end_us: None });
        }
    }
    found.sort_by_key(|segment| (segment.camera, segment.start_us));
    for at in 1..found.len() {
        if found[at - 1].camera == found[at].camera {
            found[at - 1].end_us = Some(found[at].start_us);
        }
    }
    Ok(found)
}
