//! What a site does, once each: everything in the program that writes takes part in one of these.

use super::papers::persons_end;
use super::people::{officer_reinstated, people_change};
use super::play::{DAY, Ground, Play, Played, Promises, START, THEATRE, Trace, span};
use crate::crypto::{PrivateKey, PublicKey, generate_pair};
use crate::disk::{Dice, Disk, Flush, PowerCut, SimulatedDisk, Snapshot, read_file};
use crate::domain::{GrantId, HeldFor, Month, RequestId, Retention};
use crate::ledger::{Act, Actor};
use crate::segment::{SlotFile, SlotPurpose};
use std::sync::Arc;
use std::time::Duration;

/// A scenario: what is done, noted from its [`Play::begin`] on.
pub struct Scenario {
    pub name: &'static str,
    pub play: fn(&Ground, Option<Flush>) -> Played,
    /// How long it takes, about, against the others.
    pub weight: u32,
}

pub const ALL: [Scenario; 36] = [
    Scenario { name: "a first start", play: first_start, weight: 2 },
    Scenario { name: "create, append, commit, seal, stop", play: recording, weight: 4 },
    Scenario { name: "expire: key, blocks, name, grant's slot, day key, receipt", play: erasing, weight: 3 },
    Scenario { name: "hold, set apart, grant, close, erase", play: holding, weight: 5 },
    Scenario { name: "the ledger turns to a new month", play: months, weight: 1 },
    Scenario { name: "a start after a cut while recording", play: start_after_recording, weight: 8 },
    Scenario { name: "a start after a cut while erasing", play: start_after_erasing, weight: 3 },
    Scenario { name: "a start after a cut in a decision", play: start_after_deciding, weight: 1 },
    Scenario { name: "a start after a start that was cut", play: start_after_start, weight: 2 },
    Scenario { name: "many cameras begin at once", play: many_begin, weight: 9 },
    Scenario { name: "a start after a cut in a commit", play: start_after_half_a_commit, weight: 2 },
    Scenario { name: "a day key that could not be made", play: no_day_key, weight: 2 },
    Scenario { name: "segments that could not be begun", play: no_segment, weight: 2 },
    Scenario { name: "a start after a clean stop", play: start_after_stop, weight: 2 },
    Scenario { name: "a start without the first manifest", play: start_without_manifest, weight: 2 },
    Scenario { name: "a start after half a move", play: start_after_half_a_move, weight: 3 },
    Scenario { name: "a start after a first commit that lost a segment", play: start_after_lost_segment, weight: 2 },
    Scenario { name: "an hour of commits", play: hour_of_commits, weight: 6 },
    Scenario { name: "who opens the day keys and the desk changes", play: hands_change, weight: 1 },
    Scenario { name: "an officer's hold: order, confirm, extend, release, lapse", play: officers_hold, weight: 5 },
    Scenario { name: "a refused request's hold lapses", play: refused_lapses, weight: 3 },
    Scenario { name: "a day's destruction is confirmed", play: day_confirmed, weight: 2 },
    Scenario { name: "condemn, key, blocks, receipt", play: condemning, weight: 3 },
    Scenario { name: "a person wants it erased", play: erased_on_request, weight: 3 },
    Scenario { name: "a backlog: day keys first, then a day that is over in part", play: backlog, weight: 7 },
    Scenario { name: "a manifest is closed, what is held carried on, and released", play: closing, weight: 7 },
    Scenario { name: "operations begin and end", play: operating, weight: 1 },
    Scenario { name: "a start while an operation is under way", play: start_while_operating, weight: 1 },
    Scenario { name: "a start after half an end of a manifest", play: start_after_half_an_end, weight: 3 },
    Scenario { name: "a day key of two manifests, of which one ends first", play: two_periods, weight: 5 },
    Scenario { name: "people join, change, reset and leave", play: people_change, weight: 2 },
    Scenario { name: "a part, an objection, a dispute, taken back", play: taken_back, weight: 3 },
    Scenario { name: "a month of the ledger comes to its end", play: month_ends, weight: 1 },
    Scenario { name: "viewings are counted, and a grant is taken back", play: watching, weight: 2 },
    Scenario { name: "an officer is reinstated with the recovery key", play: officer_reinstated, weight: 2 },
    Scenario { name: "what is written of persons comes to its end", play: persons_end, weight: 1 },
];

