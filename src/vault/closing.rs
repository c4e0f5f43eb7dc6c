//! The end of a manifest: it names cameras and times, and outlives its footage by no more than the erasing takes.
//!
//! Order, once its day and period are over, nothing is left in it but what is held, and every receipt is a row:
//!
//! 1. Of what is held: a hold manifest, with its day keys → flush → its name → flush of the directory. It is there whole or
//!    not at all, and from then on it counts: the one before it only waits for its end.
//! 2. Held files are moved to the hold manifest's directory, by renames that keep their blocks. Day keys that other
//!    manifests want are named there → flush of the volume.
//! 3. The closing row: coverage, gaps, first and last digests → flush of the ledger (the caller's).
//! 4. The manifest's name ends in `.closed` → flush of the directory: a manifest is never half overwritten.
//! 5. Its whole allocation is overwritten → flush → read back → unlink; its directories go. Neither name is flushed: it
//!    leads to zeros, and the next start takes it away.
//!
//! A crash before 3 leaves both manifests, and the steps are done again from 2. One before 4 leaves a manifest whose row is
//! in the ledger: it is looked for there first, so there is no second one. One after 4 leaves a file that is no manifest
//! any more, and a start overwrites it. An older summary or checkpoint names what is gone: a start believes the closing
//! row, and refuses a volume on which a closed manifest stands again with anything else than its last head.
//!
//! A hold manifest ends likewise. When some of what it names was released and erased, the rest is carried on to another.

use super::gaps::told_once;
use super::manifests::{HalfMade, ManifestFile, closed_path};
use super::table::{Life, LiveDayKey, SegmentRow};
use super::volume::{ManifestKey, Volume, VolumeState, key_of};
use super::{Vault, VaultError};
use crate::disk::Access;
use crate::domain::{CameraNumber, DayKeyId, Digest, Mark, SegmentId, Span, Utc, VolumeId};
use crate::ledger::{ClosedCamera, ClosedCoverage, ClosedGap, ManifestClosed};
use crate::segment::{CarriedSegment, CarriesOn, ManifestHeader, ManifestRecord};
use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::time::Duration;

/// Segments that follow on each other within this are one stretch of footage.
const SAME_STRETCH: Duration = Duration::from_secs(1);

/// A manifest whose end has come, and of which the volume is ready for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndingManifest {
    volume: VolumeId,
    name: String,
}

impl Vault {
    /// Brings the manifests whose end has come to where only their closing rows are missing, and names them. While the
    /// index is being made, or directories wait to be looked through, none is.
    ///
    /// # Errors
    /// What the disk says; what was begun is taken up again with the next call.
    pub fn ending_manifests(&self, now: Utc) -> Result<Vec<EndingManifest>, VaultError> {
        let mut ending = Vec::new();
        if self.index_is_being_made() {
            return Ok(ending);
        }
        for volume in &self.volumes {
            let names = volume.prepare_endings(now)?;
            ending.extend(names.into_iter().map(|name| EndingManifest { volume: volume.id, name }));
        }
        Ok(ending)
    }

    /// What the ledger is to say of a manifest: the row that it has already, or a new one; and whether it is new.
    ///
    /// # Errors
    /// [`VaultError::Resurrected`] where the ledger closed it with another head; what the disk says.
    pub fn closing_row(&self, ending: &EndingManifest) -> Result<(ManifestClosed, bool), VaultError> {
        let volume = self.volume_of(ending)?;
        let (day, head) = {
            let state = volume.lock();
            let found = state.standing().find(|manifest| manifest.name() == ending.name);
            found
                .map(|manifest| (manifest.header.day, manifest.head()))
                .ok_or_else(|| volume.no_manifest(&ending.name))?
        };
        match volume.closed_before(&ending.name, day)? {
            Some(row) if row.head != head => Err(volume.resurrected(&ending.name)),
            Some(row) => Ok((row, false)),
            None => Ok((volume.sum_up_closed(&ending.name)?, true)),
        }
    }

    /// Erases a manifest whose closing row is flushed.
    ///
    /// # Errors
    /// What the disk says; what is left of it is swept later.
    pub fn end_manifest(&self, ending: &EndingManifest, row: &ManifestClosed) -> Result<(), VaultError> {
        let volume = self.volume_of(ending)?;
        let erased = volume.with_standing(&ending.name, |manifest| {
            let rows = manifest.load()?.rows.iter().filter(|(_, row)| matches!(row.life, Life::Erased { .. }));
            Ok(rows.map(|(segment, _)| *segment).collect::<HashSet<SegmentId>>())
        })?;
        self.index_closed(row, &erased);
        volume.erase_manifest(&ending.name)
    }

