//! The gates on the source: the order of the rooms, what may appear where, and the README's picture of it all. Each
//! rule is also shown a made-up source that breaks it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "house/lexer.rs"]
mod lexer;
#[path = "house/picture.rs"]
mod picture;
#[path = "house/rules.rs"]
mod rules;
#[path = "house/source.rs"]
mod source;

use rules::Broken;
use source::Source;
use std::fs;
use std::path::PathBuf;

fn root(below: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(below)
}

fn house() -> Vec<Source> {
    let sources = Source::tree(&root("src"));
    assert!(sources.len() > 10, "the source was not found");
    sources
}

/// What a rule finds in a made-up file.
fn in_file(rule: fn(&Source) -> Vec<Broken>, path: &str, text: &str) -> Vec<String> {
    rule(&Source::parse(path, text)).into_iter().map(|broken| format!("{broken:?}")).collect()
}

#[track_caller]
fn assert_catches(rule: fn(&Source) -> Vec<Broken>, path: &str, text: &str, line: usize) {
    let found = in_file(rule, path, text);
    assert!(found.len() == 1 && found[0].contains(&format!("{path}:{line}: ")), "{text}\n{found:?}");
}

#[track_caller]
fn assert_lets_pass(rule: fn(&Source) -> Vec<Broken>, path: &str, text: &str) {
    assert_eq!(in_file(rule, path, text), Vec::<String>::new(), "{text}");
}

fn everywhere(rule: fn(&Source) -> Vec<Broken>) -> Vec<Broken> {
    house().iter().flat_map(rule).collect()
}

#[test]
fn the_lexer_reads_what_rust_is_written_in() {
    let words = |text: &str| {
        let source = Source::parse("a.rs", text);
        source
            .tokens
            .iter()
            .filter(|token| token.is_ident)
            .map(|token| (token.text.clone(), token.line))
            .collect::<Vec<_>>()
    };
    let a = |line| vec![("a".to_owned(), line)];
    for (text, line) in [
        ("a", 1),
        ("// b\n/* b /* b\n */ b */ a // b", 3),
        ("\"b \\\" b\n\" a", 2),
        ("r#\"b \" b\"# a", 1),
        ("br##\"b \"# b\n\"## a", 2),
        ("b'b' b'\\'' '\\'' 'b' '\\u{62}' '\"' a", 1),
        ("'b 'static '_ a", 1),
        ("r#a", 1),
        ("0b1_0u8 1.5e3 0xbb a", 1),
        ("c\"b\" r\"b\\\" a", 1),
        ("'가' \"가\n\" a", 2),
    ] {
        assert_eq!(words(text), a(line), "{text}");
    }
    assert_eq!(words("a::r::b").len(), 3);
    assert_eq!(words("x.0.unwrap()").len(), 2);
    assert!(lexer::trees("( ]").is_err() && lexer::trees("(").is_err() && lexer::trees("}").is_err());
}

#[test]
fn imports_point_down() {
    assert_eq!(everywhere(rules::imports_point_down), []);
}

#[test]
fn imports_that_point_up_or_aside_are_caught() {
    let rule = rules::imports_point_down;
    assert_catches(rule, "vault.rs", "use crate::http::Route;", 1);
    assert_catches(rule, "vault/open.rs", "// a comment\nfn f() -> crate::access::Grant { g() }", 2);
    assert_catches(rule, "disk.rs", "use crate::crypto::Key;", 1);
    assert_catches(rule, "ledger.rs", "use crate::{clock::Clock, domain::{Utc, Day}, segment as s};", 1);
    assert_catches(rule, "vault/keys/day.rs", "use super::super::super::ingest::X;", 1);
    assert_catches(rule, "vault.rs", "mod a { fn f() { super::super::http::x() } }", 1);
    assert_catches(rule, "vault.rs", "pub use ::cctv_custodian::app;", 1);
    assert_catches(rule, "vault.rs", "type T = Vec<crate::http::X>;", 1);
    assert_catches(rule, "vault.rs", "impl<T> crate::http::Tr for T {}", 1);
    assert_catches(rule, "clock.rs", "macro_rules! m { () => { $crate::disk::x() } }", 1);
    assert_catches(rule, "config.rs", "use crate::*;", 1);
    assert_catches(rule, "cellar.rs", "fn f() {}", 1);
    assert_catches(rule, "vault.rs", "use crate::cellar::X;", 1);
    assert_catches(rule, "domain.rs", "#[cfg(not(test))]\nuse crate::clock::Clock;", 2);

    assert_lets_pass(rule, "vault.rs", "use crate::{catalog, crypto::Key, vault::Open}; use super::disk::X;");
    assert_lets_pass(rule, "vault/open.rs", "use super::http::NotTheRoom; use self::app::X; use other::http::Y;");
    assert_lets_pass(
        rule,
        "vault.rs",
        "mod a { use super::http; }\n// crate::http::X\nconst S: &str = \"crate::http::X\";",
    );
    assert_lets_pass(
        rule,
        "vault.rs",
        "#[cfg(test)]\nmod tests {\n use crate::http::X;\n}\n#[cfg(test)] use crate::app::{A, B};",
    );
    assert_lets_pass(rule, "vault.rs", "pub(crate) fn f() {} pub(in crate::vault) fn g() { a.crate_::http() }");
    assert_lets_pass(rule, "main.rs", "use cctv_custodian::{cmd, app};");
}

