use super::checkpoint::Checkpoint;
use super::verify::FaultKind;
use super::*;
use crate::crypto::{PublicKey, Secret, SigningKey};
use crate::disk::{RealDisk, SharedDisk, SimulatedDisk};
use crate::domain::{AccountId, Digest, SiteId, Utc};
use std::path::Path;
use std::sync::Arc;

const SITE: SiteId = SiteId([1; 16]);
/// 2026-11-22T10:00:00Z.
const NOW: Utc = Utc::from_micros(1_795_341_600_000_000);

fn open(dir: &Path) -> (Ledger, Vec<Row>) {
    let mut rows = Vec::new();
    let ledger = Ledger::open(Arc::new(RealDisk), dir, SITE, |row| rows.push(row)).unwrap();
    (ledger, rows)
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let disk: SharedDisk = Arc::new(RealDisk);
    file::file_names(&disk, dir)
        .unwrap()
        .into_iter()
        .map(|name| (name.clone(), std::fs::read(dir.join(name)).unwrap()))
        .collect()
}

fn signing_key() -> SigningKey {
    SigningKey::from_seed(&Secret::new([4; 32])).unwrap()
}

/// A ledger over two months: five rows, then a checkpoint, then a new month with its own first row.
fn written(dir: &Path) -> Ledger {
    let (mut ledger, _) = open(dir);
    let made =
        Act::SiteMade { signer: signing_key().verifying_key(), desk: PublicKey([2; 32]), recovery: PublicKey([3; 32]) };
    ledger.append(NOW, Actor::Console, made).unwrap();
    for account in 1..=3 {
        ledger.append(NOW, Actor::Daemon, Act::SignInFailed { account: Some(AccountId(account)), count: 1 }).unwrap();
    }
    let (sequence, head) = ledger.head();
    let checkpoint = Checkpoint { site: SITE, sequence, head, manifests: Vec::new(), signature: None };
    ledger.append(NOW, Actor::Daemon, Act::Checkpoint(checkpoint.sign(&signing_key()).unwrap())).unwrap();
    let next_month = NOW.saturating_add(std::time::Duration::from_secs(20 * 86_400));
    ledger.append(next_month, Actor::Daemon, Act::DaemonStopped).unwrap();
    ledger
}

#[test]
fn rows_survive_and_the_chain_goes_on_over_a_restart_and_a_month() {
    let dir = tempfile::tempdir().unwrap();
    let head = written(dir.path()).head();
    let (mut ledger, rows) = open(dir.path());
    assert_eq!(ledger.head(), head);
    assert_eq!(rows.len(), 8, "with the first row of each of two files");
    ledger.append(NOW, Actor::Daemon, Act::DaemonStopped).unwrap();
    let names: Vec<String> = files(dir.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["2026-11.ledger", "2026-12.ledger"], "a clock that went back opens no older month");
    assert_eq!(verify_files(&files(dir.path()), None).unwrap().rows, 9);
}

#[test]
fn a_changed_byte_anywhere_names_its_row() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path()));
    let whole = files(dir.path());
    let first = &whole[0].1;
    let mut line = 1;
    for (at, byte) in first.iter().enumerate() {
        let mut changed = whole.clone();
        changed[0].1[at] ^= 0x01;
        let (name, fault) = verify_files(&changed, None).unwrap_err();
        if at == 0 || *byte != b'\n' {
            assert_eq!((name.as_str(), fault.line), ("2026-11.ledger", line), "byte {at}: {fault}");
        } else {
            line += 1;
        }
    }
}

