//! Coverage-guided fuzzing of every parser of stored bytes, with LLVM's libFuzzer. `make fuzz` builds and runs it.
//!
//! `PARSER=name` chooses one; `PARSER=list` prints the names of all.
#![no_main]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../stored_bytes/memory.rs"]
mod memory;
#[path = "../../stored_bytes/properties.rs"]
mod properties;

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();

fn choose() {
    let name = std::env::var("PARSER").unwrap_or_default();
    let found = properties::ALL.iter().find(|(known, _)| *known == name);
    match found {
        Some((_, property)) => CHOSEN.set(*property).expect("chosen once"),
        None => {
            properties::ALL.iter().for_each(|(name, _)| println!("{name}"));
            std::process::exit(i32::from(name != "list"));
        }
    }
}

fuzz_target!(
    init: choose(),
    |bytes: &[u8]| CHOSEN.get().unwrap()(bytes)
);