#[test]
fn crates_stay_at_home() {
    assert_eq!(everywhere(rules::crates_stay_at_home), []);
}

#[test]
fn crates_away_from_home_are_caught() {
    let rule = rules::crates_stay_at_home;
    let homes = rules::homes(&fs::read_to_string(root("Cargo.toml")).unwrap());
    let rooms: std::collections::BTreeSet<_> = homes.iter().map(|(_, home)| *home).collect();
    assert_eq!(rooms.len(), 9, "a room of the table has lost its crates: {rooms:?}");
    for (name, home) in homes {
        assert_catches(rule, "app.rs", &format!("\nuse {name}::X;"), 2);
        assert_lets_pass(rule, &format!("{home}/part.rs"), &format!("use {name}::X;"));
    }
    assert_catches(rule, "vault.rs", "use {std::fs, ring::aead};", 1);
    assert_catches(rule, "vault.rs", "use ring as r;", 1);
    assert_catches(rule, "vault.rs", "extern crate ring;", 1);
    assert_catches(rule, "vault.rs", "fn f(k: &::ring::aead::Key) {}", 1);
    assert_catches(rule, "vault.rs", "#[derive(axum::X)] struct S;", 1);
    assert_lets_pass(rule, "vault.rs", "fn f(ring: u8) { g.ring(ring); crate::crypto::ring::x(); wedding::ring(); }");
}

#[test]
fn files_are_short() {
    assert_eq!(everywhere(rules::files_are_short), []);
}