const AFTER_EXPIRY: Duration = Duration::from_secs(86_400 + 60);

fn first_start(ground: &Ground, left_out: Option<Flush>) -> Played {
    let disk = ground.empty_disk();
    let (_, recovery) = ground.make_site(&disk);
    let mut play = Play::on(ground, disk.after(PowerCut::Kept), recovery, left_out);
    play.begin();
    play.start();
    play.note_rows();
    play.begin_segment(1, 0);
    play.append(1);
    play.commit();
    play.end()
}

fn recording(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.begin();
    record_some(&mut play);
    play.stop();
    play.end()
}

/// What is appended to a manifest between two commits is longer than a sector.
fn many_begin(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 1);
    play.begin();
    play.begin_many(2..=5, 10);
    play.commit();
    play.begin_many(1..=5, 20);
    play.end()
}

fn record_some(play: &mut Play) {
    play.begin_segment(1, 0);
    play.append(1);
    play.commit();
    play.begin_segment(2, 2);
    play.append(1);
    play.append(2);
    play.commit();
    play.append(1);
    play.finish(1);
    play.commit();
    play.begin_segment(1, 10);
    play.append(1);
    play.gap(2, span(20, 30));
    play.commit();
    play.checkpoint();
    play.append(2);
    play.append(1);
}

fn erasing(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    ready_to_erase(&mut play);
    play.begin();
    play.advance(AFTER_EXPIRY);
    play.round();
    play.round();
    play.end()
}

/// The days of three cameras are over: their day keys go first, and their key blocks in one batch later. Of the fourth
/// camera's day one segment is due and the other is not: its day key stays.
fn backlog(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    for of in 1..=3 {
        (0..3).for_each(|number| play.record(of, number * 10, 1));
    }
    play.record(4, 0, 1);
    let whole_days = play.files("keys").into_iter().filter(|path| !play.is_day_key_of(path, 4));
    let slots: Vec<Trace> = whole_days.flat_map(|path| play.slots(&path, SlotPurpose::DayKey)).collect();
    play.record(4, 40_000, 1);
    play.commit();
    play.promises.going = slots;
    play.begin();
    play.advance(AFTER_EXPIRY);
    play.round();
    play.end()
}

/// The disk is full: footage is ended before its day, while a hold keeps other footage.
fn condemning(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.record(1, 10, 1);
    play.record(2, 0, 1);
    play.commit();
    play.advance(Duration::from_secs(20));
    play.begin();
    play.condemn(1, 0);
    // A hold that is placed now comes too late for it, and in time for the other.
    let desk = play.sign_in("desk");
    play.submit(&desk, 1, span(0, 11));
    play.note();
    play.round();
    play.condemn(2, 0);
    play.round();
    play.end()
}

/// One segment of two; a row of the decision alone has the next start carry it on.
fn erased_on_request(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.record(1, 10, 1);
    play.commit();
    play.advance(Duration::from_secs(20));
    play.begin();
    play.erase_on_request(1, 0, span(0, 2));
    play.round();
    play.end()
}

/// Two segments of one camera and one of another; the keys of the first are in a grant.
fn ready_to_erase(play: &mut Play) {
    play.record(1, 0, 2);
    play.record(1, 10, 1);
    play.record(2, 0, 1);
    play.commit();
    play.promises.going = play.stage(GrantId(900), 1, span(0, 2));
    let slots = play.day_key_slots();
    play.promises.going.extend(slots);
}

fn holding(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.record(1, 10, 1);
    play.commit();
    play.advance(Duration::from_secs(20));
    play.begin();
    let desk = play.sign_in("desk");
    let request = play.submit(&desk, 1, span(0, 2));
    play.identify(&desk, request);
    play.advance(AFTER_EXPIRY);
    play.round();
    let officer = play.sign_in("officer");
    let grant = play.approve(&officer, request);
    let desk = play.sign_in("desk");
    play.close(&desk, request, grant);
    play.promises.going = play.day_key_slots();
    play.advance(Duration::ZERO);
    play.round();
    play.end()
}

