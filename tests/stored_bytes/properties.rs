//! What holds for every parser of stored bytes, whatever it is given: it does not panic, it takes no more memory than the
//! bytes pay for, what it read and writes again are the same bytes, and what does not open is one opaque error.
//!
//! `tests/stored_bytes.rs` gives them random and damaged bytes, `make fuzz` what leads to new places in the program.

use crate::memory::{MemoryDisk, MemoryFile, stored};
use cctv_custodian::access::{Account, SiteFiles, StoredPersons};
use cctv_custodian::clock::ManualClock;
use cctv_custodian::crypto::{PrivateKey, Secret, SigningKey, StreamOpener, sha256};
use cctv_custodian::disk::{BLOCK_BYTES, SharedDisk};
use cctv_custodian::domain::{CameraNumber, Digest, HeldFor, HoldId, SiteId, Span, Utc};
use cctv_custodian::ledger::{Act, Ledger, LedgerRoot, MonthSum, NewestKnown, Row, verify_files};
use cctv_custodian::segment::{
    CHUNK_HEADER_BYTES, CHUNK_LIMIT_BYTES, COMMIT_REGION_BYTES, ChunkHeader, CommitTable, Ending, FragmentTable,
    HEAD_BYTES, MANIFEST_HEADER_BYTES, ManifestHeader, RecordReader, RecordStream, SegmentError, SegmentHead,
    SegmentReader, SlotFile, SlotPurpose, VolumeIdentity, first_head, next_head, read_record,
};
use cctv_custodian::vault::{Hold, Holds, TrustedClock};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What must hold of one parser, whatever bytes it is given.
pub type Property = fn(&[u8]);

/// Each by the name of its parser, which is also the ending of its vectors in `tests/vectors`.
pub const ALL: [(&str, Property); 15] = [
    ("segment", segment),
    ("chunk", chunk),
    ("footer", footer),
    ("manifest", manifest),
    ("commits", commits),
    ("slots", slots),
    ("volume", volume),
    ("ledger", ledger),
    ("root", root),
    ("sum", sum),
    ("account", account),
    ("request", request),
    ("holds", holds),
    ("clock", clock),
    ("keys", keys),
];

/// The day key of the vectors.
fn day_key() -> PrivateKey {
    PrivateKey::from_secret(Secret::new(std::array::from_fn(|at| at as u8 + 1)))
}

/// Fixed buffers and errors' words.
const SMALL_BYTES: u64 = 64 << 10;
/// Facts in memory are wider than stored ones, and a growing list is copied.
const TIMES: u64 = 8;
/// A row's JSON is kept as a tree of values before its kind is known: the smallest value, of two bytes, takes 32.
const TIMES_JSON: u64 = 128;

fn paid_for<T>(bytes: &[u8], times: u64, read: impl FnOnce() -> T) -> T {
    let mut told = None;
    let taken = allocation_counter::measure(|| told = Some(read()));
    let limit = bytes.len() as u64 * times + SMALL_BYTES;
    assert!(taken.bytes_max <= limit, "{} bytes of memory for {} stored bytes", taken.bytes_max, bytes.len());
    told.unwrap()
}

fn put_crc(bytes: &mut [u8], from: usize, at: usize) {
    if let (Some(covered), true) = (bytes.get(from..at), bytes.len() >= at + 4) {
        let crc = crc32c::crc32c(covered);
        bytes[at..at + 4].copy_from_slice(&crc.to_be_bytes());
    }
}

fn number_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().unwrap()) as usize)
}

fn segment(bytes: &[u8]) {
    a_segment(bytes);
    let mut mended = bytes.to_vec();
    put_crc(&mut mended, 0, 168);
    let mut at = HEAD_BYTES;
    while let Some(length) = number_at(&mended, at + 4).filter(|length| *length <= CHUNK_LIMIT_BYTES) {
        put_crc(&mut mended, at, at + CHUNK_HEADER_BYTES - 4);
        at += CHUNK_HEADER_BYTES + length + 16;
    }
    a_segment(&mended);
}

