//! The recovery key on paper: whole, or as two-of-three shares for different keepers.
//!
//! Shamir's scheme over GF(256), one polynomial of degree 1 a byte (Shamir 1979). A share is written in Bech32m
//! (BIP 350): no case, no look-alikes, and a checksum of 30 bits that tells which character was mistyped. In the 70
//! characters behind `custodian1` it finds any four wrong ones, and any single one is in one place alone.
//!
//! | byte of a share | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1..5 | the first bytes of the site's id |
//! | 5..7 | random, the same for the three that were made together |
//! | 7 | number of the share, 1 to 3 |
//! | 8..40 | the share |

use super::{CryptoFailure, PrivateKey, Secret, random_array};
use crate::domain::SiteId;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// How many shares are made, and how many of them restore the key.
pub const SHARES: u8 = 3;
const WANTED: u8 = 2;

const VERSION: u8 = 1;
const BYTES: usize = 40;
const HUMAN_PART: &str = "custodian";
const PREFIX: &str = "custodian1";
/// Characters behind the prefix: 64 for the bytes, 6 for the checksum.
const CHARACTERS: usize = 70;
const GROUP: usize = 5;
const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// What is wrong with a key as it was typed. No message repeats what was typed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyTextFault {
    #[error("line {line}: this is neither a key of 64 hexadecimal digits nor a share, which begins with `custodian1`")]
    Neither { line: usize },
    #[error("line {line}: this share has {found} characters behind `custodian1`, {CHARACTERS} are wanted")]
    Length { line: usize, found: usize },
    #[error(
        "line {line}: character {place} of group {group} is none that a share has (`b`, `i`, `o` and `1` never occur); compare it with the print"
    )]
    Character { line: usize, group: usize, place: usize },
    #[error("line {line}: character {place} of group {group} is mistyped; compare it with the print")]
    Mistyped { line: usize, group: usize, place: usize },
    #[error("line {line}: more than one character is mistyped; compare it with the print, group by group")]
    MistypedOften { line: usize },
    #[error("line {line}: this share is of version {found}, this program reads {VERSION}; use a newer Custodian")]
    Newer { line: usize, found: u8 },
    #[error(
        "this is one share, number {number} of site {site}; one alone tells nothing: put another one on a line below"
    )]
    OneShare { number: u8, site: String },
    #[error("share number {number} is here twice; two different ones are wanted")]
    SameShare { number: u8 },
    #[error("these shares are of different sites, {one} and {other}")]
    OtherSites { one: String, other: String },
    #[error("these shares of site {site} were not made together: one is of an older print")]
    OtherPrint { site: String },
    #[error("nothing is written here; a key of 64 hexadecimal digits is wanted, or two shares, one a line")]
    Nothing,
    #[error("more is written here than one key, or two shares")]
    TooMuch,
    #[error("these shares do not make a key")]
    Broken,
}

/// One of three shares of a private key.
#[derive(Clone)]
pub struct KeyShare {
    site: [u8; 4],
    print: [u8; 2],
    number: u8,
    share: Secret<32>,
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyShare(number {} of site {})", self.number, self.site())
    }
}

impl KeyShare {
    /// Makes three shares of which any two restore the key; one alone tells nothing of it.
    ///
    /// # Errors
    /// [`CryptoFailure`] without random bytes.
    pub fn split(key: &PrivateKey, site: SiteId) -> Result<Vec<Self>, CryptoFailure> {
        let print = random_array()?;
        let [a, b, c, d, ..] = site.0;
        let dealt = blahaj::Sharks(WANTED).dealer(key.secret().expose()).take(usize::from(SHARES));
        dealt
            .map(|dealt| {
                let bytes = Zeroizing::new(Vec::from(&dealt));
                let (number, share) = bytes.split_first().ok_or(CryptoFailure)?;
                let share = Secret::from_slice(share).ok_or(CryptoFailure)?;
                Ok(Self { site: [a, b, c, d], print, number: *number, share })
            })
            .collect()
    }

    pub fn number(&self) -> u8 {
        self.number
    }

    /// The first eight digits of the site's id.
    pub fn site(&self) -> String {
        hex::encode(self.site)
    }

