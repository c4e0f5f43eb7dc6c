//! Looks for footage on a raw disk, past every file system: what a finder of the disk would do.

use anyhow::{Context, Result};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The unit in which disks keep what they are given.
pub const SECTOR_BYTES: usize = 512;
const READ_BYTES: usize = 4 << 20;
const HITS_SHOWN: usize = 8;

/// What a search for sectors found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SectorSearch {
    /// Sectors of the image that were compared: all of them.
    pub sectors_searched: u64,
    /// Different sectors looked for. Those of one repeated byte are left out: they prove nothing.
    pub needle_sectors: u64,
    /// How many of those stand somewhere in the image.
    pub found: u64,
    /// Where in the image the first few stand, in bytes.
    pub hits_bytes: Vec<u64>,
}

/// Searches all of `image` for each whole sector of `files`, byte for byte, at every sector's place.
///
/// Exact: a sector counts only if all its bytes are there. A last piece shorter than a sector is not looked for.
///
/// # Errors
/// When the image cannot be read, or there is nothing to look for.
pub fn search_sectors(image: &Path, files: &[Vec<u8>]) -> Result<SectorSearch> {
    let mut needles: HashMap<&[u8], HashSet<&[u8]>> = HashMap::new();
    let whole = files.iter().flat_map(|file| file.chunks_exact(SECTOR_BYTES));
    for sector in whole.filter(|sector| !is_constant(sector)) {
        needles.entry(&sector[..8]).or_default().insert(sector);
    }
    let needle_sectors: usize = needles.values().map(HashSet::len).sum();
    anyhow::ensure!(needle_sectors > 0, "there is no sector to look for: the search would find nothing anywhere");

    let mut found: HashSet<&[u8]> = HashSet::new();
    let mut hits_bytes = Vec::new();
    let mut sectors_searched = 0;
    for_each_block(image, |block, at| {
        for (index, sector) in block.chunks_exact(SECTOR_BYTES).enumerate() {
            let Some(needle) = needles.get(&sector[..8]).and_then(|alike| alike.get(sector)) else { continue };
            found.insert(needle);
            if hits_bytes.len() < HITS_SHOWN {
                hits_bytes.push(at + (index * SECTOR_BYTES) as u64);
            }
        }
        sectors_searched += (block.len() / SECTOR_BYTES) as u64;
    })?;
    let (needle_sectors, found) = (needle_sectors as u64, found.len() as u64);
    Ok(SectorSearch { sectors_searched, needle_sectors, found, hits_bytes })
}

/// How often `pattern` stands anywhere in `image`, at whatever place.
pub fn search_bytes(image: &Path, pattern: &[u8]) -> Result<u64> {
    anyhow::ensure!(!pattern.is_empty(), "an empty pattern is everywhere");
    let mut count = 0;
    let mut carried: Vec<u8> = Vec::new();
    for_each_block(image, |block, _| {
        // What may have begun in the last block ends in this one.
        carried.extend_from_slice(block);
        count += count_in(&carried, pattern);
        carried.drain(..carried.len().saturating_sub(pattern.len() - 1));
    })?;
    Ok(count)
}

/// How often `pattern`, which is not empty, stands in `text`.
///
/// Boyer–Moore–Horspool: looks at one byte in `pattern.len()`, which matters in unoptimised test builds.
pub fn count_in(text: &[u8], pattern: &[u8]) -> u64 {
    let last = pattern.len() - 1;
    let mut shifts = [pattern.len(); 256];
    for (index, byte) in pattern[..last].iter().enumerate() {
        shifts[usize::from(*byte)] = last - index;
    }
    let (mut at, mut count) = (0, 0);
    while at + pattern.len() <= text.len() {
        let end = text[at + last];
        if end == pattern[last] && text[at..at + pattern.len()] == *pattern {
            count += 1;
        }
        at += shifts[usize::from(end)];
    }
    count
}

fn is_constant(sector: &[u8]) -> bool {
    sector.iter().all(|byte| *byte == sector[0])
}

fn for_each_block(image: &Path, mut see: impl FnMut(&[u8], u64)) -> Result<()> {
    let mut file = File::open(image).with_context(|| format!("cannot open the image {}", image.display()))?;
    let mut block = Vec::with_capacity(READ_BYTES);
    let mut at = 0;
    loop {
        block.clear();
        file.by_ref().take(READ_BYTES as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        see(&block, at);
        at += block.len() as u64;
    }
}
