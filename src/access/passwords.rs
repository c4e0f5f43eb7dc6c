//! Which passwords are taken (NIST SP 800-63B, 3.1.1.2): long ones that are on no list of common ones, and not made of the
//! person's own name. No rule on what kinds of characters they are made of: those make worse passwords.

use std::collections::HashSet;
use std::sync::LazyLock;

pub(super) const SHORTEST_CHARS: usize = 10;
/// Longer ones only cost time.
const LONGEST_CHARS: usize = 256;
/// What is left besides the person's name and the product's must be so much.
const OWN_CHARS: usize = 6;

static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("common-passwords.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// Why a password is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WeakPassword {
    #[error("is shorter than {SHORTEST_CHARS} characters")]
    Short,
    #[error("is longer than {LONGEST_CHARS} characters")]
    Long,
    #[error("is one of those that are tried first; choose another, such as four words that do not belong together")]
    Common,
    #[error("is little more than the name; choose another, such as four words that do not belong together")]
    Name,
    #[error("is the one that it was; choose another")]
    Same,
}

/// # Errors
/// [`WeakPassword`] for one that is not taken.
pub(super) fn check_password(name: &str, password: &str) -> Result<(), WeakPassword> {
    let chars = password.chars().count();
    if chars < SHORTEST_CHARS {
        return Err(WeakPassword::Short);
    }
    if chars > LONGEST_CHARS {
        return Err(WeakPassword::Long);
    }
    let lower = zeroize::Zeroizing::new(password.to_lowercase());
    let is_one_character = lower.chars().all(|c| lower.starts_with(c));
    if COMMON.contains(lower.as_str()) || is_one_character {
        return Err(WeakPassword::Common);
    }
    let name = name.to_lowercase();
    let left = zeroize::Zeroizing::new(lower.replace(&name, "").replace("custodian", ""));
    if left.chars().count() < OWN_CHARS { Err(WeakPassword::Name) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_uncommon_ones_are_taken_whatever_they_are_made_of() {
        for password in
            ["correct horse battery staple", "비밀번호는길게정합니다", "officer-password", "tiny blue 7 trains"]
        {
            assert_eq!(check_password("officer", password), Ok(()), "{password}");
        }
        for (password, why) in [
            ("short", WeakPassword::Short),
            ("비밀번호", WeakPassword::Short),
            ("0123456789", WeakPassword::Common),
            ("Password123", WeakPassword::Common),
            ("QWERTYUIOP", WeakPassword::Common),
            ("............", WeakPassword::Common),
            ("Officer-1234", WeakPassword::Name),
            ("custodianofficer", WeakPassword::Name),
        ] {
            assert_eq!(check_password("officer", password), Err(why), "{password}");
        }
        assert_eq!(check_password("officer", &"long".repeat(65)), Err(WeakPassword::Long));
        assert!(COMMON.len() > 1_500 && COMMON.iter().all(|one| one.chars().count() >= SHORTEST_CHARS));
    }
}
