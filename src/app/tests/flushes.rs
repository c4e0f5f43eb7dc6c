//! Each flush of the program is left out in turn, and something must be lost by it.

use super::checks::check;
use super::crashes::{Images, faults_in, faults_of_making, few_images, images};
use super::play::{DAY, Ground, Play, Promises, camera, span};
use super::scenarios::{ALL, begun_after_stop, half_carried, making};
use crate::crypto::PrivateKey;
use crate::disk::{DeviceCheck, DeviceRefusal, Flush, Habit, PowerCut, SimulatedDisk, check_device};
use crate::domain::RequestId;
use crate::vault::Hold;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn name((site, kind): &Flush) -> String {
    format!("{}:{}:{} {kind:?}", site.file(), site.line(), site.column())
}

/// The flushes of each scenario, by their place in the program.
fn reached(ground: &Ground) -> BTreeMap<Flush, Vec<usize>> {
    let mut reached: BTreeMap<Flush, Vec<usize>> = BTreeMap::new();
    for (number, scenario) in ALL.iter().enumerate() {
        let played = (scenario.play)(ground, None);
        for flush in played.flushes {
            reached.entry(flush).or_default().push(number);
        }
    }
    reached.retain(|(site, _), _| !site.file().contains("tests"));
    // The quickest first.
    reached.values_mut().for_each(|scenarios| scenarios.sort_by_key(|number| ALL[*number].weight));
    reached
}

fn is_missed(ground: &Ground, flush: Flush, scenarios: &[usize], of_making: &BTreeSet<Flush>) -> bool {
    (of_making.contains(&flush) && !faults_of_making(ground, &making(ground, Some(flush)), 1).is_empty())
        || the_device_test_is_fooled(flush)
        || a_hold_takes_what_has_no_key(ground, Some(flush))
        || a_hold_takes_a_day_without_a_key(ground, Some(flush))
        || [few_images as Images, images].into_iter().any(|images| {
            scenarios.iter().any(|number| {
                let played = (ALL[*number].play)(ground, Some(flush));
                !faults_in(ground, &played, 1, images).1.is_empty()
            })
        })
        || is_harmed(ground, half_carried(ground, Some(flush)))
        || is_harmed(ground, begun_after_stop(ground, Some(flush)))
}

/// A name is lost by chance, and so the cut is tried often.
fn is_harmed(ground: &Ground, (disks, promises, recovery): (Vec<SimulatedDisk>, Promises, PrivateKey)) -> bool {
    disks.iter().any(|disk| check(ground, disk, &promises, &recovery).is_err())
}

/// V15.
#[test]
fn what_is_held_is_never_lost_on_its_way_to_a_hold_manifest() {
    let ground = Ground::new();
    assert!(!is_harmed(&ground, half_carried(&ground, None)));
}

#[test]
fn that_a_volume_was_left_clean_is_not_believed_once_it_was_written_to() {
    let ground = Ground::new();
    assert!(!is_harmed(&ground, begun_after_stop(&ground, None)));
}

/// What a device test says of a disk with a habit, with a flush left out.
fn device_test(habit: Habit, left_out: Option<Flush>) -> DeviceCheck {
    let dir = Path::new("/d");
    let disk = SimulatedDisk::new(&[dir]);
    disk.take_habit(habit);
    if let Some(flush) = left_out {
        disk.leave_out(flush);
    }
    check_device(&disk, dir).unwrap()
}

/// The test of a device must name what a flush makes a file system do.
fn the_device_test_is_fooled(left_out: Flush) -> bool {
    let is = |habit| device_test(habit, Some(left_out));
    is(Habit::Moves) != DeviceCheck::Refused(DeviceRefusal::Moved)
        || !matches!(is(Habit::Encodes), DeviceCheck::Refused(DeviceRefusal::Untraceable(_)))
}

