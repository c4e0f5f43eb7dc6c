//! A private key, or the password to one, that a person hands to a command.

use crate::access::Password;
use crate::config::read_key_file;
use crate::crypto::{PrivateKey, read_key_text};
use anyhow::Context;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use zeroize::Zeroizing;

const PASSWORD_ROOM_BYTES: usize = 1024;

/// Reads the key in a file of the running user's own, mode 0600: whole, or as two shares.
///
/// # Errors
/// What is wrong with the file, or with what was typed, down to the character; never what it was.
pub(super) fn read_identity(file: &Path) -> anyhow::Result<PrivateKey> {
    let text = read_key_file(file)?;
    read_key_text(&text).with_context(|| format!("--identity {}", file.display()))
}

/// A person's password: typed without an echo, or the first line of the standard input where that is no terminal.
///
/// # Errors
/// What the terminal says.
pub(super) fn ask_password(name: &str) -> anyhow::Result<Password> {
    if std::io::stdin().is_terminal() {
        return Ok(Password::new(rpassword::prompt_password(format!("Password of {name}: "))?));
    }
    // Room for all of it at once: growing would leave copies behind.
    let mut line = Zeroizing::new(String::with_capacity(PASSWORD_ROOM_BYTES));
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(Password::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}
