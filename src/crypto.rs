//! Every cryptographic act of the house, each in a few lines over a kept library.
//!
//! | act | construction | source |
//! |---|---|---|
//! | chunks of a segment | AES-256-GCM in the STREAM construction | Hoang, Reyhanitabar, Rogaway, Vizár 2015 |
//! | sealing to a person or a day key | HPKE base mode: X25519, HKDF-SHA-256, AES-256-GCM | RFC 9180 |
//! | private halves at rest | Argon2id, AES-256-GCM | RFC 9106 |
//! | the recovery key as shares | Shamir's scheme over GF(256), written in Bech32m | Shamir 1979, BIP 350 |
//! | one-time passwords by time | TOTP with HMAC-SHA-1, six digits | RFC 6238 |
//! | digests, commitments, signatures | SHA-256, HMAC-SHA-256, Ed25519 | FIPS 180-4, RFC 2104, RFC 8032 |
//!
//! The libraries leave copies of keys on the stack; `stack::cleared` goes around every act that is given a private or a
//! data key. What they leave on the heap is overwritten by the program's allocator when it is freed (`main.rs`).
//!
//! Every failure to authenticate is the one opaque [`Unopened`]: it never says which part did not fit.

mod digest;
mod password;
mod people;
mod secret;
mod shares;
mod sign;
mod stack;
mod stream;
mod totp;

pub use digest::{RunningDigest, blake3, commitment, sha256};
pub use password::{PasswordSealed, Strength};
pub use people::{Label, PrivateKey, PublicKey, Sealed, generate_pair};
pub use secret::{DataKey, Secret, random_array, random_u64};
pub use shares::{KeyShare, KeyTextFault, SHARES, read_key_text};
pub use sign::{Signature, SigningKey, VerifyingKey};
pub use stream::{ChunkPlace, StreamOpener, StreamSealer, TAG_BYTES};
pub use totp::{TOTP_STEP_S, TotpSecret};

/// A sealed thing did not open: wrong key, wrong context, or changed bytes. Deliberately says no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it does not open: wrong key, or the bytes were changed")]
pub struct Unopened;

/// The machine gave no random bytes, or a key could not be made. Nothing was sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a cryptographic operation failed; nothing was sealed")]
pub struct CryptoFailure;
