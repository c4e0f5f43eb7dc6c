//! The report that all benches write together, `target/bench/report.json`: a list of rows
//! `{"name", "value", "unit", "bound", "ok"}`, sorted by name. A bench adds its rows or replaces those of its last run,
//! and leaves everybody else's as they are.
//!
//! `bound` is text for people that a machine takes apart at its one space: a comparison, then a number in the row's
//! unit (`>= 0.9`, `<= 0.38`, `< 1`). `ok` is `value bound`, on the very number that stands in the row. A figure that
//! is stated and not bound has the bound `stated`, and is `ok`.
//!
//! Falling short is a result and no failure: it is printed, it stands in the report, and the bench ends with status 0.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a figure is held against, in the row's unit.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(dead_code, reason = "each bench uses those that it needs")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
    Stated,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(limit) => value >= limit,
            Bound::AtMost(limit) => value <= limit,
            Bound::Below(limit) => value < limit,
            Bound::Stated => true,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::AtLeast(limit) => write!(f, ">= {limit}"),
            Bound::AtMost(limit) => write!(f, "<= {limit}"),
            Bound::Below(limit) => write!(f, "< {limit}"),
            Bound::Stated => f.write_str("stated"),
        }
    }
}

/// One figure.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: String,
    pub bound: String,
    pub ok: bool,
}

impl Row {
    pub fn new(name: &str, value: f64, unit: &str, bound: Bound) -> Self {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Self { name, value, unit, bound: bound.to_string(), ok: bound.holds(value) }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.bound.as_str(), self.ok) {
            ("stated", _) => "stated".to_owned(),
            (bound, true) => format!("ok, {bound}"),
            (bound, false) => format!("FALLS SHORT of {bound}"),
        };
        let unit = if self.unit == "ratio" { String::new() } else { format!(" {}", self.unit) };
        write!(f, "{:<28} {:>9.3}{unit} ({verdict})", self.name, self.value)
    }
}

/// Where the report stands, whatever directory the bench was started in.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/report.json")
}

/// Prints the rows and puts them into the report at `path`.
///
/// # Errors
/// A row without a figure (not a finite number); a report that is there and cannot be read; what the disk says.
pub fn record(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let mut whole = read(path)?;
    for row in rows {
        ensure!(row.value.is_finite(), "the bench {} measured nothing: its value is {}", row.name, row.value);
        println!("{row}");
        whole.retain(|other| other.name != row.name);
        whole.push(row.clone());
    }
    whole.sort_by(|one, other| one.name.cmp(&other.name));
    let fresh = path.with_extension("new");
    let dir = path.parent().context("the report has no directory")?;
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
    let mut text = serde_json::to_string_pretty(&whole)?;
    text.push('\n');
    fs::write(&fresh, text).with_context(|| format!("{}: cannot be written", fresh.display()))?;
    fs::rename(&fresh, path).with_context(|| format!("{}: cannot be replaced", path.display()))
}

fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(|| format!("{}: cannot be read", path.display()))?,
    };
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{}: not a report of the benches; delete it and run them again", path.display()))
}
