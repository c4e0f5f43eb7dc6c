//! The power goes at every operation (V1 to V9, E1 to E4, L1 to L3, A1, A4, A5).

use super::checks::check;
use super::play::{Ground, Played};
use super::scenarios::{ALL, Scenario, making};
use crate::clock::ManualClock;
use crate::disk::{PowerCut, SimulatedDisk, Snapshot};
use std::collections::HashSet;

/// Disks that a power cut may leave.
pub type Images = fn(&Snapshot) -> Vec<(PowerCut, SimulatedDisk)>;

/// How many random parts of what was not flushed are tried at each instant.
const MIXED: u64 = 1;
/// The same of a site's making, where each is quick.
const MORE_MIXED: u64 = 32;
/// So many files are lost, and kept, each by itself.
const FILES_APART: usize = 3;

/// Those that tell nearly every flush that is missing: nothing of what was not flushed is kept, names or contents alone, or
/// half of all sectors.
pub fn few_images(snapshot: &Snapshot) -> Vec<(PowerCut, SimulatedDisk)> {
    let all = [PowerCut::Lost, PowerCut::Names, PowerCut::Contents, PowerCut::Torn(0), PowerCut::Torn(1)];
    let different = if snapshot.is_flushed() { 1 } else { usize::MAX };
    all.into_iter().take(different).map(|cut| (cut, snapshot.after(cut))).collect()
}

/// The disks that a power cut at an instant may leave.
pub fn images(snapshot: &Snapshot) -> Vec<(PowerCut, SimulatedDisk)> {
    let seed = snapshot.operations as u64;
    let plain =
        [PowerCut::Lost, PowerCut::Names, PowerCut::Kept, PowerCut::Contents, PowerCut::Torn(0), PowerCut::Torn(1)];
    // One file alone is lost or kept above.
    let files = Some(snapshot.unflushed_files()).filter(|files| *files > 1).unwrap_or(0).min(FILES_APART);
    let apart = (0..files).flat_map(|number| [PowerCut::AllBut(number), PowerCut::Only(number)]);
    let all = plain.into_iter().chain(apart).chain((0..MIXED).map(|number| PowerCut::Mixed(seed * MIXED + number)));
    let different = if snapshot.is_flushed() { 1 } else { usize::MAX };
    all.take(different).map(|cut| (cut, snapshot.after(cut))).collect()
}

/// What does not hold after a power cut at each instant of a play, until so many faults are found.
pub fn faults(ground: &Ground, played: &Played, limit: usize) -> (usize, Vec<String>) {
    faults_in(ground, played, limit, images)
}

/// The same, for some of the disks.
pub fn faults_in(ground: &Ground, played: &Played, limit: usize, images: Images) -> (usize, Vec<String>) {
    let mut seen = HashSet::new();
    let (mut faults, mut checked) = (Vec::new(), 0);
    for (snapshot, promised) in &played.instants {
        for (cut, disk) in images(snapshot) {
            if !seen.insert((disk.fingerprint(), *promised)) {
                continue;
            }
            checked += 1;
            if let Err(fault) = check(ground, &disk, &played.promises[*promised], &played.recovery) {
                faults.push(format!("after operation {}, {cut:?}: {fault}", snapshot.operations));
                if faults.len() == limit {
                    return (checked, faults);
                }
            }
        }
    }
    (checked, faults)
}

fn survives(scenario: &Scenario) {
    let ground = Ground::new();
    let played = (scenario.play)(&ground, None);
    let (checked, faults) = faults(&ground, &played, 10);
    println!("{}: {} instants, {checked} disks", scenario.name, played.instants.len());
    assert!(checked > 10, "nothing was tried");
    assert!(faults.is_empty(), "{}:\n{}", scenario.name, faults.join("\n"));
}

macro_rules! survive {
    ($($test:ident: $number:expr,)*) => {$(
        #[test]
        fn $test() {
            survives(&ALL[$number]);
        }
    )*};
}