    fn volume_of(&self, ending: &EndingManifest) -> Result<&Volume, VaultError> {
        let found = self.volumes.iter().find(|volume| volume.id == ending.volume);
        found.ok_or_else(|| VaultError::ManifestGone { file: ending.name.clone().into() })
    }
}

impl Volume {
    fn no_manifest(&self, name: &str) -> VaultError {
        VaultError::ManifestGone { file: self.dir.join("manifests").join(name) }
    }

    pub(super) fn resurrected(&self, name: &str) -> VaultError {
        VaultError::Resurrected { dir: self.dir.clone(), manifest: name.to_owned() }
    }

    /// The ledger's row that closed a manifest of a day, if it has one.
    pub(super) fn closed_before(
        &self,
        name: &str,
        day: crate::domain::Day,
    ) -> Result<Option<ManifestClosed>, VaultError> {
        let unread = |source| VaultError::Disk { what: "the ledger's rows of closed manifests".to_owned(), source };
        self.closed.as_ref().map_or(Ok(None), |closed| closed.find(self.id, name, day)).map_err(unread)
    }

    /// Steps 1 and 2. Returns the names of those that are ready for their rows.
    fn prepare_endings(&self, now: Utc) -> Result<Vec<String>, VaultError> {
        let over = self.lock().keys_that_end(now);
        for key in &over {
            self.look_through(*key)?;
        }
        self.hand_on_day_keys(&over)?;
        let (held, empty): (Vec<ManifestKey>, Vec<ManifestKey>) = {
            let state = self.lock();
            over.into_iter().partition(|key| state.manifests.get(key).is_some_and(|manifest| manifest.sum().left > 0))
        };
        for key in held {
            self.carry(key)?;
        }
        let ending = {
            let state = self.lock();
            let empty = empty.iter().filter_map(|key| state.manifests.get(key));
            state.carried.iter().chain(empty).map(|manifest| manifest.name().to_owned()).collect::<Vec<_>>()
        };
        if !ending.is_empty() {
            self.finish_moves()?;
            // Nothing that is wanted of these manifests may stand in them alone from here on.
            self.flush()?;
        }
        Ok(ending)
    }

    /// Files that should be gone from a manifest's directories go first: nobody would know of them afterwards.
    fn look_through(&self, key: ManifestKey) -> Result<(), VaultError> {
        let apart = self.lock().manifests.get(&key).map_or(0, |manifest| manifest.sum().apart.len());
        if !self.files_of(key, false)?.is_empty() || self.files_of(key, true)?.len() > apart {
            let tables = self.read_commit_tables()?;
            self.survey(key, &tables)?;
        }
        Ok(())
    }

    /// Day keys that a manifest made and that others want are named there, too: a period that was changed during a day has
    /// a manifest of its own, and shares the day key. Not flushed.
    fn hand_on_day_keys(&self, ending: &[ManifestKey]) -> Result<(), VaultError> {
        let mut state = self.lock();
        let of_ending = ending.iter().filter_map(|key| Some((Some(*key), state.manifests.get(key)?)));
        let all = of_ending.chain(state.carried.iter().map(|manifest| (None, manifest)));
        let own: Vec<_> = all
            .flat_map(|(key, manifest)| manifest.sum().day_keys.iter().map(move |(id, known)| (key, *id, *known)))
            .collect();
        for (key, day_key, LiveDayKey { camera, public }) in own {
            let others = state.manifests.iter().filter(|(other, _)| Some(**other) != key);
            let wants = others.filter(|(_, manifest)| manifest.sum().wants(day_key));
            let lacks = wants.filter(|(_, manifest)| !manifest.sum().day_keys.contains_key(&day_key));
            for other in lacks.map(|(other, _)| *other).collect::<Vec<_>>() {
                if let Some(manifest) = state.loaded(other)? {
                    manifest.append(&ManifestRecord::DayKeyMade { day_key, camera, public })?;
                }
            }
        }
        Ok(())
    }

