//! A whole site on the simulated disk, and the power cut at every operation; what is done regularly, and fails.

mod checks;
mod crashes;
mod doubts;
mod erasing;
mod flushes;
mod foresight;
mod papers;
mod people;
mod play;
mod regular;
mod scenarios;
mod undecided;
