//! What a start does to a volume, whatever state it was left in.
//!
//! Order: manifests (torn tails cut off) → commit tables → nothing that was committed lacks its manifest, or the volume
//! is left as it is → each segment that is open in its manifest is closed at the
//! newest commit whose digest holds (V3) → files that no manifest names are erased (V4) → one flush.

use super::VaultError;
use super::manifests::{self, Life, ManifestFile};
use super::volume::Volume;
use crate::disk::{Access, AlignedBuffer, Extents, STRIDE_BYTES};
use crate::domain::{Day, DestructionTrigger, Overwrite, Retention, SegmentId, Utc};
use crate::segment::{CommitTable, Ending, HEAD_BYTES, ManifestRecord, Progress, SegmentHead, SegmentReader};
use std::collections::BTreeSet;
use std::time::Duration;

/// Commits come every few seconds: what is so much older than the newest one was in one.
const NEVER_SO_LONG_UNCOMMITTED: Duration = Duration::from_secs(3_600);

impl Volume {
    /// Reads all manifests.
    pub(super) fn load_manifests(&self) -> Result<(), VaultError> {
        let mut state = self.lock();
        for path in manifests::list(&self.disk, &self.dir.join("manifests"))? {
            let read = ManifestFile::read(&self.disk, &path, true)?;
            let manifest = read.manifest;
            if read.torn_bytes > 0 {
                tracing::warn!(volume = %self.id, manifest = manifest.name(), bytes = read.torn_bytes,
                    "the end of a manifest was not whole: cut off");
            }
            let key = super::volume::manifest_key(manifest.header.day, manifest.header.retention);
            for (segment, record) in &manifest.segments {
                state.where_is.insert(*segment, key);
                if let Some(whole) = record.whole()
                    && state.newest.get(&record.camera).is_none_or(|(start, _)| *start < record.start)
                {
                    state.newest.insert(record.camera, (record.start, whole.digest));
                }
            }
            for (day_key, (camera, public)) in &manifest.day_keys {
                state.day_keys.insert((*camera, manifest.header.day), (*day_key, *public));
            }
            state.manifests.insert(key, manifest);
        }
        Ok(())
    }

    pub(super) fn recover(&self, now: Utc) -> Result<(), VaultError> {
        let tables = self.read_commit_tables()?;
        self.lock().commit_number = tables.first().map_or(0, |newest| newest.number);
        let rolling: BTreeSet<SegmentId> = self.segment_files("rolling")?;
        self.refuse_if_manifests_lack(&rolling, &tables)?;
        let open: Vec<(SegmentId, Day, Retention)> = self
            .lock()
            .manifests
            .values()
            .flat_map(|manifest| {
                let header = manifest.header;
                let open = manifest.segments.iter().filter(|(_, record)| record.life == Life::Open);
                open.map(move |(segment, _)| (*segment, header.day, header.retention))
            })
            .collect();
        for (segment, day, retention) in open {
            let record = if rolling.contains(&segment) {
                self.close_open_segment(segment, &tables, now)?
            } else {
                never_committed(segment, now, Overwrite::NothingThere)
            };
            self.record(&mut self.lock(), day, retention, &record)?;
            self.note_newest(segment);
        }
        let named: BTreeSet<SegmentId> = self.lock().where_is.keys().copied().collect();
        for orphan in rolling.difference(&named) {
            tracing::warn!(volume = %self.id, segment = %orphan, "a file that was never committed is erased");
            self.overwrite_and_remove(&self.segment_path(*orphan, false))?;
        }
        self.finish_erasing()?;
        // A segment may have been moved apart without its record, or the other way round: the name decides nothing,
        // the record does.
        self.put_segments_in_their_place()?;
        self.flush()
    }

    /// What no manifest names is erased, so it is looked at first: a file that was committed once lost its manifest. Such
    /// a one stands in a commit table, or is far older than the newest commit.
    fn refuse_if_manifests_lack(
        &self,
        rolling: &BTreeSet<SegmentId>,
        tables: &[CommitTable],
    ) -> Result<(), VaultError> {
        let newest = tables.first().and_then(|table| table.entries.iter().map(|entry| entry.progress.end).max());
        let is_old = |start: Utc| newest.is_some_and(|end| start.saturating_add(NEVER_SO_LONG_UNCOMMITTED) < end);
        let is_entered = |segment: SegmentId| tables.iter().any(|table| table.entry(segment).is_some());
        let mut lacking = Vec::new();
        for segment in rolling {
            let was_committed = match self.with_segment(*segment, |record| (record.life == Life::Open, record.start)) {
                Some((is_open, start)) => is_open && is_old(start) && !is_entered(*segment),
                None => is_entered(*segment) || self.start_of(*segment)?.is_some_and(is_old),
            };
            if was_committed {
                lacking.push(*segment);
            }
        }
        match lacking.first() {
            Some(first) => {
                let (dir, segments, first) = (self.dir.clone(), lacking.len(), *first);
                Err(VaultError::ManifestsLack { dir, segments, first })
            }
            None => Ok(()),
        }
    }

    /// When a segment begins, as its own head says; `None` for what has no whole head.
    fn start_of(&self, segment: SegmentId) -> Result<Option<Utc>, VaultError> {
        let path = self.segment_path(segment, false);
        let file = self.disk.open(&path, Access::Read).map_err(self.on(&path))?;
        let mut block = vec![0; HEAD_BYTES];
        let got = file.read_at(&mut block, 0).map_err(self.on(&path))?;
        Ok(SegmentHead::parse(&block[..got]).ok().map(|head| head.facts.start))
    }

