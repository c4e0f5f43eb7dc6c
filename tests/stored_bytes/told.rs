//! What the program's own parsers make of a vector that is no segment, in the words of `vectors.json`.

use crate::memory::MemoryDisk;
use cctv_custodian::access::{Account, SiteFiles, StoredPersons};
use cctv_custodian::clock::ManualClock;
use cctv_custodian::crypto::{Label, PrivateKey, Secret, SigningKey, VerifyingKey};
use cctv_custodian::domain::Utc;
use cctv_custodian::ledger::{LedgerRoot, MonthSum, verify_files};
use cctv_custodian::segment::{
    ChunkHeader, CommitTable, FragmentTable, RecordReader, SegmentError, SlotFile, SlotPurpose, VolumeIdentity,
};
use cctv_custodian::vault::{Holds, TrustedClock};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Null where it is refused.
pub fn of(kind: &str, bytes: &[u8], key: &PrivateKey) -> Value {
    match kind {
        "chunk" => json!(ChunkHeader::parse(bytes.try_into().unwrap(), 0).is_ok()),
        "footer" => FragmentTable::parse(bytes).map_or(Value::Null, |table| json!(table.0.len())),
        "volume" => VolumeIdentity::parse(bytes).map_or(
            Value::Null,
            |identity| json!({"volume": identity.volume.to_string(), "site": identity.site.to_string()}),
        ),
        "manifest" => RecordReader::new(bytes).map_or(Value::Null, |(_, mut reader)| {
            reader.by_ref().for_each(drop);
            json!({"records": reader.head().records, "head": reader.head().digest.to_string()})
        }),
        "commits" => CommitTable::read_all(bytes)
            .map_or(Value::Null, |tables| json!(tables.iter().map(|table| table.number).collect::<Vec<_>>())),
        "slots" => slots(bytes, key).unwrap_or(Value::Null),
        "ledger" => rows(bytes),
        "root" => LedgerRoot::parse(bytes).map_or(Value::Null, |root| {
            let (next, head) = root.begins();
            json!({"rows": root.rows().len(), "last": next - 1, "head": head.to_string()})
        }),
        "sum" => MonthSum::parse(bytes, &signer()).map_or(Value::Null, |sum| {
            let (next, head, _) = sum.end();
            json!({"rows": sum.rows().len(), "last": next - 1, "head": head.to_string()})
        }),
        "keys" => keys(bytes),
        "account" => json!(Account::parse(bytes).is_ok()),
        "request" => json!(StoredPersons::parse(bytes).is_ok()),
        "holds" => json!(Holds::open(MemoryDisk::with(&[("holds", bytes)]), PathBuf::from("holds")).is_ok()),
        "clock" => {
            let clock = ManualClock::standing(Utc::from_micros(0)).clock();
            let disk = MemoryDisk::with(&[("clock", bytes)]);
            let limit = Duration::from_secs(1);
            json!(TrustedClock::start(clock, disk, PathBuf::from("clock"), limit, || false, None).is_ok())
        }
        other => panic!("no parser of {other}"),
    }
}

fn slots(bytes: &[u8], key: &PrivateKey) -> Option<Value> {
    let disk = MemoryDisk::with(&[("slots", bytes)]);
    let open = |purpose| SlotFile::open_to_read(&*disk, Path::new("slots"), purpose);
    let purposes = [SlotPurpose::DayKey, SlotPurpose::Grant, SlotPurpose::Desk];
    let (purpose, file) = purposes.into_iter().find_map(|purpose| Some((purpose, open(purpose).ok()?)))?;
    let used = file.used().unwrap();
    let mine = key.public().unwrap().0;
    let slot = match purpose {
        SlotPurpose::Grant => used.first(),
        SlotPurpose::DayKey | SlotPurpose::Desk => used.iter().find(|slot| slot.owner == mine),
    };
    let opened = slot.map(|slot| {
        let (label, context) = match purpose {
            SlotPurpose::DayKey => (Label::DayKey, file.facts()[..56].to_vec()),
            SlotPurpose::Grant => (Label::GrantKey, [&file.facts()[..4], &slot.owner].concat()),
            SlotPurpose::Desk => (Label::DeskKey, file.facts()[..32].to_vec()),
        };
        key.open_secret(label, &context, &slot.sealed)
    });
    let secret = opened.and_then(Result::ok).map(|secret| hex::encode(secret.expose()));
    let owners: Vec<String> = used.iter().map(|slot| hex::encode(slot.owner)).collect();
    Some(json!({"owners": owners, "secret": secret}))
}

/// Of the key that signs the vectors.
fn signer() -> VerifyingKey {
    SigningKey::from_seed(&Secret::new(std::array::from_fn(|at| at as u8 + 11))).unwrap().verifying_key()
}

fn rows(bytes: &[u8]) -> Value {
    match verify_files(&[("2026-11.ledger".to_owned(), bytes.to_vec())], None) {
        Ok(verified) => json!({"rows": verified.rows, "bad_row": null}),
        Err((_, fault)) => json!({"rows": fault.line - 1, "bad_row": fault.line}),
    }
}

fn keys(bytes: &[u8]) -> Value {
    let files = |site: &[u8], key: &[u8]| {
        SiteFiles::open(MemoryDisk::with(&[("state/site", site), ("state/signing.key", key)]), Path::new("state"))
    };
    let site = files(bytes, b"").ok().map(|files| files.site().to_string());
    let is_key = files(&[b'0'; 32], bytes).unwrap().signing_key().is_ok();
    json!({"signing_key": is_key, "site": site})
}

#[test]
fn a_newer_version_of_every_binary_format_is_refused_by_name() {
    let vector = |file: &str| std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file));
    let slots = MemoryDisk::with(&[("slots", &vector("day_key_version_2.slots").unwrap())]);
    for (what, refused) in [
        ("volume", VolumeIdentity::parse(&vector("version_2.volume").unwrap()).unwrap_err()),
        ("manifest", RecordReader::new(&vector("version_2.manifest").unwrap()).unwrap_err()),
        ("commit table", CommitTable::read_all(&vector("version_2.commits").unwrap()).unwrap_err()),
        ("day-key file", SlotFile::open(&*slots, Path::new("slots"), SlotPurpose::DayKey).unwrap_err()),
    ] {
        assert!(matches!(refused, SegmentError::NewerVersion { found: 2, .. }), "{what}: {refused}");
        let told = refused.to_string();
        assert!(told.contains(what) && told.contains("use a newer Custodian"), "{told}");
    }
}