/// One grant of two viewings, and one that is taken back in the midst of one.
fn watching(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.commit();
    play.advance(Duration::from_secs(20));
    let (desk, officer) = (play.sign_in("desk"), play.sign_in("officer"));
    play.conditions.viewings = Some(2);
    let mut granted = || {
        let request = play.submit(&desk, 1, span(0, 2));
        play.identify(&desk, request);
        play.approve(&officer, request)
    };
    let (counted, revoked) = (granted(), granted());
    play.begin();
    let viewer = play.sign_in("viewer");
    play.begin_viewing(&viewer, counted);
    play.end_viewing(&viewer, counted);
    play.begin_viewing(&viewer, counted);
    play.begin_viewing(&viewer, revoked);
    play.end_viewing(&viewer, counted);
    play.revoke(&officer, revoked);
    play.lapse(&[]);
    play.end()
}

/// Two holds over the same footage: one is released, the other lapses; then what they kept goes.
fn officers_hold(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.record(1, 10, 1);
    play.commit();
    play.advance(Duration::from_secs(20));
    play.begin();
    let (officer, deputy) = (play.sign_in("officer"), play.sign_in("deputy"));
    let released = play.place_hold(&officer, 1, span(0, 2), None);
    play.confirm_hold(&deputy, HeldFor::Hold(released));
    let ends = super::play::at(0).saturating_add(AFTER_EXPIRY * 2);
    let lapses = play.place_hold(&deputy, 1, span(1, 2), Some(ends));
    play.extend_hold(&officer, lapses, Some(ends));
    play.advance(AFTER_EXPIRY);
    play.round();
    let deputy = play.sign_in("deputy");
    play.release_hold(&deputy, released);
    play.round();
    play.advance(AFTER_EXPIRY);
    play.lapse(&[HeldFor::Hold(lapses)]);
    play.promises.going = play.day_key_slots();
    play.advance(Duration::ZERO);
    play.round();
    play.end()
}

/// A part is granted, the rest objected to, and then all of it is taken back: its keys and its hold go.
fn taken_back(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.commit();
    play.advance(Duration::from_secs(20));
    let desk = play.sign_in("desk");
    let request = play.submit(&desk, 1, span(0, 2));
    play.identify(&desk, request);
    let officer = play.sign_in("officer");
    play.begin();
    let grant = play.approve_part(&officer, request, Some(span(0, 1)));
    play.advance(AFTER_EXPIRY);
    play.round();
    let (desk, officer) = (play.sign_in("desk"), play.sign_in("officer"));
    play.dispute(&officer, 1, span(1, 2));
    play.object_and_withdraw(&desk, request, grant);
    play.promises.going = play.day_key_slots();
    play.advance(Duration::ZERO);
    play.round();
    play.end()
}

/// The objection period comes to its end, and with it, by itself, the hold.
fn refused_lapses(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.commit();
    play.advance(Duration::from_secs(20));
    let desk = play.sign_in("desk");
    let request = play.submit(&desk, 1, span(0, 2));
    play.identify(&desk, request);
    let officer = play.sign_in("officer");
    play.begin();
    play.refuse(&officer, request);
    play.advance(AFTER_EXPIRY);
    play.round();
    // As the daemon does it every two seconds.
    play.commit();
    play.advance(DAY * 30);
    play.lapse(&[HeldFor::Request(request)]);
    play.promises.going = play.day_key_slots();
    play.advance(Duration::ZERO);
    play.round();
    play.end()
}

fn operating(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.begin();
    let desk = play.sign_in("desk");
    let first = play.start_operation(&desk);
    play.record(THEATRE, 0, 1);
    play.end_operation(&desk, first);
    play.start_operation(&desk);
    play.end()
}

/// The power goes while one is under way, and another has ended; the start goes on with the one, and ends it.
fn start_while_operating(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    let desk = play.sign_in("desk");
    let first = play.start_operation(&desk);
    play.end_operation(&desk, first);
    let second = play.start_operation(&desk);
    let mut play = play.cut(PowerCut::Kept);
    play.begin();
    play.start();
    play.note();
    let desk = play.sign_in("desk");
    play.end_operation(&desk, second);
    play.start_operation(&desk);
    play.end()
}