    /// Step 1: all that is held of a manifest stands in a hold manifest from here on.
    fn carry(&self, key: ManifestKey) -> Result<(), VaultError> {
        let dir = self.dir.join("manifests");
        let (header, head, records) = self.lock().records_to_carry(key)?;
        let half_made = HalfMade::write_out(&self.disk, &dir, header, &records)?;
        let mut state = self.lock();
        if state.manifests.get(&key).map(ManifestFile::head) != Some(head) {
            // Somebody wrote to it meanwhile: with the next round.
            half_made.give_up(&self.disk);
            return Ok(());
        }
        let of_holds = half_made.publish(&self.disk)?;
        if let Err(e) = self.disk.sync_dir(&dir) {
            // Its name may be lost: no file may be moved to it, and it must not be found beside the next one.
            if let Err(left) = self.disk.remove_file(&dir.join(of_holds.name())) {
                tracing::error!(error = %left, "a hold manifest that was not made could not be removed");
            }
            return Err(self.on(&dir)(e));
        }
        tracing::info!(volume = %self.id, day = %header.day, segments = of_holds.sum().left,
            "held footage was carried to a hold manifest");
        let carried = state.take_manifest(key);
        state.carried.extend(carried);
        state.manifests.insert(key_of(&of_holds.header), of_holds);
        Ok(())
    }

