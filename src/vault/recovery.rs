//! What a start does to a volume, whatever state it was left in.
//!
//! Order: summary → manifests (those to which something was appended since are read whole, torn tails cut off) → commit
//! tables → nothing that was committed lacks its manifest, or the volume is left as it is → of each segment that is open
//! in its manifest, what stands behind the newest commit that holds is overwritten → one flush → each is closed there
//! (V3) → files and day keys that no manifest names are erased (V4, V13) → one flush → summary → where there was no commit
//! table, an empty one, and its flush. A start that is cut is a cut like any other: each step can be done twice.
//!
//! After a clean stop there is nothing to mend, and no directory is read. After any other, those of the manifests that
//! had changed are looked through here, the others beside the work ([`super::Vault::catch_up`]).

use super::VaultError;
use super::manifests::{self, ManifestFile, file_name};
use super::table::Life;
use super::volume::{ManifestKey, Volume, VolumeState, key_of};
use crate::disk::{Access, AlignedBuffer, Extents, STRIDE_BYTES};
use crate::domain::{Day, DestructionTrigger, Overwrite, SegmentId, Utc};
use crate::segment::{CommitTable, Ending, HEAD_BYTES, ManifestRecord, Progress, SegmentHead, SegmentReader};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Commits come every few seconds: what is so much older than the newest one was in one.
const NEVER_SO_LONG_UNCOMMITTED: Duration = Duration::from_secs(3_600);

impl Volume {
    /// Takes all manifests up, those that were summed up without reading them.
    pub(super) fn load_manifests(&self) -> Result<(), VaultError> {
        self.remove_left_overs()?;
        let summary = self.read_summary()?;
        let mut is_clean = summary.is_clean;
        let mut missing: BTreeSet<&String> = summary.manifests.keys().collect();
        let mut twins = Vec::new();
        let mut state = self.lock();
        for path in manifests::list(&self.disk, &self.dir.join("manifests"))? {
            let known = summary.manifests.get(&file_name(&path));
            missing.remove(&file_name(&path));
            let resumed = match known {
                Some(known) => ManifestFile::resume(&self.disk, &path, known)?,
                None => None,
            };
            let was_resumed = resumed.is_some();
            let manifest = match resumed {
                Some(manifest) => manifest,
                None => self.read_manifest(&path)?,
            };
            is_clean &= was_resumed;
            let key = key_of(&manifest.header);
            for (camera, newest) in &manifest.sum().newest {
                let known = state.newest.entry(*camera).or_insert(*newest);
                if known.start < newest.start {
                    *known = *newest;
                }
            }
            twins.extend(state.manifests.insert(key, manifest));
            if !was_resumed {
                // Makes room for the next one.
                state.loaded(key)?;
            }
        }
        state.set_carried_aside(twins).map_err(|name| self.twice(&name))?;
        for name in missing {
            // The summary is older than the manifest's end.
            if self.closed_before(name, Day(0))?.is_none() {
                return Err(VaultError::ManifestGone { file: self.dir.join("manifests").join(name) });
            }
        }
        self.refuse_older_image(&state)?;
        self.refuse_resurrected(&state)?;
        state.was_left_clean = is_clean;
        if !is_clean {
            state.unsurveyed = state.manifests.keys().copied().collect();
        }
        Ok(())
    }

    fn twice(&self, name: &str) -> VaultError {
        VaultError::ManifestTwice { file: self.dir.join("manifests").join(name) }
    }

    /// A manifest that the ledger has closed must not stand there again, unless its end was cut short: the checkpoint since
    /// then does not name it.
    fn refuse_resurrected(&self, state: &VolumeState) -> Result<(), VaultError> {
        let is_known = |name: &str| self.checkpointed.iter().any(|(known, _)| known == name);
        for manifest in state.standing().filter(|manifest| !is_known(manifest.name())) {
            let row = self.closed_before(manifest.name(), manifest.header.day)?;
            if row.is_some_and(|row| row.head != manifest.head()) {
                return Err(self.resurrected(manifest.name()));
            }
        }
        Ok(())
    }