fn day_confirmed(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 1);
    play.commit();
    play.advance(AFTER_EXPIRY);
    play.round();
    play.advance(DAY);
    play.begin();
    let officer = play.sign_in("officer");
    play.confirm_days(&officer);
    play.end()
}

fn months(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.begin();
    play.sign_in("desk");
    play.advance(DAY * 9);
    play.checkpoint();
    play.sign_in("desk");
    play.keep_time();
    let now = play.hands.clock().wall();
    play.built().ledger.append(now, Actor::Daemon, Act::LedgerRead).unwrap();
    play.note_rows();
    play.end()
}

/// A month past its period is erased, and what of it still counts is carried on: accounts, the site's keys.
fn month_ends(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.sign_in("desk");
    let month = Month::of(START);
    let path = ground.state().join("ledger").join(format!("{month}.ledger"));
    let file = read_file(&play.disk, &path, 1 << 20).unwrap();
    // Its last row, which nothing carries on; its digits stand where the next month begins.
    let last = file[..file.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 66;
    let trace = Trace { what: "a row of the month".into(), bytes: file[last..last + 60].to_vec(), offset: last % 4096 };
    play.advance(DAY * 31);
    play.checkpoint();
    let officer = play.sign_in("officer");
    let access = Arc::clone(&play.built().access);
    let seen = access.ledger_month(&officer, month).unwrap();
    let remarks = (seen.summary.odd_total > 0).then(|| "looked at".to_owned());
    access.review_month(&officer, month, (seen.digest, remarks), "officer-password").unwrap();
    while access.check_next_month().unwrap() {}
    play.advance(DAY * 1_100);
    play.keep_time();
    play.checkpoint();
    play.begin();
    play.promises.going.push(trace.clone());
    play.note_rows();
    assert!(access.end_old_month().unwrap());
    play.promises.going.clear();
    play.promises.gone.push(trace);
    play.note_rows();
    play.sign_in("desk");
    assert!(!access.end_old_month().unwrap(), "the next one waits for its review");
    play.end()
}

/// The power goes while a site records: what was not flushed is kept in part.
fn start_after_recording(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    record_some(&mut play);
    // A row that was never answered, and records that were not flushed.
    play.try_commit();
    play.built().vault.commit().unwrap();
    play.begin_segment(3, 5);
    play.append(3);
    // What stands beyond the last commit.
    play.append(1);
    let mut play = play.cut(PowerCut::Kept);
    tear_tails(&mut play);
    play.begin();
    play.start();
    // V4: what was never committed is destroyed.
    let orphan = Trace { what: "the orphan".into(), bytes: b"an orphan".to_vec(), offset: 0 };
    let never = play.promises.segments[&(3, 5)].clone();
    play.promises.gone.extend([never.key, never.content, Some(orphan)].into_iter().flatten());
    play.note_rows();
    play.is_summed();
    // Written over the torn tails.
    play.begin_many(4..=7, 40);
    play.checkpoint();
    play.commit();
    play.checkpoint();
    play.end()
}

/// The table of a commit reached the disk, and what it is about did not: the segment ends at the commit before (V1, V3),
/// also when the next commit, which takes that one's place in the file, is cut.
fn start_after_half_a_commit(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.begin_segment(1, 0);
    play.append(1);
    play.commit();
    play.append(1);
    play.try_commit();
    let disk = play.disk.clone();
    disk.keep_snapshots();
    play.built().vault.commit().unwrap();
    let table_written = disk.take_snapshots().remove(1);
    let half = table_written.after_keeping("commits");
    let mut play = play.cut(PowerCut::Kept);
    play.disk = half;
    play.begin();
    play.start();
    play.note();
    play.begin_segment(2, 5);
    play.append(2);
    play.commit();
    play.end()
}

const HEAD_OF_SEGMENT: &[u8] = b"CUSTODSG";
const HEAD_OF_DAY_KEY: &[u8] = b"CUSTODSL\0\x01\0\x01";

/// What must not be left of a file that begins so.
fn nothing_that_begins_with(magic: &[u8]) -> Trace {
    Trace { what: format!("a file of {}", String::from_utf8_lossy(magic)), bytes: magic.to_vec(), offset: 0 }
}

/// The disk is full when the record of the first day key is written.
fn no_day_key(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.begin();
    // The manifest's header is the first write there, the record the second.
    play.fail_to_begin(1, 0, "manifests", 1);
    play.promises.gone.push(nothing_that_begins_with(HEAD_OF_DAY_KEY));
    play.note();
    play.gap(1, span(1, 2));
    play.gap(1, span(2, 3));
    play.commit();
    play.gap(1, span(3, 4));
    play.end()
}

/// The disk is full when a segment's init chunk is written, and when its record is.
fn no_segment(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.begin();
    play.promises.gone.push(nothing_that_begins_with(HEAD_OF_SEGMENT));
    for (below, skip) in [("rolling", 1), ("manifests", 0)] {
        // While it is begun there is one.
        let gone = std::mem::take(&mut play.promises.gone);
        play.note();
        play.fail_to_begin(1, 0, below, skip);
        play.promises.gone = gone;
        play.note();
        play.gap(1, span(1, 2));
        play.gap(1, span(2, 3));
        play.commit();
        play.gap(1, span(3, 4));
    }
    play.end()
}

fn start_after_stop(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, None);
    record_some(&mut play);
    play.stop();
    let mut play = play.cut(PowerCut::Kept);
    play.leave_out(left_out);
    play.begin();
    play.start();
    play.note_rows();
    play.is_summed();
    play.begin_segment(3, 40);
    play.append(3);
    play.commit();
    play.end()
}