#[test]
fn a_long_file_is_caught_and_its_tests_are_not_counted() {
    let rule = rules::files_are_short;
    let long = |lines: usize| "fn f() {}\n".repeat(lines);
    assert_catches(rule, "vault.rs", &long(501), 1);
    assert_lets_pass(rule, "vault.rs", &long(500));
    assert_lets_pass(rule, "vault.rs", &format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", long(500), long(900)));
    assert_catches(rule, "vault.rs", &format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", long(501), long(9)), 1);
    assert_lets_pass(rule, "vault/tests.rs", &format!("//! Tests.\n#![cfg(test)]\n{}", long(900)));
}

#[test]
fn time_comes_from_the_clock() {
    assert_eq!(everywhere(rules::time_comes_from_the_clock), []);
}

#[test]
fn time_from_elsewhere_is_caught() {
    let rule = rules::time_comes_from_the_clock;
    for text in [
        "fn f() { SystemTime::now(); }",
        "fn f() { std::time::SystemTime::now(); }",
        "use std::time::{Duration, Instant};",
        "fn f() { Instant::now(); }",
        "fn f() { std::thread::sleep(d); }",
        "use std::thread::{self, sleep};",
        "async fn f() { tokio::time::sleep(d).await }",
        "use tokio::{sync::Notify, time};",
        "async fn f() { time::sleep_until(d).await; }\nuse tokio::time::sleep;",
        "fn f() { jiff::Timestamp::now(); }",
        "fn f() { jiff::Zoned::now(); }",
        "fn f() { rustix::time::clock_gettime(id); }",
    ] {
        let found = in_file(rule, "vault.rs", text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_lets_pass(rule, "clock.rs", text);
        assert_lets_pass(rule, "vault.rs", &format!("#[cfg(test)]\nmod tests {{ {text} }}"));
    }
    assert_lets_pass(
        rule,
        "vault.rs",
        "use std::time::Duration; fn f(c: &Clock) { c.sleep(d); c.now(); } // Instant::now",
    );
}

#[test]
fn nothing_is_passed_over() {
    assert_eq!(everywhere(rules::nothing_is_passed_over), []);
}

#[test]
fn what_is_passed_over_is_caught() {
    let rule = rules::nothing_is_passed_over;
    for text in ["x\n.unwrap()", "x\n.expect(\"why\")", "\nlet _ = x", "\nlet _=x", "\ntodo!()", "\ndbg!(x)"] {
        assert_catches(rule, "vault.rs", &format!("fn f() {{ {text}; }}"), 2);
        assert_lets_pass(rule, "vault.rs", &format!("#[cfg(test)] mod tests {{ fn f() {{ {text}; }} }}"));
        assert_lets_pass(rule, "vault.rs", &format!("// fn f() {{ {} }}", text.replace('\n', "")));
    }
    assert_lets_pass(rule, "vault.rs", "fn f() { x.unwrap_or(y); x.expect_err; let _a = b; m!(\".unwrap()\"); }");
    // The compiler itself unwraps a constant's value, and nothing else's.
    assert_lets_pass(rule, "vault.rs", "fn f() { const A: [u8; 2] = g({ b }).unwrap(); }");
    assert_catches(rule, "vault.rs", "const A: u8 = B;\nconst fn f() { x.unwrap() }", 2);
    assert_catches(rule, "vault.rs", "struct S<const N: usize>;\nfn f<const N: usize, T>() { x.unwrap() }", 2);
    // What stands after the tests is the program again.
    assert_catches(rule, "vault.rs", "#[cfg(test)]\nmod tests {}\nfn f() { x.unwrap() }", 3);
    assert_catches(rule, "vault.rs", "#[cfg(test)]\nuse a::{b};\nfn f() { x.unwrap() }", 3);
    assert_catches(rule, "vault.rs", "struct S { #[cfg(test)] a: u8, b: [u8; { x.unwrap() }] }", 1);
    assert_catches(rule, "vault.rs", "#[cfg(any(test, feature = \"x\"))] fn f() { x.unwrap() }", 1);
}

#[test]
fn no_test_is_ignored() {
    assert_eq!(everywhere(rules::no_test_is_ignored), []);
    let tests = Source::tree(&root("tests"));
    assert_eq!(tests.iter().flat_map(rules::no_test_is_ignored).collect::<Vec<_>>(), []);
}

#[test]
fn an_ignored_test_is_caught() {
    let rule = rules::no_test_is_ignored;
    assert_catches(rule, "vault.rs", "#[cfg(test)]\nmod tests {\n#[test]\n#[ignore] fn f() {} }", 4);
    assert_catches(rule, "vault.rs", "#[test] #[ignore = \"slow\"] fn f() {}", 1);
    assert_catches(rule, "vault.rs", "#[cfg_attr(not(root), ignore)] fn f() {}", 1);
    assert_lets_pass(rule, "vault.rs", "fn ignore() { v[ignore] } // #[ignore]");
}

#[test]
fn nothing_is_left_out_by_a_switch_of_the_build() {
    assert_eq!(everywhere(rules::nothing_is_left_out_by_a_switch), []);
    let cargo = fs::read_to_string(root("Cargo.toml")).unwrap();
    assert!(!cargo.contains("[features]"), "the program has no features: the cipher cannot be left out of it");
}

#[test]
fn a_switch_of_the_build_is_caught() {
    let rule = rules::nothing_is_left_out_by_a_switch;
    assert_catches(rule, "crypto.rs", "#[cfg(not(feature = \"bench-plain\"))]\nfn seal() {}", 1);
    assert_catches(rule, "crypto.rs", "fn f() {\n if cfg!(feature = \"plain\") { return; }\n}", 2);
    assert_catches(rule, "crypto.rs", "#[cfg_attr(feature = \"plain\", path = \"plain.rs\")] mod seal;", 1);
    assert_catches(rule, "vault.rs", "fn f() { if cfg!(debug_assertions) { flush(); } }", 1);
    assert_lets_pass(rule, "worker/filter.rs", "#[cfg(target_arch = \"x86_64\")] const A: u32 = 1;");
    assert_lets_pass(rule, "vault.rs", "#[cfg(test)] mod tests { fn feature() {} }");
}

#[test]
fn unsafe_stays_in_its_two_files() {
    assert_eq!(rules::unsafe_stays_in_its_two_files(&house()), []);
}

#[test]
fn unsafe_elsewhere_is_caught() {
    let count = |files: &[(&str, &str)]| {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::parse(path, text)).collect();
        rules::unsafe_stays_in_its_two_files(&sources).len()
    };
    let text = "fn f() { unsafe { g() } }";
    assert_eq!(count(&[("disk/kernel.rs", text), ("worker/confine.rs", text), ("vault.rs", "// unsafe")]), 0);
    assert_eq!(count(&[("worker/confine.rs", text), ("worker/pipe.rs", text)]), 1);
    assert_eq!(count(&[("disk/real.rs", text)]), 1);
    assert_eq!(count(&[("vault.rs", "#![allow(unsafe_code)]")]), 1);
    assert_eq!(count(&[("vault.rs", "#[cfg(test)] mod tests { fn f() { unsafe { g() } } }")]), 1);
    assert_eq!(count(&[("lib.rs", "#![deny(unsafe_code)]")]), 0);
}

#[test]
fn the_demonstration_is_read_in_two_places_at_most() {
    let sources = house();
    assert_eq!(rules::the_demo_is_read_in_two_places(&sources), []);
    assert!(!rules::reads_of_the_demo(&sources).is_empty(), "where it is read was not found");
}

#[test]
fn each_way_to_read_the_demonstration_is_counted() {
    let reads = |path: &str, text: &str| rules::reads_of_the_demo(&[Source::parse(path, text)]).len();
    for text in [
        "fn f() { if pace == Pace::Demo {} }",
        "fn f() { match pace { Pace::Real => 1, _ => 2 } }",
        "fn f() { match pace { Pace::Real | X => 1, _ => 2 } }",
        "fn f() { if pace != Pace::Real {} }",
        "fn f() { if Pace::Real == pace {} }",
        "fn f() { site.pace.notice() }",
        "fn f() { pace.compression() }",
        "fn f() { if arguments.demo {} }",
        "use crate::config::Pace::*;",
        "use Pace::{Demo as D};",
    ] {
        assert_eq!(reads("app.rs", text), 1, "{text}");
        assert_eq!(reads("config/pace.rs", text), 0, "{text}");
        assert_eq!(reads("app.rs", &format!("#[cfg(test)] mod tests {{ {text} }}")), 0, "{text}");
    }
    for text in [
        "fn f() { Site::load(dir, Pace::Real) }",
        "fn f() { Pace::from_flag(arguments.demo) }",
        "struct A { demo: bool }",
        "fn f() { tracing::info!(pace = %site.pace) }",
    ] {
        assert_eq!(reads("app.rs", text), 0, "{text}");
    }
    let twice = [Source::parse("app.rs", "fn f() { a.notice(); b.notice(); }")];
    assert_eq!(rules::the_demo_is_read_in_two_places(&twice), []);
    let thrice = [Source::parse("app.rs", "fn f() { a.notice(); b.notice(); c.notice(); }")];
    assert_eq!(rules::the_demo_is_read_in_two_places(&thrice).len(), 3);
}

#[test]
fn files_of_test_modules_are_tests() {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("lib.rs", "pub mod vault;"),
        ("vault.rs", "mod open;\n#[cfg(test)]\nmod tests;"),
        ("vault/open.rs", "fn f() { x.unwrap() }"),
        ("vault/tests.rs", "mod deep; fn f() { x.unwrap() }"),
        ("vault/tests/deep.rs", "fn f() { x.unwrap() }"),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let sources = Source::tree(dir.path());
    let found: Vec<_> = sources.iter().flat_map(rules::nothing_is_passed_over).map(|broken| broken.place).collect();
    assert_eq!(found, ["vault/open.rs:1"]);
}

#[test]
fn the_readme_draws_the_house_as_it_is() {
    let readme = fs::read_to_string(root("README.md"))
        .expect("README.md, with the picture that tests/house/picture.rs asks for");
    let homes = rules::homes(&fs::read_to_string(root("Cargo.toml")).unwrap());
    assert_eq!(picture::differences(&readme, &picture::rooms_of(&root("src")), &homes), Vec::<String>::new());
}

#[test]
fn a_picture_that_differs_is_caught() {
    let rooms = ["main.rs", "clock.rs", "crypto/"].map(str::to_owned).into();
    let right = "# Custodian\n```\nsrc/\n  other.rs\n```\n## Architecture\nWords.\n```text\nsrc/\n  main.rs    arguments\n  \
                 clock.rs   the [only] door\n  crypto/    keys:\n             more of them, [or] less\n\
                 \x20            still more\ncamera-config/\n```\n";
    let with_crates = right.replace("keys:", "keys:   [ring, hpke, argon2]");
    let homes = [("ring", "crypto"), ("hpke", "crypto"), ("argon2", "crypto"), ("sled", "catalog")];
    let differences = |readme: &str| picture::differences(readme, &rooms, &homes);
    assert_eq!(differences(&with_crates), Vec::<String>::new());
    assert_eq!(differences(right).len(), 1, "crates are missing");
    assert_eq!(differences(&with_crates.replace("  clock.rs   the [only] door\n", "")).len(), 1);
    assert_eq!(differences(&with_crates.replace("clock.rs", "cellar.rs")).len(), 2);
    assert_eq!(differences(&with_crates.replace("crypto/", "crypto.rs")).len(), 2);
    assert_eq!(differences(&with_crates.replace("door", "door [ring]")).len(), 1);
    assert_eq!(differences("## Architecture\n").len(), 1);
    assert_eq!(differences("").len(), 1);
}
