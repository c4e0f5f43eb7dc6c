//! A whole site on the simulated disk, and the power cut at every operation.

mod checks;
mod crashes;
mod flushes;
mod play;
mod scenarios;