survive! {
    a_cut_in_the_first_start: 0,
    a_cut_while_recording: 1,
    a_cut_while_erasing: 2,
    a_cut_from_hold_to_grant_to_erasure: 3,
    a_cut_while_the_month_turns: 4,
    a_cut_in_a_start_after_recording: 5,
    a_cut_in_a_start_after_erasing: 6,
    a_cut_in_a_start_after_a_decision: 7,
    a_cut_in_a_start_after_a_cut_start: 8,
    a_cut_while_many_cameras_begin: 9,
    a_cut_in_a_start_after_half_a_commit: 10,
    a_cut_after_a_day_key_that_could_not_be_made: 11,
    a_cut_after_segments_that_could_not_be_begun: 12,
    a_cut_in_a_start_after_a_stop: 13,
    a_cut_in_a_start_without_the_first_manifest: 14,
    a_cut_in_a_start_after_half_a_move: 15,
    a_cut_in_a_start_after_a_lost_segment: 16,
    a_cut_after_an_hour_of_commits: 17,
    a_cut_while_hands_change: 18,
    a_cut_from_an_officers_hold_to_its_end: 19,
    a_cut_until_a_refused_requests_hold_lapses: 20,
    a_cut_while_a_day_is_confirmed: 21,
    a_cut_while_footage_is_condemned: 22,
    a_cut_from_the_wish_to_erase_to_the_erasure: 23,
    a_cut_while_a_backlog_is_erased: 24,
    a_cut_while_a_manifest_is_closed: 25,
    a_cut_while_operations_begin_and_end: 26,
    a_cut_in_a_start_while_an_operation_is_under_way: 27,
    a_cut_in_a_start_after_half_an_end: 28,
    a_cut_while_one_of_two_manifests_of_a_day_key_ends: 29,
    a_cut_while_people_join_and_leave: 30,
    a_cut_until_a_request_of_which_a_part_was_granted_is_taken_back: 31,
    a_cut_while_a_month_of_the_ledger_ends: 32,
    a_cut_while_what_is_written_of_persons_ends: 35,
}

/// What is wrong with a site whose making was cut.
pub fn faults_of_making(ground: &Ground, (played, made_at): &(Played, usize), limit: usize) -> Vec<String> {
    let mut faults = Vec::new();
    for (snapshot, promised) in &played.instants {
        let is_made = snapshot.operations >= *made_at;
        // Among few, whether a name stays without another is a matter of luck.
        let more = (0..MORE_MIXED).map(PowerCut::Mixed).map(|cut| (cut, snapshot.after(cut)));
        for (cut, disk) in images(snapshot).into_iter().chain(more.take_while(|_| !snapshot.is_flushed())) {
            let promises = &played.promises[*promised];
            let told = if is_made {
                check(ground, &disk, promises, &played.recovery).and_then(|()| everybody_signs_in(ground, &disk))
            } else {
                is_no_site_or_a_whole_one(ground, &disk)
            };
            if let Err(fault) = told {
                faults.push(format!("after operation {}, {cut:?}: {fault}", snapshot.operations));
                if faults.len() == limit {
                    return faults;
                }
            }
        }
    }
    faults
}

fn is_no_site_or_a_whole_one(ground: &Ground, disk: &SimulatedDisk) -> Result<(), String> {
    let hands = ManualClock::standing(super::play::START);
    match ground.start(disk, &hands) {
        Ok(_) => everybody_signs_in(ground, disk),
        Err(e) if e.contains("there is no site") || e.contains("there is no volume here") => Ok(()),
        Err(e) => Err(e),
    }
}

fn everybody_signs_in(ground: &Ground, disk: &SimulatedDisk) -> Result<(), String> {
    let built = ground.start(disk, &ManualClock::standing(super::play::START))?;
    for name in ["officer", "deputy", "viewer", "desk"] {
        let told = built.access.sign_in(name, &format!("{name}-password"), std::net::Ipv4Addr::LOCALHOST.into());
        told.map_err(|e| format!("{name} has an account no more: {e}"))?;
    }
    Ok(())
}

#[test]
fn a_cut_while_a_site_is_made_leaves_none_or_a_whole_one() {
    let ground = Ground::new();
    let faults = faults_of_making(&ground, &making(&ground, None), 10);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
