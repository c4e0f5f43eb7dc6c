//! The rules that the source keeps.

use crate::source::{NamePath, Source, Token};
use std::fmt;

/// The rooms, from the ground up. A room may use those on lower floors, never those on its own or above.
const FLOORS: [&[&str]; 11] = [
    &["domain"],
    &["clock"],
    &["crypto", "disk", "config"],
    &["ledger", "segment", "fragment", "worker"],
    &["catalog"],
    &["vault"],
    &["policy", "access", "retention", "ingest"],
    &["http"],
    &["app"],
    &["cmd"],
    &["main"],
];

/// Crates that appear in one room alone, as long as they are dependencies: of the two that write MP4, one is.
const HOMES: [(&str, &str); 24] = [
    ("notify", "config"),
    ("blahaj", "crypto"),
    ("bech32", "crypto"),
    ("blake3", "crypto"),
    ("ring", "crypto"),
    ("hpke", "crypto"),
    ("argon2", "crypto"),
    ("sled", "catalog"),
    ("mp4_atom", "fragment"),
    ("shiguredo_mp4", "fragment"),
    ("ffmpeg_next", "worker"),
    ("retina", "ingest"),
    ("csv", "access"),
    ("axum", "http"),
    ("aide", "http"),
    ("hyper", "http"),
    ("hyper_util", "http"),
    ("tower_service", "http"),
    ("rustls", "http"),
    ("tokio_rustls", "http"),
    ("rcgen", "http"),
    ("x509_parser", "http"),
    ("minijinja", "access"),
    ("indicatif", "cmd"),
];

const MOST_LINES: usize = 500;
/// Where the demonstration is defined, and so not read.
const PACE: &str = "config/pace.rs";
const MOST_READS_OF_THE_DEMO: usize = 2;

/// The crates of the table that `Cargo.toml` names, with their rooms.
pub fn homes(manifest: &str) -> Vec<(&'static str, &'static str)> {
    let is_dependency = |name: &str| {
        manifest.lines().any(|line| line.split_once('=').is_some_and(|(key, _)| key.trim().replace('-', "_") == name))
    };
    HOMES.into_iter().filter(|(name, _)| is_dependency(name)).collect()
}

/// A place in the source where a rule is broken.
#[derive(Clone, PartialEq, Eq)]
pub struct Broken {
    pub place: String,
    pub what: String,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}: {}", self.place, self.what)
    }
}

fn broken(source: &Source, line: usize, what: impl Into<String>) -> Broken {
    Broken { place: format!("{}:{line}", source.path.display()), what: what.into() }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Paths of the program itself.
fn program_paths(source: &Source) -> impl Iterator<Item = NamePath> {
    source.paths().into_iter().filter(|path| !path.in_test)
}

pub fn imports_point_down(source: &Source) -> Vec<Broken> {
    let room = source.room();
    if room == "lib" {
        return Vec::new();
    }
    let Some(own) = floor(&room) else {
        return vec![broken(source, 1, format!("the room {room} has no floor; give it one in tests/house/rules.rs"))];
    };
    let mut found = Vec::new();
    for path in program_paths(source) {
        let Some(other) = path.room() else { continue };
        match floor(other) {
            _ if other == room => {}
            Some(theirs) if theirs < own => {}
            Some(theirs) if theirs == own => {
                found.push(broken(source, path.line, format!("{room} uses its sibling {other}")))
            }
            Some(_) => found.push(broken(source, path.line, format!("{room} uses {other}, which stands above it"))),
            None => found.push(broken(source, path.line, format!("{room} uses {other}, which is no room"))),
        }
    }
    found
}

pub fn crates_stay_at_home(source: &Source) -> Vec<Broken> {
    let room = source.room();
    program_paths(source)
        .filter(|path| path.segments.len() > 1 || path.is_import)
        .filter_map(|path| {
            let (name, home) = HOMES.iter().find(|(name, _)| *name == path.segments[0])?;
            (room != *home).then(|| broken(source, path.line, format!("the crate {name} belongs in {home} alone")))
        })
        .collect()
}

pub fn files_are_short(source: &Source) -> Vec<Broken> {
    if source.lines <= MOST_LINES {
        return Vec::new();
    }
    vec![broken(source, 1, format!("{} lines without tests, more than {MOST_LINES}", source.lines))]
}

pub fn time_comes_from_the_clock(source: &Source) -> Vec<Broken> {
    if source.room() == "clock" {
        return Vec::new();
    }
    let doors: [&[&str]; 8] = [
        &["SystemTime", "now"],
        &["Timestamp", "now"],
        &["Zoned", "now"],
        &["Instant"],
        &["thread", "sleep"],
        &["time", "sleep"],
        &["tokio", "time"],
        &["clock_gettime"],
    ];
    program_paths(source)
        .filter(|path| doors.iter().any(|door| path.has(door)))
        .map(|path| broken(source, path.line, format!("{}: time comes from the Clock alone", path.segments.join("::"))))
        .collect()
}

/// Whether these tokens stand at `at`.
fn reads(tokens: &[&Token], at: usize, wanted: &[&str]) -> bool {
    wanted.iter().enumerate().all(|(offset, text)| tokens.get(at + offset).is_some_and(|token| token.text == *text))
}

/// `const NAME: … ;` is worked out by the compiler: what it cannot unwrap is no program.
fn without_constants(tokens: Vec<&Token>) -> Vec<&Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = tokens[at].text == "const" && tokens.get(at + 2).is_some_and(|token| token.text == ":");
        let mut open = 0_usize;
        while begins && at < tokens.len() {
            match tokens[at].text.as_str() {
                "{" | "[" | "(" => open += 1,
                "}" | "]" | ")" if open == 0 => break,
                "}" | "]" | ")" => open -= 1,
                // `const N: usize` among the parameters of a type ends with those.
                ";" | "," | ">" if open == 0 => break,
                _ => {}
            }
            at += 1;
        }
        if let Some(token) = tokens.get(at) {
            kept.push(*token);
        }
        at += 1;
    }
    kept
}