#[test]
fn a_row_taken_out_put_in_or_moved_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path()));
    let whole = files(dir.path());
    let lines: Vec<&[u8]> = whole[0].1.split_inclusive(|byte| *byte == b'\n').collect();
    let with = |lines: Vec<&[u8]>| vec![(whole[0].0.clone(), lines.concat())];
    let out = with([&lines[..2], &lines[3..]].concat());
    assert_eq!(verify_files(&out, None).unwrap_err().1.line, 3);
    let twice = with([&lines[..3], &lines[2..]].concat());
    assert_eq!(verify_files(&twice, None).unwrap_err().1.line, 4);
    let mut moved = lines.clone();
    moved.swap(2, 3);
    assert_eq!(verify_files(&with(moved), None).unwrap_err().1.line, 3);
    let without_first = with(lines[1..].to_vec());
    assert_eq!(verify_files(&without_first, None).unwrap_err().1.what, FaultKind::NoBeginning);
    assert_eq!(verify_files(&whole, None).unwrap().signatures_checked, 1);
    let second_alone = vec![whole[1].clone()];
    assert!(verify_files(&second_alone, None).is_ok(), "a month verifies by itself");
    let mut cut = whole.clone();
    cut[0].1.truncate(whole[0].1.len() - lines[lines.len() - 1].len());
    assert_eq!(verify_files(&cut, None).unwrap_err().1.what, FaultKind::Detached);
}

#[test]
fn a_ledger_written_anew_with_another_key_fails_against_the_known_signer() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path()));
    let other = SigningKey::from_seed(&Secret::new([5; 32])).unwrap().verifying_key();
    assert!(verify_files(&files(dir.path()), Some(signing_key().verifying_key())).is_ok());
    let (_, fault) = verify_files(&files(dir.path()), Some(other)).unwrap_err();
    assert_eq!(fault.what, FaultKind::Signer);
    // Without its first rows, too: then the checkpoints tell.
    let ledger = SharedLedger::new(open(dir.path()).0);
    ledger.checkpoint(NOW, &signing_key(), Vec::new()).unwrap();
    let later = files(dir.path()).split_off(1);
    assert_eq!(verify_files(&later, None).unwrap().signatures_checked, 0, "and it says so");
    assert_eq!(verify_files(&later, Some(other)).unwrap_err().1.what, FaultKind::Checkpoint);
}

#[test]
fn a_checkpoint_that_begins_a_month_holds() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SharedLedger::new(written(dir.path()));
    let in_january = NOW.saturating_add(std::time::Duration::from_secs(60 * 86_400));
    ledger.checkpoint(in_january, &signing_key(), Vec::new()).unwrap();
    assert_eq!(verify_files(&files(dir.path()), None).unwrap().checkpoints, 2);
}

#[test]
fn a_torn_last_line_is_cut_off_and_a_changed_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let head = written(dir.path()).head();
    let path = dir.path().join("2026-12.ledger");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"0123 {\"torn");
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(open(dir.path()).0.head(), head);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let told = Ledger::open(Arc::new(RealDisk), dir.path(), SITE, |_| {}).unwrap_err();
    assert!(told.to_string().starts_with("the ledger 2026-12.ledger is damaged: row 2:"), "{told}");
}

#[test]
fn another_sites_ledger_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path()));
    let told = Ledger::open(Arc::new(RealDisk), dir.path(), SiteId([2; 16]), |_| {});
    assert!(matches!(told, Err(LedgerError::Damaged { fault: Fault { line: 1, what: FaultKind::OtherSite }, .. })));
}

#[test]
fn after_a_failed_flush_nothing_is_recorded_any_more() {
    let dir = Path::new("/ledger");
    let disk = SimulatedDisk::new(&[dir]);
    let mut ledger = Ledger::open(Arc::new(disk.clone()), dir, SITE, |_| {}).unwrap();
    ledger.append(NOW, Actor::Daemon, Act::DaemonStopped).unwrap();
    let head = ledger.head();
    disk.fail_flushes_after(0);
    assert!(matches!(ledger.append(NOW, Actor::Daemon, Act::DaemonStopped), Err(LedgerError::Write { .. })));
    disk.mend();
    assert!(matches!(ledger.append(NOW, Actor::Daemon, Act::DaemonStopped), Err(LedgerError::Latched)), "L2");
    assert_eq!(ledger.head(), head);
    assert!(!ledger.is_writable());
    assert_ne!(head.1, Digest::ZERO);
}

#[test]
fn a_month_whose_first_row_a_power_cut_took_is_begun_again() {
    for torn in [&b""[..], b"0123 {\"torn"] {
        let dir = tempfile::tempdir().unwrap();
        let head = written(dir.path()).head();
        std::fs::write(dir.path().join("2027-01.ledger"), torn).unwrap();
        let (mut ledger, _) = open(dir.path());
        assert_eq!(ledger.head(), head, "the chain goes on from the month before");
        let in_january = NOW.saturating_add(std::time::Duration::from_secs(60 * 86_400));
        ledger.append(in_january, Actor::Daemon, Act::DaemonStopped).unwrap();
        drop(ledger);
        assert_eq!(verify_files(&files(dir.path()), None).unwrap().rows, 10);
        open(dir.path());
    }
}