/// E2: a key was destroyed, the power went, and a hold is placed before the eraser's next round. It must find the segment
/// gone, not set it apart without its key. Whether it did.
fn a_hold_takes_what_has_no_key(ground: &Ground, left_out: Option<Flush>) -> bool {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.commit();
    play.begin();
    play.advance(DAY * 2);
    let now = play.hands.clock().wall();
    let vault = Arc::clone(&play.built().vault);
    vault.destroy_key(&vault.due(now)[0], now).unwrap();
    drop(vault);
    let mut play = play.cut(PowerCut::Lost);
    play.start();
    let hold = Hold::of_request(RequestId(1), vec![camera(1)], span(0, 2));
    play.built().holds.lock().unwrap().place(hold).unwrap();
    play.built().eraser.round().unwrap();
    play.files("held").len() + play.files("rolling").len() > 0
}

/// The same for a whole day: its day key was destroyed, the power went, and a hold is placed.
fn a_hold_takes_a_day_without_a_key(ground: &Ground, left_out: Option<Flush>) -> bool {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 2);
    play.commit();
    play.begin();
    play.advance(DAY * 2);
    let now = play.hands.clock().wall();
    assert_eq!(play.built().vault.destroy_day_keys(now, 1, &|_, _| false).destroyed, 1);
    let mut play = play.cut(PowerCut::Lost);
    play.start();
    let hold = Hold::of_request(RequestId(1), vec![camera(1)], span(0, 2));
    play.built().holds.lock().unwrap().place(hold).unwrap();
    play.built().eraser.round().unwrap();
    play.files("held").len() + play.files("rolling").len() > 0
}

#[test]
fn a_hold_takes_nothing_of_a_day_without_a_key_any_more() {
    assert!(!a_hold_takes_a_day_without_a_key(&Ground::new(), None));
}

#[test]
fn a_hold_takes_nothing_that_has_no_key_any_more() {
    assert!(!a_hold_takes_what_has_no_key(&Ground::new(), None));
}

#[test]
fn a_device_that_moves_or_encodes_what_is_flushed_is_refused() {
    assert!(device_test(Habit::Stays, None).is_proven());
    assert_eq!(device_test(Habit::Moves, None), DeviceCheck::Refused(DeviceRefusal::Moved));
    let told = device_test(Habit::Encodes, None);
    assert!(matches!(told, DeviceCheck::Refused(DeviceRefusal::Untraceable(_))), "{told:?}");
}

#[test]
fn each_flush_that_is_left_out_is_missed() {
    let ground = Ground::new();
    let reached = reached(&ground);
    let of_making = making(&ground, None).0.flushes;
    let all: BTreeSet<Flush> = reached.keys().chain(&of_making).copied().collect();
    let left: Vec<Flush> = all.into_iter().filter(|(site, _)| !site.file().contains("tests")).collect();
    let (next, unmissed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        let ground = Ground::new();
        while let Some(flush) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
            let scenarios = reached.get(flush).map_or(&[][..], Vec::as_slice);
            if !is_missed(&ground, *flush, scenarios, &of_making) {
                println!("nobody misses {}", name(flush));
                unmissed.lock().unwrap().push(name(flush));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let unmissed = unmissed.into_inner().unwrap();
    assert!(unmissed.is_empty(), "no test misses these flushes:\n{}", unmissed.join("\n"));
}

/// The program's files that flush, with their text: without the disk itself and without tests.
fn program() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (mut dirs, mut files) = (vec![root.join("src")], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if name == "src/disk" || name.contains("tests") {
                continue;
            }
            if entry.is_dir() {
                dirs.push(entry);
            } else if name.ends_with(".rs") && name != "src/disk.rs" {
                files.push((name, std::fs::read_to_string(&entry).unwrap()));
            }
        }
    }
    files
}

/// A function that hands its flushes on to who calls it, and its lines.
struct HandsOn {
    name: String,
    lines: std::ops::RangeInclusive<usize>,
}