    /// To be printed and typed again: the prefix, then groups of five characters.
    ///
    /// # Errors
    /// None in practice: the text could not be written.
    pub fn to_text(&self) -> Result<Zeroizing<String>, CryptoFailure> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        bytes[0] = VERSION;
        bytes[1..5].copy_from_slice(&self.site);
        bytes[5..7].copy_from_slice(&self.print);
        bytes[7] = self.number;
        bytes[8..].copy_from_slice(self.share.expose());
        // Room for all of it at once: growing would leave copies behind.
        let mut packed = Zeroizing::new(String::with_capacity(PREFIX.len() + CHARACTERS));
        let human = Hrp::parse(HUMAN_PART).map_err(|_| CryptoFailure)?;
        bech32::encode_lower_to_fmt::<Bech32m, String>(&mut packed, human, &bytes[..]).map_err(|_| CryptoFailure)?;
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 2 * CHARACTERS));
        text.push_str(PREFIX);
        for (at, character) in packed.chars().skip(PREFIX.len()).enumerate() {
            if at % GROUP == 0 {
                text.push(' ');
            }
            text.push(character);
        }
        Ok(text)
    }

    /// Reads what was typed; spaces, hyphens and case do not matter.
    fn parse(typed: &str, line: usize) -> Result<Self, KeyTextFault> {
        let packed = pack(typed);
        let characters = packed.strip_prefix(PREFIX).ok_or(KeyTextFault::Neither { line })?;
        let place = |at: usize| (at / GROUP + 1, at % GROUP + 1);
        if let Some(at) = characters.bytes().position(|byte| !ALPHABET.contains(&byte)) {
            let (group, place) = place(at);
            return Err(KeyTextFault::Character { line, group, place });
        }
        if characters.len() != CHARACTERS {
            return Err(KeyTextFault::Length { line, found: characters.len() });
        }
        let Ok(checked) = CheckedHrpstring::new::<Bech32m>(&packed) else {
            return Err(match the_wrong_one(&packed) {
                Some(at) => {
                    let (group, place) = place(at);
                    KeyTextFault::Mistyped { line, group, place }
                }
                None => KeyTextFault::MistypedOften { line },
            });
        };
        let mut bytes = Zeroizing::new([0; BYTES]);
        bytes.iter_mut().zip(checked.byte_iter()).for_each(|(to, from)| *to = from);
        if bytes[0] != VERSION {
            return Err(KeyTextFault::Newer { line, found: bytes[0] });
        }
        let (mut site, mut print) = ([0; 4], [0; 2]);
        site.copy_from_slice(&bytes[1..5]);
        print.copy_from_slice(&bytes[5..7]);
        let share = Secret::from_slice(&bytes[8..]).ok_or(KeyTextFault::Broken)?;
        match bytes[7] {
            number @ 1..=SHARES => Ok(Self { site, print, number, share }),
            _ => Err(KeyTextFault::Broken),
        }
    }

    fn restore(&self, other: &Self) -> Result<PrivateKey, KeyTextFault> {
        if self.site != other.site {
            return Err(KeyTextFault::OtherSites { one: self.site(), other: other.site() });
        }
        if self.print != other.print {
            return Err(KeyTextFault::OtherPrint { site: self.site() });
        }
        if self.number == other.number {
            return Err(KeyTextFault::SameShare { number: self.number });
        }
        let dealt = [self, other].map(KeyShare::dealt).into_iter().collect::<Result<Vec<_>, _>>()?;
        let restored = blahaj::Sharks(WANTED).recover(&dealt).map_err(|_| KeyTextFault::Broken)?;
        let restored = Zeroizing::new(restored);
        Secret::from_slice(&restored).map(PrivateKey::from_secret).ok_or(KeyTextFault::Broken)
    }

    fn dealt(&self) -> Result<blahaj::Share, KeyTextFault> {
        let mut bytes = Zeroizing::new([0; 33]);
        bytes[0] = self.number;
        bytes[1..].copy_from_slice(self.share.expose());
        blahaj::Share::try_from(&bytes[..]).map_err(|_| KeyTextFault::Broken)
    }
}