mod full_disk {
    use super::*;
    use crate::disk::{Failure, OperationKind};
    use crate::domain::{CameraNumber, GrantId, RequestId, Span};

    const ENOSPC: i32 = 28;

    fn dir() -> &'static Path {
        Path::new("/l")
    }

    fn on(disk: &SimulatedDisk) -> Ledger {
        Ledger::open(Arc::new(disk.clone()), dir(), SITE, |_| {}).unwrap()
    }

    fn view() -> Act {
        let span = Span::new(NOW, NOW.saturating_add(std::time::Duration::from_secs(1))).unwrap();
        let camera = CameraNumber::new(1).unwrap();
        Act::ViewIntended { grant: GrantId(1), request: RequestId(1), camera, span, viewing: None, copy: false }
    }

    fn closed() -> Act {
        Act::RequestClosed { request: RequestId(1) }
    }

    /// So many writes of rows find the disk full.
    fn fill(disk: &SimulatedDisk, times: usize) {
        let kinds: fn(OperationKind) -> bool =
            |kind| matches!(kind, OperationKind::Write | OperationKind::Create | OperationKind::Allocate);
        disk.fail(Failure { kinds, below: dir().to_path_buf(), skip: 0, times, error: Some(ENOSPC) });
    }

    fn rows(disk: &SimulatedDisk) -> Vec<Row> {
        let mut rows = Vec::new();
        Ledger::open(Arc::new(disk.clone()), dir(), SITE, |row| rows.push(row)).unwrap();
        rows
    }

    #[test]
    fn what_is_owed_goes_on_with_the_reserve_and_nothing_is_shown() {
        let disk = SimulatedDisk::new(&[dir()]);
        let mut ledger = on(&disk);
        ledger.keep_reserve().unwrap();
        ledger.append(NOW, Actor::Daemon, view()).unwrap();
        // The first write finds the disk full, and the next one has the reserve.
        fill(&disk, 1);
        ledger.append(NOW, Actor::Daemon, closed()).unwrap();
        assert_eq!(ledger.room(), LedgerRoom::ReserveInUse);
        assert!(matches!(ledger.append(NOW, Actor::Daemon, view()), Err(LedgerError::Full)), "nothing is shown");
        assert!(matches!(ledger.append(NOW, Actor::Daemon, Act::LedgerRead), Err(LedgerError::Full)));
        ledger.append(NOW, Actor::Daemon, closed()).unwrap();
        drop(ledger);
        let mut ledger = on(&disk);
        assert_eq!(ledger.room(), LedgerRoom::ReserveInUse, "a restart forgets it not");
        disk.tell_free(20 << 20);
        ledger.keep_reserve().unwrap();
        assert_eq!(ledger.room(), LedgerRoom::ReserveInUse, "there is no room for it yet");
        disk.tell_free(1 << 30);
        ledger.keep_reserve().unwrap();
        assert_eq!(ledger.room(), LedgerRoom::Enough);
        ledger.append(NOW, Actor::Daemon, view()).unwrap();
        assert_eq!(rows(&disk).len(), 5, "with the file's first");
    }

    #[test]
    fn a_row_that_finds_no_room_did_not_happen_and_the_next_one_may() {
        for turns_month in [false, true] {
            let disk = SimulatedDisk::new(&[dir()]);
            let mut ledger = on(&disk);
            ledger.append(NOW, Actor::Daemon, closed()).unwrap();
            let later = if turns_month { NOW.saturating_add(std::time::Duration::from_secs(20 * 86_400)) } else { NOW };
            let before = ledger.head();
            for writes in 1..=3 {
                fill(&disk, writes);
                let told = ledger.append(later, Actor::Daemon, closed());
                assert!(matches!(told, Err(LedgerError::Full)), "without a reserve: {told:?}");
                assert_eq!((ledger.head(), ledger.room()), (before, LedgerRoom::None));
                disk.mend();
            }
            assert!(ledger.is_writable(), "a full disk is no failure");
            ledger.append(later, Actor::Daemon, closed()).unwrap();
            assert_eq!(ledger.room(), LedgerRoom::ReserveInUse, "there was room, and nobody knows how much");
            let rows = rows(&disk);
            assert_eq!(rows.iter().filter(|row| row.act == closed()).count(), 2);
            assert_eq!(rows.len(), if turns_month { 4 } else { 3 });
        }
    }

    #[test]
    fn a_full_disk_at_any_write_leaves_what_was_answered_and_nothing_else() {
        for skip in 0..8 {
            for with_reserve in [false, true] {
                let disk = SimulatedDisk::new(&[dir()]);
                let mut ledger = on(&disk);
                if with_reserve {
                    ledger.keep_reserve().unwrap();
                }
                let kinds: fn(OperationKind) -> bool =
                    |kind| matches!(kind, OperationKind::Write | OperationKind::Create);
                disk.fail(Failure { kinds, below: dir().to_path_buf(), skip, times: 2, error: Some(ENOSPC) });
                let mut answered = 0;
                for month in 0..3 {
                    let at = NOW.saturating_add(std::time::Duration::from_secs(month * 31 * 86_400));
                    for _ in 0..2 {
                        answered += usize::from(ledger.append(at, Actor::Daemon, closed()).is_ok());
                    }
                }
                disk.mend();
                assert!(ledger.is_writable() && answered >= 4, "write {skip}: {answered}");
                ledger.append(NOW, Actor::Daemon, closed()).unwrap();
                drop(ledger);
                let told = rows(&disk).iter().filter(|row| row.act == closed()).count();
                assert_eq!(told, answered + 1, "write {skip}, a reserve: {with_reserve}");
            }
        }
    }

    #[test]
    fn a_disk_that_fails_is_no_full_one() {
        let disk = SimulatedDisk::new(&[dir()]);
        let mut ledger = on(&disk);
        ledger.append(NOW, Actor::Daemon, closed()).unwrap();
        let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::Write;
        disk.fail(Failure { kinds, below: dir().to_path_buf(), skip: 0, times: 1, error: Some(5) });
        assert!(matches!(ledger.append(NOW, Actor::Daemon, closed()), Err(LedgerError::Write { .. })));
        assert!(matches!(ledger.append(NOW, Actor::Daemon, closed()), Err(LedgerError::Latched)), "L2");
    }
}

