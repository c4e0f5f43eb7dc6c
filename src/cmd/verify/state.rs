//! Ledger, desk, grants and holds.

use crate::access::{LedgerFacts, SiteFiles};
use crate::clock::Clock;
use crate::crypto::PublicKey;
use crate::domain::{GrantId, Utc};
use crate::ledger::{Known, LedgerRoot, ManifestCheckpoint, Verified, is_root_name, verify_against};
use crate::segment::{SlotFile, SlotPurpose};
use crate::vault::{GrantExpected, GrantStore, Hold, Holds, VolumeFault, inspect_grants, inspect_holds};
use anyhow::Context;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Beside a running daemon a grant is staged before its row, and a hold placed before its own.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(300);
const LOOKS: usize = 4;

/// What the state directory says, and what is wrong with it.
pub(super) struct State {
    /// `None` where the ledger is damaged: it says nothing then.
    pub ledger: Option<Verified>,
    pub facts: LedgerFacts,
    pub grants: GrantStore,
    pub open_grants: usize,
    /// Grants that have keys, and that no row of the ledger grants any more, or ever did.
    pub stray_grants: Vec<GrantId>,
    pub holds: Vec<Hold>,
    pub faults: Vec<VolumeFault>,
}

impl State {
    pub fn is_known(&self) -> bool {
        self.ledger.is_some()
    }

    /// The manifests' heads in the newest checkpoint.
    pub fn heads(&self) -> impl Iterator<Item = &ManifestCheckpoint> {
        let newest = self.facts.newest_checkpoint().filter(|_| self.is_known());
        newest.into_iter().flat_map(|checkpoint| &checkpoint.manifests)
    }
}

/// Looks until nothing is wrong, or the same again and again.
pub(super) fn look_at_state(files: &SiteFiles, clock: &Clock) -> anyhow::Result<State> {
    let mut state = look(files, clock.wall())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    for _ in 1..LOOKS {
        if state.faults.is_empty() {
            break;
        }
        runtime.block_on(clock.sleep(LOOK_AGAIN_AFTER));
        let before = (std::mem::take(&mut state.faults), std::mem::take(&mut state.stray_grants));
        state = look(files, clock.wall())?;
        state.faults.retain(|fault| before.0.contains(fault));
        state.stray_grants.retain(|grant| before.1.contains(grant));
    }
    Ok(state)
}

fn look(files: &SiteFiles, now: Utc) -> anyhow::Result<State> {
    let mut faults = Vec::new();
    let grants = GrantStore::new(Arc::clone(files.disk()), files.path("grants"));
    let (ledger, facts) = read_ledger(files, &mut faults)?;
    let mut held = Vec::new();
    match Holds::open(Arc::clone(files.disk()), files.path("holds")) {
        Ok(holds) => {
            held = holds.list().to_vec();
            if ledger.is_some() {
                faults.extend(inspect_holds(&holds, &facts.wanted_holds(), &files.path("holds")));
            }
        }
        Err(e) => faults.push(VolumeFault::new(&files.path("holds"), e.to_string())),
    }
    let mut open: BTreeMap<GrantId, GrantExpected> = BTreeMap::new();
    let mut stray_grants = Vec::new();
    if ledger.is_some() {
        open = facts.open_grants(now);
        let ending = facts.grants_over(now);
        stray_grants = grants.list()?;
        stray_grants.retain(|grant| !open.contains_key(grant) && !ending.contains(grant));
        let over = facts.grants_over(now).into_iter().map(|grant| format!("{:08x}", grant.0)).collect::<Vec<_>>();
        let mut told = inspect_grants(&grants, &open)?;
        told.retain(|fault| !over.iter().any(|name| fault.file.ends_with(name)));
        faults.extend(told);
        faults.extend(look_at_desk(files, &facts)?);
        let dir = files.path("requests");
        let wrong = facts.wrong_papers(files.disk(), &dir)?;
        faults.extend(wrong.into_iter().map(|(name, what)| VolumeFault::new(&dir.join(name), what)));
    }
    Ok(State { ledger, facts, grants, open_grants: open.len(), stray_grants, holds: held, faults })
}

/// Verifies the ledger and adds its rows up.
fn read_ledger(files: &SiteFiles, faults: &mut Vec<VolumeFault>) -> anyhow::Result<(Option<Verified>, LedgerFacts)> {
    let dir = files.ledger_dir();
    let (mut months, mut known, mut facts) = (Vec::new(), Known::default(), LedgerFacts::default());
    let names = files.disk().list_files(&dir).with_context(|| dir.display().to_string())?;
    // What is left of an older one, or was torn, the daemon erases.
    let mut erased_to = None;
    for name in names.iter().rev().filter(|name| is_root_name(name)) {
        let bytes = std::fs::read(dir.join(name)).with_context(|| name.clone())?;
        if let Some(root) = LedgerRoot::parse(&bytes) {
            root.rows().iter().for_each(|(row, _)| facts.apply(row));
            erased_to = Some(root.month().to_string());
            known.roots.push((name.clone(), bytes));
            break;
        }
    }
    for name in names {
        let is_erased = erased_to.as_ref().is_some_and(|month| name.get(..7).is_some_and(|of| of <= month.as_str()));
        if name.ends_with(".ledger") && !is_erased {
            let mut bytes = std::fs::read(dir.join(&name)).with_context(|| name.clone())?;
            // Beside a running daemon the last row may be half-way there.
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(whole);
            months.push((name, bytes));
        }
    }
    match verify_against(&months, &known, |row| facts.apply(row)) {
        Ok(verified) => Ok((Some(verified), facts)),
        Err((name, fault)) => {
            let what = format!("{fault}; compare with a copy or a checkpoint that is kept elsewhere");
            faults.push(VolumeFault::new(&dir.join(name), what));
            Ok((None, facts))
        }
    }
}

/// The desk's slots: for whom the ledger names, and for nobody else; in each of its pairs' files.
fn look_at_desk(files: &SiteFiles, facts: &LedgerFacts) -> anyhow::Result<Vec<VolumeFault>> {
    let (holders, pairs) = facts.desk_holders();
    let mut faults = Vec::new();
    for (name, public) in facts.desk_files().iter().zip(pairs) {
        let path = files.path(name);
        let mut fault = |what: String| faults.push(VolumeFault::new(&path, what));
        let file = match SlotFile::open_to_read(&**files.disk(), &path, SlotPurpose::Desk) {
            Ok(file) => file,
            Err(e) => {
                fault(format!("{e}: nobody reads these requests any more. Put it back from a copy"));
                continue;
            }
        };
        if file.facts()[..32] != public.0 {
            fault("is not the desk that the ledger names: it was exchanged".into());
        }
        let slots = file.read()?;
        for slot in slots.used.iter().filter(|slot| !holders.may.contains(&PublicKey(slot.owner))) {
            let key = PublicKey(slot.owner);
            fault(format!("slot {} is for a key that no row of the ledger names ({key})", slot.index));
        }
        for (key, whose) in &holders.must {
            if !slots.used.iter().any(|slot| slot.owner == key.0) {
                fault(format!("has no slot for {whose}: seal it again to them"));
            }
        }
        slots.damaged.iter().for_each(|index| fault(format!("slot {index} is damaged")));
    }
    Ok(faults)
}