    /// Each manifest of the newest checkpoint must be there, as far at least as it was then, or have its closing row.
    /// Whether its records are still the same is for `custodian verify`, which reads them.
    fn refuse_older_image(&self, state: &VolumeState) -> Result<(), VaultError> {
        for (name, known) in &self.checkpointed {
            let found = state.standing().find(|manifest| manifest.name() == name).map(ManifestFile::head);
            let is_older = match found {
                None => self.closed_before(name, Day(0))?.is_none(),
                Some(head) if head.records == known.records => head.digest != known.digest,
                Some(head) => head.records < known.records,
            };
            if is_older {
                return Err(VaultError::OlderImage { dir: self.dir.clone(), manifest: name.clone() });
            }
        }
        Ok(())
    }

    fn read_manifest(&self, path: &Path) -> Result<ManifestFile, VaultError> {
        let read = ManifestFile::read(&self.disk, path, true)?;
        if read.torn_bytes > 0 {
            tracing::warn!(volume = %self.id, manifest = read.manifest.name(), bytes = read.torn_bytes,
                "the end of a manifest was not whole: cut off");
        }
        Ok(read.manifest)
    }

    pub(super) fn recover(&self, now: Utc) -> Result<(), VaultError> {
        let tables = self.read_commit_tables()?;
        self.lock().commit_number = tables.first().map_or(0, |newest| newest.number);
        self.take_up_endings(&tables)?;
        if self.lock().was_left_clean {
            return self.take_back_clean();
        }
        // Those in memory have changed since they were summed up; those with open segments must be closed.
        let keys: Vec<ManifestKey> = {
            let state = self.lock();
            let changed = state.manifests.iter().filter(|(_, known)| known.table().is_some() || known.sum().open > 0);
            changed.map(|(key, _)| *key).collect()
        };
        let mut lacking = self.strangers_that_were_committed(&tables)?;
        for key in &keys {
            lacking.extend(self.committed_without_record(*key, &tables)?);
        }
        if let Some(first) = lacking.first() {
            let (dir, segments, first) = (self.dir.clone(), lacking.len(), *first);
            return Err(VaultError::ManifestsLack { dir, segments, first });
        }
        self.remove_strangers()?;
        self.remove_stray_day_keys()?;
        let mut closed = Vec::new();
        for key in &keys {
            closed.extend(self.ends_of_open_segments(*key, &tables, now)?);
        }
        self.flush()?;
        for (key, record) in &closed {
            if let Some(manifest) = self.lock().loaded(*key)? {
                manifest.append(record)?;
            }
        }
        for (segment_camera, newest) in self.newest_of(&keys) {
            self.lock().newest.insert(segment_camera, newest);
        }
        for key in keys {
            self.survey(key, &tables)?;
        }
        self.summarise(false)?;
        if tables.is_empty() {
            // From here on a volume without a whole table has lost it. Only now: until what is open was closed above, an
            // empty table would say that none of it was ever committed.
            self.write_commit_table()?;
            self.flush()?;
        }
        Ok(())
    }

    /// Of ends that were cut short: held files go to their hold manifests, and what was erased before goes. Not flushed: who
    /// goes on with it does that.
    fn take_up_endings(&self, tables: &[CommitTable]) -> Result<(), VaultError> {
        self.finish_moves()?;
        let names: Vec<String> = self.lock().carried.iter().map(|manifest| manifest.name().to_owned()).collect();
        names.iter().try_for_each(|name| self.survey_dirs(name, tables))
    }

    /// The newest ends of cameras in manifests, where they are newer than what is known.
    fn newest_of(&self, keys: &[ManifestKey]) -> Vec<(crate::domain::CameraNumber, super::table::Newest)> {
        let state = self.lock();
        let sums = keys.iter().filter_map(|key| Some(state.manifests.get(key)?.sum()));
        let newest = sums.flat_map(|sum| sum.newest.iter().map(|(camera, newest)| (*camera, *newest)));
        newest
            .filter(|(camera, newest)| state.newest.get(camera).is_none_or(|known| known.start < newest.start))
            .collect()
    }

    /// Whether a segment was certainly in a commit: it stands in the table of one that was flushed, or is far older than
    /// the newest one.
    fn was_committed(tables: &[CommitTable], segment: SegmentId, start: Option<Utc>) -> bool {
        let newest = tables.first().and_then(|table| table.entries.iter().map(|entry| entry.progress.end).max());
        let is_old = |start: Utc| newest.is_some_and(|end| start.saturating_add(NEVER_SO_LONG_UNCOMMITTED) < end);
        flushed(tables).is_some_and(|table| table.entry(segment).is_some()) || start.is_some_and(is_old)
    }

