//! The index over the manifests: what footage there is of a camera and a span, in one look-up.
//!
//! sled holds it, and sled loses flushed data at a power cut and keeps deleted values in its files (both measured):
//! so it holds nothing that cannot be rebuilt, no key and no person, and it is trusted only if its folder is, byte for
//! byte, the one that a clean stop sealed for the very manifests that are there. Deleting its folder loses nothing.
//!
//! One record a camera and hour: 97 × 24 × 30 = 69,840 of them, not 4.19 million. Of days whose manifests are closed, what
//! the ledger's closing rows tell: one record a camera and day.

mod days;
mod seal;

pub use days::{ClosedDay, ClosedPieces};

use crate::domain::{
    CameraNumber, Dating, DayKeyId, DestructionTrigger, Digest, GapCause, Retention, SegmentId, Span, Utc, VolumeId,
};
use crate::segment::Ending;
use seal::Seal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// No segment is longer: how far before a span one that reaches into it can begin.
const LONGEST_SEGMENT: Duration = Duration::from_secs(3_600);

/// Why the index did not answer.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("the index could not be used: {0}; delete its folder `catalog`, it is rebuilt at the next start")]
    Sled(#[from] sled::Error),
    #[error("the index has no room for one more kind of footage in an hour of a camera")]
    Crowded,
    #[error("an entry of the index is not readable; delete its folder `catalog`, it is rebuilt at the next start")]
    Entry(#[from] postcard::Error),
    #[error("the index's folder, {}: {source}; delete it, it is rebuilt at the next start", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("the index is closed: the daemon is stopping")]
    Closed,
    #[error("the index could not be flushed when it was closed: its disk fails; it is rebuilt at the next start")]
    BrokeOff,
}

/// What has become of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Being written, or whole.
    Kept,
    Destroyed {
        at: Utc,
        trigger: DestructionTrigger,
    },
}

/// One segment in the index: all that is wanted to open it, but for its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CatalogEntry {
    pub volume: VolumeId,
    pub segment: SegmentId,
    pub start: Utc,
    /// `None` while it is being written.
    pub end: Option<Utc>,
    pub day_key: DayKeyId,
    pub retention: Retention,
    pub ending: Ending,
    pub is_apart: bool,
    pub fate: Fate,
    /// What `start` and `end` rest on.
    pub dating: Dating,
}

impl CatalogEntry {
    /// Whether it has any of a span. One being written reaches on for ever.
    pub fn reaches_into(&self, span: Span) -> bool {
        self.start < span.to() && self.end.is_none_or(|end| end > span.from())
    }
}

/// What segments of one camera and hour have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Group {
    volume: [u8; 16],
    day_key: u64,
    is_floor: bool,
    period_s: u64,
    dating: Dating,
}

/// A segment as it is stored: small, since there are millions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Packed {
    segment: u64,
    group: u8,
    /// From the beginning of the hour.
    start_micros: u32,
    length_micros: Option<u64>,
    chunks: u32,
    has_footer: bool,
    is_apart: bool,
    destroyed: Option<(i64, DestructionTrigger)>,
}

/// What there is of a camera in an hour; segments by start.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Hour {
    groups: Vec<Group>,
    segments: Vec<Packed>,
    gaps: Vec<(i64, i64, GapCause)>,
}

impl Hour {
    fn group(&mut self, of: Group) -> Result<u8, CatalogError> {
        let place = self.groups.iter().position(|known| *known == of).unwrap_or_else(|| {
            self.groups.push(of);
            self.groups.len() - 1
        });
        u8::try_from(place).map_err(|_| CatalogError::Crowded)
    }