/// A power cut took the first manifest, and not the segments that it named.
fn start_without_manifest(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, None);
    play.begin_segment(1, 0);
    play.append(1);
    let never = play.promises.segments[&(1, 0)].clone();
    let mut play = play.cut(PowerCut::Kept);
    play.leave_out(left_out);
    let manifest = play.files("manifests").remove(0);
    play.disk.remove_file(&manifest).unwrap();
    let whole: &dyn Disk = &play.disk;
    whole.sync_file_system(&play.ground.volume()).unwrap();
    play.begin();
    play.start();
    play.promises
        .gone
        .extend([never.key, never.content, Some(nothing_that_begins_with(HEAD_OF_DAY_KEY))].into_iter().flatten());
    play.note_rows();
    play.checkpoint();
    play.end()
}

/// The power goes between the move of a held segment and the record of it.
fn start_after_half_a_move(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, None);
    play.record(1, 0, 2);
    play.commit();
    play.advance(Duration::from_secs(20));
    let desk = play.sign_in("desk");
    play.submit(&desk, 1, span(0, 2));
    play.advance(AFTER_EXPIRY);
    let vault = std::sync::Arc::clone(&play.built().vault);
    let due = vault.due(play.hands.clock().wall());
    let disk = play.disk.clone();
    disk.keep_snapshots();
    vault.set_apart(&due[0]).unwrap();
    drop(vault);
    // The last changes: the rename, the record.
    let snapshots = disk.take_snapshots();
    let moved = snapshots[snapshots.len() - 2].after(PowerCut::Kept);
    let mut play = play.cut(PowerCut::Kept);
    play.disk = moved;
    assert!(play.files("rolling").is_empty() && play.files("held").len() == 1);
    play.leave_out(left_out);
    play.begin();
    play.start();
    play.note_rows();
    play.round();
    play.end()
}

/// The first commit of a segment: its entry and its record reached the disk, and its content did not.
fn start_after_lost_segment(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, None);
    play.record(2, 0, 1);
    play.begin_segment(1, 5);
    play.append(1);
    play.append(1);
    let recorded = play.promises.segments[&(1, 5)].clone();
    play.try_commit();
    let disk = play.disk.clone();
    disk.keep_snapshots();
    play.built().vault.commit().unwrap();
    let table_written = disk.take_snapshots().remove(1);
    let lost = table_written.after_losing(&recorded.id.unwrap().to_string());
    let mut play = play.cut(PowerCut::Kept);
    play.disk = lost;
    // A part of it was kept.
    let name = recorded.id.unwrap().to_string();
    let path = play.files("rolling").into_iter().find(|path| path.ends_with(&name)).unwrap();
    let file = play.disk.open(&path, crate::disk::Access::ReadWrite).unwrap();
    file.allocate(8192).unwrap();
    file.write_all_at(b"a part of it", 4096).unwrap();
    let whole: &dyn Disk = &play.disk;
    whole.sync_file_system(&play.ground.volume()).unwrap();
    play.leave_out(left_out);
    play.begin();
    play.start();
    let part = Trace { what: "a part of what was never committed".into(), bytes: b"a part of it".to_vec(), offset: 0 };
    play.promises.gone.push(part);
    play.note_rows();
    play.checkpoint();
    play.end()
}