    /// What no manifest names is erased, so it is looked at first: a file that was committed once lost its record. Segments
    /// in a manifest's directories that it does not name, or calls open though they were not in any of the last commits.
    fn committed_without_record(&self, key: ManifestKey, tables: &[CommitTable]) -> Result<Vec<SegmentId>, VaultError> {
        let mut lacking = Vec::new();
        for (segment, path) in self.files_of(key, false)? {
            let row = self.lock().loaded(key)?.and_then(|manifest| manifest.row(segment).copied());
            let is_lacking = match row {
                Some(row) => {
                    let is_entered = tables.iter().any(|table| table.entry(segment).is_some());
                    row.life == Life::Open && !is_entered && Self::was_committed(tables, segment, Some(row.start))
                }
                None => Self::was_committed(tables, segment, self.start_of(&path)?),
            };
            if is_lacking {
                lacking.push(segment);
            }
        }
        Ok(lacking)
    }

    /// Segments in directories that belong to no manifest, and were committed once.
    pub(super) fn strangers_that_were_committed(&self, tables: &[CommitTable]) -> Result<Vec<SegmentId>, VaultError> {
        let mut lacking = Vec::new();
        for dir in self.strange_dirs()? {
            for (segment, path) in self.files_in(&dir)? {
                if Self::was_committed(tables, segment, self.start_of(&path)?) {
                    lacking.push(segment);
                }
            }
        }
        Ok(lacking)
    }

    /// Directories of segments that bear no manifest's name: a power cut took the manifest before its first commit.
    fn strange_dirs(&self) -> Result<Vec<std::path::PathBuf>, VaultError> {
        let mut found = Vec::new();
        for parent in [self.segments_dir("", false), self.segments_dir("", true)] {
            let dirs = self.disk.list_dirs(&parent).map_err(self.on(&parent))?;
            found.extend(dirs.into_iter().map(|name| (parent.join(&name), name)));
        }
        // Asked afterwards: a manifest is there before its directory.
        let names: BTreeSet<String> = self.lock().standing().map(|known| known.name().to_owned()).collect();
        Ok(found.into_iter().filter(|(_, name)| !names.contains(name)).map(|(dir, _)| dir).collect())
    }

    pub(super) fn remove_strangers(&self) -> Result<(), VaultError> {
        for dir in self.strange_dirs()? {
            for (segment, path) in self.files_in(&dir)? {
                tracing::warn!(volume = %self.id, segment = %segment, "a file that was never committed is erased");
                self.overwrite_untold(&path)?;
            }
            self.remove_empty_dir(&dir)?;
        }
        Ok(())
    }

    /// When a segment begins, as its own head says; `None` for what has no whole head.
    fn start_of(&self, path: &Path) -> Result<Option<Utc>, VaultError> {
        let file = self.disk.open(path, Access::Read).map_err(self.on(path))?;
        let mut block = vec![0; HEAD_BYTES];
        let got = file.read_at(&mut block, 0).map_err(self.on(path))?;
        Ok(SegmentHead::parse(&block[..got]).ok().map(|head| head.facts.start))
    }

    /// The segment files in a manifest's directory.
    pub(super) fn files_of(
        &self,
        key: ManifestKey,
        is_apart: bool,
    ) -> Result<Vec<(SegmentId, std::path::PathBuf)>, VaultError> {
        let name = self.lock().manifests.get(&key).map(|manifest| manifest.name().to_owned());
        name.map_or(Ok(Vec::new()), |name| self.files_in(&self.segments_dir(&name, is_apart)))
    }

