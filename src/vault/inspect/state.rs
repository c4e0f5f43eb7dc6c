//! Grants and holds, against what the ledger says of them.

use super::VolumeFault;
use crate::crypto::PublicKey;
use crate::domain::{Digest, GrantId, SegmentId, VolumeId};
use crate::vault::grants::GrantStore;
use crate::vault::holds::Hold;
use crate::vault::{Holds, VaultError};
use std::collections::BTreeMap;
use std::path::Path;

/// What the ledger says of an open grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrantExpected {
    pub viewer: Option<PublicKey>,
    pub segments: u32,
    pub slots: Digest,
}

/// The segments that grants hold keys of, by volume. A grant's file that cannot be read holds none.
///
/// # Errors
/// What the disk says of the directory.
pub fn granted_segments(store: &GrantStore) -> Result<BTreeMap<VolumeId, BTreeMap<SegmentId, GrantId>>, VaultError> {
    let mut granted: BTreeMap<VolumeId, BTreeMap<SegmentId, GrantId>> = BTreeMap::new();
    for grant in store.list()? {
        for (volume, segment) in store.look(grant).map(|look| look.segments).unwrap_or_default() {
            granted.entry(volume).or_default().insert(segment, grant);
        }
    }
    Ok(granted)
}

/// Holds the files of grants against the ledger's open grants.
///
/// # Errors
/// What the disk says of the directory.
pub fn inspect_grants(
    store: &GrantStore,
    open: &BTreeMap<GrantId, GrantExpected>,
) -> Result<Vec<VolumeFault>, VaultError> {
    let mut faults = Vec::new();
    for name in store.strange_names()? {
        faults.push(VolumeFault::new(&name, "is no grant's file. Move it away"));
    }
    let there = store.list()?;
    for grant in there.iter().filter(|grant| !open.contains_key(grant)) {
        let what = "holds keys that no row of the ledger grants any more, or ever did. They are destroyed at the daemon's \
                    next start";
        faults.push(VolumeFault::new(&store.path(*grant), what));
    }
    for (grant, expected) in open {
        let path = store.path(*grant);
        let what = if there.contains(grant) {
            match store.look(*grant) {
                Err(e) => Some(format!("{e}: its viewer sees nothing any more. Close its request, and decide it anew")),
                Ok(look) if expected.viewer.is_some_and(|viewer| viewer != look.viewer) => {
                    Some("is for another viewer than the ledger says: it was changed".into())
                }
                Ok(look) if look.damaged > 0 => Some(format!("{} of its slots are damaged", look.damaged)),
                Ok(look) if look.slots != expected.segments => {
                    Some(format!("has {} slots, the ledger says {}: it was changed", look.slots, expected.segments))
                }
                // Slots that were overwritten since take the digest with them; those of destroyed segments go.
                Ok(look) if look.segments.len() as u32 == look.slots && look.digest != expected.slots => {
                    Some("its slots are not those that the ledger's row names: they were exchanged".into())
                }
                Ok(_) => None,
            }
        } else {
            Some("is missing: its viewer sees nothing any more. Close its request, and decide it anew".into())
        };
        faults.extend(what.map(|what| VolumeFault::new(&path, what)));
    }
    Ok(faults)
}

/// Holds the file of holds against those that the ledger tells of.
///
/// # Errors
/// [`VaultError::State`] where the file cannot be read.
pub fn inspect_holds(holds: &Holds, wanted: &[Hold], path: &Path) -> Vec<VolumeFault> {
    let fault = |what: String| VolumeFault::new(path, what);
    let mut faults: Vec<VolumeFault> = wanted
        .iter()
        .filter(|wanted| !holds.list().contains(wanted))
        .map(|wanted| {
            fault(format!(
                "lacks the hold of {}, which has not ended: what it covers may be destroyed. Restart the daemon, it \
                 places it again",
                wanted.of
            ))
        })
        .collect();
    let strays = holds.list().iter().filter(|hold| !wanted.iter().any(|wanted| wanted.of == hold.of));
    faults.extend(strays.map(|hold| {
        fault(format!(
            "has a hold of {}, which the ledger does not tell of, or calls ended: footage outlives its day. Restart the \
             daemon, it releases it",
            hold.of
        ))
    }));
    faults
}