    fn segment_files(&self, sub: &str) -> Result<BTreeSet<SegmentId>, VaultError> {
        let dir = self.dir.join(sub);
        let names = self.disk.list_files(&dir).map_err(self.on(&dir))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Removes files that were overwritten and recorded as erased, but whose name was still there.
    fn finish_erasing(&self) -> Result<(), VaultError> {
        for (sub, is_apart) in [("rolling", false), ("held", true)] {
            for segment in self.segment_files(sub)? {
                let is_erased = self.with_segment(segment, |record| matches!(record.life, Life::Erased { .. }));
                if is_erased == Some(true) {
                    self.overwrite_and_remove(&self.segment_path(segment, is_apart))?;
                }
            }
        }
        Ok(())
    }

    fn put_segments_in_their_place(&self) -> Result<(), VaultError> {
        for (sub, is_apart) in [("rolling", false), ("held", true)] {
            for segment in self.segment_files(sub)? {
                let wanted = self.with_segment(segment, |record| record.is_apart);
                if let Some(wanted) = wanted.filter(|wanted| *wanted != is_apart) {
                    let (from, to) = (self.segment_path(segment, is_apart), self.segment_path(segment, wanted));
                    self.disk.rename(&from, &to).map_err(self.on(&from))?;
                }
            }
        }
        Ok(())
    }

    /// Closes a segment that was being written: at the newest commit whose digest holds for the file.
    fn close_open_segment(
        &self,
        segment: SegmentId,
        tables: &[CommitTable],
        now: Utc,
    ) -> Result<ManifestRecord, VaultError> {
        let path = self.segment_path(segment, false);
        let committed: Vec<Progress> = tables.iter().filter_map(|table| table.entry(segment)).copied().collect();
        let committed = match tables {
            // The table itself is lost. What is there is kept, as far as it goes.
            [] => self.surveyed(segment)?.into_iter().collect(),
            _ => committed,
        };
        let Some(newest) = committed.first().copied() else {
            let overwrite = self.overwrite_and_remove(&path)?;
            return Ok(never_committed(segment, now, overwrite));
        };
        let holding = committed.into_iter().find(|progress| self.holds_for(segment, progress));
        let progress = match holding {
            Some(progress) => progress,
            None => {
                // Neither commit holds: the disk lost flushed data. What is left is kept, and named.
                tracing::error!(volume = %self.id, segment = %segment,
                    "committed footage is damaged: the disk lost what it had flushed; replace it");
                newest
            }
        };
        self.overwrite_beyond(segment, progress.bytes)?;
        let file = self.disk.open(&path, Access::Read).map_err(self.on(&path))?;
        let ranges = match file.extents().map_err(self.on(&path))? {
            Extents::Known(ranges) => ranges,
            Extents::Unknown(_) => Vec::new(),
        };
        Ok(ManifestRecord::Sealed {
            segment,
            chunks: progress.chunks,
            bytes: progress.bytes,
            allocated_bytes: file.len_bytes().map_err(self.on(&path))?,
            end: progress.end,
            digest: progress.digest,
            has_footer: progress.complete,
            ranges,
        })
    }

    /// How far a segment goes by its own clear headers; `None` for one without a picture.
    fn surveyed(&self, segment: SegmentId) -> Result<Option<Progress>, VaultError> {
        let path = self.segment_path(segment, false);
        let file = self.disk.open(&path, Access::Read).map_err(self.on(&path))?;
        match SegmentReader::survey(file) {
            Ok(progress) if progress.chunks > 1 => {
                tracing::warn!(volume = %self.id, segment = %segment, chunks = progress.chunks,
                    "no commit is known of a segment: it is kept as far as it goes");
                Ok(Some(progress))
            }
            Ok(_) | Err(crate::segment::SegmentError::Damaged { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn holds_for(&self, segment: SegmentId, progress: &Progress) -> bool {
        let chunks = progress.chunks;
        let ending = if progress.complete { Ending::Footer { chunks } } else { Ending::Cut { chunks } };
        let digest = self
            .disk
            .open(&self.segment_path(segment, false), Access::Read)
            .map_err(crate::segment::SegmentError::from)
            .and_then(|file| SegmentReader::open(file, ending)?.digest());
        matches!(digest, Ok((digest, bytes)) if digest == progress.digest && bytes == progress.bytes)
    }

    /// Overwrites what stands behind the last committed chunk.
    fn overwrite_beyond(&self, segment: SegmentId, from_bytes: u64) -> Result<(), VaultError> {
        let path = self.segment_path(segment, false);
        let file = self.disk.open(&path, Access::ReadWrite).map_err(self.on(&path))?;
        let length = file.len_bytes().map_err(self.on(&path))?;
        let zeros = AlignedBuffer::zeroed(STRIDE_BYTES);
        let mut at = from_bytes;
        while at < length {
            let part = usize::try_from((length - at).min(STRIDE_BYTES as u64)).unwrap_or(STRIDE_BYTES);
            file.write_all_at(&zeros.as_slice()[..part], at).map_err(self.on(&path))?;
            at += part as u64;
        }
        file.sync_data().map_err(self.on(&path))
    }

    fn note_newest(&self, segment: SegmentId) {
        let newest =
            self.with_segment(segment, |record| Some((record.camera, record.start, record.whole()?.digest))).flatten();
        let mut state = self.lock();
        if let Some((camera, start, digest)) = newest
            && state.newest.get(&camera).is_none_or(|(known, _)| *known < start)
        {
            state.newest.insert(camera, (start, digest));
        }
    }
}

fn never_committed(segment: SegmentId, at: Utc, overwrite: Overwrite) -> ManifestRecord {
    ManifestRecord::Erased { segment, at, trigger: DestructionTrigger::NeverCommitted, overwrite, bytes: 0 }
}
