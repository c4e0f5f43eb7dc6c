//! Reading: what footage there is, and its pictures for whoever holds the keys.

use super::gaps::told_once;
use super::manifests::ManifestFile;
use super::table::{Life, SegmentRow, SegmentTable};
use super::volume::{ManifestKey, OpenSegment, Volume, manifest_key};
use super::{Vault, VaultError};
use crate::catalog::{CatalogEntry, Fate};
use crate::crypto::{DataKey, PrivateKey};
use crate::domain::{
    CameraNumber, Dating, DayKeyId, DestructionTrigger, GapCause, Retention, SegmentId, Span, Utc, VolumeId,
};
use crate::segment::{Ending, SegmentHead, SegmentReader};
use serde::Serialize;
use std::collections::HashMap;

/// So many heads are read side by side where there are more than [`HEADS_A_READER`].
const HEAD_READERS: usize = 8;
const HEADS_A_READER: usize = 64;

/// A segment that can still be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveSegment {
    pub volume: VolumeId,
    pub segment: SegmentId,
    pub camera: CameraNumber,
    pub span: Span,
    pub ending: Ending,
    pub expires: Utc,
    pub dating: Dating,
    pub retention: Retention,
    /// It is still being written.
    pub is_open: bool,
    pub(super) day_key: DayKeyId,
    pub(super) manifest: ManifestKey,
    is_apart: bool,
}

/// What was read of each of several segments.
pub type EachSegment<T> = Vec<(LiveSegment, Result<T, VaultError>)>;

/// What can be said of a stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Availability {
    /// `in_doubt`: it was recorded while the clock was in doubt, and may have been filmed at another time.
    Footage {
        span: Span,
        in_doubt: bool,
    },
    Destroyed {
        span: Span,
        at: Utc,
        trigger: DestructionTrigger,
        in_doubt: bool,
    },
    Gap {
        span: Span,
        cause: GapCause,
    },
}

impl Availability {
    pub fn span(&self) -> Span {
        match self {
            Availability::Footage { span, .. }
            | Availability::Destroyed { span, .. }
            | Availability::Gap { span, .. } => *span,
        }
    }
}

/// What the index says of a segment whose manifest's table is in memory.
pub(super) fn entry_of(
    volume: VolumeId,
    manifest: &ManifestFile,
    segment: SegmentId,
) -> Option<(CameraNumber, CatalogEntry)> {
    let table = manifest.table()?;
    let row = table.rows.get(&segment)?;
    Some((row.camera, entry(volume, manifest.header.retention, table, segment, row)))
}

pub(super) fn entry(
    volume: VolumeId,
    retention: Retention,
    table: &SegmentTable,
    segment: SegmentId,
    row: &SegmentRow,
) -> CatalogEntry {
    let dating = table.dating(row);
    CatalogEntry {
        volume,
        segment,
        start: dating.correction.shown(row.start),
        end: (row.life != Life::Open).then_some(dating.correction.shown(row.end)),
        dating,
        day_key: table.day_key(row),
        retention,
        ending: row.ending(),
        is_apart: row.is_apart,
        fate: match row.life {
            Life::Open | Life::Sealed => Fate::Kept,
            Life::Condemned { at, .. } | Life::KeyDestroyed { at, .. } | Life::Erased { at, .. } => {
                Fate::Destroyed { at, trigger: row.trigger() }
            }
        },
    }
}

/// A segment that came to its end, as its manifest tells it.
pub(super) fn live_of_row(
    volume: VolumeId,
    manifest: ManifestKey,
    retention: Retention,
    table: &SegmentTable,
    segment: SegmentId,
    row: &SegmentRow,
) -> Option<LiveSegment> {
    let dating = table.dating(row);
    Some(LiveSegment {
        volume,
        segment,
        camera: row.camera,
        span: table.shown(row)?,
        ending: row.ending(),
        expires: table.expiry(row, retention)?,
        dating,
        retention,
        is_open: row.life == Life::Open,
        day_key: table.day_key(row),
        manifest,
        is_apart: row.is_apart,
    })
}

impl Vault {
    /// The segments of a camera in a span that have not expired at `now`, by start. `now` is the later of the two
    /// clocks (V6).
    ///
    /// # Errors
    /// [`VaultError`] where neither the index nor the manifests can be read.
    pub fn live_segments(&self, camera: CameraNumber, span: Span, now: Utc) -> Result<Vec<LiveSegment>, VaultError> {
        let found = self.entries(camera, span)?;
        let live = found.iter().filter_map(|entry| self.live(camera, entry, now).ok());
        Ok(live.filter(|segment| segment.span.overlaps(span)).collect())
    }