fn a_segment(bytes: &[u8]) {
    let head = match SegmentHead::parse(bytes) {
        Ok(head) => head,
        Err(SegmentError::Damaged { .. } | SegmentError::NewerVersion { .. }) => return,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(head.to_block().unwrap(), bytes[..HEAD_BYTES]);
    let file = MemoryFile::of(bytes);
    let open = |ending| SegmentReader::open(Box::new(file.clone()), ending).unwrap();
    let told = paid_for(bytes, TIMES, || SegmentReader::survey(Box::new(file.clone())).unwrap());
    let chunks = told.chunks;
    let ending = if told.complete { Ending::Footer { chunks } } else { Ending::Cut { chunks } };
    assert_eq!(open(ending).chunks().unwrap().len(), chunks as usize);
    assert_eq!(open(ending).digest().unwrap(), (told.digest, told.bytes));
    let reader = open(ending);
    let fragments = match paid_for(bytes, TIMES, || reader.fragments()) {
        Ok(fragments) => fragments,
        Err(SegmentError::Damaged { what: "a fragment", .. }) => Vec::new(),
        Err(other) => panic!("{other:?}"),
    };
    for more in [chunks + 1, u32::MAX] {
        for ending in [Ending::Cut { chunks: more }, Ending::Footer { chunks: more }] {
            let refused = paid_for(bytes, TIMES, || open(ending).chunks().map(|chunks| chunks.len())).unwrap_err();
            assert!(matches!(refused, SegmentError::Short { .. } | SegmentError::Damaged { .. }), "{refused:?}");
        }
    }
    let key = match head.open_key(&day_key()) {
        Ok(key) => key,
        Err(refused) => return assert!(matches!(refused, SegmentError::Unopened(_)), "{refused:?}"),
    };
    let opener = StreamOpener::new(&key).unwrap();
    let is_opaque = |told: Result<Vec<u8>, SegmentError>| match told {
        Ok(_) | Err(SegmentError::Unopened(_)) => {}
        Err(other) => panic!("{other:?}"),
    };
    if chunks > 0 {
        is_opaque(paid_for(bytes, TIMES, || reader.open_init(&opener)));
    }
    for fragment in &fragments {
        is_opaque(paid_for(bytes, TIMES, || reader.open_fragment(&opener, fragment)));
    }
    match paid_for(bytes, TIMES, || reader.check_footer(&opener)) {
        Ok(()) | Err(SegmentError::Unopened(_) | SegmentError::Damaged { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
}

fn chunk(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<CHUNK_HEADER_BYTES>() else { return };
    let mut mended = *bytes;
    put_crc(&mut mended, 0, CHUNK_HEADER_BYTES - 4);
    for bytes in [*bytes, mended] {
        match ChunkHeader::parse(&bytes, 7) {
            Ok(header) => assert_eq!(header.to_bytes(), bytes),
            Err(refused) => assert!(matches!(refused, SegmentError::Damaged { at_bytes: 7, .. }), "{refused:?}"),
        }
    }
}

fn footer(bytes: &[u8]) {
    match paid_for(bytes, TIMES, || FragmentTable::parse(bytes)) {
        Ok(table) => assert_eq!(table.to_bytes(), bytes),
        Err(refused) => assert!(matches!(refused, SegmentError::Damaged { .. }), "{refused:?}"),
    }
}

fn manifest(bytes: &[u8]) {
    a_manifest(bytes);
    let mut mended = bytes.to_vec();
    put_crc(&mut mended, 0, MANIFEST_HEADER_BYTES - 4);
    let mut at = MANIFEST_HEADER_BYTES;
    while let Some(length) = number_at(&mended, at) {
        let Some(payload) = mended.get(at + 8..at + 8 + length) else { break };
        let crc = crc32c::crc32c(payload);
        mended[at + 4..at + 8].copy_from_slice(&crc.to_be_bytes());
        at += 8 + length;
    }
    a_manifest(&mended);
}

fn a_manifest(bytes: &[u8]) {
    let (header, mut reader) = match RecordReader::new(bytes) {
        Ok(told) => told,
        Err(SegmentError::Damaged { .. } | SegmentError::NewerVersion { .. }) => return,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(ManifestHeader::parse(bytes).unwrap(), header);
    let mut written = header.to_bytes().to_vec();
    let mut head = first_head(&header);
    while let Some(record) = paid_for(bytes, TIMES, || reader.next()) {
        let record = record.to_bytes();
        head = next_head(head, &record);
        written.extend(record);
        assert_eq!(reader.head(), head);
    }
    assert_eq!(reader.offset_bytes(), written.len() as u64);
    assert_eq!(bytes[..written.len()], written);
    // The same from a file, piece by piece.
    let file = MemoryFile::of(bytes);
    let (_, mut stream) = paid_for(bytes, TIMES, || RecordStream::open(&file)).unwrap();
    while let Some(found) = paid_for(bytes, TIMES, || stream.next_record()).unwrap() {
        assert_eq!(paid_for(bytes, TIMES, || read_record(&file, found.at_bytes)).unwrap(), found.record);
    }
    assert_eq!((stream.head(), stream.offset_bytes()), (head, written.len() as u64));
    assert!(!paid_for(bytes, TIMES, || stream.goes_on()).unwrap() || written.len() < bytes.len());
    match paid_for(bytes, TIMES, || read_record(&file, written.len() as u64)) {
        Err(SegmentError::Damaged { .. }) => {}
        told => panic!("{told:?}"),
    }
}

fn commits(bytes: &[u8]) {
    the_commits(bytes);
    let mut mended = bytes.to_vec();
    for region in mended.chunks_mut(COMMIT_REGION_BYTES).take(2) {
        if let Some(count) = number_at(region, 12).filter(|count| *count < COMMIT_REGION_BYTES) {
            put_crc(region, 0, 24 + 68 * count);
        }
    }
    the_commits(&mended);
}

fn the_commits(bytes: &[u8]) {
    let tables = match paid_for(bytes, TIMES, || CommitTable::read_all(bytes)) {
        Ok(tables) => tables,
        Err(SegmentError::Damaged { .. } | SegmentError::NewerVersion { .. }) => return,
        Err(other) => panic!("{other:?}"),
    };
    assert!(tables.len() <= 2 && tables.is_sorted_by_key(|table| std::cmp::Reverse(table.number)));
    for table in tables {
        let written = table.to_bytes().unwrap();
        assert!(bytes.chunks(COMMIT_REGION_BYTES).take(2).any(|region| region.starts_with(&written)));
        for entry in &table.entries {
            assert!(table.entry(entry.segment).is_some());
        }
    }
}

fn slots(bytes: &[u8]) {
    the_slots(bytes);
    let mut mended = bytes.to_vec();
    put_crc(&mut mended, 0, 80);
    for slot in mended.chunks_mut(BLOCK_BYTES).skip(1) {
        put_crc(slot, 0, 116);
    }
    the_slots(&mended);
}

fn the_slots(bytes: &[u8]) {
    let disk = MemoryDisk::with(&[("slots", bytes)]);
    let path = Path::new("slots");
    let mut purposes = 0;
    for purpose in [SlotPurpose::DayKey, SlotPurpose::Grant, SlotPurpose::Desk] {
        let file = match paid_for(bytes, TIMES, || SlotFile::open_to_read(&*disk, path, purpose)) {
            Ok(file) => file,
            Err(SegmentError::Damaged { .. } | SegmentError::NewerVersion { .. }) => continue,
            Err(other) => panic!("{other:?}"),
        };
        purposes += 1;
        let used = paid_for(bytes, TIMES, || file.used()).unwrap();
        let whole = bytes.len() / BLOCK_BYTES - 1;
        assert!(used.iter().all(|slot| slot.index < file.slots() && (slot.index as usize) < whole));
        if let Some(slot) = used.first() {
            assert_eq!(file.find(&slot.owner).unwrap(), Some((slot.index, slot.sealed.clone())));
        }
        // Only as long as the bytes pay for what is written.
        if file.slots() as usize > whole {
            continue;
        }
        let again = MemoryDisk::with(&[]);
        let written = SlotFile::create(&*again, path, purpose, file.slots(), *file.facts()).unwrap();
        for slot in &used {
            written.fill(slot.index, &slot.owner, &slot.sealed).unwrap();
        }
        let written = stored(&*again, "slots");
        assert_eq!(written[..BLOCK_BYTES], bytes[..BLOCK_BYTES]);
        for slot in used {
            let at = (slot.index as usize + 1) * BLOCK_BYTES;
            assert_eq!(written[at..at + BLOCK_BYTES], bytes[at..at + BLOCK_BYTES]);
        }
    }
    assert!(purposes <= 1, "it is for {purposes} purposes");
}

fn volume(bytes: &[u8]) {
    let mut mended = bytes.to_vec();
    put_crc(&mut mended, 0, 48);
    for bytes in [bytes, &mended] {
        match paid_for(bytes, TIMES, || VolumeIdentity::parse(bytes)) {
            Ok(identity) => assert_eq!(identity.to_bytes(), bytes),
            Err(SegmentError::Damaged { .. } | SegmentError::NewerVersion { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// The rows of a file with digests that hold again.
fn chained(bytes: &[u8]) -> Vec<u8> {
    let rows: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.iter().position(|byte| *byte == b' ').map_or(line, |at| &line[at + 1..]))
        .collect();
    let mut head = match rows.first().map(|row| serde_json::from_slice::<Row>(row)) {
        Some(Ok(Row { act: Act::FileOpened { previous, .. }, .. })) => previous.0,
        _ => [0; 32],
    };
    let mut out = Vec::new();
    for row in rows {
        head = sha256(&[b"custodian ledger 1", &head[..], row].concat()).0;
        out.extend_from_slice(hex::encode(head).as_bytes());
        out.push(b' ');
        out.extend_from_slice(row);
        out.push(b'\n');
    }
    out
}

fn ledger(bytes: &[u8]) {
    a_ledger(bytes);
    a_ledger(&chained(bytes));
}

fn a_ledger(bytes: &[u8]) {
    let named = [("2026-11.ledger".to_owned(), bytes.to_vec())];
    let verified = paid_for(bytes, TIMES_JSON, || verify_files(&named, None).map_err(|(_, fault)| fault));
    let disk: SharedDisk = MemoryDisk::with(&[("ledger/2026-11.ledger", bytes)]);
    let dir = Path::new("ledger");
    NewestKnown::read(&disk, dir);
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let row = first.get(65..).and_then(|json| serde_json::from_slice::<Row>(json).ok());
    // A later month verifies by itself; a ledger begins with its first row.
    let (site, begins) = match row.map(|row| (row.sequence, row.act)) {
        Some((sequence, Act::FileOpened { site, previous })) => (site, sequence == 1 && previous == Digest::ZERO),
        _ => (SiteId([0; 16]), true),
    };
    let mut rows = 0;
    let opened = Ledger::open_as_far_as_sound(disk.clone(), dir, site, |row| {
        rows += 1;
        let json = serde_json::to_vec(&row).unwrap();
        assert_eq!(serde_json::from_slice::<Row>(&json).unwrap(), row);
    });
    let opened = opened.unwrap();
    if let (Ok(verified), true) = (verified, begins) {
        assert!(opened.damage().is_none(), "{:?}", opened.damage());
        assert_eq!((verified.rows, verified.head), (rows, opened.head().1));
    }
    if opened.damage().is_some() {
        assert_eq!(stored(&*disk, "ledger/2026-11.ledger"), bytes, "a damaged ledger was changed");
        return;
    }
    // A torn end is cut off once; then nothing changes any more.
    let again = Ledger::open(disk, dir, site, |_| {}).unwrap();
    assert_eq!(again.head(), opened.head());
}

/// All but the last line, which holds a digest or a signature over it.
fn without_its_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.len().saturating_sub(1);
    let line = bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    &bytes[..line]
}

fn root(bytes: &[u8]) {
    a_root(bytes);
    let told = without_its_end(bytes);
    a_root(&[told, format!("end {}\n", sha256(told)).as_bytes()].concat());
}

fn a_root(bytes: &[u8]) {
    let Some(root) = paid_for(bytes, TIMES_JSON, || LedgerRoot::parse(bytes)) else { return };
    assert_eq!(root.digest(), sha256(bytes));
    // A ledger that begins there, and has no row of its own: the root's, as no row says what it is.
    let name = format!("ledger/root-{}", root.month());
    let disk: SharedDisk = MemoryDisk::with(&[(&name, bytes)]);
    let mut rows = 0;
    let opened = Ledger::open_as_far_as_sound(disk, Path::new("ledger"), root.site(), |_| rows += 1).unwrap();
    assert_eq!(rows, root.rows().len());
    let is_told = |row: &Row| matches!(&row.act, Act::LedgerMonthEnding(told) if told.carried == root.digest());
    assert_eq!(opened.damage().is_none(), root.rows().iter().any(|(row, _)| is_told(row)));
    let lines = root.rows().iter().map(|(_, line)| line.as_slice());
    let (next, head) = root.begins();
    let again = LedgerRoot::to_bytes(root.site(), (root.month(), next - 1, head), lines).unwrap();
    assert_eq!(LedgerRoot::parse(&again).map(|again| again.rows().to_vec()), Some(root.rows().to_vec()));
}

fn sum(bytes: &[u8]) {
    let key = SigningKey::from_seed(&Secret::new(std::array::from_fn(|at| at as u8 + 11))).unwrap();
    a_sum(bytes, &key);
    let told = without_its_end(bytes);
    let signature = key.sign(&[&b"custodian ledger sum 1"[..], &sha256(told).0].concat());
    a_sum(&[told, format!("signature {}\n", hex::encode(signature.0)).as_bytes()].concat(), &key);
}

fn a_sum(bytes: &[u8], key: &SigningKey) {
    let signer = key.verifying_key();
    let Some(sum) = paid_for(bytes, TIMES_JSON, || MonthSum::parse(bytes, &signer)) else { return };
    assert!(sum.is(bytes, &signer));
    let other = SigningKey::from_seed(&Secret::new([7; 32])).unwrap().verifying_key();
    assert!(MonthSum::parse(bytes, &other).is_none(), "whoever signed it, it is read");
}

fn account(bytes: &[u8]) {
    if let Ok(account) = paid_for(bytes, TIMES_JSON, || Account::parse(bytes)) {
        let written = account.to_bytes().unwrap();
        assert_eq!(Account::parse(&written).unwrap().to_bytes().unwrap(), written);
    }
}

fn request(bytes: &[u8]) {
    if let Ok(request) = paid_for(bytes, TIMES_JSON, || StoredPersons::parse(bytes)) {
        let written = request.to_bytes().unwrap();
        assert_eq!(StoredPersons::parse(&written).unwrap().to_bytes().unwrap(), written);
    }
}

fn holds(bytes: &[u8]) {
    let disk = MemoryDisk::with(&[("holds", bytes)]);
    let open = || Holds::open(disk.clone(), PathBuf::from("holds"));
    let Ok(mut holds) = paid_for(bytes, TIMES_JSON, open) else { return };
    let none = HeldFor::Hold(HoldId(u32::MAX));
    let kept: Vec<_> = holds.list().iter().filter(|hold| hold.of != none).cloned().collect();
    let (cameras, span) =
        (vec![CameraNumber::new(1).unwrap()], Span::new(Utc::from_micros(0), Utc::from_micros(1)).unwrap());
    holds.place(Hold { of: none, cameras, span }).unwrap();
    holds.release(none).unwrap();
    assert_eq!(open().unwrap().list(), kept);
}

fn clock(bytes: &[u8]) {
    let disk = MemoryDisk::with(&[("clock", bytes)]);
    let wall = Utc::from_micros(1_795_341_600_000_000);
    let start = || {
        let (clock, limit) = (ManualClock::standing(wall).clock(), Duration::from_secs(72 * 3600));
        TrustedClock::start(clock, disk.clone(), PathBuf::from("clock"), limit, || false, None)
    };
    let Ok(started) = paid_for(bytes, TIMES_JSON, start) else { return };
    assert!(started.later() >= started.trusted() && started.later() >= wall);
    let again = start().unwrap();
    assert_eq!((again.trusted(), again.is_in_doubt()), (started.trusted(), started.is_in_doubt()));
}

fn keys(bytes: &[u8]) {
    let disk = MemoryDisk::with(&[("state/site", bytes)]);
    if let Ok(files) = paid_for(bytes, TIMES, || SiteFiles::open(disk, Path::new("state"))) {
        assert_eq!(bytes.trim_ascii().to_ascii_lowercase(), files.site().to_string().as_bytes());
    }
    let whole: &[u8] = b"000102030405060708090a0b0c0d0e0f";
    let disk = MemoryDisk::with(&[("state/site", whole), ("state/signing.key", bytes)]);
    let files = SiteFiles::open(disk, Path::new("state")).unwrap();
    assert_eq!(paid_for(bytes, TIMES, || files.signing_key()).is_ok(), bytes.len() == 32);
}