/// Without what does not count, in lower case.
fn pack(typed: &str) -> Zeroizing<String> {
    let mut packed = Zeroizing::new(String::with_capacity(typed.len()));
    let counts = |character: &char| !character.is_whitespace() && *character != '-';
    typed.chars().filter(counts).for_each(|character| packed.push(character.to_ascii_lowercase()));
    packed
}

/// The place of the one character whose change makes the checksum right. Any two shares differ in five places and more,
/// so there is at most one.
fn the_wrong_one(packed: &str) -> Option<usize> {
    let mut tried = Zeroizing::new(packed.as_bytes().to_vec());
    for at in PREFIX.len()..tried.len() {
        let typed = tried[at];
        for other in ALPHABET {
            tried[at] = *other;
            let fits = std::str::from_utf8(&tried).is_ok_and(|text| CheckedHrpstring::new::<Bech32m>(text).is_ok());
            if fits {
                return Some(at - PREFIX.len());
            }
        }
        tried[at] = typed;
    }
    None
}

/// Reads a private key as a person wrote it: 64 hexadecimal digits, or two shares, one a line. Empty lines, and those that
/// begin with `#`, do not count.
///
/// # Errors
/// [`KeyTextFault`], which names line and character and never repeats them.
pub fn read_key_text(text: &str) -> Result<PrivateKey, KeyTextFault> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    let lines: Vec<(usize, &str)> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    match lines[..] {
        [] => Err(KeyTextFault::Nothing),
        [(line, only)] => match whole_key(only) {
            Some(key) => Ok(key),
            None => {
                let share = KeyShare::parse(only, line)?;
                Err(KeyTextFault::OneShare { number: share.number, site: share.site() })
            }
        },
        [(line, one), (next, other)] => KeyShare::parse(one, line)?.restore(&KeyShare::parse(other, next)?),
        _ => Err(KeyTextFault::TooMuch),
    }
}

