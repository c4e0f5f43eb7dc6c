//! Day keys: a file for each that lives, sealed to whom the ledger names and to nobody else.

use super::{KeyHolders, Look, VolumeFault};
use crate::crypto::PublicKey;
use crate::domain::{DayKeyId, VolumeId};
use crate::segment::{SlotFile, SlotPurpose};
use crate::vault::manifests::{self, ManifestFile};
use crate::vault::wanted::Wanted;
use crate::vault::{Hold, VaultError, day_keys};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(super) fn inspect(dir: &Path, volume: VolumeId, look: &Look) -> Result<Vec<VolumeFault>, VaultError> {
    let keys_dir = dir.join("keys");
    let mut faults = Vec::new();
    let on = |source| VaultError::Disk { what: keys_dir.display().to_string(), source };
    // Listed before the manifests are read: a file is there before its record, and goes before its record.
    let names = look.disk.list_files(&keys_dir).map_err(on)?;
    let mut live: BTreeMap<DayKeyId, PublicKey> = BTreeMap::new();
    let mut wanted: BTreeSet<DayKeyId> = BTreeSet::new();
    let paths = manifests::list(look.disk, &dir.join("manifests"))?;
    let taken_over = manifests::taken_over(look.disk, &paths);
    for path in paths {
        // One that cannot be read is named elsewhere.
        if let Ok(read) = ManifestFile::read(look.disk, &path, false) {
            let sum = read.manifest.sum();
            live.extend(sum.day_keys.iter().map(|(day_key, known)| (*day_key, known.public)));
            // What is held of one that waits for its end is told by its hold manifest.
            if !taken_over.contains(read.manifest.name()) {
                wanted.extend(still_wanted(&read.manifest, look));
            }
        }
    }
    for name in &names {
        let is_known = name.parse().is_ok_and(|day_key: DayKeyId| live.contains_key(&day_key));
        if !is_known {
            let what = "no manifest names this day key: it was put there, or was never committed. If no manifest is \
                        missing, move it away";
            faults.push(VolumeFault::new(&keys_dir.join(name), what));
        }
    }
    for (day_key, public) in &live {
        let is_wanted = wanted.contains(day_key);
        let path = keys_dir.join(day_key.to_string());
        let whats = match SlotFile::open_to_read(&**look.disk, &path, SlotPurpose::DayKey) {
            Ok(file) => wrongs(&file, volume, (*day_key, public), is_wanted, look.holders)?,
            // A power cut took its file before anything was sealed to it, or came between its slots' end and the record of
            // it: nothing is lost with it, and it is recorded as destroyed when its day is over.
            Err(_) if !is_wanted => Vec::new(),
            Err(crate::segment::SegmentError::Disk(e)) if e.kind() == std::io::ErrorKind::NotFound => {
                vec!["is missing: nobody can open what is sealed to it. Put it back from where it went".to_owned()]
            }
            Err(e) => vec![format!("{e}: nobody can open what is sealed to it")],
        };
        faults.extend(whats.into_iter().map(|what| VolumeFault::new(&path, what)));
    }
    Ok(faults)
}

/// The day keys that something is sealed to which somebody may still open. A power cut may come between the end of a day
/// key's slots and the record of it: what is sealed to it is past its day then, and nothing of it is held.
fn still_wanted(manifest: &ManifestFile, look: &Look) -> BTreeSet<DayKeyId> {
    let (sum, retention) = (manifest.sum(), manifest.header.retention);
    let is_over = |wanted: &Wanted| {
        wanted.open == 0 && look.now.is_some_and(|now| wanted.expiry(retention).is_some_and(|expiry| expiry <= now))
    };
    let is_held = |wanted: &Wanted| {
        let span = wanted.span();
        let covers =
            |hold: &Hold| hold.cameras.contains(&wanted.camera) && span.is_some_and(|span| hold.span.overlaps(span));
        look.holds.iter().any(covers)
    };
    let wanted = sum.wanted.iter().filter(|(_, wanted)| !wanted.is_destroyed && (!is_over(wanted) || is_held(wanted)));
    wanted.map(|(day_key, _)| *day_key).collect()
}

fn wrongs(
    file: &SlotFile,
    volume: VolumeId,
    (day_key, public): (DayKeyId, &PublicKey),
    is_wanted: bool,
    holders: Option<&KeyHolders>,
) -> Result<Vec<String>, VaultError> {
    let mut wrongs = Vec::new();
    if *file.facts() != day_keys::facts(volume, day_key, public) {
        wrongs.push(
            "tells another volume, number or public half than the manifest: it was changed or swapped".to_owned(),
        );
    }
    let slots = file.read()?;
    for index in slots.damaged.iter().filter(|_| is_wanted) {
        wrongs.push(format!("slot {index} is damaged: seal the day keys again to whom it was for"));
    }
    let Some(holders) = holders else { return Ok(wrongs) };
    for slot in slots.used.iter().filter(|slot| !holders.may.contains(&PublicKey(slot.owner))) {
        wrongs.push(format!(
            "slot {} is for a key that no row of the ledger names ({}): overwrite it, and find out who had the disk",
            slot.index,
            PublicKey(slot.owner)
        ));
    }
    for (key, whose) in holders.must.iter().filter(|_| is_wanted) {
        if !slots.used.iter().any(|slot| slot.owner == key.0) {
            wrongs.push(format!("has no slot for {whose}: seal the day keys again to them"));
        }
    }
    Ok(wrongs)
}
