//! Reading: what footage there is, and its pictures for whoever holds the keys.

use super::manifests::{Life, SegmentRecord};
use super::volume::{OpenSegment, Volume};
use super::{Vault, VaultError};
use crate::catalog::{CatalogEntry, Fate};
use crate::crypto::{DataKey, PrivateKey};
use crate::disk::Access;
use crate::domain::{CameraNumber, DayKeyId, GapCause, Retention, SegmentId, Span, Utc, VolumeId};
use crate::segment::{Ending, SegmentReader};
use serde::Serialize;
use std::collections::HashMap;

/// A segment that can still be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveSegment {
    pub volume: VolumeId,
    pub segment: SegmentId,
    pub camera: CameraNumber,
    pub span: Span,
    pub ending: Ending,
    pub expires: Utc,
    pub(super) day_key: DayKeyId,
    is_apart: bool,
}

/// What can be said of a stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Availability {
    Footage { span: Span },
    Destroyed { span: Span, at: Utc },
    Gap { span: Span, cause: GapCause },
}

impl Availability {
    pub fn span(&self) -> Span {
        match self {
            Availability::Footage { span } | Availability::Destroyed { span, .. } | Availability::Gap { span, .. } => {
                *span
            }
        }
    }
}

pub(super) fn entry(volume: VolumeId, segment: SegmentId, record: &SegmentRecord) -> CatalogEntry {
    let fate = match &record.life {
        Life::Open | Life::Sealed(_) => Fate::Kept,
        Life::KeyDestroyed(_, at) | Life::Erased { at, .. } => Fate::Destroyed { at_micros: at.micros() },
    };
    // One that never had a commit has no end; it must not look like one that is being written.
    let end = record.whole().map(|whole| whole.end).or((record.life != Life::Open).then_some(record.start));
    CatalogEntry::new(volume, segment, record.start, end, fate)
}

pub(super) fn opened_entry(volume: VolumeId, segment: SegmentId, start: Utc) -> CatalogEntry {
    CatalogEntry::new(volume, segment, start, None, Fate::Kept)
}

impl Vault {
    /// The segments of a camera in a span that have not expired at `now`, by start. `now` is the later of the two
    /// clocks (V6).
    ///
    /// # Errors
    /// [`VaultError::Catalog`].
    pub fn live_segments(&self, camera: CameraNumber, span: Span, now: Utc) -> Result<Vec<LiveSegment>, VaultError> {
        let found = self.catalog.segments(camera, span)?;
        let kept = found.iter().filter(|entry| entry.fate == Fate::Kept);
        let live = kept.filter_map(|entry| self.live(entry.volume(), entry.segment(), now).ok());
        Ok(live.filter(|segment| segment.span.overlaps(span)).collect())
    }

    /// What there is of a camera in a span, by start: footage, destroyed footage, recorded gaps.
    ///
    /// # Errors
    /// [`VaultError::Catalog`].
    pub fn availability(&self, camera: CameraNumber, span: Span, now: Utc) -> Result<Vec<Availability>, VaultError> {
        let mut told = Vec::new();
        for entry in self.catalog.segments(camera, span)? {
            let piece = match entry.fate {
                Fate::Destroyed { at_micros } => entry.end().and_then(|end| {
                    let span = Span::new(entry.start(), end).ok()?;
                    Some(Availability::Destroyed { span, at: Utc::from_micros(at_micros) })
                }),
                Fate::Kept => match self.live(entry.volume(), entry.segment(), now) {
                    Ok(live) => Some(Availability::Footage { span: live.span }),
                    Err(VaultError::Expired { at } | VaultError::Destroyed { at }) => {
                        let end = entry.end().unwrap_or(at);
                        Span::new(entry.start(), end).ok().map(|span| Availability::Destroyed { span, at })
                    }
                    Err(_) => None,
                },
            };
            told.extend(piece.filter(|piece| piece.span().overlaps(span)));
        }
        let gaps = self.catalog.gaps(camera, span)?;
        told.extend(gaps.into_iter().map(|(span, cause)| Availability::Gap { span, cause }));
        told.sort_by_key(|piece| piece.span().from());
        Ok(told)
    }

