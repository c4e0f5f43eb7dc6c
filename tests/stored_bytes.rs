//! Hostile stored bytes: what `tests/stored_bytes/properties.rs` says holds for bytes of any kind, for every vector, and
//! for every vector with a bit of it changed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "stored_bytes/memory.rs"]
mod memory;
#[path = "stored_bytes/properties.rs"]
mod properties;

use proptest::prelude::*;
use std::path::Path;

/// The vectors, and what fuzzing found: whole and damaged ones, each with the name of its parser.
fn vectors() -> Vec<(String, String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")).unwrap() {
        let path = entry.unwrap().path();
        let word = |part: Option<&std::ffi::OsStr>| part.unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|ending| ending != "json") {
            found.push((word(path.extension()), word(path.file_stem()), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn property(name: &str) -> fn(&[u8]) {
    let found = properties::ALL.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("a vector of {name}, for which there is no property")).1
}

#[test]
fn every_vector_keeps_the_properties() {
    let vectors = vectors();
    for (name, _) in properties::ALL {
        assert!(vectors.iter().any(|(of, ..)| of == name), "there is no vector of {name}");
    }
    for (of, name, bytes) in &vectors {
        println!("{name}.{of}");
        property(of)(bytes);
    }
}

/// Every bit of what is short; of what is long, those of its first bytes and some of the others.
#[test]
fn a_changed_bit_anywhere_keeps_the_properties() {
    const ALL_BELOW_BYTES: usize = 700;
    for (of, name, bytes) in vectors() {
        if !name.starts_with("whole") {
            continue;
        }
        for at in 0..bytes.len() {
            if at > ALL_BELOW_BYTES && at % 97 != 0 {
                continue;
            }
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            property(&of)(&changed);
        }
        for length in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
            property(&of)(&bytes[..length]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bytes_of_any_kind_keep_the_properties(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        for (_, property) in properties::ALL {
            property(&bytes);
        }
    }

    /// A vector with several bytes changed, a piece doubled or taken out, and its end cut off or made longer.
    #[test]
    fn a_vector_that_was_mangled_keeps_the_properties(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        (from, to, place) in any::<(prop::sample::Index, prop::sample::Index, prop::sample::Index)>(),
        more in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let vectors = vectors();
        let (of, _, bytes) = which.get(&vectors);
        let mut mangled = bytes.clone();
        mangled.extend(more);
        if !mangled.is_empty() {
            for (at, byte) in changes {
                let at = at.index(mangled.len());
                mangled[at] = byte;
            }
            let (from, to) = (from.index(mangled.len()), to.index(mangled.len()));
            let piece = mangled[from.min(to)..from.max(to)].to_vec();
            if from < to {
                mangled.drain(from..to);
            }
            let at = place.index(mangled.len() + 1);
            mangled.splice(at..at, piece);
        }
        property(of)(&mangled);
    }
}
