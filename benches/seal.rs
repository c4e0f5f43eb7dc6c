//! What sealing costs over the bare cryptography that it is made of, and opening likewise.
//!
//! `seal_vs_ring`: whole segments of 30 chunks of 1 MiB through the real `SegmentWriter` (head with its sealed data
//! key, running digest, footer), onto a disk that takes the bytes and drops them; against ring's AES-256-GCM in place
//! and its SHA-256 of the same bytes, and nothing else. `seal_vs_same_digest` is that against the cipher with BLAKE3, which
//! is what segments have: the rest is a copy, a CRC, and headers. Throughput over throughput, by CPU time of the one thread that does
//! it. It is one and the same chunk over and over, which stays in the processor's cache: the case that is best for ring.
//!
//! `open_vs_ring`: such a segment's fragments through the real `SegmentReader`, from memory; against ring's AES-256-GCM
//! in place. No digest on either side.
//!
//! ring finds the processor's AES and SHA instructions when it runs, so no flag of the build is wanted for them.
//!
//! No framework: what is wanted is the median of paired ratios in one run, as a row of our report.

#[path = "support/measure.rs"]
mod measure;
#[path = "support/report.rs"]
mod report;

use anyhow::Context as _;
use cctv_custodian::crypto::{DataKey, PublicKey, RunningDigest, StreamOpener, generate_pair};
use cctv_custodian::disk::{DiskFile, Extents, FlushSite};
use cctv_custodian::domain::{CameraNumber, DayKeyId, Digest, SegmentId, Utc, VolumeId};
use cctv_custodian::segment::{
    CHUNK_LIMIT_BYTES, Ending, FragmentFacts, SegmentFacts, SegmentReader, SegmentVersion, SegmentWriter,
};
use measure::{Pairs, thread_cpu_s};
use report::{Bound, Row};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use std::hint::black_box;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// A minute of a camera at 4 Mbps.
const FRAGMENTS: usize = 30;
const SEGMENT_BYTES: usize = FRAGMENTS * CHUNK_LIMIT_BYTES;
const FRAGMENT_90K: u32 = 2 * 90_000;
const SEGMENTS_A_RUN: usize = 8;
const PAIRS: usize = 21;

/// Takes what is written and drops it.
#[derive(Debug)]
struct Nowhere;

impl DiskFile for Nowhere {
    fn read_some_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }

    fn write_all_at(&self, bytes: &[u8], _: u64) -> io::Result<()> {
        black_box(bytes);
        Ok(())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn len_bytes(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn sync_data_at(&self, _: FlushSite) -> io::Result<()> {
        Ok(())
    }

    fn extents(&self) -> io::Result<Extents> {
        Ok(Extents::Unknown("nothing is kept"))
    }
}

/// A file in memory.
#[derive(Clone, Debug, Default)]
struct InMemory(Arc<Mutex<Vec<u8>>>);

impl DiskFile for InMemory {
    fn read_some_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = usize::try_from(offset_bytes).map_err(io::Error::other)?.min(bytes.len());
        let got = buffer.len().min(bytes.len() - from);
        buffer[..got].copy_from_slice(&bytes[from..from + got]);
        Ok(got)
    }

    fn write_all_at(&self, written: &[u8], offset_bytes: u64) -> io::Result<()> {
        let from = usize::try_from(offset_bytes).map_err(io::Error::other)?;
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = bytes.len().max(from + written.len());
        bytes.resize(needed, 0);
        bytes[from..from + written.len()].copy_from_slice(written);
        Ok(())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, length_bytes: u64) -> io::Result<()> {
        let length = usize::try_from(length_bytes).map_err(io::Error::other)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).resize(length, 0);
        Ok(())
    }

    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn sync_data_at(&self, _: FlushSite) -> io::Result<()> {
        Ok(())
    }

    fn extents(&self) -> io::Result<Extents> {
        Ok(Extents::Unknown("in memory"))
    }
}

fn facts() -> anyhow::Result<SegmentFacts> {
    Ok(SegmentFacts {
        version: SegmentVersion::default(),
        camera: CameraNumber::new(1).context("a camera's number")?,
        volume: VolumeId([2; 16]),
        segment: SegmentId(3),
        start: Utc::from_micros(1_750_000_000_000_000),
        day_key: DayKeyId(4),
        previous: Digest::ZERO,
    })
}

