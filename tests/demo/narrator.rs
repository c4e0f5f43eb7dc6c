//! Tells the story on the terminal, a step a line with its time, and keeps what failed.

use super::report::StepReport;
use super::{go_on, is_interrupted};
use anyhow::Result;
use std::io::Write;
use std::time::Instant;

const TITLE_COLUMNS: usize = 62;

/// A step's name in the report, and its line.
pub struct StepTitle {
    pub name: &'static str,
    pub title: &'static str,
}

pub struct Narrator {
    titles: &'static [StepTitle],
    done: Vec<StepReport>,
    pub failures: Vec<String>,
}

/// The checks of a step. One that fails does not end the step.
#[derive(Default)]
pub struct Checks {
    failed: Vec<String>,
}

impl Checks {
    pub fn hold(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.failed.push(otherwise());
        }
    }

    /// Checks that two figures are the same.
    pub fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, expected: T) {
        self.hold(found == expected, || format!("{what}: {found:?}, expected {expected:?}"));
    }
}

impl Narrator {
    pub fn new(titles: &'static [StepTitle]) -> Self {
        println!(
            "Custodian in {} steps: footage is recorded and sealed, asked for, seen, and destroyed on its day.\n\
             It takes about three minutes. Retention is compressed: 90 seconds stand for 30 days.\n",
            titles.len()
        );
        Self { titles, done: Vec::new(), failures: Vec::new() }
    }

    /// Does the next step. What it returns besides its value is told below its line.
    ///
    /// # Errors
    /// What the step could not do. A check that failed is no error: the story goes on.
    pub fn step<T>(&mut self, act: impl FnOnce(&mut Checks) -> Result<(T, String)>) -> Result<T> {
        let number = self.done.len() + 1;
        let StepTitle { name, title } = &self.titles[self.done.len()];
        print!("{number}  {title:<TITLE_COLUMNS$}");
        std::io::stdout().flush()?;
        let started = Instant::now();
        let mut checks = Checks::default();
        let acted = go_on().and_then(|()| act(&mut checks));
        let seconds = (started.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        let ok = acted.is_ok() && checks.failed.is_empty();
        let verdict = match ok {
            true => "",
            false if is_interrupted() => "   interrupted",
            false => "   FAILED",
        };
        println!("{seconds:>7.1} s{verdict}");
        if let Ok((_, told)) = &acted {
            told.lines().for_each(|line| println!("   {line}"));
        }
        let error = acted.as_ref().err().filter(|_| !is_interrupted()).map(|e| format!("{e:#}"));
        for failure in checks.failed.into_iter().chain(error) {
            println!("   FAILED: {failure}");
            self.failures.push(format!("step {number} ({name}): {failure}"));
        }
        self.done.push(StepReport { name, seconds, ok });
        acted.map(|(value, _)| value)
    }

    /// All steps; those that were not reached are not well.
    pub fn finish(&mut self) -> Vec<StepReport> {
        let mut steps = std::mem::take(&mut self.done);
        let missed = self.titles[steps.len()..].iter();
        steps.extend(missed.map(|step| StepReport { name: step.name, seconds: 0.0, ok: false }));
        steps
    }
}
