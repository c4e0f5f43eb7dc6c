//! What was found: for people, and as JSON.

use super::state::State;
use crate::vault::{IndexLook, Inspection, VolumeFault};
use serde::Serialize;

/// How the index was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum IndexState {
    Current,
    Outdated,
    InUse,
    None,
}

/// The whole report. Fields are added, never renamed.
#[derive(Serialize)]
pub(super) struct Report {
    version: u32,
    pub sound: bool,
    ledger_rows: u64,
    ledger_checkpoints: u64,
    grants: usize,
    holds: usize,
    index: IndexState,
    pub volumes: Vec<Inspection>,
    pub faults: Vec<VolumeFault>,
}

impl Report {
    pub fn new(state: &State) -> Self {
        Self {
            version: 1,
            sound: false,
            ledger_rows: state.ledger.as_ref().map_or(0, |ledger| ledger.rows),
            ledger_checkpoints: state.ledger.as_ref().map_or(0, |ledger| ledger.checkpoints),
            grants: state.open_grants,
            holds: state.holds.len(),
            index: IndexState::InUse,
            volumes: Vec::new(),
            faults: state.faults.clone(),
        }
    }

    /// A daemon holds the index until this is called.
    pub fn note_index(&mut self, look: Option<IndexLook>) {
        self.index = match look {
            None => IndexState::None,
            Some(IndexLook::Outdated) => IndexState::Outdated,
            Some(IndexLook::Current { faults, .. }) => {
                self.faults.extend(faults);
                IndexState::Current
            }
        };
    }

    pub fn done(mut self) -> Self {
        self.faults.extend(self.volumes.iter().flat_map(|volume| volume.faults.clone()));
        self.sound = self.faults.is_empty();
        self
    }

    pub fn print(&self) {
        println!("ledger: {} rows, {} checkpoints", self.ledger_rows, self.ledger_checkpoints);
        println!("grants open: {}, holds: {}", self.grants, self.holds);
        match self.index {
            IndexState::Current => println!("index: as the manifests say"),
            IndexState::Outdated => println!("index: not current; it is rebuilt at the next start, nothing is lost"),
            IndexState::InUse => println!("index: not looked at, a daemon is running on it"),
            IndexState::None => println!("index: none; it is made at the next start"),
        }
        for volume in &self.volumes {
            println!(
                "volume {}: {} manifests, {} day keys, {} segments kept ({} held), {} being written, {} destroyed",
                volume.volume.map_or_else(String::new, |volume| volume.to_string()),
                volume.manifests,
                volume.day_keys,
                volume.segments_kept,
                volume.segments_held,
                volume.segments_open,
                volume.segments_destroyed
            );
            if volume.segments_in_doubt > 0 {
                println!("  time in doubt: {} segments", volume.segments_in_doubt);
            }
            if volume.bytes_digested > 0 {
                println!("  {:.1} MB held against their digests", volume.bytes_digested as f64 / 1e6);
            }
            if volume.segments_decrypted > 0 {
                println!("  {} segments decrypted, each one track of video", volume.segments_decrypted);
            }
        }
        for fault in &self.faults {
            println!("FAULT  {}: {}", fault.file, fault.what);
        }
        println!("{}", if self.sound { "sound" } else { "NOT sound" });
    }
}
