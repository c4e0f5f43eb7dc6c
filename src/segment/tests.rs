//! Whole segments: written, read, cut short, and tampered with.

use super::*;
use crate::crypto::{DataKey, PrivateKey, StreamOpener, generate_pair};
use crate::disk::{Access, Disk, RealDisk};
use crate::domain::{CameraNumber, DayKeyId, Digest, SegmentId, Utc, VolumeId};
use std::path::PathBuf;

struct Written {
    _dir: tempfile::TempDir,
    path: PathBuf,
    day_key: PrivateKey,
    progress: Progress,
}

fn facts(camera: u16) -> SegmentFacts {
    SegmentFacts {
        version: SegmentVersion::default(),
        camera: CameraNumber::new(camera).unwrap(),
        volume: VolumeId([0xEE; 16]),
        segment: SegmentId(42),
        start: Utc::from_micros(1_700_000_000_000_000),
        day_key: DayKeyId(5),
        previous: Digest::ZERO,
    }
}

fn fragment(number: u64) -> FragmentFacts {
    FragmentFacts { first_pts_90k: number * 90_000, duration_90k: 90_000, frames: 10, sync: true }
}

/// Three fragments, the second larger than a chunk.
fn contents() -> [Vec<u8>; 3] {
    [vec![1; 5_000], (0..CHUNK_LIMIT_BYTES + 100).map(|n| n as u8).collect(), vec![3; 17]]
}

fn write(finish: bool) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    let (day_key, public) = generate_pair().unwrap();
    let file = RealDisk.create_new(&path).unwrap();
    let mut writer = SegmentWriter::create(file, facts(1), &public, b"init", 10_000).unwrap();
    for (number, bytes) in contents().iter().enumerate() {
        writer.append_fragment(fragment(number as u64), bytes).unwrap();
    }
    let progress = if finish { writer.finish().unwrap() } else { writer.progress() };
    Written { _dir: dir, path, day_key, progress }
}

impl Written {
    fn ending(&self) -> Ending {
        let chunks = self.progress.chunks;
        if self.progress.complete { Ending::Footer { chunks } } else { Ending::Cut { chunks } }
    }

    fn read(&self, ending: Ending) -> Result<(SegmentReader, StreamOpener), SegmentError> {
        let reader = SegmentReader::open(RealDisk.open(&self.path, Access::Read).unwrap(), ending)?;
        let key: DataKey = reader.head().open_key(&self.day_key)?;
        let opener = StreamOpener::new(&key)?;
        Ok((reader, opener))
    }

    fn change(&self, at: usize, change: impl Fn(&mut u8)) {
        let mut bytes = std::fs::read(&self.path).unwrap();
        change(&mut bytes[at]);
        std::fs::write(&self.path, bytes).unwrap();
    }
}

#[test]
fn a_whole_segment_reads_back() {
    let written = write(true);
    let (reader, opener) = written.read(written.ending()).unwrap();
    assert_eq!(reader.head().facts, facts(1));
    assert_eq!(reader.open_init(&opener).unwrap(), b"init");
    let fragments = reader.fragments().unwrap();
    assert_eq!(fragments.len(), 3);
    for (fragment, wanted) in fragments.iter().zip(contents()) {
        assert_eq!(reader.open_fragment(&opener, fragment).unwrap(), wanted);
    }
    assert_eq!(fragments[1].entry.chunks, 2, "S4: a fragment above 1 MiB is several chunks");
    reader.check_footer(&opener).unwrap();
    assert_eq!(reader.digest().unwrap(), (written.progress.digest, written.progress.bytes));
    assert_eq!(written.progress.end, facts(1).start.plus_90k(270_000));
}

#[test]
fn no_plaintext_reaches_the_disk() {
    let written = write(true);
    let stored = std::fs::read(&written.path).unwrap();
    for plain in contents() {
        let probe = &plain[..16];
        assert!(!stored.windows(16).any(|bytes| bytes == probe));
    }
}

#[test]
fn a_segment_cut_short_ends_at_the_committed_count() {
    let written = write(false);
    let (reader, opener) = written.read(Ending::Cut { chunks: 2 }).unwrap();
    assert_eq!(reader.fragments().unwrap().len(), 1, "what was written later is ignored");
    assert!(reader.check_footer(&opener).is_err());
    let (reader, _) = written.read(Ending::Cut { chunks: written.progress.chunks + 1 }).unwrap();
    assert!(matches!(reader.chunks(), Err(SegmentError::Short { found: 5, committed: 6 })));
    let (reader, _) = written.read(Ending::Footer { chunks: written.progress.chunks }).unwrap();
    assert!(matches!(reader.chunks(), Err(SegmentError::Damaged { .. })), "S2: no footer, no end");
}

#[test]
fn a_footer_is_not_taken_for_a_fragment() {
    let written = write(true);
    let (reader, _) = written.read(Ending::Cut { chunks: written.progress.chunks }).unwrap();
    assert!(matches!(reader.chunks(), Err(SegmentError::Damaged { .. })));
}

#[test]
fn the_head_of_another_camera_opens_nothing() {
    let written = write(true);
    let (_, public) = generate_pair().unwrap();
    let forged = SegmentHead::seal(facts(2), &public, &DataKey::random().unwrap()).unwrap().to_block().unwrap();
    let mut bytes = std::fs::read(&written.path).unwrap();
    bytes[..HEAD_BYTES].copy_from_slice(&forged);
    std::fs::write(&written.path, bytes).unwrap();
    assert!(matches!(written.read(written.ending()), Err(SegmentError::Unopened(_))));
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    for at in [8, 20, 40, 90, 168, HEAD_BYTES + 1, HEAD_BYTES + 33, HEAD_BYTES + 200] {
        let written = write(true);
        written.change(at, |byte| *byte ^= 0x40);
        let told = written.read(written.ending()).and_then(|(reader, opener)| {
            reader.open_init(&opener)?;
            for fragment in reader.fragments()? {
                reader.open_fragment(&opener, &fragment)?;
            }
            reader.check_footer(&opener)
        });
        assert!(told.is_err(), "byte {at}");
    }
}

#[test]
fn an_overwritten_key_block_leaves_nothing_to_open() {
    let written = write(true);
    let mut bytes = std::fs::read(&written.path).unwrap();
    bytes[..HEAD_BYTES].fill(0);
    std::fs::write(&written.path, bytes).unwrap();
    assert!(matches!(written.read(written.ending()), Err(SegmentError::Damaged { at_bytes: 0, .. })));
}
