//! The picture of the house in the README, against the house.
//!
//! It is the first fenced block after the heading `## Architecture`. In it, a line `src/`, and below it, indented by two
//! blanks more, a line a room: its name as the tree has it (`disk/` for a room with a directory, `clock.rs` without),
//! blanks, what it is for, and last, in brackets, the crates that appear in it alone:
//!
//! ```text
//! src/
//!   main.rs        arguments → cmd; exit code
//!   config/        site.toml and camera-config/*.toml: read, check, diff, watch   [notify]
//! camera-config/   one TOML a camera
//! ```
//!
//! Lines indented deeper go on the line above them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Rooms as `src` has them: `disk/` or `clock.rs`.
pub fn rooms_of(src: &Path) -> BTreeSet<String> {
    let names: Vec<_> = fs::read_dir(src).unwrap().map(|entry| entry.unwrap()).collect();
    let is_dir = |name: &str| src.join(name).is_dir();
    names
        .iter()
        .map(|entry| entry.file_name().into_string().unwrap())
        .map(|name| match name.strip_suffix(".rs") {
            Some(room) if is_dir(room) => format!("{room}/"),
            Some(_) => name,
            None => format!("{name}/"),
        })
        .collect()
}

/// Rooms as the README draws them, with the crates in their brackets; `None` without a picture.
fn drawn(readme: &str) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let mut lines = readme.lines().skip_while(|line| line.trim_end() != "## Architecture").skip(1);
    lines.find(|line| line.starts_with("```"))?;
    let block: Vec<&str> = lines.take_while(|line| !line.starts_with("```")).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let src = block.iter().position(|line| line.split_whitespace().next() == Some("src/"))?;
    let depth = indent(block[src]);
    let mut rooms = BTreeMap::new();
    for line in block[src + 1..].iter().take_while(|line| indent(line) > depth) {
        if indent(line) != depth + 2 {
            continue;
        }
        let name = line.split_whitespace().next()?.to_owned();
        let brackets =
            line.trim_end().strip_suffix(']').and_then(|line| line.rsplit_once('[')).map_or("", |(_, last)| last);
        let crates = brackets.split(',').map(|name| name.trim().replace('-', "_")).filter(|name| !name.is_empty());
        rooms.insert(name, crates.collect());
    }
    Some(rooms)
}

/// Where picture and house differ, `homes` being the crates with their rooms.
pub fn differences(readme: &str, rooms: &BTreeSet<String>, homes: &[(&str, &str)]) -> Vec<String> {
    let Some(drawn) = drawn(readme) else {
        return vec!["the README has no block after `## Architecture` with a line `src/`".into()];
    };
    let mut found = Vec::new();
    for room in rooms {
        let Some(crates) = drawn.get(room) else {
            found.push(format!("src has {room}, the picture does not"));
            continue;
        };
        let name = room.trim_end_matches('/').trim_end_matches(".rs");
        let wanted: BTreeSet<String> =
            homes.iter().filter(|(_, home)| *home == name).map(|(name, _)| (*name).to_owned()).collect();
        if *crates != wanted {
            found.push(format!("{room} is drawn with the crates {crates:?}, but those at home there are {wanted:?}"));
        }
    }
    found.extend(
        drawn.keys().filter(|room| !rooms.contains(*room)).map(|room| format!("the picture has {room}, src does not")),
    );
    found
}