mod elsewhere {
    use super::*;
    use crate::crypto::sha256;
    use crate::domain::Month;

    /// The checkpoint that the written ledger has, as it was sent elsewhere.
    fn mark(dir: &Path) -> CheckpointMark {
        let mut found = None;
        let disk: SharedDisk = Arc::new(RealDisk);
        Ledger::open(disk, dir, SITE, |row| {
            if let Act::Checkpoint(checkpoint) = &row.act {
                found = Some(CheckpointMark::from(checkpoint));
            }
        })
        .unwrap();
        found.unwrap()
    }

    fn known(checkpoints: Vec<CheckpointMark>) -> Known {
        Known { checkpoints, ..Known::default() }
    }

    #[test]
    fn a_checkpoint_kept_elsewhere_holds_is_cut_off_or_contradicted() {
        let dir = tempfile::tempdir().unwrap();
        drop(written(dir.path()));
        let (mark, whole) = (mark(dir.path()), files(dir.path()));
        let verified = verify_against(&whole, &known(vec![mark, mark]), |_| {}).unwrap();
        assert_eq!((verified.elsewhere_fit, verified.elsewhere_newest), (2, Some(mark.sequence)));
        // Whole rows taken off the end: nothing else shows it.
        let mut cut = vec![whole[0].clone()];
        for rows in (2..mark.sequence).rev() {
            let lines: Vec<&[u8]> = whole[0].1.split_inclusive(|byte| *byte == b'\n').collect();
            cut[0].1 = lines[..usize::try_from(rows).unwrap()].concat();
            assert!(verify_files(&cut, None).is_ok());
            let (_, fault) = verify_against(&cut, &known(vec![mark]), |_| {}).unwrap_err();
            assert_eq!(fault, Fault { line: rows + 1, what: FaultKind::CutOff { last: rows, wanted: mark.sequence } });
        }
        let other = CheckpointMark { head: Digest([9; 32]), ..mark };
        let (_, fault) = verify_against(&whole, &known(vec![other]), |_| {}).unwrap_err();
        assert_eq!(fault, Fault { line: mark.sequence, what: FaultKind::Contradicted { sound_to: None } });
        let elsewhere = CheckpointMark { site: Some(SiteId([2; 16])), ..mark };
        let (_, fault) = verify_against(&whole, &known(vec![elsewhere]), |_| {}).unwrap_err();
        assert_eq!(fault.what, FaultKind::ContradictedSite);
        // Of a month that is not at hand nothing can be said, and it is said.
        let later = vec![whole[1].clone()];
        let verified = verify_against(&later, &known(vec![mark]), |_| {}).unwrap();
        assert_eq!((verified.elsewhere_fit, verified.elsewhere_before), (0, 1));
    }

