//! The report that the benches share: what stands in it can be believed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../benches/support/report.rs"]
mod report;

use report::{Bound, Row};
use std::fs;

#[test]
fn a_row_says_what_it_is_held_against_and_whether_it_holds() {
    for (value, bound, text, ok) in [
        (0.9, Bound::AtLeast(0.9), ">= 0.9", true),
        (0.8999, Bound::AtLeast(0.9), ">= 0.9", false),
        (0.38, Bound::AtMost(0.38), "<= 0.38", true),
        (0.3801, Bound::AtMost(0.38), "<= 0.38", false),
        (0.999, Bound::Below(1.0), "< 1", true),
        (1.0, Bound::Below(1.0), "< 1", false),
        (7.0, Bound::Stated, "stated", true),
    ] {
        let row = Row::new("some_figure", value, "ratio", bound);
        assert_eq!((row.bound.as_str(), row.ok), (text, ok), "{value}");
        assert_eq!(row.to_string().contains("FALLS SHORT"), !ok, "{row}");
    }
}

#[test]
fn the_file_is_a_list_of_five_named_fields() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bench/report.json");
    report::record(&path, &[Row::new("figure", 0.5, "ratio", Bound::AtLeast(0.9))]).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let row = serde_json::json!({"name": "figure", "value": 0.5, "unit": "ratio", "bound": ">= 0.9", "ok": false});
    assert_eq!(told, serde_json::json!([row]));
}

#[test]
fn a_bench_replaces_its_own_rows_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let row = |name, value| Row::new(name, value, "s", Bound::AtMost(2.0));
    report::record(&path, &[row("b", 1.0), row("c", 1.0)]).unwrap();
    report::record(&path, &[row("a", 1.0), row("c", 3.0)]).unwrap();
    let told: Vec<Row> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(told, [row("a", 1.0), row("b", 1.0), row("c", 3.0)]);
    assert!(!told[2].ok);
}

#[test]
fn what_is_no_figure_and_what_is_no_report_is_refused_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    report::record(&path, &[Row::new("a", 1.0, "s", Bound::Stated)]).unwrap();
    let before = fs::read(&path).unwrap();
    for value in [f64::NAN, f64::INFINITY] {
        let nothing = report::record(&path, &[Row::new("b", value, "s", Bound::Stated)]).unwrap_err();
        assert!(nothing.to_string().contains("b measured nothing"), "{nothing}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::write(&path, b"[{\"name\": \"a\"}]").unwrap();
    let unread = report::record(&path, &[Row::new("b", 1.0, "s", Bound::Stated)]).unwrap_err();
    assert!(unread.to_string().contains("delete it"), "{unread}");
    assert_eq!(fs::read(&path).unwrap(), b"[{\"name\": \"a\"}]");
}

#[test]
fn the_report_stands_where_the_readme_says() {
    assert!(report::path().ends_with("target/bench/report.json"));
}