    /// What there is of a camera in a span, by start: footage and destroyed footage, each piece whole, and of recorded gaps what
    /// lies in the span.
    ///
    /// # Errors
    /// As [`Vault::live_segments`].
    pub fn availability(&self, camera: CameraNumber, span: Span, now: Utc) -> Result<Vec<Availability>, VaultError> {
        let mut told = Vec::new();
        let (closed, closed_gaps) = self.closed_pieces(camera, span)?;
        told.extend(closed.into_iter().map(|(span, at, trigger, in_doubt)| Availability::Destroyed {
            span,
            at,
            trigger,
            in_doubt,
        }));
        for entry in self.entries(camera, span)? {
            let piece = match self.live(camera, &entry, now) {
                Ok(live) => Some(Availability::Footage { span: live.span, in_doubt: entry.dating.in_doubt }),
                Err(VaultError::Expired { at }) => gone(&entry, at, DestructionTrigger::Expiry),
                Err(VaultError::Destroyed { at, trigger }) => gone(&entry, at, trigger),
                Err(_) => None,
            };
            told.extend(piece.filter(|piece| piece.span().overlaps(span)));
        }
        let gaps = told_once(self.gaps(camera, span)?.into_iter().chain(closed_gaps).collect()).into_iter();
        // What of a gap lies elsewhere may have been told of by others, which were not asked for here.
        let gaps = gaps.filter_map(|(gap, cause)| Some((gap.intersection(span)?, cause)));
        told.extend(gaps.map(|(span, cause)| Availability::Gap { span, cause }));
        // While a manifest waits for its end, both it and its closing row may tell the same.
        told.sort_by_key(|piece| piece.span().from());
        told.dedup();
        Ok(told)
    }

    /// A segment of a camera and span by its id, unless it has expired or is destroyed.
    ///
    /// # Errors
    /// [`VaultError::Expired`], [`VaultError::Destroyed`], [`VaultError::Unknown`].
    pub fn find(
        &self,
        camera: CameraNumber,
        span: Span,
        segment: SegmentId,
        now: Utc,
    ) -> Result<LiveSegment, VaultError> {
        let found = self.entries(camera, span)?.into_iter().find(|entry| entry.segment == segment);
        self.live(camera, &found.ok_or(VaultError::Unknown { segment })?, now)
    }

    fn live(&self, camera: CameraNumber, entry: &CatalogEntry, now: Utc) -> Result<LiveSegment, VaultError> {
        let segment = entry.segment;
        if let Fate::Destroyed { at, trigger } = entry.fate {
            return Err(VaultError::Destroyed { at, trigger });
        }
        let volume = self.volume(entry.volume, segment)?;
        let (ending, end) = match entry.end {
            Some(end) => (entry.ending, end),
            None => {
                let (ending, said) = volume.progress_of(segment)?;
                (ending, entry.dating.correction.shown(said))
            }
        };
        let span = Span::new(entry.start, end).map_err(|_| VaultError::Unknown { segment })?;
        let opened_in = manifest_key(entry.dating.said(entry.start).day(), entry.retention);
        // Only what stands apart is ever carried to another one.
        let manifest = if entry.is_apart { volume.lock().key_of_segment(segment, opened_in) } else { opened_in };
        let live = LiveSegment {
            volume: entry.volume,
            segment,
            camera,
            span,
            ending,
            expires: entry
                .dating
                .correction
                .expiry(entry.retention, span.moved(entry.dating.correction.least_micros.saturating_neg())),
            dating: entry.dating,
            retention: entry.retention,
            is_open: entry.end.is_none(),
            day_key: entry.day_key,
            manifest,
            is_apart: entry.is_apart,
        };
        live.unexpired(now)
    }

    /// Opens a segment's file for reading.
    ///
    /// # Errors
    /// As [`Vault::find`]; what the disk says.
    pub fn read(&self, live: &LiveSegment, now: Utc) -> Result<SegmentReader, VaultError> {
        let volume = self.volume(live.volume, live.segment)?;
        let live = volume.as_it_stands(live)?.unexpired(now)?;
        let file = volume.open_where_it_stands(live.manifest, live.segment, live.is_apart)?;
        Ok(SegmentReader::open(file, live.ending)?.corrected(live.dating.correction.least_micros))
    }

    /// Whether a segment that was found a moment ago may still be shown. Touches no disk.
    pub fn is_still_there(&self, live: &LiveSegment, now: Utc) -> bool {
        let volume = self.volume(live.volume, live.segment);
        let stands = volume.and_then(|volume| volume.as_it_stands(live));
        stands.and_then(|live| live.unexpired(now)).is_ok()
    }

