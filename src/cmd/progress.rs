//! How far something long has come, on a terminal; nothing where there is none.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// A bar that counts segments.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub fn segments(count: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(count as u64);
        let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} segments, {eta} left");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// One segment more is done.
    pub fn one(&self) {
        self.0.inc(1);
    }

    /// Takes the bar away.
    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}
