//! What cipher and digest cost, without a program that could leave them out.
//!
//! `sealing_cost` wants the CPU of recording with them over that without. A build of the daemon that writes plaintext
//! would be the plainest way to the second figure, and a danger as long as it exists. So it is counted instead: AES-256-GCM
//! and BLAKE3 of as many bytes, in pieces as large as a fragment is, each out of the cache when its turn comes as it is in
//! the daemon; that is taken off the daemon's CPU. Measured beside each run of the daemon, so that what else the machine
//! does falls on both.

use crate::film::{FRAMES_A_GOP, FRAMES_A_SECOND, Film};
use crate::measure::thread_cpu_s;
use anyhow::{Context as _, Result};
use cctv_custodian::crypto::RunningDigest;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use std::hint::black_box;

const ROUNDS: u32 = 8;

/// For each byte of footage.
///
/// # Errors
/// Without random bytes.
pub fn cipher_and_digest_cpu_s(film: &Film, cameras: u16) -> Result<f64> {
    let bytes = (film.bytes_a_second() * f64::from(FRAMES_A_GOP / FRAMES_A_SECOND)) as usize;
    let mut pieces = vec![vec![0; bytes]; usize::from(cameras)];
    for piece in &mut pieces {
        SystemRandom::new().fill(piece).ok().context("the machine has no random bytes")?;
    }
    let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).ok().context("a key")?;
    let key = LessSafeKey::new(key);
    let before = thread_cpu_s();
    for round in 0..ROUNDS {
        for piece in &mut pieces {
            let mut nonce = [0; 12];
            nonce[..4].copy_from_slice(&round.to_be_bytes());
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), piece).ok().context("sealing")?;
            let mut digest = RunningDigest::blake3();
            digest.update(piece);
            digest.update(tag.as_ref());
            black_box(digest.so_far());
        }
    }
    Ok((thread_cpu_s() - before) / (f64::from(ROUNDS) * f64::from(cameras) * bytes as f64))
}