    #[test]
    fn a_root_that_is_changed_anywhere_is_none() {
        let dir = tempfile::tempdir().unwrap();
        drop(written(dir.path()));
        let text = files(dir.path()).remove(0).1;
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').skip(1).take(2).collect();
        let month = Month::of(NOW);
        let root = LedgerRoot::to_bytes(SITE, (month, 6, Digest([3; 32])), lines.iter().copied()).unwrap();
        let read = LedgerRoot::parse(&root).unwrap();
        assert_eq!((read.month(), read.begins(), read.rows().len()), (month, (7, Digest([3; 32])), 2));
        assert_eq!((read.digest(), read.signer()), (sha256(&root), Some(signing_key().verifying_key())));
        for at in 0..root.len() {
            let mut changed = root.clone();
            changed[at] ^= 1;
            assert_eq!(LedgerRoot::parse(&changed), None, "byte {at}");
            assert_eq!(LedgerRoot::parse(&root[..at]), None, "cut at {at}");
        }
    }
}

/// What somebody does with the ledger's directory in hand.
mod bent {
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    const MONTH: Duration = Duration::from_secs(31 * 86_400);

    /// Three months, each with a checkpoint; and the newest of those, as it was sent elsewhere.
    fn three_months(dir: &Path) -> CheckpointMark {
        let ledger = SharedLedger::new(written(dir));
        let (mut at, mut newest) = (NOW.saturating_add(MONTH), None);
        for account in 5..8 {
            ledger
                .append(at, Actor::Daemon, Act::SignInFailed { account: Some(AccountId(account)), count: 1 })
                .unwrap();
            newest = Some(ledger.checkpoint(at, &signing_key(), Vec::new()).unwrap().1);
            at = at.saturating_add(MONTH);
        }
        newest.unwrap()
    }

    fn paths(dir: &Path) -> Vec<PathBuf> {
        files(dir).into_iter().map(|(name, _)| dir.join(name)).collect()
    }

    /// The file that is refused, and the fault.
    type Told = Option<(String, Fault)>;

    fn told_at_a_start(dir: &Path) -> Told {
        match Ledger::open(Arc::new(RealDisk), dir, SITE, |_| {}) {
            Ok(_) => None,
            Err(LedgerError::Damaged { file, fault }) => Some((file, fault)),
            Err(e) => panic!("{e}"),
        }
    }

    /// Whether a checkpoint kept elsewhere refuses it.
    fn told_elsewhere(dir: &Path, mark: CheckpointMark) -> Told {
        verify_against(&files(dir), &Known { checkpoints: vec![mark], ..Known::default() }, |_| {}).err()
    }

    fn bend(change: impl FnOnce(&Path, &[PathBuf])) -> (Told, Told) {
        let dir = tempfile::tempdir().unwrap();
        let mark = three_months(dir.path());
        assert_eq!((told_at_a_start(dir.path()), told_elsewhere(dir.path(), mark)), (None, None), "control");
        change(dir.path(), &paths(dir.path()));
        (told_at_a_start(dir.path()), told_elsewhere(dir.path(), mark))
    }

    fn named(told: Told) -> (String, u64, FaultKind) {
        let (file, fault) = told.expect("nobody noticed");
        (file, fault.line, fault.what)
    }