/// Once in 1,800 commits all manifests are summed up.
fn hour_of_commits(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, None);
    play.record(1, 0, 1);
    for _ in play.commit_number()..1_799 {
        play.built().vault.commit().unwrap();
    }
    play.leave_out(left_out);
    play.begin();
    play.begin_segment(1, 10);
    play.append(1);
    play.finish(1);
    play.commit();
    play.is_summed();
    play.begin_segment(2, 20);
    play.append(2);
    play.commit();
    play.end()
}

/// An officer joins and leaves again, and somebody leaves the desk.
fn hands_change(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 1);
    play.record(2, 0, 1);
    play.commit();
    play.begin();
    let vault = std::sync::Arc::clone(&play.built().vault);
    let (recovery, (_, newcomer)) = (play.recovery.public().unwrap(), generate_pair().unwrap());
    let round = vault.admit_officer(&play.recovery, newcomer).unwrap();
    assert!(round.is_complete() && round.changed == 2, "{round:?}");
    play.promises.admitted = Some(newcomer);
    play.note();
    let keys = play.files("keys");
    let theirs = keys.iter().flat_map(|path| play.slots_of(path, SlotPurpose::DayKey, |owner| owner == newcomer));
    let theirs: Vec<Trace> = theirs.collect();
    play.promises.admitted = None;
    play.note();
    let round = vault.forget_officer(newcomer, recovery).unwrap();
    assert!(round.is_complete() && round.changed == 2 && theirs.len() == 2, "{round:?}");
    play.promises.gone.extend(theirs);
    play.note();
    let desk = play.ground.state().join("desk");
    let used = SlotFile::open_to_read(&play.disk, &desk, SlotPurpose::Desk).unwrap().used().unwrap();
    let leaver = used.iter().map(|slot| PublicKey(slot.owner)).find(|owner| *owner != recovery).unwrap();
    let theirs = play.slots_of(&desk, SlotPurpose::Desk, |owner| owner == leaver);
    assert!(play.built().access.forget_at_desk(leaver).unwrap());
    play.promises.gone.extend(theirs);
    play.note();
    play.end()
}

/// One segment is held past its day, two are gone; the day and its period are over. Where the manifest names one of the two.
fn ready_to_close(play: &mut Play) -> (RequestId, Trace) {
    play.record(1, 0, 2);
    play.record(1, 10, 1);
    play.record(2, 0, 1);
    play.commit();
    play.advance(Duration::from_secs(20));
    let desk = play.sign_in("desk");
    let request = play.submit(&desk, 1, span(0, 2));
    play.identify(&desk, request);
    play.checkpoint();
    let trace = named_in(play, (2, 0));
    play.advance(AFTER_EXPIRY);
    play.round();
    play.advance(DAY);
    (request, trace)
}

/// Where the only manifest names a segment: its number, camera and times.
fn named_in(play: &Play, of: (u16, u64)) -> Trace {
    let path = play.files("manifests").remove(0);
    let bytes = crate::disk::read_file(&play.disk, &path, 1 << 20).unwrap();
    let id = play.promises.segments[&of].id.unwrap().0.to_be_bytes();
    let offset = bytes.windows(8).position(|window| window == id).unwrap();
    let bytes = bytes[offset..offset + 8 + 2 + 8 + 8].to_vec();
    Trace { what: format!("a manifest that names camera {} from {}", of.0, of.1), bytes, offset }
}

/// So many of the disks are looked at on which names are lost by chance.
const CUTS: u64 = 64;