    /// The heads of segments, in their order. Many are read side by side: one after the other, a day of a camera would be
    /// 1,440 turns of a hard disk. `step` is called for each.
    pub fn heads(&self, segments: &[LiveSegment], now: Utc, step: &(dyn Fn() + Sync)) -> EachSegment<SegmentHead> {
        let read = |live: &LiveSegment| {
            let head = self.read(live, now).map(|reader| reader.head().clone());
            step();
            (*live, head)
        };
        if segments.len() < HEADS_A_READER {
            return segments.iter().map(read).collect();
        }
        let share = segments.len().div_ceil(HEAD_READERS);
        std::thread::scope(|scope| {
            let readers: Vec<_> = segments
                .chunks(share)
                .map(|part| scope.spawn(move || part.iter().map(read).collect::<Vec<_>>()))
                .collect();
            // A reader that broke off leaves its share out: nothing is handed over that was not read.
            readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect()
        })
    }

    /// Opens the data keys of segments with an officer's release key, or the recovery key.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] where a day key is not sealed to it; as [`Vault::read`].
    pub fn open_keys(
        &self,
        segments: &[LiveSegment],
        release: &PrivateKey,
        now: Utc,
    ) -> Result<Vec<(LiveSegment, DataKey)>, VaultError> {
        let heads = self.heads(segments, now, &|| {}).into_iter();
        let heads = heads.map(|(live, head)| Ok((live, head?))).collect::<Result<Vec<_>, VaultError>>()?;
        self.open_keys_of(&heads, release, &|| {})?.into_iter().map(|(live, key)| Ok((live, key?))).collect()
    }

    /// The same for segments whose heads were read. One whose own key does not open stands in no other's way. `step` is
    /// called for each.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] where a day key is not sealed to `release`; what the disk says of a day key.
    pub fn open_keys_of(
        &self,
        heads: &[(LiveSegment, SegmentHead)],
        release: &PrivateKey,
        step: &dyn Fn(),
    ) -> Result<EachSegment<DataKey>, VaultError> {
        let mut day_keys: HashMap<DayKeyId, PrivateKey> = HashMap::new();
        let mut keys = Vec::with_capacity(heads.len());
        for (live, head) in heads {
            let volume = self.volume(live.volume, live.segment)?;
            let day_key = match day_keys.entry(live.day_key) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(volume.open_day_key(live.day_key, live.segment, release)?)
                }
            };
            keys.push((*live, head.open_key(day_key).map_err(VaultError::from)));
            step();
        }
        Ok(keys)
    }
}

/// What is said of a segment once it is gone.
fn gone(entry: &CatalogEntry, at: Utc, trigger: DestructionTrigger) -> Option<Availability> {
    let span = Span::new(entry.start, entry.end.unwrap_or(at)).ok()?;
    Some(Availability::Destroyed { span, at, trigger, in_doubt: entry.dating.in_doubt })
}

impl LiveSegment {
    fn unexpired(self, now: Utc) -> Result<Self, VaultError> {
        if self.expires <= now && !self.is_apart {
            return Err(VaultError::Expired { at: self.expires });
        }
        Ok(self)
    }
}

impl Volume {
    /// How far a segment has come that its manifest does not call sealed.
    fn progress_of(&self, segment: SegmentId) -> Result<(Ending, Utc), VaultError> {
        let state = self.lock();
        let OpenSegment { progress, .. } = state.open.get(&segment).ok_or(VaultError::Unknown { segment })?;
        let chunks = progress.chunks;
        // With its footer written the manifest will say so after the next commit.
        Ok((if progress.complete { Ending::Footer { chunks } } else { Ending::Cut { chunks } }, progress.end))
    }

    /// A segment that was found a moment ago, as its manifest tells it now. One whose manifest is not in memory has not
    /// changed: whoever changes a segment has it there.
    fn as_it_stands(&self, live: &LiveSegment) -> Result<LiveSegment, VaultError> {
        let segment = live.segment;
        let state = self.lock();
        let unknown = || VaultError::Unknown { segment };
        let carried_to = state.key_of_segment(segment, live.manifest);
        let live =
            &LiveSegment { manifest: carried_to, is_apart: live.is_apart || carried_to != live.manifest, ..*live };
        let manifest = state.manifests.get(&live.manifest).ok_or_else(unknown)?;
        let Some(table) = manifest.table() else { return Ok(*live) };
        let row = table.rows.get(&segment).ok_or_else(unknown)?;
        match row.life {
            Life::Open | Life::Sealed => Ok(LiveSegment { is_apart: row.is_apart, ..*live }),
            Life::Condemned { at, .. } | Life::KeyDestroyed { at, .. } | Life::Erased { at, .. } => {
                Err(VaultError::Destroyed { at, trigger: row.trigger() })
            }
        }
    }
}
