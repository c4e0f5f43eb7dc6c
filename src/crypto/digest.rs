//! Digests over bytes as they come, and commitments to what must not be shown.
//!
//! SHA-256 for all that is small. Footage has BLAKE3: SHA-256 of 24 MB/s, the half of it waiting for the instruction before,
//! took a fifth of all that recording costs, and three times that on the many servers without SHA instructions.

use crate::domain::Digest;
use ring::{digest, hmac};
use std::fmt;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    of_ring(&digest::digest(&digest::SHA256, bytes))
}

fn of_ring(digest: &digest::Digest) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    Digest(out)
}

/// BLAKE3 of `bytes`, 32 bytes of it.
pub fn blake3(bytes: &[u8]) -> Digest {
    let mut running = RunningDigest::blake3();
    running.update(bytes);
    running.so_far()
}

/// A digest that goes on and can be read on the way.
#[derive(Clone)]
pub struct RunningDigest(Running);

#[derive(Clone)]
enum Running {
    /// FIPS 180-4.
    Sha256(Box<digest::Context>),
    /// The BLAKE3 paper of 2020, its plain mode of hashing.
    Blake3(Box<::blake3::Hasher>),
}

impl RunningDigest {
    /// SHA-256.
    pub fn new() -> Self {
        Self(Running::Sha256(Box::new(digest::Context::new(&digest::SHA256))))
    }

    pub fn blake3() -> Self {
        Self(Running::Blake3(Box::default()))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Running::Sha256(context) => context.update(bytes),
            Running::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    /// The digest of everything up to here.
    pub fn so_far(&self) -> Digest {
        match &self.0 {
            Running::Sha256(context) => of_ring(&context.as_ref().clone().finish()),
            Running::Blake3(hasher) => Digest(*hasher.finalize().as_bytes()),
        }
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
    fn blake3_is_that_of_its_own_vectors_and_goes_on_after_a_reading() {
        // Of the authors' test_vectors.json: bytes 0, 1, … 250, 0, 1, …, as many as said.
        let told = [
            (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
            (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
            (1_025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
        ];
        for (length, digest) in told {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut running = RunningDigest::blake3();
            for part in bytes.chunks(300) {
                running.update(part);
                running.so_far();
            }
            assert_eq!(running.so_far().to_string(), digest, "{length}");
            assert_eq!(blake3(&bytes), running.so_far());
        }
    }

    #[test]
    fn a_commitment_depends_on_salt_and_fields() {
        let one = commitment(&[1; 32], b"Kim");
        assert_ne!(one, commitment(&[2; 32], b"Kim"));
        assert_ne!(one, commitment(&[1; 32], b"Lee"));
    }
}
