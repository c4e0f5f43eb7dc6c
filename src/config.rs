//! What the site's people write down: `site.toml`, and one TOML file a camera.
//!
//! Rules that hold for every file here:
//! - An unknown field is refused, so that a typing error is never a silent default.
//! - All values are read before any error is returned. An error names file, line, column and field, says what is
//!   wrong and what to do, and never repeats a value: an address may hold a password.
//! - A bad camera file stops no other camera, and while the daemon runs, its own last good version stays in force.
//!
//! Loading blocks on files: call it from a blocking thread. [`CameraWatch`] alone is asynchronous.

mod camera;
mod document;
mod error;
mod ledger;
mod listen;
mod pace;
mod private;
mod requests;
mod set;
mod site;
mod terminals;
mod watch;

pub use camera::Camera;
pub use error::{ConfigError, ConfigErrors, Fault, KeyFileError, KeyFileFault, PasswordFault, Place};
pub use ledger::LedgerKeeping;
pub use listen::{Certificate, Listen};
pub use pace::Pace;
pub use private::{check_private, read_key_file};
pub use requests::RequestKeeping;
pub use set::{CameraChange, CameraSet};
pub use site::{
    AccessLimits, Erasing, FRAGMENT_LIMIT, Recording, RequestRules, SITE_FILE, SecondFactor, Site, VolumePlace,
    WhenFull,
};
pub use watch::{CameraWatch, WatchError};
