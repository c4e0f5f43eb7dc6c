//! Who vouches for the time, and what that does to footage of a doubt. Why so, and in which order, stands in `doubt`.

use super::anchor::{ClockRefusal, Move, TrustedClock};
use super::doubt::{Settled, correction_of};
use super::table::Life;
use super::volume::{ManifestKey, Volume, VolumeState};
use super::{DueSegment, Holds, Vault, VaultError};
use crate::domain::{Correction, Dating, Day, Doubt, Mark, Retention, Utc};
use crate::segment::ManifestRecord;

impl Vault {
    /// Takes a synchronised wall clock over, and writes the anchor down. Called every minute or so, and at a stop.
    ///
    /// # Errors
    /// [`VaultError`] where it cannot be written; the clock then stays as it was.
    pub fn keep_time(&self, time: &TrustedClock) -> Result<(), VaultError> {
        let _turn = time.turn();
        let moved = time.synchronised();
        self.move_time(time, moved.as_ref())?;
        if let Some(moved) = moved {
            time.note_synchronised(&moved);
        }
        Ok(())
    }

    /// Moves the anchor to the time that an officer states, after `before_it` has seen the move and recorded it.
    ///
    /// # Errors
    /// [`ClockRefusal`]; what `before_it` says; [`VaultError`]. The clock then stays as it was.
    pub fn confirm_time<E: From<ClockRefusal> + From<VaultError>>(
        &self,
        time: &TrustedClock,
        stated: Utc,
        before_it: impl FnOnce(&Move) -> Result<(), E>,
    ) -> Result<Move, E> {
        let _turn = time.turn();
        let moved = time.propose(stated)?;
        before_it(&moved)?;
        self.move_time(time, Some(&moved))?;
        Ok(moved)
    }

    fn move_time(&self, time: &TrustedClock, moved: Option<&Move>) -> Result<(), VaultError> {
        let is_back = moved.is_some_and(|moved| moved.by_micros < 0);
        let settled = moved.map_or_else(|| time.settled(), |moved| time.settled_with(moved));
        if !is_back {
            self.correct(&settled)?;
        }
        time.make(moved)?;
        if is_back { self.correct(&settled) } else { Ok(()) }
    }

    /// How many segments are due by `until`, if the anchor makes a move, and nothing holds them.
    pub fn falls_due(&self, moved: &Move, until: Utc, holds: &Holds) -> u64 {
        let settled: Vec<Settled> = moved.settles.into_iter().collect();
        self.volumes.iter().map(|volume| volume.falls_due(&settled, until, holds)).sum()
    }

    fn correct(&self, settled: &[Settled]) -> Result<(), VaultError> {
        let mut told = Ok(());
        for volume in &self.volumes {
            volume.lock().settled = settled.to_vec();
            match volume.correct() {
                Ok(false) => {}
                Ok(true) => self.index_is_outdated(),
                // Others are corrected all the same; the clock does not move before all are.
                Err(e) => {
                    self.index_is_outdated();
                    told = Err(e);
                }
            }
        }
        told
    }
}

impl DueSegment {
    /// Whether a hold covers a part of it, as it was dated or as it is known by now.
    pub fn is_held(&self, holds: &Holds) -> bool {
        holds.covers(self.camera, self.span) || holds.covers(self.camera, self.said)
    }
}

impl VolumeState {
    /// Doubts that have ended and that a manifest was not told of, with the corrections.
    fn untold(&self, key: ManifestKey) -> Vec<(Doubt, Correction)> {
        let doubts = self.manifests.get(&key).into_iter().flat_map(|manifest| &manifest.sum().doubts);
        let untold = doubts.filter(|(_, known)| known.is_none()).map(|(doubt, _)| *doubt);
        untold.filter_map(|doubt| Some((doubt, correction_of(&self.settled, doubt)?))).collect()
    }
}

impl Volume {
    /// Gives the volume what the clock knows of doubts that have ended: it may have been away then.
    #[must_use]
    pub fn dated_by(self, settled: Vec<Settled>) -> Self {
        self.lock().settled = settled;
        self
    }

    /// A manifest that cannot be read counts for nothing: nothing it names is destroyed.
    fn falls_due(&self, settled: &[Settled], until: Utc, holds: &Holds) -> u64 {
        let keys: Vec<ManifestKey> =
            self.lock().manifests.keys().copied().filter(|key| key.0.start() <= until).collect();
        let mut due = 0;
        for key in keys {
            let mut state = self.lock();
            let Ok(Some(manifest)) = state.loaded(key) else { continue };
            let (retention, Some(table)) = (manifest.header.retention, manifest.table()) else { continue };
            for row in table.rows.values().filter(|row| row.life == Life::Sealed) {
                let Some(said) = row.span_at_least() else { continue };
                let ends = table.untold(row).and_then(|doubt| correction_of(settled, doubt));
                let dating =
                    ends.map_or_else(|| table.dating(row), |correction| Dating::marked(false, Some(correction)));
                let is_held = holds.covers(row.camera, dating.possible(said)) || holds.covers(row.camera, said);
                due += u64::from(!is_held && dating.correction.expiry(retention, said) <= until);
            }
        }
        due
    }

    /// Tells each manifest that has something of a doubt that has ended by how much it is corrected; whether any of it is
    /// shown otherwise from now on. Not flushed: a start tells it again.
    pub(super) fn correct(&self) -> Result<bool, VaultError> {
        let keys: Vec<ManifestKey> = {
            let state = self.lock();
            state.manifests.keys().copied().filter(|key| !state.untold(*key).is_empty()).collect()
        };
        let mut is_otherwise = false;
        for key in &keys {
            let mut state = self.lock();
            let untold = state.untold(*key);
            let Some(manifest) = state.loaded(*key)? else { continue };
            for (doubt, correction) in untold {
                let is_known = manifest.table().is_some_and(|table| table.is_known(doubt));
                if is_known || correction != Correction::default() {
                    is_otherwise = true;
                    tracing::warn!(
                        manifest = manifest.name(),
                        ?doubt,
                        ?correction,
                        "footage dated in doubt is corrected"
                    );
                }
                manifest.append(&ManifestRecord::Corrected { doubt, correction })?;
            }
        }
        Ok(is_otherwise)
    }

    /// Marks what a manifest is told from here on as dated in a doubt, or in none. Not flushed: what follows it is not either.
    /// A doubt that ended a moment ago, after the time was read, is corrected at once.
    pub(super) fn mark(
        &self,
        state: &mut VolumeState,
        day: Day,
        retention: Retention,
        mark: Option<Mark>,
    ) -> Result<(), VaultError> {
        let ended = mark.and_then(|mark| Some((mark.doubt, correction_of(&state.settled, mark.doubt)?)));
        let manifest = self.manifest(state, day, retention)?;
        if manifest.sum().mark != mark {
            manifest.append(&ManifestRecord::InDoubt { mark })?;
        }
        if let Some((doubt, correction)) = ended
            && manifest.sum().doubts.get(&doubt).is_some_and(Option::is_none)
        {
            manifest.append(&ManifestRecord::Corrected { doubt, correction })?;
        }
        Ok(())
    }
}