    fn put(&mut self, hour: u32, entry: &CatalogEntry) -> Result<(), CatalogError> {
        let group = self.group(Group {
            volume: entry.volume.0,
            day_key: entry.day_key.0,
            is_floor: matches!(entry.retention, Retention::Floor(_)),
            period_s: entry.retention.period().as_secs(),
            dating: entry.dating,
        })?;
        let packed = Packed {
            segment: entry.segment.0,
            group,
            start_micros: u32::try_from(entry.start.micros() - start_of(hour)).unwrap_or(0),
            length_micros: entry.end.map(|end| u64::try_from(end.micros() - entry.start.micros()).unwrap_or(0)),
            chunks: entry.ending.chunks(),
            has_footer: matches!(entry.ending, Ending::Footer { .. }),
            is_apart: entry.is_apart,
            destroyed: match entry.fate {
                Fate::Kept => None,
                Fate::Destroyed { at, trigger } => Some((at.micros(), trigger)),
            },
        };
        match self.segments.iter_mut().find(|known| known.segment == packed.segment) {
            Some(known) => *known = packed,
            None => {
                let at = self.segments.partition_point(|known| known.start_micros <= packed.start_micros);
                self.segments.insert(at, packed);
            }
        }
        Ok(())
    }

    fn put_gap(&mut self, span: Span, cause: GapCause) {
        let gap = (span.from().micros(), span.to().micros(), cause);
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    fn entry(&self, hour: u32, packed: &Packed) -> Option<CatalogEntry> {
        let group = self.groups.get(usize::from(packed.group))?;
        let period = Duration::from_secs(group.period_s);
        let start = Utc::from_micros(start_of(hour) + i64::from(packed.start_micros));
        let chunks = packed.chunks;
        Some(CatalogEntry {
            volume: VolumeId(group.volume),
            segment: SegmentId(packed.segment),
            start,
            end: packed.length_micros.map(|length| start.saturating_add(Duration::from_micros(length))),
            day_key: DayKeyId(group.day_key),
            retention: if group.is_floor { Retention::Floor(period) } else { Retention::Ceiling(period) },
            ending: if packed.has_footer { Ending::Footer { chunks } } else { Ending::Cut { chunks } },
            is_apart: packed.is_apart,
            fate: packed.destroyed.map_or(Fate::Kept, |(at_micros, trigger)| Fate::Destroyed {
                at: Utc::from_micros(at_micros),
                trigger,
            }),
            dating: group.dating,
        })
    }
}

/// The open index.
#[derive(Clone, Debug)]
pub struct Catalog {
    folder: PathBuf,
    /// `None` once it is closed.
    db: Arc<RwLock<Option<Opened>>>,
    /// The manifests that it was sealed for at the last stop; asked for once.
    sealed_for: Arc<Mutex<Option<Digest>>>,
    /// An hour is read, changed and written back: recorder, commit and eraser take turns.
    turn: Arc<Mutex<()>>,
}

/// The open sled. Its last drop flushes, and panics where the disk refuses that: a failing disk is no reason for the
/// daemon to break off instead of ending in order.
#[derive(Debug)]
struct Opened(Option<sled::Db>);

impl Opened {
    fn close(&mut self) -> Result<(), CatalogError> {
        let db = self.0.take();
        catch_unwind(AssertUnwindSafe(|| drop(db))).map_err(|_| CatalogError::BrokeOff)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Err(e) = self.close() {
            tracing::error!(error = %e, "the index could not be closed");
        }
    }
}

fn hour_of(point: Utc) -> u32 {
    u32::try_from(point.micros().div_euclid(MICROS_PER_HOUR)).unwrap_or(0)
}

fn start_of(hour: u32) -> i64 {
    i64::from(hour) * MICROS_PER_HOUR
}

fn key(camera: CameraNumber, hour: u32) -> [u8; 6] {
    let mut key = [0; 6];
    key[..2].copy_from_slice(&camera.get().to_be_bytes());
    key[2..].copy_from_slice(&hour.to_be_bytes());
    key
}

/// By sled's own count; in memory it is half as much again. What is not in it stands in the kernel's cache: the whole index of
/// 97 cameras is some tens of megabytes.
const CACHE_BYTES: u64 = 8 << 20;

impl Catalog {
    /// Opens the index in `folder`. One that is not as a clean stop left it is thrown away, and an empty one begun.
    ///
    /// # Errors
    /// [`CatalogError`]; the caller then deletes the folder and opens anew.
    pub fn open(folder: &Path) -> Result<Self, CatalogError> {
        let sealed = match Seal::take(folder)? {
            Some(seal) if folder.is_dir() && seal::digest_of(folder)? == seal.folder => Some(seal.manifests),
            _ => {
                if seal::throw_away(folder)? {
                    tracing::warn!(folder = %folder.display(), "the index is not as a clean stop left it: thrown away");
                }
                None
            }
        };
        Self::begin(folder, sealed)
    }