fn mixed(snapshot: &Snapshot) -> Vec<SimulatedDisk> {
    (0..CUTS).map(|seed| snapshot.after(PowerCut::Mixed(seed))).collect()
}

/// Disks that a power cut may leave when a segment was begun after a clean stop, what is promised then, and the key.
pub fn begun_after_stop(ground: &Ground, left_out: Option<Flush>) -> (Vec<SimulatedDisk>, Promises, PrivateKey) {
    let mut play = Play::new(ground, None);
    record_some(&mut play);
    play.stop();
    let mut play = play.cut(PowerCut::Kept);
    play.leave_out(left_out);
    play.begin();
    play.start();
    play.note_rows();
    play.begin_segment(3, 40);
    let begun = play.disk.take_snapshots().pop().unwrap();
    (mixed(&begun), play.promises.clone(), play.recovery)
}

/// Disks that a power cut may leave while held files are moved to their hold manifest, what is promised then, and the key.
pub fn half_carried(ground: &Ground, left_out: Option<Flush>) -> (Vec<SimulatedDisk>, Promises, PrivateKey) {
    let mut play = Play::new(ground, left_out);
    ready_to_close(&mut play);
    let first = play.files("held").remove(0);
    play.begin();
    let promises = play.promises.clone();
    play.built().eraser.round().unwrap();
    let has_moved = |snapshot: &Snapshot| {
        let held =
            snapshot.after(PowerCut::Kept).files().into_iter().find(|path| path.ends_with(first.file_name().unwrap()));
        held.is_some_and(|held| held != first)
    };
    let moved = play.disk.take_snapshots().into_iter().find(has_moved).unwrap();
    (mixed(&moved), promises, play.recovery)
}

fn closing(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    let (request, trace) = ready_to_close(&mut play);
    play.begin();
    play.promises.going = vec![trace];
    play.note();
    play.round();
    let officer = play.sign_in("officer");
    let grant = play.approve(&officer, request);
    let desk = play.sign_in("desk");
    let of_holds = named_in(&play, (1, 0));
    play.close(&desk, request, grant);
    play.promises.going = play.day_key_slots();
    play.promises.going.push(of_holds);
    play.advance(Duration::ZERO);
    play.round();
    assert!(play.files("manifests").is_empty() && play.files("held").is_empty());
    play.end()
}

/// A camera's period is changed during its day: two manifests share the day key. The one that made it ends first, and the other
/// names the key from then on, until it ends as well.
fn two_periods(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 1);
    play.change_period(1, Retention::Ceiling(DAY * 3));
    play.record(1, 10, 2);
    assert_eq!((play.files("keys").len(), play.files("manifests").len()), (1, 2));
    play.advance(AFTER_EXPIRY);
    play.round();
    play.advance(DAY);
    play.begin();
    play.round();
    assert_eq!((play.files("keys").len(), play.files("manifests").len()), (1, 1));
    play.promises.going = play.day_key_slots();
    let trace = named_in(&play, (1, 10));
    play.advance(DAY);
    play.round();
    play.promises.going.push(trace);
    play.advance(DAY);
    play.round();
    assert!(play.files("manifests").is_empty() && play.files("keys").is_empty());
    play.end()
}

/// The power goes when a manifest was closed, and is not overwritten yet.
fn start_after_half_an_end(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, None);
    let (_, trace) = ready_to_close(&mut play);
    let disk = play.disk.clone();
    disk.keep_snapshots();
    play.built().eraser.round().unwrap();
    let is_closed = |disk: &SimulatedDisk| {
        disk.files().iter().any(|path| path.extension().is_some_and(|extension| extension == "closed"))
    };
    let half = disk.take_snapshots().into_iter().map(|snapshot| snapshot.after(PowerCut::Kept)).find(is_closed);
    let mut play = play.cut(PowerCut::Kept);
    play.disk = half.unwrap();
    play.leave_out(left_out);
    play.begin();
    play.start();
    play.promises.gone.push(trace);
    play.note_rows();
    play.round();
    play.end()
}