pub fn nothing_is_passed_over(source: &Source) -> Vec<Broken> {
    let tokens = without_constants(source.program());
    let patterns: [&[&str]; 6] = [
        &[".", "unwrap", "("],
        &[".", "expect", "("],
        &["let", "_", "="],
        &["todo", "!"],
        &["unimplemented", "!"],
        &["dbg", "!"],
    ];
    (0..tokens.len())
        .filter_map(|at| {
            let pattern = patterns.iter().find(|pattern| reads(&tokens, at, pattern))?;
            Some(broken(source, tokens[at].line, format!("{} outside a test", pattern.join(""))))
        })
        .collect()
}

/// Holds in tests too.
pub fn no_test_is_ignored(source: &Source) -> Vec<Broken> {
    let tokens: Vec<&Token> = source.tokens.iter().collect();
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let plain = reads(&tokens, at, &["#", "[", "ignore"]);
        let conditional = reads(&tokens, at, &["#", "[", "cfg_attr", "("])
            && tokens[at..].iter().take_while(|token| token.text != "]").any(|token| token.text == "ignore");
        if plain || conditional {
            found.push(broken(source, tokens[at].line, "an ignored test is a dead one"));
        }
    }
    found
}

/// The program is one: no switch of the build leaves a cipher, a flush or a check out of it.
pub fn nothing_is_left_out_by_a_switch(source: &Source) -> Vec<Broken> {
    let tokens: Vec<&Token> = source.tokens.iter().collect();
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let switch = ["cfg", "cfg_attr"].iter().any(|word| reads(&tokens, at, &[word]))
            && tokens[at..]
                .iter()
                .take_while(|token| token.text != "]" && token.text != ";")
                .any(|token| ["feature", "debug_assertions"].contains(&token.text.as_str()));
        if switch {
            found.push(broken(
                source,
                tokens[at].line,
                "a switch of the build: what is shipped would not be what is tested",
            ));
        }
    }
    found
}

/// `unsafe` and leave for it, in tests too: one file in `disk`, one in `worker`.
pub fn unsafe_stays_in_its_two_files(sources: &[Source]) -> Vec<Broken> {
    let mut found = Vec::new();
    let mut of_worker = None;
    for source in sources {
        let tokens: Vec<&Token> = source.tokens.iter().collect();
        let first = (0..tokens.len()).find(|at| {
            reads(&tokens, *at, &["unsafe"])
                || reads(&tokens, *at, &["allow", "(", "unsafe_code"])
                || reads(&tokens, *at, &["expect", "(", "unsafe_code"])
        });
        let Some(first) = first else { continue };
        let line = tokens[first].line;
        match source.path.to_str() {
            Some("disk/kernel.rs") => {}
            _ if source.room() == "worker" => match &of_worker {
                None => of_worker = Some(source.path.clone()),
                Some(other) => {
                    let what = format!("unsafe in a second file of worker, beside {}", other.display());
                    found.push(broken(source, line, what));
                }
            },
            _ => found.push(broken(source, line, "unsafe outside disk/kernel.rs and worker")),
        }
    }
    found
}

/// Where the program asks whether it is a demonstration. A read is, outside `config/pace.rs` and tests: `Pace::Demo`
/// anywhere; `Pace::Real` compared with or matched; a call of `notice` or `compression`; a field `demo` that is not
/// just handed to `Pace::from_flag`; a glob import from `Pace`.
pub fn reads_of_the_demo(sources: &[Source]) -> Vec<Broken> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path.to_str() != Some(PACE)) {
        let tokens = source.program();
        for at in 0..tokens.len() {
            let real = reads(&tokens, at, &["Pace", "::", "Real"])
                && (reads(&tokens, at + 3, &["=", ">"])
                    || ["=", "!"].iter().any(|next| reads(&tokens, at + 3, &[next, "="]))
                    || reads(&tokens, at + 3, &["|"])
                    || at >= 2 && ["=", "!"].iter().any(|last| reads(&tokens, at - 2, &[last, "="])));
            let handed_over = at >= 3 && reads(&tokens, at - 3, &["from_flag", "("]);
            let flag = reads(&tokens, at, &[".", "demo"]) && !reads(&tokens, at + 2, &["("]) && !handed_over;
            if real
                || flag
                || reads(&tokens, at, &["Pace", "::", "Demo"])
                || reads(&tokens, at, &["Pace", "::", "*"])
                || reads(&tokens, at, &["Pace", "::", "{"])
                || reads(&tokens, at, &[".", "notice", "("])
                || reads(&tokens, at, &[".", "compression", "("])
            {
                found.push(broken(source, tokens[at].line, "reads whether this is a demonstration"));
            }
        }
    }
    found
}

pub fn the_demo_is_read_in_two_places(sources: &[Source]) -> Vec<Broken> {
    let found = reads_of_the_demo(sources);
    if found.len() <= MOST_READS_OF_THE_DEMO { Vec::new() } else { found }
}
