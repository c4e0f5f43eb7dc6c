//! Bytes that must not be seen: wiped when dropped, never shown.

use super::CryptoFailure;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use zeroize::Zeroizing;

/// Random bytes from the machine.
///
/// # Errors
/// [`CryptoFailure`] where it has none to give.
pub fn random_array<const N: usize>() -> Result<[u8; N], CryptoFailure> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| CryptoFailure)?;
    Ok(bytes)
}

/// A random number, for opaque names.
///
/// # Errors
/// As [`random_array`].
pub fn random_u64() -> Result<u64, CryptoFailure> {
    random_array().map(u64::from_be_bytes)
}

/// A secret on the heap, so that moving its owner leaves no copy behind; wiped when dropped.
pub struct Secret<const N: usize>(Box<Zeroizing<[u8; N]>>);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over. The caller's own copy is the caller's to wipe.
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// A fresh random secret.
    ///
    /// # Errors
    /// As [`random_array`].
    pub fn random() -> Result<Self, CryptoFailure> {
        let mut secret = Self::new([0; N]);
        SystemRandom::new().fill(&mut secret.0[..]).map_err(|_| CryptoFailure)?;
        Ok(secret)
    }

    /// `None` where the length is not right.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::new([0; N]);
        if bytes.len() != N {
            return None;
        }
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// Shows the bytes to the code that must have them.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

/// Straight from heap to heap: a derived one would go over the stack.
impl<const N: usize> Clone for Secret<N> {
    fn clone(&self) -> Self {
        let mut copy = Self::new([0; N]);
        copy.0.copy_from_slice(&self.0[..]);
        copy
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({N} bytes)")
    }
}

/// A segment's data key (DEK): 256 random bits, used for that one segment.
pub type DataKey = Secret<32>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new([0xAB; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(32 bytes)");
    }

    #[test]
    fn two_random_secrets_differ() {
        assert_ne!(DataKey::random().unwrap().expose(), DataKey::random().unwrap().expose());
    }
}