/// Half a record at the end of the manifest, half a row at the end of the ledger, and a file that was never committed.
fn tear_tails(play: &mut Play) {
    use crate::disk::Access;
    let ledger = play.ground.state().join("ledger/2026-11.ledger");
    let manifest = play.files("manifests").remove(0);
    // Longer than a sector: what is written over it may be kept in part.
    let row = b"0123 {\"torn".repeat(200);
    let record = [&[0, 0, 8, 0][..], &[7; 1_500][..]].concat();
    for (path, tail) in [(ledger, row), (manifest, record)] {
        let file = play.disk.open(&path, Access::ReadWrite).unwrap();
        let end = file.len_bytes().unwrap();
        file.write_all_at(&tail, end).unwrap();
    }
    let of_segment = play.files("rolling").remove(0);
    let orphan = of_segment.with_file_name("00000000000000aa");
    let file = play.disk.create_new(&orphan).unwrap();
    file.write_all_at(b"an orphan", 0).unwrap();
    let whole: &dyn Disk = &play.disk;
    whole.sync_file_system(play.ground.root()).unwrap();
    whole.sync_file_system(&play.ground.volume()).unwrap();
}

/// The power goes between a segment's record "erased" and the end of its name.
fn start_after_erasing(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    ready_to_erase(&mut play);
    play.advance(AFTER_EXPIRY);
    let now = play.hands.clock().wall();
    let vault = std::sync::Arc::clone(&play.built().vault);
    let due = vault.due(now);
    for due in &due {
        vault.destroy_key(due, now).unwrap();
    }
    let disk = play.disk.clone();
    disk.keep_snapshots();
    vault.erase(&due[0], crate::domain::DestructionTrigger::Expiry, now).unwrap();
    drop(vault);
    // The last change but two: unlink, then the flush of the directory.
    let snapshots = disk.take_snapshots();
    let before_unlink = snapshots[snapshots.len() - 3].after(PowerCut::Kept);
    let mut play = play.cut(PowerCut::Kept);
    play.disk = before_unlink;
    // Somebody puts the file back from a copy.
    let name = due[0].segment.to_string();
    let path = play.files("rolling").into_iter().find(|path| path.ends_with(&name)).unwrap();
    play.disk.open(&path, crate::disk::Access::ReadWrite).unwrap().write_all_at(b"put back", 0).unwrap();
    let whole: &dyn Disk = &play.disk;
    whole.sync_file_system(&play.ground.volume()).unwrap();
    play.begin();
    play.start();
    play.promises.gone.push(Trace { what: "what was put back".into(), bytes: b"put back".to_vec(), offset: 0 });
    play.note();
    play.round();
    play.end()
}

/// The power goes between the staging of a grant, or a hold, and its row.
fn start_after_deciding(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.commit();
    let staged = play.stage(GrantId(900), 1, span(0, 2));
    let hold = crate::vault::Hold::of_request(RequestId(900), vec![super::play::camera(1)], span(0, 2));
    play.built().holds.lock().unwrap().place(hold).unwrap();
    let mut play = play.cut(PowerCut::Kept);
    play.begin();
    play.start();
    play.promises.gone.extend(staged);
    play.note();
    play.end()
}

/// A start is cut in its middle, and the next one too.
fn start_after_start(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, None);
    record_some(&mut play);
    play.try_commit();
    let mut play = play.cut(PowerCut::Mixed(11));
    let mut dice = Dice::new(7);
    for seed in 0..2 {
        play.disk.keep_snapshots();
        play.start();
        let snapshots = play.disk.take_snapshots();
        let chosen = &snapshots[dice.below(snapshots.len())];
        let left = chosen.after(PowerCut::Mixed(seed));
        play = play.cut(PowerCut::Kept);
        play.disk = left;
    }
    play.leave_out(left_out);
    play.begin();
    play.start();
    play.note();
    play.end()
}

/// The making of a site: kept apart, since until it is made there is none to be checked.
pub fn making(ground: &Ground, left_out: Option<Flush>) -> (Played, usize) {
    let disk = ground.empty_disk();
    let (_, recovery) = ground.make_site(&ground.empty_disk());
    let mut play = Play::on(ground, disk.clone(), recovery, left_out);
    play.begin();
    let (_, recovery) = ground.make_site(&disk);
    play.recovery = recovery;
    play.note();
    let made_at = play.disk.operations();
    (play.end(), made_at)
}