    /// Step 2: moves what hold manifests carry on from those that wait for their end. Not flushed. A file that was moved
    /// before, or is gone, is no error.
    pub(super) fn finish_moves(&self) -> Result<(), VaultError> {
        let moves: Vec<(String, String)> = {
            let state = self.lock();
            let before = |manifest: &ManifestFile| manifest.header.carries_on.map(|on| format!("{:016x}", on.manifest));
            let of_holds = state.manifests.values().filter_map(|manifest| Some((before(manifest)?, manifest.name())));
            of_holds.map(|(from, to)| (from, to.to_owned())).collect()
        };
        let waiting: HashSet<String> = self.lock().carried.iter().map(|manifest| manifest.name().to_owned()).collect();
        for (from, to) in moves.iter().filter(|(from, _)| waiting.contains(from)) {
            let to_dir = self.segments_dir(to, true);
            self.disk.create_dir(&to_dir).map_err(self.on(&to_dir))?;
            for is_apart in [true, false] {
                for (segment, path) in self.files_in(&self.segments_dir(from, is_apart))? {
                    let _moving = self.moving();
                    if self.is_named_by(to, segment) {
                        let target = to_dir.join(segment.to_string());
                        self.disk.rename(&path, &target).map_err(self.on(&path))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn is_named_by(&self, hold_manifest: &str, segment: SegmentId) -> bool {
        let state = self.lock();
        let found = state.manifests.values().find(|manifest| manifest.name() == hold_manifest);
        found.is_some_and(|manifest| manifest.sum().apart.contains_key(&segment))
    }

    /// Does something with a manifest, whether it waits for its end or not.
    fn with_standing<T>(
        &self,
        name: &str,
        act: impl FnOnce(&mut ManifestFile) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let mut state = self.lock();
        let VolumeState { manifests, carried, .. } = &mut *state;
        let found = manifests.values_mut().chain(carried).find(|manifest| manifest.name() == name);
        let manifest = found.ok_or_else(|| self.no_manifest(name))?;
        let told = act(manifest);
        // Not counted among the tables in memory.
        manifest.unload();
        told
    }

    fn sum_up_closed(&self, name: &str) -> Result<ManifestClosed, VaultError> {
        let carried_to = {
            let state = self.lock();
            let is_next = |manifest: &&ManifestFile| {
                manifest.header.carries_on.is_some_and(|on| format!("{:016x}", on.manifest) == name)
            };
            state.standing().find(is_next).map(|manifest| manifest.name().to_owned())
        };
        self.with_standing(name, |manifest| {
            manifest.load()?;
            Ok(ManifestClosed {
                volume: self.id,
                manifest: name.to_owned(),
                day: manifest.header.day,
                retention: manifest.header.retention,
                head: manifest.head(),
                carried_to,
                cameras: cameras_of(manifest)?,
            })
        })
    }

    /// Steps 4 and 5.
    fn erase_manifest(&self, name: &str) -> Result<(), VaultError> {
        let dir = self.dir.join("manifests");
        let (path, closed) = (dir.join(name), closed_path(&dir.join(name)));
        match self.disk.rename(&path, &closed) {
            // Renamed before, and the flush failed.
            Err(e) if e.kind() == ErrorKind::NotFound && self.disk.open(&closed, Access::Read).is_ok() => {}
            renamed => renamed.map_err(self.on(&path))?,
        }
        self.disk.sync_dir(&dir).map_err(self.on(&dir))?;
        self.lock().forget(name);
        self.overwrite_untold(&closed)?;
        tracing::info!(volume = %self.id, manifest = name, "a manifest was closed and erased");
        [false, true].into_iter().try_for_each(|is_apart| self.remove_empty_dir(&self.segments_dir(name, is_apart)))
    }
}

impl VolumeState {
    /// Manifests whose day and period are over, with nothing in them but what is held, and whose receipts and day keys are
    /// settled.
    fn keys_that_end(&self, now: Utc) -> Vec<ManifestKey> {
        let is_over = |manifest: &ManifestFile| {
            let over = manifest.header.day.end().saturating_add(manifest.header.retention.period());
            let over = over.plus_micros(manifest.sum().most_moves_expiry(manifest.header.retention));
            over <= now && manifest.sum().has_only_apart() && manifest.sum().unreceipted == 0
        };
        // A hold manifest goes on until some of what it names is gone.
        let ends = |manifest: &ManifestFile| {
            let sum = manifest.sum();
            manifest.header.carries_on.is_none() || sum.left == 0 || sum.erased > 0
        };
        let over = self.manifests.iter().filter(|(_, manifest)| is_over(manifest) && ends(manifest));
        let ending = over.filter(|(key, manifest)| {
            !self.unsurveyed.contains(key) && manifest.sum().day_keys.keys().all(|day_key| self.is_wanted(*day_key))
        });
        ending.map(|(key, _)| *key).collect()
    }

    /// One that nothing wants is destroyed first.
    fn is_wanted(&self, day_key: DayKeyId) -> bool {
        self.manifests.values().any(|manifest| manifest.sum().wants(day_key))
    }

    /// The header of a hold manifest that carries a manifest on, its records, and the head that all that is true of.
    fn records_to_carry(
        &mut self,
        key: ManifestKey,
    ) -> Result<(ManifestHeader, crate::domain::ManifestHead, Vec<ManifestRecord>), VaultError> {
        let (day, is_floor, period_s, _) = key;
        let of_day = self.manifests.range((day, is_floor, period_s, 0)..=(day, is_floor, period_s, u32::MAX));
        let newest = of_day.map(|((.., number), _)| *number).max().unwrap_or(0);
        let waiting = self.carried.iter().filter_map(|manifest| manifest.header.carries_on).map(|on| on.number).max();
        let number = newest.max(waiting.unwrap_or(0)) + 1;
        let Some(manifest) = self.loaded(key)? else { return Err(VaultError::NoRoom) };
        let carries_on = Some(CarriesOn { number, manifest: manifest.number()? });
        let header = ManifestHeader { carries_on, ..manifest.header };
        let mut records = Vec::new();
        let sum = manifest.sum();
        for (day_key, known) in sum.day_keys.iter().filter(|(day_key, _)| sum.wants(**day_key)) {
            let (day_key, camera, public) = (*day_key, known.camera, known.public);
            records.push(ManifestRecord::DayKeyMade { day_key, camera, public });
        }
        // With the marks of doubts about the time, and what corrects them.
        let table = manifest.table();
        let (mut marked, mut corrections) = (BTreeMap::<_, Vec<ManifestRecord>>::new(), BTreeMap::new());
        for segment in sum.apart.keys() {
            let row = *manifest.row(*segment).ok_or(VaultError::Unknown { segment: *segment })?;
            let mark = table.and_then(|table| table.mark(&row));
            if let Some((Mark { doubt, .. }, Some(correction))) = mark {
                corrections.insert(doubt, correction);
            }
            let place = mark.map(|(Mark { doubt, is_known }, _)| (doubt, is_known));
            let record = ManifestRecord::Carried(Box::new(carried(manifest, *segment, &row)?));
            marked.entry(place).or_default().push(record);
        }
        for (place, segments) in marked {
            let mark = place.map(|(doubt, is_known)| Mark { doubt, is_known });
            // Before the first of them there is none.
            records.extend(mark.is_some().then_some(ManifestRecord::InDoubt { mark }));
            records.extend(segments);
        }
        for (doubt, correction) in corrections {
            records.push(ManifestRecord::Corrected { doubt, correction });
        }
        Ok((header, manifest.head(), records))
    }

    fn forget(&mut self, name: &str) {
        self.carried.retain(|manifest| manifest.name() != name);
        let key = self.manifests.iter().find(|(_, manifest)| manifest.name() == name).map(|(key, _)| *key);
        if let Some(key) = key {
            self.take_manifest(key);
        }
        self.summary_is_old = true;
    }
}

fn carried(manifest: &ManifestFile, segment: SegmentId, row: &SegmentRow) -> Result<CarriedSegment, VaultError> {
    let unknown = VaultError::Unknown { segment };
    let whole = manifest.whole(row)?.ok_or(unknown)?;
    Ok(CarriedSegment {
        segment,
        camera: row.camera,
        start: row.start,
        end: row.end,
        day_key: manifest.table().map(|table| table.day_key(row)).unwrap_or(DayKeyId(0)),
        head: manifest.head_of(row)?,
        chunks: row.chunks,
        bytes: whole.bytes,
        allocated_bytes: row.reserved_bytes(),
        digest: whole.digest,
        has_footer: row.has_footer,
        ranges: whole.ranges,
    })
}

/// What a manifest whose table is in memory told of each camera.
fn cameras_of(manifest: &ManifestFile) -> Result<Vec<ClosedCamera>, VaultError> {
    let Some(table) = manifest.table() else { return Ok(Vec::new()) };
    let mut rows: BTreeMap<CameraNumber, Vec<&SegmentRow>> = BTreeMap::new();
    for row in table.rows.values().filter(|row| row.sealed_at_bytes > 0) {
        rows.entry(row.camera).or_default().push(row);
    }
    for (camera, ..) in table.gaps() {
        rows.entry(camera).or_default();
    }
    let mut told = Vec::new();
    for (camera, mut rows) in rows {
        rows.sort_by_key(|row| row.start);
        let digest = |row: Option<&&SegmentRow>| -> Result<Digest, VaultError> {
            let whole = row.map(|row| manifest.whole(row)).transpose()?.flatten();
            Ok(whole.map_or(Digest::ZERO, |whole| whole.digest))
        };
        let gaps = table.gaps().filter(|(of, ..)| *of == camera).map(|(_, span, cause)| (span, cause));
        told.push(ClosedCamera {
            camera,
            segments: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            coverage: coverage_of(&rows, |row| Some((table.shown(row)?, table.dating(row).in_doubt))),
            gaps: told_once(gaps.collect()).into_iter().map(|(span, cause)| ClosedGap { span, cause }).collect(),
            first: digest(rows.first())?,
            last: digest(rows.last())?,
        });
    }
    Ok(told)
}

/// Segments by start, as few stretches as they make.
fn coverage_of(rows: &[&SegmentRow], shown: impl Fn(&SegmentRow) -> Option<(Span, bool)>) -> Vec<ClosedCoverage> {
    let mut told: Vec<ClosedCoverage> = Vec::new();
    for row in rows {
        let Some((span, in_doubt)) = shown(row) else { continue };
        let (destroyed, trigger) = match row.life {
            Life::Erased { at, trigger, .. } => (Some(at), Some(trigger)),
            // Each of these is held, and was carried on: of others none is left.
            Life::Open | Life::Sealed | Life::Condemned { .. } | Life::KeyDestroyed { .. } => (None, None),
        };
        match told.last_mut() {
            Some(last)
                if span.from() <= last.span.to().saturating_add(SAME_STRETCH)
                    && (last.destroyed.map(Utc::day), last.trigger, last.in_doubt)
                        == (destroyed.map(Utc::day), trigger, in_doubt) =>
            {
                last.span = last.span.hull(span);
                last.destroyed = last.destroyed.max(destroyed);
            }
            Some(_) | None => told.push(ClosedCoverage { span, destroyed, trigger, in_doubt }),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DestructionTrigger, Overwrite};

    fn row(start: i64, end: i64, destroyed: Option<i64>) -> SegmentRow {
        let at = |seconds: i64| Utc::from_micros(seconds * 1_000_000);
        let (trigger, overwrite) = (DestructionTrigger::Expiry, Overwrite::Proven);
        let life = destroyed.map_or(Life::Sealed, |day| Life::Erased {
            at: at(day * 86_400),
            trigger,
            overwrite,
            read_back_percent: 5,
        });
        SegmentRow::of_test(CameraNumber::new(1).unwrap(), at(start), at(end), life)
    }

    #[test]
    fn segments_that_follow_on_each_other_and_went_together_are_one_stretch() {
        let rows = [
            row(0, 60, Some(30)),
            row(60, 120, Some(30)),
            // Within a second.
            row(121, 180, Some(30)),
            // Held.
            row(180, 240, None),
            row(240, 300, None),
            // A gap before it.
            row(400, 460, Some(30)),
            // Destroyed early.
            row(460, 520, Some(12)),
        ];
        let told = coverage_of(&rows.iter().collect::<Vec<_>>(), |row| Some((row.span_at_least()?, false)));
        let at = |seconds: i64| Utc::from_micros(seconds * 1_000_000);
        let piece = |from, to, day: Option<i64>| ClosedCoverage {
            span: Span::new(at(from), at(to)).unwrap(),
            destroyed: day.map(|day| at(day * 86_400)),
            trigger: day.map(|_| DestructionTrigger::Expiry),
            in_doubt: false,
        };
        let wanted =
            [piece(0, 180, Some(30)), piece(180, 300, None), piece(400, 460, Some(30)), piece(460, 520, Some(12))];
        assert_eq!(told, wanted);
    }
}