/// Writes a whole segment of fragments like this one; returns its number of chunks.
fn write_segment(file: Box<dyn DiskFile>, day_key: &PublicKey, fragment: &[u8]) -> anyhow::Result<u32> {
    let mut writer = SegmentWriter::create(file, facts()?, day_key, b"init", SEGMENT_BYTES as u64)?;
    for number in 0..FRAGMENTS {
        let first_pts_90k = number as u64 * u64::from(FRAGMENT_90K);
        writer.append_fragment(
            FragmentFacts { first_pts_90k, duration_90k: FRAGMENT_90K, frames: 30, sync: true },
            fragment,
        )?;
    }
    Ok(writer.finish()?.chunks)
}

fn bare_key() -> anyhow::Result<LessSafeKey> {
    let key = DataKey::random()?;
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).ok().context("a key of the right length")?))
}

fn nonce(chunk: usize) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&(chunk as u64).to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Seconds of this thread's CPU for a run: `work` is the work of one segment.
fn timed(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let before = thread_cpu_s();
    for _ in 0..SEGMENTS_A_RUN {
        work()?;
    }
    Ok(thread_cpu_s() - before)
}

fn random_chunk() -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; CHUNK_LIMIT_BYTES];
    SystemRandom::new().fill(&mut bytes).ok().context("the machine has no random bytes")?;
    Ok(bytes)
}

/// Against ring's cipher with that digest, and nothing else.
fn seal(digest: fn() -> RunningDigest) -> anyhow::Result<Pairs> {
    let (_, day_key) = generate_pair()?;
    let chunk = random_chunk()?;
    let ours = || timed(|| write_segment(Box::new(Nowhere), &day_key, black_box(&chunk)).map(|_| ()));
    let mut bare = chunk.clone();
    let rings = || {
        timed(|| {
            let key = bare_key()?;
            let mut digest = digest();
            for number in 0..FRAGMENTS {
                let tag = key.seal_in_place_separate_tag(nonce(number), Aad::empty(), &mut bare).ok();
                black_box(tag.context("ring did not seal")?.as_ref());
                digest.update(&bare);
            }
            black_box(digest.so_far());
            Ok(())
        })
    };
    Pairs::run(PAIRS, ours, rings)
}

fn open() -> anyhow::Result<Pairs> {
    let (private, day_key) = generate_pair()?;
    let chunk = random_chunk()?;
    let file = InMemory::default();
    let chunks = write_segment(Box::new(file.clone()), &day_key, &chunk)?;
    let reader = SegmentReader::open(Box::new(file), Ending::Footer { chunks })?;
    let ours = || {
        timed(|| {
            let opener = StreamOpener::new(&reader.head().open_key(&private)?)?;
            for fragment in reader.fragments()? {
                black_box(reader.open_fragment(&opener, &fragment)?);
            }
            Ok(())
        })
    };
    let key = bare_key()?;
    let mut sealed = chunk;
    key.seal_in_place_append_tag(nonce(0), Aad::empty(), &mut sealed).ok().context("ring did not seal")?;
    // ring opens in place: each opening needs the sealed bytes again, and putting them there is not counted.
    let mut scratch = sealed.clone();
    let rings = || {
        let mut cost = 0.0;
        for _ in 0..SEGMENTS_A_RUN * FRAGMENTS {
            scratch.copy_from_slice(&sealed);
            let before = thread_cpu_s();
            let opened = key.open_in_place(nonce(0), Aad::empty(), &mut scratch).ok();
            black_box(opened.context("ring did not open")?);
            cost += thread_cpu_s() - before;
        }
        Ok(cost)
    };
    Pairs::run(PAIRS, ours, rings)
}

fn main() -> anyhow::Result<()> {
    let gigabytes = (SEGMENTS_A_RUN * SEGMENT_BYTES) as f64 / 1e9;
    let (seal, same, open) = (seal(RunningDigest::new)?, seal(RunningDigest::blake3)?, open()?);
    report::record(
        &report::path(),
        &[
            Row::new("seal_vs_ring", 1.0 / seal.ratio(), "ratio", Bound::AtLeast(0.90)),
            Row::new("seal_vs_same_digest", 1.0 / same.ratio(), "ratio", Bound::Stated),
            Row::new("seal_gb_per_cpu_s", gigabytes / seal.one(), "GB/s", Bound::Stated),
            Row::new("open_vs_ring", 1.0 / open.ratio(), "ratio", Bound::Stated),
            Row::new("open_gb_per_cpu_s", gigabytes / open.one(), "GB/s", Bound::Stated),
        ],
    )
}