    #[test]
    fn cut_at_whichever_row_it_is_refused_and_the_first_missing_row_named() {
        let dir = tempfile::tempdir().unwrap();
        let mark = three_months(dir.path());
        let whole = files(dir.path());
        assert_eq!(whole.len(), 4);
        for (number, (name, bytes)) in whole.iter().enumerate() {
            let ends: Vec<usize> =
                bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
            for rows in 1..ends.len() {
                let path = dir.path().join(name);
                std::fs::write(&path, &bytes[..ends[rows - 1]]).unwrap();
                let is_newest = number + 1 == whole.len();
                let (at_start, elsewhere) = (told_at_a_start(dir.path()), told_elsewhere(dir.path(), mark));
                if !is_newest {
                    let next = &whole[number + 1].0;
                    assert_eq!(named(at_start), (next.clone(), 1, FaultKind::Detached), "{name} to row {rows}");
                    assert_eq!(named(elsewhere), (next.clone(), 1, FaultKind::Detached));
                } else if rows < ends.len() - 1 {
                    let (file, line, what) = named(elsewhere);
                    assert_eq!((&file, line), (name, rows as u64 + 1));
                    assert!(matches!(what, FaultKind::CutOff { wanted, .. } if wanted == mark.sequence), "{what}");
                }
                std::fs::write(&path, bytes).unwrap();
            }
        }
        assert_eq!(told_at_a_start(dir.path()), None);
    }

    #[test]
    fn a_month_that_is_taken_away_is_missed_whichever_it_is() {
        for gone in 0..3 {
            let (at_start, _) = bend(|_, paths| std::fs::remove_file(&paths[gone]).unwrap());
            let (file, line, what) = named(at_start);
            assert_eq!((line, what), (1, FaultKind::Detached), "without month {gone}: {file}");
        }
        let (_, elsewhere) = bend(|_, paths| std::fs::remove_file(&paths[3]).unwrap());
        assert!(matches!(named(elsewhere).2, FaultKind::CutOff { .. }), "the newest");
    }

    #[test]
    fn months_that_change_places_do_not_follow_on_each_other() {
        for (one, other) in [(0, 1), (1, 2), (0, 3), (2, 3)] {
            let swap = |dir: &Path, paths: &[PathBuf]| {
                let aside = dir.join("aside");
                std::fs::rename(&paths[one], &aside).unwrap();
                std::fs::rename(&paths[other], &paths[one]).unwrap();
                std::fs::rename(&aside, &paths[other]).unwrap();
            };
            let (at_start, elsewhere) = bend(swap);
            let (file, line, what) = named(at_start);
            assert_eq!((line, what), (1, FaultKind::Detached), "{one} and {other}: {file}");
            assert!(elsewhere.is_some());
        }
    }

    #[test]
    fn a_row_that_stands_twice_is_named_in_whichever_month() {
        for month in 0..4 {
            let twice = |_: &Path, paths: &[PathBuf]| {
                let bytes = std::fs::read(&paths[month]).unwrap();
                let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
                let end = second + bytes[second..].iter().position(|b| *b == b'\n').unwrap() + 1;
                std::fs::write(&paths[month], [&bytes[..end], &bytes[second..]].concat()).unwrap();
            };
            let (at_start, elsewhere) = bend(twice);
            assert_eq!(named(at_start).1, 3);
            assert_eq!(named(elsewhere).1, 3);
        }
    }

    #[test]
    fn an_old_copy_of_the_whole_directory_is_refused_by_what_is_kept_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        drop(written(dir.path()));
        let old = files(dir.path());
        let ledger = SharedLedger::new(open(dir.path()).0);
        let (_, mark) = ledger.checkpoint(NOW.saturating_add(MONTH * 2), &signing_key(), Vec::new()).unwrap();
        drop(ledger);
        paths(dir.path()).iter().for_each(|path| std::fs::remove_file(path).unwrap());
        old.iter().for_each(|(name, bytes)| std::fs::write(dir.path().join(name), bytes).unwrap());
        let (file, line, what) = named(told_elsewhere(dir.path(), mark));
        let last = old[1].1.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!((file.as_str(), line), ("2026-12.ledger", last + 1));
        assert!(matches!(what, FaultKind::CutOff { wanted, .. } if wanted == mark.sequence));
    }
}
