//! Room that the ledger keeps for itself: a file that is given up when the disk is full, so that what must be recorded still
//! is for a day, and made again when there is room.
//!
//! An emptied reserve file says that the reserve is in use, also after a restart. Nothing of it is flushed: a power cut that
//! takes the file takes the reserve, and one that brings it back gives it again.

use super::row::Act;
use crate::disk::{Access, SharedDisk};
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "reserve";
/// A day of 97 cameras: 2,400 receipts of a camera and hour below 1 KiB each, 144 checkpoints over 60 manifests and more
/// below 20 KiB each, and as much again for people.
pub const RESERVE_BYTES: u64 = 16 << 20;
/// It is made only where so much is left besides.
const LEFT_BESIDES_BYTES: u64 = 16 << 20;

/// How the ledger's room is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LedgerRoom {
    /// As it should be.
    Enough,
    /// The disk was full: nothing is shown, and what must be recorded goes on with the reserve.
    ReserveInUse,
    /// A row that had to be written found no room: nothing that must be recorded happens.
    None,
}

#[derive(Debug)]
pub(super) struct Reserve {
    disk: SharedDisk,
    path: PathBuf,
    room: LedgerRoom,
}

impl Reserve {
    pub fn of(disk: SharedDisk, dir: &Path) -> Self {
        let mut reserve = Self { disk, path: dir.join(NAME), room: LedgerRoom::Enough };
        if reserve.length().is_ok_and(|length| length.is_some_and(|length| length < RESERVE_BYTES)) {
            reserve.room = LedgerRoom::ReserveInUse;
        }
        reserve
    }

    pub fn room(&self) -> LedgerRoom {
        self.room
    }

    /// Whether a row may be written now.
    pub fn allows(&self, act: &Act) -> bool {
        self.room == LedgerRoom::Enough || act.is_owed()
    }

    /// Gives the reserve to a row that found the disk full. Whether there was one to give.
    pub fn give(&mut self) -> bool {
        let given = self.room == LedgerRoom::Enough
            && self.disk.open(&self.path, Access::ReadWrite).and_then(|file| file.set_len(0)).is_ok();
        if given {
            tracing::error!("the ledger's disk is full: its reserve is in use, and nothing is shown; free room on it");
            self.room = LedgerRoom::ReserveInUse;
        }
        given
    }

    /// A row that had to be written found no room.
    pub fn note_none(&mut self) {
        self.room = LedgerRoom::None;
    }

    /// A row was written: if the disk was full, there is some room by now.
    pub fn note_taken(&mut self) {
        if self.room == LedgerRoom::None {
            self.room = LedgerRoom::ReserveInUse;
        }
    }

    /// Makes the reserve, again where there is room again.
    pub fn keep(&mut self) -> io::Result<()> {
        if self.length()?.is_some_and(|length| length >= RESERVE_BYTES) {
            self.room = LedgerRoom::Enough;
            return Ok(());
        }
        let dir = crate::disk::parent(&self.path)?;
        if self.disk.free_bytes(&dir)? < RESERVE_BYTES + LEFT_BESIDES_BYTES {
            return Ok(());
        }
        let file = match self.disk.open(&self.path, Access::ReadWrite) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.disk.create_new(&self.path)?,
            opened => opened?,
        };
        file.allocate(RESERVE_BYTES)?;
        if self.room != LedgerRoom::Enough {
            tracing::info!("the ledger's reserve is there again");
        }
        self.room = LedgerRoom::Enough;
        Ok(())
    }

    fn length(&self) -> io::Result<Option<u64>> {
        match self.disk.open(&self.path, Access::Read) {
            Ok(file) => file.len_bytes().map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Act {
    /// Whether it is recorded out of the reserve: what is owed to the law or to somebody who waits. What only shows
    /// something, or can be asked for again at any time, is not, and does not happen then.
    pub fn is_owed(&self) -> bool {
        !matches!(
            self,
            Act::ViewingBegun(_)
                | Act::ViewIntended { .. }
                | Act::ViewRefused { .. }
                | Act::LedgerRead
                | Act::RequestsSearched { .. }
                | Act::LetterProduced(_)
                | Act::LedgerRefused
                | Act::LedgerExported(_)
                | Act::LedgerMonthEnding(_)
                | Act::FootageRecovered { .. }
        )
    }
}
