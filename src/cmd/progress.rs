//! How far something long has come, on a terminal; nothing where there is none.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// A bar that counts.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub fn segments(count: usize) -> Self {
        Self::of(count, "segments")
    }

    pub fn cameras(count: usize) -> Self {
        Self::of(count, "cameras")
    }

    fn of(count: usize, what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(count as u64);
        let style = ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}} of {{len}} {what}, {{eta}} left"));
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// One more is done.
    pub fn one(&self) {
        self.0.inc(1);
    }

    /// Takes the bar away.
    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}
