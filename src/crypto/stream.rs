//! Chunked AES-256-GCM: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption
//! and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015), with associated data for every chunk.
//!
//! Nonce, 12 bytes: 7 zeros, the chunk's index as 4 bytes big-endian, then 1 for the last chunk of the stream and 0
//! for every other. Zeros are safe because a data key seals one segment only. An index is spent before the chunk is
//! handed out, so that no failure later can bring it back.

use super::stack::cleared;
use super::{CryptoFailure, DataKey, Unopened};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::fmt;

/// What sealing adds to each chunk, in bytes.
pub const TAG_BYTES: usize = 16;

/// Where a chunk stands in its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkPlace {
    pub index: u32,
    pub last: bool,
}

impl ChunkPlace {
    fn nonce(self) -> Nonce {
        let mut bytes = [0; 12];
        bytes[7..11].copy_from_slice(&self.index.to_be_bytes());
        bytes[11] = u8::from(self.last);
        Nonce::assume_unique_for_key(bytes)
    }
}

fn cipher(key: &DataKey) -> Result<Box<LessSafeKey>, CryptoFailure> {
    cleared(|| {
        UnboundKey::new(&AES_256_GCM, key.expose())
            .map(|key| Box::new(LessSafeKey::new(key)))
            .map_err(|_| CryptoFailure)
    })
}

/// Seals the chunks of one segment in order. It cannot be cloned, and it never gives an index twice.
pub struct StreamSealer {
    cipher: Box<LessSafeKey>,
    next_index: u32,
    ended: bool,
}

impl fmt::Debug for StreamSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamSealer(next chunk {})", self.next_index)
    }
}

impl StreamSealer {
    /// # Errors
    /// [`CryptoFailure`] where the library refuses the key.
    pub fn new(key: &DataKey) -> Result<Self, CryptoFailure> {
        Ok(Self { cipher: cipher(key)?, next_index: 0, ended: false })
    }

    /// The index that the next chunk will have.
    pub fn next_index(&self) -> u32 {
        self.next_index
    }

    /// Encrypts `chunk` in place and returns its tag. With `last` the stream is at its end.
    ///
    /// # Errors
    /// [`CryptoFailure`] after the last chunk, or when the indices are used up; the chunk must then be thrown away.
    pub fn seal(&mut self, last: bool, associated: &[u8], chunk: &mut [u8]) -> Result<[u8; TAG_BYTES], CryptoFailure> {
        if self.ended {
            return Err(CryptoFailure);
        }
        let place = ChunkPlace { index: self.next_index, last };
        self.next_index = self.next_index.checked_add(1).ok_or(CryptoFailure)?;
        self.ended = last;
        let tag = self
            .cipher
            .seal_in_place_separate_tag(place.nonce(), Aad::from(associated), chunk)
            .map_err(|_| CryptoFailure)?;
        let mut out = [0; TAG_BYTES];
        out.copy_from_slice(tag.as_ref());
        Ok(out)
    }
}

/// Opens chunks of one segment, in any order.
pub struct StreamOpener {
    cipher: Box<LessSafeKey>,
}

impl fmt::Debug for StreamOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamOpener")
    }
}

impl StreamOpener {
    /// # Errors
    /// [`Unopened`] where the library refuses the key.
    pub fn new(key: &DataKey) -> Result<Self, Unopened> {
        cipher(key).map(|cipher| Self { cipher }).map_err(|_| Unopened)
    }

    /// Decrypts `sealed` (ciphertext, then tag) and returns the plaintext, which stands at its start.
    ///
    /// # Errors
    /// [`Unopened`]; `sealed` is then worthless and is wiped.
    pub fn open<'a>(&self, place: ChunkPlace, associated: &[u8], sealed: &'a mut [u8]) -> Result<&'a [u8], Unopened> {
        let length = sealed.len();
        let opened = self.cipher.open_in_place(place.nonce(), Aad::from(associated), sealed).is_ok();
        if !opened || length < TAG_BYTES {
            sealed.fill(0);
            return Err(Unopened);
        }
        Ok(&sealed[..length - TAG_BYTES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(sealer: &mut StreamSealer, last: bool, associated: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut chunk = plain.to_vec();
        let tag = sealer.seal(last, associated, &mut chunk).unwrap();
        chunk.extend_from_slice(&tag);
        chunk
    }

    #[test]
    fn every_fault_is_the_same_error_and_leaves_no_plaintext() {
        let key = DataKey::random().unwrap();
        let mut sealer = StreamSealer::new(&key).unwrap();
        let first = sealed(&mut sealer, false, b"camera 1", b"picture");
        let last = sealed(&mut sealer, true, b"camera 1", b"footer");
        let opener = StreamOpener::new(&key).unwrap();
        let at = |index, last| ChunkPlace { index, last };
        assert_eq!(opener.open(at(0, false), b"camera 1", &mut first.clone()), Ok(&b"picture"[..]));
        assert_eq!(opener.open(at(1, true), b"camera 1", &mut last.clone()), Ok(&b"footer"[..]));

        let mut changed = first.clone();
        changed[3] ^= 1;
        let other_key = StreamOpener::new(&DataKey::random().unwrap()).unwrap();
        let faults = [
            ("changed", &opener, at(0, false), &b"camera 1"[..], changed),
            ("moved", &opener, at(1, false), b"camera 1", first.clone()),
            ("taken for the last", &opener, at(0, true), b"camera 1", first.clone()),
            ("last taken for another", &opener, at(1, false), b"camera 1", last.clone()),
            ("of another camera", &opener, at(0, false), b"camera 2", first.clone()),
            ("cut short", &opener, at(0, false), b"camera 1", first[..first.len() - 1].to_vec()),
            ("shorter than a tag", &opener, at(0, false), b"camera 1", first[..7].to_vec()),
            ("wrong key", &other_key, at(0, false), b"camera 1", first.clone()),
        ];
        for (name, opener, place, associated, mut chunk) in faults {
            assert_eq!(opener.open(place, associated, &mut chunk), Err(Unopened), "{name}");
            assert!(chunk.iter().all(|byte| *byte == 0), "{name} left bytes");
        }
    }

    #[test]
    fn nothing_follows_the_last_chunk() {
        let mut sealer = StreamSealer::new(&DataKey::random().unwrap()).unwrap();
        sealed(&mut sealer, true, b"", b"footer");
        assert_eq!(sealer.seal(false, b"", &mut [0; 4]), Err(CryptoFailure));
        assert_eq!(sealer.seal(true, b"", &mut [0; 4]), Err(CryptoFailure));
    }

    #[test]
    fn the_same_plaintext_is_never_sealed_the_same_way() {
        let mut sealer = StreamSealer::new(&DataKey::random().unwrap()).unwrap();
        let one = sealed(&mut sealer, false, b"", b"picture");
        assert_ne!(one, sealed(&mut sealer, false, b"", b"picture"));
    }
}
