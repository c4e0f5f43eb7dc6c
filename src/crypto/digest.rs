//! SHA-256 over bytes as they come, and commitments to what must not be shown.

use crate::domain::Digest;
use ring::{digest, hmac};
use std::fmt;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut running = RunningDigest::new();
    running.update(bytes);
    running.so_far()
}

/// A SHA-256 that goes on and can be read on the way.
#[derive(Clone)]
pub struct RunningDigest(digest::Context);

impl RunningDigest {
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything up to here.
    pub fn so_far(&self) -> Digest {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.clone().finish().as_ref());
        Digest(out)
    }
}

impl Default for RunningDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RunningDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunningDigest")
    }
}

/// HMAC-SHA-256 of `fields` under a random salt (RFC 2104): binds a public row to private fields without showing them.
/// Whoever has neither salt nor fields learns nothing by guessing names.
pub fn commitment(salt: &[u8; 32], fields: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), fields).as_ref());
    Digest(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_on_the_way_does_not_disturb_the_end() {
        let mut running = RunningDigest::new();
        running.update(b"ab");
        assert_eq!(running.so_far(), sha256(b"ab"));
        running.update(b"c");
        // FIPS 180-4, the example of one block.
        let told = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(running.so_far().to_string(), told);
    }

    #[test]
    fn a_commitment_depends_on_salt_and_fields() {
        let one = commitment(&[1; 32], b"Kim");
        assert_ne!(one, commitment(&[2; 32], b"Kim"));
        assert_ne!(one, commitment(&[1; 32], b"Lee"));
    }
}
