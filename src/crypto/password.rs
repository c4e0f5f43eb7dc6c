//! Private halves at rest: under a key that Argon2id (RFC 9106) derives from a password.

use super::stack::cleared;
use super::{CryptoFailure, Secret, Unopened, random_array};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How much work a guess at a password costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strength {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Strength {
    /// 64 MiB, 3 passes, 4 lanes: RFC 9106's second recommended option (section 4).
    pub const RECOMMENDED: Strength = Strength { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// What a file may ask for: more could be an attack on the daemon's memory.
    const MEMORY_LIMIT_KIB: u32 = 1024 * 1024;
    const PASSES_LIMIT: u32 = 16;
}

/// A 32-byte secret that only its password opens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordSealed {
    strength: Strength,
    #[serde(with = "hex::serde")]
    salt: [u8; 16],
    #[serde(with = "hex::serde")]
    sealed: [u8; 48],
}

impl PasswordSealed {
    /// Seals `secret` under `password`; `context` must be given again to open it.
    ///
    /// # Errors
    /// [`CryptoFailure`] for a strength that Argon2 refuses, or without random bytes.
    pub fn seal(
        password: &str,
        strength: Strength,
        context: &[u8],
        secret: &Secret<32>,
    ) -> Result<Self, CryptoFailure> {
        cleared(|| Self::sealed(password, strength, context, secret))
    }

    fn sealed(password: &str, strength: Strength, context: &[u8], secret: &Secret<32>) -> Result<Self, CryptoFailure> {
        let salt = random_array()?;
        let key = derive(password, strength, &salt).map_err(|_| CryptoFailure)?;
        let mut sealed = [0; 48];
        let mut body = Zeroizing::new(*secret.expose());
        // The derived key is used once: the salt is fresh, so a fixed nonce is safe.
        let tag = cipher(&key)
            .map_err(|_| CryptoFailure)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key([0; 12]), Aad::from(context), &mut body[..])
            .map_err(|_| CryptoFailure)?;
        sealed[..32].copy_from_slice(&body[..]);
        sealed[32..].copy_from_slice(tag.as_ref());
        Ok(Self { strength, salt, sealed })
    }

    /// One that no password opens, and that takes as long as any other to be refused.
    ///
    /// # Errors
    /// [`CryptoFailure`] without random bytes.
    pub fn decoy(strength: Strength) -> Result<Self, CryptoFailure> {
        Ok(Self { strength, salt: random_array()?, sealed: random_array()? })
    }

    /// How much work a guess costs.
    pub fn strength(&self) -> Strength {
        self.strength
    }

    /// Opens it again. Takes as long as the strength asks, whether the password is right or not.
    ///
    /// # Errors
    /// [`Unopened`] for a wrong password, context, or changed bytes.
    pub fn open(&self, password: &str, context: &[u8]) -> Result<Secret<32>, Unopened> {
        cleared(|| self.opened(password, context))
    }

    fn opened(&self, password: &str, context: &[u8]) -> Result<Secret<32>, Unopened> {
        let key = derive(password, self.strength, &self.salt)?;
        let mut body = Zeroizing::new(self.sealed);
        let plain = cipher(&key)?
            .open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::from(context), &mut body[..])
            .map_err(|_| Unopened)?;
        Secret::from_slice(plain).ok_or(Unopened)
    }
}

fn cipher(key: &Secret<32>) -> Result<Box<LessSafeKey>, Unopened> {
    UnboundKey::new(&AES_256_GCM, key.expose()).map(|key| Box::new(LessSafeKey::new(key))).map_err(|_| Unopened)
}

fn derive(password: &str, strength: Strength, salt: &[u8; 16]) -> Result<Secret<32>, Unopened> {
    if strength.memory_kib > Strength::MEMORY_LIMIT_KIB || strength.passes > Strength::PASSES_LIMIT {
        return Err(Unopened);
    }
    let params = Params::new(strength.memory_kib, strength.passes, strength.lanes, Some(32)).map_err(|_| Unopened)?;
    let mut out = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut out[..])
        .map_err(|_| Unopened)?;
    Ok(Secret::new(*out))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Strength = Strength { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn only_the_password_and_the_context_open_it() {
        let secret = Secret::random().unwrap();
        let kept = PasswordSealed::seal("correct horse", QUICK, b"account 1", &secret).unwrap();
        assert_eq!(kept.open("correct horse", b"account 1").unwrap().expose(), secret.expose());
        assert!(kept.open("Correct horse", b"account 1").is_err());
        assert!(kept.open("correct horse", b"account 2").is_err());
    }

    #[test]
    fn nothing_opens_a_decoy() {
        let decoy = PasswordSealed::decoy(QUICK).unwrap();
        assert!(["", "x"].iter().all(|password| decoy.open(password, b"").is_err()));
        assert_eq!(decoy.strength(), QUICK, "it costs what any other does");
    }

    #[test]
    fn a_file_cannot_ask_for_all_the_memory() {
        let mut kept = PasswordSealed::seal("x", QUICK, b"", &Secret::random().unwrap()).unwrap();
        kept.strength.memory_kib = u32::MAX;
        assert!(kept.open("x", b"").is_err());
    }
}