    fn begin(folder: &Path, sealed: Option<Digest>) -> Result<Self, CatalogError> {
        let db = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(2_000)).open()?;
        Ok(Self {
            folder: folder.to_path_buf(),
            db: Arc::new(RwLock::new(Some(Opened(Some(db))))),
            sealed_for: Arc::new(Mutex::new(sealed)),
            turn: Arc::default(),
        })
    }

    /// Opens a copy, in `copy`, of an index that a clean stop left: sled writes into whatever it opens. `None` where the
    /// index is not as one left it, and will be thrown away. The caller removes the copy.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn open_copy(folder: &Path, copy: &Path) -> Result<Option<Self>, CatalogError> {
        seal::throw_away(copy)?;
        let Some(seal) = Seal::read(folder)? else { return Ok(None) };
        if !folder.is_dir() || seal::digest_of(folder)? != seal.folder {
            return Ok(None);
        }
        seal::copy(folder, copy)?;
        Self::begin(copy, Some(seal.manifests)).map(Some)
    }

    /// Whether the index stands for these very manifests: whether a clean stop sealed it for them. Answers once.
    /// Without it the index must be rebuilt.
    pub fn is_sealed_for(&self, manifests: Digest) -> bool {
        self.sealed_for.lock().unwrap_or_else(PoisonError::into_inner).take() == Some(manifests)
    }

    /// Closes it at a clean stop, and seals it for the manifests as they are. It answers nothing any more.
    ///
    /// # Errors
    /// [`CatalogError`]; it is then rebuilt at the next start.
    pub fn close(&self, manifests: Digest) -> Result<(), CatalogError> {
        let opened = self.db.write().unwrap_or_else(PoisonError::into_inner).take();
        let mut opened = opened.ok_or(CatalogError::Closed)?;
        opened.0.as_ref().ok_or(CatalogError::Closed)?.flush()?;
        // With the last one of it go the threads that still wrote.
        opened.close()?;
        Seal { manifests, folder: seal::digest_of(&self.folder)? }.leave(&self.folder)
    }

    fn with<T>(&self, act: impl FnOnce(&sled::Db) -> Result<T, CatalogError>) -> Result<T, CatalogError> {
        let opened = self.db.read().unwrap_or_else(PoisonError::into_inner);
        act(opened.as_ref().and_then(|opened| opened.0.as_ref()).ok_or(CatalogError::Closed)?)
    }

    /// What is known of one segment.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn entry(
        &self,
        camera: CameraNumber,
        start: Utc,
        segment: SegmentId,
    ) -> Result<Option<CatalogEntry>, CatalogError> {
        let number = hour_of(start);
        let hour = self.hour(camera, number)?;
        let found = hour.segments.iter().find(|packed| packed.segment == segment.0);
        Ok(found.and_then(|packed| hour.entry(number, packed)))
    }

    /// How many segments are known.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn count(&self) -> Result<u64, CatalogError> {
        self.with(|db| {
            let mut count = 0;
            for found in db.iter() {
                let (_, bytes) = found?;
                count += postcard::from_bytes::<Hour>(&bytes)?.segments.len() as u64;
            }
            Ok(count)
        })
    }

    /// # Errors
    /// [`CatalogError`].
    pub fn clear(&self) -> Result<(), CatalogError> {
        self.clear_closed()?;
        self.with(|db| Ok(db.clear()?))
    }

    fn hour(&self, camera: CameraNumber, hour: u32) -> Result<Hour, CatalogError> {
        match self.with(|db| Ok(db.get(key(camera, hour))?))? {
            Some(bytes) => Ok(postcard::from_bytes(&bytes)?),
            None => Ok(Hour::default()),
        }
    }

    fn change(
        &self,
        camera: CameraNumber,
        hour: u32,
        change: impl FnOnce(&mut Hour) -> Result<(), CatalogError>,
    ) -> Result<(), CatalogError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = self.hour(camera, hour)?;
        change(&mut content)?;
        if content.segments.is_empty() && content.gaps.is_empty() {
            return self.with(|db| Ok(db.remove(key(camera, hour)).map(drop)?));
        }
        let bytes = postcard::to_stdvec(&content)?;
        self.with(|db| Ok(db.insert(key(camera, hour), bytes).map(drop)?))
    }

    /// Puts a segment in, in the place of what was there of it.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn put(&self, camera: CameraNumber, entry: CatalogEntry) -> Result<(), CatalogError> {
        let hour = hour_of(entry.start);
        self.change(camera, hour, |content| content.put(hour, &entry))
    }

    /// Puts many segments of a camera in at once.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn put_all(
        &self,
        camera: CameraNumber,
        entries: impl IntoIterator<Item = CatalogEntry>,
    ) -> Result<(), CatalogError> {
        let mut by_hour: BTreeMap<u32, Vec<CatalogEntry>> = BTreeMap::new();
        for entry in entries {
            by_hour.entry(hour_of(entry.start)).or_default().push(entry);
        }
        for (hour, entries) in by_hour {
            self.change(camera, hour, |content| entries.iter().try_for_each(|entry| content.put(hour, entry)))?;
        }
        Ok(())
    }

    /// # Errors
    /// [`CatalogError`].
    pub fn put_gap(&self, camera: CameraNumber, span: Span, cause: GapCause) -> Result<(), CatalogError> {
        // A gap may be days long: it stands in every hour that it touches.
        for hour in hour_of(span.from())..=hour_of(span.to()) {
            self.change(camera, hour, |content| {
                content.put_gap(span, cause);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn hours(&self, camera: CameraNumber, from: Utc, to: Utc) -> Result<Vec<(u32, Hour)>, CatalogError> {
        let range = key(camera, hour_of(from))..=key(camera, hour_of(to));
        let read = |found: Result<(sled::IVec, sled::IVec), sled::Error>| {
            let (key, content) = found?;
            let hour = key.get(2..).and_then(|hour| hour.try_into().ok()).map_or(0, u32::from_be_bytes);
            Ok((hour, postcard::from_bytes(&content)?))
        };
        self.with(|db| db.range(range).map(read).collect())
    }

    /// The segments of a camera that reach into a span, by start. One being written reaches on for ever.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn segments(&self, camera: CameraNumber, span: Span) -> Result<Vec<CatalogEntry>, CatalogError> {
        let hours = self.hours(camera, span.from().saturating_sub(LONGEST_SEGMENT), span.to())?;
        let entries = hours
            .iter()
            .flat_map(|(hour, content)| content.segments.iter().filter_map(|packed| content.entry(*hour, packed)));
        Ok(entries.filter(|entry| entry.reaches_into(span)).collect())
    }

    /// The recorded gaps of a camera that reach into a span, by start.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn gaps(&self, camera: CameraNumber, span: Span) -> Result<Vec<(Span, GapCause)>, CatalogError> {
        let mut gaps: Vec<(Span, GapCause)> = self
            .hours(camera, span.from(), span.to())?
            .into_iter()
            .flat_map(|(_, content)| content.gaps)
            .filter_map(|(from, to, cause)| {
                let gap = Span::new(Utc::from_micros(from), Utc::from_micros(to)).ok()?;
                gap.overlaps(span).then_some((gap, cause))
            })
            .collect();
        gaps.sort_by_key(|(gap, _)| gap.from());
        gaps.dedup();
        Ok(gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Correction;

    fn at(seconds: i64) -> Utc {
        Utc::from_micros(1_800_000_000_000_000 + seconds * 1_000_000)
    }

    fn camera(number: u16) -> CameraNumber {
        CameraNumber::new(number).unwrap()
    }

    fn entry(number: u64, start: i64, end: Option<i64>) -> CatalogEntry {
        CatalogEntry {
            volume: VolumeId([1; 16]),
            segment: SegmentId(number),
            start: at(start),
            end: end.map(at),
            day_key: DayKeyId(number % 3),
            retention: Retention::Floor(Duration::from_secs(60)),
            ending: Ending::Footer { chunks: 7 },
            is_apart: number % 2 == 1,
            fate: match number % 5 {
                4 => Fate::Destroyed { at: at(start), trigger: DestructionTrigger::Early },
                _ => Fate::Kept,
            },
            dating: Dating::marked(
                number.is_multiple_of(3),
                number.is_multiple_of(2).then_some(Correction::exactly(7)),
            ),
        }
    }

    fn found(catalog: &Catalog, of: u16, from: i64, to: i64) -> Vec<u64> {
        let span = Span::new(at(from), at(to)).unwrap();
        catalog.segments(camera(of), span).unwrap().iter().map(|entry| entry.segment.0).collect()
    }

    #[test]
    fn a_span_finds_what_reaches_into_it_over_hours_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(dir.path()).unwrap();
        for (number, start) in (0..180).map(|minute| (minute as u64, minute * 60)) {
            catalog.put(camera(1), entry(number, start, Some(start + 60))).unwrap();
        }
        catalog.put(camera(2), entry(1_000, 0, None)).unwrap();
        assert_eq!(found(&catalog, 1, 3_590, 3_610), [59, 60]);
        assert_eq!(found(&catalog, 1, 60, 120), [1], "spans that touch do not overlap");
        assert_eq!(found(&catalog, 1, 0, 10_800).len(), 180);
        assert_eq!(found(&catalog, 2, 60, 61), [1_000], "an open segment reaches on");
        assert!(found(&catalog, 3, 0, 10_800).is_empty());
    }

    #[test]
    fn an_entry_comes_out_as_it_went_in_and_takes_its_own_place() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(dir.path()).unwrap();
        let entries: Vec<CatalogEntry> = (0..40)
            .map(|number| entry(number, number as i64 * 60, (number < 39).then_some(number as i64 * 60 + 60)))
            .collect();
        catalog.put_all(camera(1), entries.clone()).unwrap();
        let all = Span::new(at(0), at(10_000)).unwrap();
        assert_eq!(catalog.segments(camera(1), all).unwrap(), entries);
        let ended = CatalogEntry { end: Some(at(39 * 60 + 1)), ending: Ending::Cut { chunks: 2 }, ..entries[39] };
        catalog.put(camera(1), ended).unwrap();
        assert_eq!(catalog.segments(camera(1), all).unwrap()[39], ended);
        assert_eq!(catalog.segments(camera(1), all).unwrap().len(), 40);
    }

    #[test]
    fn what_a_closed_manifest_told_takes_the_place_of_its_segments() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(dir.path()).unwrap();
        let span = |from, to| Span::new(at(from), at(to)).unwrap();
        catalog.put_all(camera(1), [entry(1, 0, Some(60)), entry(2, 60, Some(120))]).unwrap();
        catalog.put_gap(camera(1), span(120, 9_000), GapCause::Stalled).unwrap();
        let closed = ClosedDay {
            destroyed: vec![(span(0, 60), at(90_000), DestructionTrigger::Expiry, false)],
            gaps: vec![(span(120, 9_000), GapCause::Stalled)],
        };
        for _ in 0..2 {
            catalog.forget(camera(1), span(0, 9_000), &[SegmentId(1)].into(), &closed.gaps).unwrap();
            catalog.put_closed(camera(1), &closed).unwrap();
        }
        assert_eq!(found(&catalog, 1, 0, 9_000), [2]);
        assert!(catalog.gaps(camera(1), span(0, 9_000)).unwrap().is_empty());
        assert_eq!(catalog.closed(camera(1), span(30, 200)).unwrap(), (closed.destroyed.clone(), closed.gaps.clone()));
        assert_eq!(catalog.closed(camera(1), span(60, 120)).unwrap(), (Vec::new(), Vec::new()));
        assert!(catalog.has_closed(camera(1)).unwrap() && !catalog.has_closed(camera(2)).unwrap());
        catalog.clear().unwrap();
        assert!(!catalog.has_closed(camera(1)).unwrap());
    }

    #[test]
    fn a_gap_is_found_from_any_hour_that_it_touches_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(dir.path()).unwrap();
        let gap = Span::new(at(10), at(9_000)).unwrap();
        catalog.put_gap(camera(1), gap, GapCause::Stalled).unwrap();
        let found = |from, to| catalog.gaps(camera(1), Span::new(at(from), at(to)).unwrap()).unwrap();
        assert_eq!(found(5_000, 5_001), [(gap, GapCause::Stalled)]);
        assert_eq!(found(0, 20_000).len(), 1);
        assert!(found(9_000, 9_001).is_empty());
    }

    /// An index of three cameras and a day, closed and sealed.
    fn sealed(folder: &Path) -> Vec<u64> {
        let catalog = Catalog::open(folder).unwrap();
        for number in 0..3 * 1_440_u64 {
            let (of, minute) = (u16::try_from(number % 3).unwrap() + 1, i64::try_from(number / 3).unwrap());
            catalog.put(camera(of), entry(number, minute * 60, Some(minute * 60 + 60))).unwrap();
        }
        let all = found(&catalog, 2, 0, 86_400);
        catalog.close(Digest([1; 32])).unwrap();
        assert!(matches!(catalog.clear(), Err(CatalogError::Closed)));
        all
    }

    #[test]
    fn an_index_is_trusted_once_and_only_for_its_manifests() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("catalog");
        let all = sealed(&folder);
        assert_eq!(all.len(), 1_440);
        let catalog = Catalog::open(&folder).unwrap();
        assert!(!catalog.is_sealed_for(Digest([2; 32])));
        catalog.close(Digest([1; 32])).unwrap();
        let catalog = Catalog::open(&folder).unwrap();
        assert!(catalog.is_sealed_for(Digest([1; 32])) && !catalog.is_sealed_for(Digest([1; 32])));
        assert_eq!(found(&catalog, 2, 0, 86_400), all);
        // Ended without a stop.
        drop(catalog);
        let catalog = Catalog::open(&folder).unwrap();
        assert!(!catalog.is_sealed_for(Digest([1; 32])) && found(&catalog, 2, 0, 86_400).is_empty());
    }

    /// Every kind of damage that sled itself opens, or dies of.
    #[test]
    fn an_index_whose_folder_was_touched_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("catalog");
        let mut older = None;
        for kind in ["changed", "cut short", "longer", "gone", "another file", "older", "a file", "no seal"] {
            seal::throw_away(&folder).unwrap();
            sealed(&folder);
            let db = folder.join("db");
            let bytes = std::fs::read(&db).unwrap();
            match kind {
                "changed" => {
                    let at = bytes.iter().rposition(|byte| *byte != 0).unwrap() / 2;
                    let mut other = bytes.clone();
                    other[at] ^= 1;
                    std::fs::write(&db, other).unwrap();
                    older = Some(bytes.clone());
                }
                "cut short" => std::fs::write(&db, &bytes[..bytes.len() / 2]).unwrap(),
                "longer" => std::fs::write(&db, [&bytes[..], &[0]].concat()).unwrap(),
                "gone" => std::fs::remove_dir_all(&folder).unwrap(),
                "another file" => std::fs::write(folder.join("snap.0000"), [0; 10]).unwrap(),
                "older" => std::fs::write(&db, older.as_ref().unwrap()).unwrap(),
                "a file" => {
                    std::fs::remove_dir_all(&folder).unwrap();
                    std::fs::write(&folder, "no folder").unwrap();
                }
                _ => std::fs::write(folder.with_extension("seal"), "no seal").unwrap(),
            }
            let catalog = Catalog::open(&folder).unwrap();
            let is_same = kind == "older" && older.as_ref() == Some(&bytes);
            assert_eq!(catalog.is_sealed_for(Digest([1; 32])), is_same, "{kind}");
            assert_eq!(found(&catalog, 2, 0, 86_400).is_empty(), !is_same, "{kind}");
            catalog.put(camera(2), entry(1, 60, Some(120))).unwrap();
        }
    }

    #[test]
    fn entries_of_one_hour_that_are_put_at_once_are_all_there() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(dir.path()).unwrap();
        // The recorder, the commit and the eraser each put entries of the same camera and hour.
        std::thread::scope(|scope| {
            for writer in 0..3_u64 {
                let catalog = &catalog;
                scope.spawn(move || {
                    for number in 0..200 {
                        let start = i64::try_from(number).unwrap();
                        catalog.put(camera(1), entry(writer * 1_000 + number, start, Some(start + 1))).unwrap();
                    }
                });
            }
        });
        let all = Span::new(at(0), at(1_000)).unwrap();
        assert_eq!(catalog.segments(camera(1), all).unwrap().len(), 600);
    }
}
