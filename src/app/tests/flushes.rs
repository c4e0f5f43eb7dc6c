//! Each flush of the program is in the net: some scenario comes to it.

use super::play::{DAY, Ground, Play, camera, span};
use super::scenarios::{ALL, making};
use crate::disk::{DeviceCheck, DeviceRefusal, Flush, Habit, PowerCut, SimulatedDisk, check_device};
use crate::domain::RequestId;
use crate::vault::Hold;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    let hold = Hold { request: RequestId(1), cameras: vec![camera(1)], span: span(0, 2) };
    play.built().holds.lock().unwrap().place(hold).unwrap();
    play.built().eraser.round().unwrap();
    play.files("held").len() + play.files("rolling").len() > 0
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
    const OTHERS: [&str; 4] = ["out.flush()", "stdout().flush()", "db.flush()", "stderr().flush()"];
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
    let mut outside = Vec::new();
    for (file, text) in &program {
        for line in calls(text, &names) {
            let place = (file.clone(), line);
            if !inside.contains(&place) && !sites.contains(&place) {
                outside.push(format!("{file}:{}: {}", line + 1, text.lines().nth(line).unwrap().trim()));
            }
        }
    }
    assert!(outside.is_empty(), "no scenario comes to these flushes:\n{}", outside.join("\n"));
}