    pub(super) fn files_in(&self, dir: &Path) -> Result<Vec<(SegmentId, std::path::PathBuf)>, VaultError> {
        match self.disk.list_files(dir) {
            Ok(names) => {
                let segments = names.iter().filter_map(|name| name.parse().ok());
                Ok(segments.map(|segment: SegmentId| (segment, dir.join(segment.to_string()))).collect())
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(self.on(dir)(e)),
        }
    }

    /// Looks through a manifest's directories: erases what was never committed (V4), removes what was overwritten and
    /// recorded as erased but whose name was still there, and puts each segment where its record says that it is: the
    /// record decides, not the place.
    pub(super) fn survey(&self, key: ManifestKey, tables: &[CommitTable]) -> Result<(), VaultError> {
        let Some(name) = self.lock().manifests.get(&key).map(|manifest| manifest.name().to_owned()) else {
            return Ok(());
        };
        self.survey_dirs(&name, tables)?;
        self.lock().unsurveyed.remove(&key);
        Ok(())
    }

    /// The same, of any manifest that stands there.
    fn survey_dirs(&self, name: &str, tables: &[CommitTable]) -> Result<(), VaultError> {
        let mut lacking = Vec::new();
        for is_apart in [false, true] {
            for (segment, path) in self.files_in(&self.segments_dir(name, is_apart))? {
                let _moving = self.moving();
                let mut state = self.lock();
                let Some(row) = state.row_in(name, segment)? else { return Ok(()) };
                let is_open = state.open.contains_key(&segment);
                drop(state);
                match row {
                    None if is_open => {}
                    // What was set apart was committed long before.
                    None if is_apart || Self::was_committed(tables, segment, self.start_of(&path)?) => {
                        lacking.push(segment);
                    }
                    None => {
                        tracing::warn!(volume = %self.id, segment = %segment, "a file that was never committed is erased");
                        self.overwrite_untold(&path)?;
                    }
                    Some(row) if matches!(row.life, Life::Erased { .. }) => {
                        self.overwrite_untold(&path)?;
                    }
                    Some(row) if row.is_apart != is_apart => {
                        self.move_segment(name, segment, row.is_apart)?;
                    }
                    Some(_) => {}
                }
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

    /// Where each segment ends that was being written, as the record that says so. Overwrites what stands behind; not
    /// flushed.
    fn ends_of_open_segments(
        &self,
        key: ManifestKey,
        tables: &[CommitTable],
        now: Utc,
    ) -> Result<Vec<(ManifestKey, ManifestRecord)>, VaultError> {
        let (name, open) = {
            let mut state = self.lock();
            let Some(manifest) = state.loaded(key)? else { return Ok(Vec::new()) };
            let rows = manifest.table().into_iter().flat_map(|table| &table.rows);
            let open: Vec<SegmentId> =
                rows.filter(|(_, row)| row.life == Life::Open).map(|(segment, _)| *segment).collect();
            (manifest.name().to_owned(), open)
        };
        let mut ends = Vec::new();
        for segment in open {
            let path = self.segment_path(&name, segment, false);
            let record = match self.disk.open(&path, Access::Read) {
                Ok(_) => self.close_open_segment(segment, &path, tables, now)?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    never_committed(segment, now, Overwrite::NothingThere)
                }
                Err(e) => return Err(self.on(&path)(e)),
            };
            ends.push((key, record));
        }
        Ok(ends)
    }

    /// Closes a segment that was being written: at the newest commit that holds for the file.
    fn close_open_segment(
        &self,
        segment: SegmentId,
        path: &Path,
        tables: &[CommitTable],
        now: Utc,
    ) -> Result<ManifestRecord, VaultError> {
        let committed: Vec<Progress> = match tables {
            // The table itself is lost. What is there is kept, as far as it goes.
            [] => self.surveyed(segment, path)?.into_iter().collect(),
            _ => tables.iter().filter_map(|table| table.entry(segment)).copied().collect(),
        };
        let Some(newest) = committed.first().copied() else {
            let overwrite = self.overwrite_and_remove(path)?;
            return Ok(never_committed(segment, now, overwrite));
        };
        let holds = |at: usize| self.holds_for(path, &committed[at], committed.get(at + 1));
        let holding = (0..committed.len()).find(|at| holds(*at).unwrap_or(true));
        let known = flushed(tables).map_or(Some(newest), |table| table.entry(segment).copied());
        let progress = match (holding, known) {
            (Some(at), _) => committed[at],
            (None, Some(known)) => {
                // The disk lost flushed data. What is left is kept, and named.
                tracing::error!(volume = %self.id, segment = %segment,
                    "committed footage is damaged: the disk lost what it had flushed; replace it");
                known
            }
            (None, None) => {
                let overwrite = self.overwrite_and_remove(path)?;
                return Ok(never_committed(segment, now, overwrite));
            }
        };
        self.overwrite_beyond(path, progress.bytes)?;
        let file = self.disk.open(path, Access::Read).map_err(self.on(path))?;
        let ranges = match file.extents().map_err(self.on(path))? {
            Extents::Known(ranges) => ranges,
            Extents::Unknown(_) => Vec::new(),
        };
        Ok(ManifestRecord::Sealed {
            segment,
            chunks: progress.chunks,
            bytes: progress.bytes,
            allocated_bytes: file.len_bytes().map_err(self.on(path))?,
            end: progress.end,
            digest: progress.digest,
            has_footer: progress.complete,
            ranges,
        })
    }

    /// How far a segment goes by its own clear headers; `None` for one without a picture.
    fn surveyed(&self, segment: SegmentId, path: &Path) -> Result<Option<Progress>, VaultError> {
        let file = self.disk.open(path, Access::Read).map_err(self.on(path))?;
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

    /// Whether the file has what a commit says. With the commit before it only what came since is read: what that one
    /// covered was flushed before this one's table was written.
    ///
    /// # Errors
    /// What the disk says: whether it holds is not known then, and nothing that was committed may be overwritten for it.
    fn holds_for(&self, path: &Path, progress: &Progress, before: Option<&Progress>) -> Result<bool, VaultError> {
        let chunks = progress.chunks;
        let ending = if progress.complete { Ending::Footer { chunks } } else { Ending::Cut { chunks } };
        let told = self.disk.open(path, Access::Read).map_err(crate::segment::SegmentError::from).and_then(|file| {
            let reader = SegmentReader::open(file, ending)?;
            let end_bytes = reader.end_bytes()?;
            let (crc, from_bytes) = before.map_or((0, 0), |before| (before.crc, before.bytes.min(end_bytes)));
            Ok((end_bytes, reader.crc_from(crc, from_bytes, end_bytes)?))
        });
        match told {
            Ok((bytes, crc)) => Ok(bytes == progress.bytes && crc == progress.crc),
            Err(e @ crate::segment::SegmentError::Disk(_)) => {
                tracing::error!(volume = %self.id, file = %path.display(), error = %e,
                    "committed footage could not be read: it is kept as it stands; check the disk");
                Err(e.into())
            }
            Err(_) => Ok(false),
        }
    }

    /// Overwrites what stands behind the last committed chunk. Blocks that are reserved and were never written read as
    /// zeros, and are left alone: a minute of every camera would be gigabytes. Not flushed.
    fn overwrite_beyond(&self, path: &Path, from_bytes: u64) -> Result<(), VaultError> {
        let file = self.disk.open(path, Access::ReadWrite).map_err(self.on(path))?;
        let length = file.len_bytes().map_err(self.on(path))?;
        let zeros = AlignedBuffer::zeroed(STRIDE_BYTES);
        let mut found = vec![0; STRIDE_BYTES];
        let mut at = from_bytes;
        while let Some(next) = file.next_written(at).map_err(self.on(path))?.filter(|next| *next < length) {
            at = next;
            let part = usize::try_from((length - at).min(STRIDE_BYTES as u64)).unwrap_or(STRIDE_BYTES);
            let got = file.read_at(&mut found[..part], at).map_err(self.on(path))?;
            if found[..got] != zeros.as_slice()[..got] {
                file.write_all_at(&zeros.as_slice()[..part], at).map_err(self.on(path))?;
            }
            at += part as u64;
        }
        Ok(())
    }
}

/// The newest table whose commit came to its end for certain. A table is written before the flush of its own commit, so the
/// newest one that is whole tells nothing of what else reached the disk; the one before it was flushed before that one
/// was written. Where that one is gone, another was being written in its place, after the flush of the one that is left.
fn flushed(tables: &[CommitTable]) -> Option<&CommitTable> {
    tables.get(1).or(tables.first())
}

fn never_committed(segment: SegmentId, at: Utc, overwrite: Overwrite) -> ManifestRecord {
    let trigger = DestructionTrigger::NeverCommitted;
    ManifestRecord::Erased { segment, at, trigger, overwrite, bytes: 0, read_back_percent: 0 }
}