fn whole_key(text: &str) -> Option<PrivateKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, &mut bytes[..]).ok()?;
    let key = Secret::from_slice(&bytes[..]).map(PrivateKey::from_secret);
    bytes.zeroize();
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::generate_pair;
    use proptest::prelude::*;

    const SITE: SiteId = SiteId([0x1a; 16]);

    fn shares(key: &PrivateKey) -> Vec<String> {
        KeyShare::split(key, SITE).unwrap().iter().map(|share| share.to_text().unwrap().to_string()).collect()
    }

    fn read(one: &str, other: &str) -> Result<[u8; 32], KeyTextFault> {
        read_key_text(&format!("{one}\n{other}\n")).map(|key| *key.secret().expose())
    }

    #[test]
    fn any_two_restore_the_key_in_either_order_and_one_does_not() {
        let (key, _) = generate_pair().unwrap();
        let shares = shares(&key);
        assert_eq!(shares.len(), 3);
        for one in 0..3 {
            for other in (0..3).filter(|other| *other != one) {
                assert_eq!(read(&shares[one], &shares[other]).unwrap(), *key.secret().expose());
            }
            let alone = read_key_text(&shares[one]).unwrap_err();
            assert_eq!(
                alone,
                KeyTextFault::OneShare { number: u8::try_from(one + 1).unwrap(), site: "1a1a1a1a".into() }
            );
        }
        let told = read(&shares[1], &shares[1]).unwrap_err();
        assert_eq!(told, KeyTextFault::SameShare { number: 2 });
        let typed = shares[0].to_uppercase().replace(' ', "-");
        assert_eq!(read(&format!("# the officer's\n\n  {typed}"), &shares[2]).unwrap(), *key.secret().expose());
    }

    #[test]
    fn a_share_looks_like_this() {
        let (key, _) = generate_pair().unwrap();
        let text = &shares(&key)[0];
        let groups: Vec<&str> = text.split(' ').collect();
        assert_eq!((groups[0], groups.len()), ("custodian1", 15));
        assert!(groups[1..].iter().all(|group| group.len() == 5), "{text}");
    }

    #[test]
    fn one_share_tells_nothing_of_the_key() {
        // Of the same key each share's bytes are even: no byte of a first share is ever left out, 0 least of all. A scheme
        // whose coefficients are never 0 (RUSTSEC-2024-0398) never deals the key's own byte.
        let key = PrivateKey::from_secret(Secret::new([7; 32]));
        let mut seen = [0_u32; 256];
        for _ in 0..400 {
            for byte in KeyShare::split(&key, SITE).unwrap()[0].share.expose() {
                seen[usize::from(*byte)] += 1;
            }
        }
        // 12,800 bytes, 50 of each value: one that is left out, or comes twice as often, is no accident.
        assert!(seen.iter().all(|times| (10..=120).contains(times)), "{seen:?}");
    }

    #[test]
    fn shares_of_different_sites_and_prints_are_refused() {
        let (key, _) = generate_pair().unwrap();
        let ours = shares(&key);
        let theirs = KeyShare::split(&key, SiteId([0x2b; 16])).unwrap()[1].to_text().unwrap().to_string();
        let told = read(&ours[0], &theirs).unwrap_err();
        assert_eq!(told, KeyTextFault::OtherSites { one: "1a1a1a1a".into(), other: "2b2b2b2b".into() });
        let told = read(&ours[0], &shares(&key)[1]).unwrap_err();
        assert_eq!(told, KeyTextFault::OtherPrint { site: "1a1a1a1a".into() });
    }

    #[test]
    fn what_is_no_key_is_named_and_not_repeated() {
        let (key, _) = generate_pair().unwrap();
        let shares = shares(&key);
        let whole = hex::encode(key.secret().expose());
        assert_eq!(read_key_text(&format!("{whole}\n")).unwrap().secret().expose(), key.secret().expose());
        assert_eq!(read_key_text(" \n# nothing\n").unwrap_err(), KeyTextFault::Nothing);
        assert_eq!(read_key_text(&whole[1..]).unwrap_err(), KeyTextFault::Neither { line: 1 });
        assert_eq!(read(&whole, &whole).unwrap_err(), KeyTextFault::Neither { line: 1 });
        assert_eq!(read_key_text(&shares.join("\n")).unwrap_err(), KeyTextFault::TooMuch);
        let short = &shares[1][..shares[1].len() - 1];
        assert_eq!(read(&shares[0], short).unwrap_err(), KeyTextFault::Length { line: 2, found: 69 });
    }

    proptest! {
        /// Whichever character of whichever share is mistyped, that one is named.
        #[test]
        fn a_mistyped_character_is_named(at in 0_usize..70, typed in 0_usize..36) {
            let key = PrivateKey::from_secret(Secret::new([9; 32]));
            let shares = shares(&key);
            let place = "custodian1 ".len() + at + at / GROUP;
            let typed = b"qpzry9x8gf2tvdw0s3jn54khce6mua7lbio1"[typed];
            let mut wrong = shares[0].clone().into_bytes();
            prop_assume!(wrong[place] != typed);
            wrong[place] = typed;
            let told = read(std::str::from_utf8(&wrong).unwrap(), &shares[1]).unwrap_err();
            let (line, group, place) = (1, at / GROUP + 1, at % GROUP + 1);
            let expected = if ALPHABET.contains(&typed) {
                KeyTextFault::Mistyped { line, group, place }
            } else {
                KeyTextFault::Character { line, group, place }
            };
            prop_assert_eq!(told, expected);
        }

        /// Two wrong ones are never taken for one somewhere else, and never for a right share.
        #[test]
        fn two_mistyped_characters_are_never_put_right(one in 0_usize..70, other in 0_usize..70, by in 1_usize..32) {
            prop_assume!(one != other);
            let key = PrivateKey::from_secret(Secret::new([9; 32]));
            let shares = shares(&key);
            let mut wrong = pack(&shares[0]).as_bytes().to_vec();
            for at in [one, other] {
                let at = PREFIX.len() + at;
                let known = ALPHABET.iter().position(|byte| *byte == wrong[at]).unwrap();
                wrong[at] = ALPHABET[known ^ by];
            }
            let told = read(std::str::from_utf8(&wrong).unwrap(), &shares[1]).unwrap_err();
            prop_assert_eq!(told, KeyTextFault::MistypedOften { line: 1 });
        }
    }
}
