//! A private key that a person hands to a command.

use crate::config::read_key_file;
use crate::crypto::{PrivateKey, read_key_text};
use anyhow::Context;
use std::path::Path;

/// Reads the key in a file of the running user's own, mode 0600: whole, or as two shares.
///
/// # Errors
/// What is wrong with the file, or with what was typed, down to the character; never what it was.
pub(super) fn read_identity(file: &Path) -> anyhow::Result<PrivateKey> {
    let text = read_key_file(file)?;
    read_key_text(&text).with_context(|| format!("--identity {}", file.display()))
}