fn functions_that_hand_on(text: &str) -> Vec<HandsOn> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.trim() == "#[track_caller]") {
        let indent = line.len() - line.trim_start().len();
        let head = lines[at + 1..].iter().find(|line| line.contains("fn ")).unwrap();
        let name = head.split("fn ").nth(1).unwrap().split(['(', '<']).next().unwrap().to_owned();
        let is_end = |line: &&str| line.trim_end() == format!("{}}}", " ".repeat(indent));
        let end = at + lines[at..].iter().position(is_end).unwrap();
        found.push(HandsOn { name, lines: at..=end });
    }
    found
}

/// Lines that call any of `names`, outside comments and the tests at a file's end.
fn calls(text: &str, names: &BTreeSet<String>) -> Vec<usize> {
    // The flushes of other things: standard output, a pipe, the index.
    const OTHERS: [&str; 5] =
        ["out.flush()", "stdout().flush()", "db.flush()", "CatalogError::Closed)?.flush()", "stderr().flush()"];
    let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let is_call = |line: &str, name: &String| {
        let code = line.split("//").next().unwrap();
        let call = format!("{name}(");
        let is_word = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        code.match_indices(&call).any(|(at, _)| is_word(at) && !code[..at].ends_with("fn "))
    };
    let lines = program.lines().enumerate().filter(|(_, line)| !OTHERS.iter().any(|other| line.contains(other)));
    lines.filter(|(_, line)| names.iter().any(|name| is_call(line, name))).map(|(at, _)| at).collect()
}

/// Flushes of what is not on the simulated disk, and why they need not be.
const OUTSIDE: [(&str, &str, &str); 4] = [
    (
        "src/cmd/init.rs",
        "disk.sync_file_system(place)",
        "of the configuration's files, which are the operator's own and are written by no daemon",
    ),
    (
        "src/http/tls.rs",
        "replace_file(&**disk, path, text.as_bytes())",
        "of a certificate of our own: a start that finds it or its key missing makes both anew",
    ),
    (
        "src/catalog/seal.rs",
        "replace_file(&RealDisk",
        "of the index, which holds no truth: one without its seal is rebuilt",
    ),
    (
        "src/catalog/seal.rs",
        ".sync_dir(&parent(&path)?)",
        "of the index: a seal that comes back speaks for the same bytes and the same manifests, or for nothing",
    ),
];

#[test]
fn no_flush_of_the_program_is_outside_the_net() {
    let program = program();
    let mut names: BTreeSet<String> =
        ["sync_data", "sync_dir", "sync_file_system", "replace_file"].map(str::to_owned).into();
    let mut inside = BTreeSet::new();
    loop {
        let before = names.len();
        for (file, text) in &program {
            for function in functions_that_hand_on(text) {
                if calls(text, &names).iter().any(|line| function.lines.contains(line)) {
                    inside.extend(function.lines.clone().map(|line| (file.clone(), line)));
                    names.insert(function.name);
                }
            }
        }
        if names.len() == before {
            break;
        }
    }
    assert!(names.len() > 8, "helpers were not found: {names:?}");
    let ground = Ground::new();
    let of_making = making(&ground, None).0.flushes;
    let sites: BTreeSet<(String, usize)> = reached(&ground)
        .into_keys()
        .chain(of_making)
        .map(|(site, _)| (site.file().to_owned(), site.line() as usize - 1))
        .collect();
    let (mut outside, mut excepted) = (Vec::new(), BTreeSet::new());
    for (file, text) in &program {
        for line in calls(text, &names) {
            let place = (file.clone(), line);
            let code = text.lines().nth(line).unwrap();
            if let Some(known) = OUTSIDE.iter().find(|(of, call, _)| of == file && code.contains(call)) {
                excepted.insert(known);
                continue;
            }
            if !inside.contains(&place) && !sites.contains(&place) {
                outside.push(format!("{file}:{}: {}", line + 1, code.trim()));
            }
        }
    }
    assert_eq!(excepted.len(), OUTSIDE.len(), "an exception is there no more: {excepted:?}");
    assert!(outside.is_empty(), "no scenario comes to these flushes:\n{}", outside.join("\n"));
}