    /// A segment by its id, unless it has expired or is destroyed.
    ///
    /// # Errors
    /// [`VaultError::Expired`], [`VaultError::Destroyed`], [`VaultError::Unknown`].
    pub fn live(&self, volume: VolumeId, segment: SegmentId, now: Utc) -> Result<LiveSegment, VaultError> {
        self.volumes.iter().find(|known| known.id == volume).ok_or(VaultError::Unknown { segment })?.live(segment, now)
    }

    /// A segment by its id alone, on whichever volume.
    ///
    /// # Errors
    /// As [`Vault::live`].
    pub fn find(&self, segment: SegmentId, now: Utc) -> Result<LiveSegment, VaultError> {
        let found = self.volumes.iter().map(|volume| volume.live(segment, now));
        let known = found.filter(|told| !matches!(told, Err(VaultError::Unknown { .. })));
        known.take(1).next().unwrap_or(Err(VaultError::Unknown { segment }))
    }

    /// Opens a segment's file for reading.
    ///
    /// # Errors
    /// As [`Vault::live`]; what the disk says.
    pub fn read(&self, live: &LiveSegment, now: Utc) -> Result<SegmentReader, VaultError> {
        let segment = live.segment;
        let volume =
            self.volumes.iter().find(|known| known.id == live.volume).ok_or(VaultError::Unknown { segment })?;
        let live = volume.live(segment, now)?;
        let path = volume.where_stands(segment, live.is_apart);
        let file = volume.disk.open(&path, Access::Read).map_err(volume.on(&path))?;
        Ok(SegmentReader::open(file, live.ending)?)
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
        let mut day_keys: HashMap<DayKeyId, PrivateKey> = HashMap::new();
        let mut keys = Vec::with_capacity(segments.len());
        for live in segments {
            let head = self.read(live, now)?.head().clone();
            let segment = live.segment;
            let volume =
                self.volumes.iter().find(|known| known.id == live.volume).ok_or(VaultError::Unknown { segment })?;
            let day_key = match day_keys.entry(live.day_key) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(volume.open_day_key(live.day_key, segment, release)?)
                }
            };
            keys.push((*live, head.open_key(day_key)?));
        }
        Ok(keys)
    }
}

impl Volume {
    fn live(&self, segment: SegmentId, now: Utc) -> Result<LiveSegment, VaultError> {
        let unknown = || VaultError::Unknown { segment };
        let state = self.lock();
        let key = state.where_is.get(&segment).ok_or_else(unknown)?;
        let manifest = state.manifests.get(key).ok_or_else(unknown)?;
        let record = manifest.segments.get(&segment).ok_or_else(unknown)?;
        let (ending, end) = match (&record.life, state.open.get(&segment)) {
            (Life::Open, Some(OpenSegment { progress, .. })) if !progress.complete => {
                (Ending::Cut { chunks: progress.chunks }, progress.end)
            }
            // Its footer is written; the manifest will say so after the next commit.
            (Life::Open, Some(OpenSegment { progress, .. })) => {
                (Ending::Footer { chunks: progress.chunks }, progress.end)
            }
            (Life::Open, None) => return Err(unknown()),
            (Life::Sealed(whole), _) => (whole.ending, whole.end),
            (Life::KeyDestroyed(_, at) | Life::Erased { at, .. }, _) => return Err(VaultError::Destroyed { at: *at }),
        };
        let span = Span::new(record.start, end).map_err(|_| unknown())?;
        let retention: Retention = manifest.header.retention;
        let expires = retention.expiry(span);
        if expires <= now && !record.is_apart {
            return Err(VaultError::Expired { at: expires });
        }
        Ok(LiveSegment {
            volume: self.id,
            segment,
            camera: record.camera,
            span,
            ending,
            expires,
            day_key: record.day_key,
            is_apart: record.is_apart,
        })
    }
}
