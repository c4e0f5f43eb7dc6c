//! What is inside a segment, for whoever holds a key.

use crate::crypto::{PublicKey, StreamOpener};
use crate::disk::SharedDisk;
use crate::domain::DayKeyId;
use crate::fragment::{frame_times, holds_one_video_track};
use crate::segment::{Ending, SegmentReader};
use crate::vault::bare::DayKeys;
use std::collections::BTreeMap;
use std::path::Path;

/// Decrypts every chunk: one track of video and nothing else, fragments as counted, a footer that says what the clear
/// headers say.
pub(super) fn check_contents(
    disk: &SharedDisk,
    dir: &Path,
    reader: &SegmentReader,
    day_keys: &BTreeMap<DayKeyId, PublicKey>,
    keys: &mut DayKeys,
) -> Result<(), String> {
    let facts = reader.head().facts;
    let public = day_keys.get(&facts.day_key).copied();
    let day_key = keys.open(disk, dir, &facts, public).map_err(|e| format!("its day key cannot be opened: {e}"))?;
    let data_key = reader.head().open_key(day_key).map_err(|e| format!("its data key: {e}"))?;
    let opener = StreamOpener::new(&data_key).map_err(|e| e.to_string())?;
    let init = reader.open_init(&opener).map_err(|e| format!("its init segment: {e}"))?;
    holds_one_video_track(&init).map_err(|e| format!("holds something else than one track of video: {e}"))?;
    for fragment in reader.fragments().map_err(|e| e.to_string())? {
        let named = |e: &dyn std::fmt::Display| format!("fragment {}: {e}", fragment.number);
        let plain = reader.open_fragment(&opener, &fragment).map_err(|e| named(&e))?;
        let frames = frame_times(&plain).map_err(|e| named(&e))?.len();
        if frames != usize::from(fragment.entry.frames) && fragment.entry.frames != u16::MAX {
            return Err(named(&format!("{frames} frames, its header says {}", fragment.entry.frames)));
        }
    }
    match reader.ending() {
        Ending::Footer { .. } => reader.check_footer(&opener).map_err(|e| e.to_string()),
        Ending::Cut { .. } => Ok(()),
    }
}
