//! A file's blocks: overwritten, flushed, read back, and what that proves.

use super::VaultError;
use super::pace::Pace;
use super::volume::Volume;
use crate::crypto::random_u64;
use crate::disk::{
    Access, AlignedBuffer, BLOCK_BYTES, DeviceIdentity, DiskFile, Extents, PhysicalRange, STRIDE_BYTES, SharedDisk,
};
use crate::domain::Overwrite;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// At least this share of what stands behind the key block is read back; more where it is configured.
pub const READ_BACK_LEAST_PERCENT: u8 = 5;

/// What was done to a file's blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Overwritten {
    pub overwrite: Overwrite,
    pub bytes: u64,
    pub read_back_percent: u8,
}

/// Manifests, day keys and what was left over, of which overwriting should have been proven and was not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UnprovenFiles {
    pub files: u32,
    pub newest: Option<PathBuf>,
}

/// What came back of what was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ReadBack {
    Blank { bytes: u64 },
    Differs,
    Failed,
}

impl Volume {
    /// So much of what was overwritten is read back: at least 5 %, and at most all of it.
    #[must_use]
    pub fn reading_back(self, percent: u8) -> Self {
        Self { read_back_percent: percent.clamp(READ_BACK_LEAST_PERCENT, 100), ..self }
    }

    /// The device that it stands on.
    pub fn device(&self) -> &DeviceIdentity {
        &self.device
    }

    fn overwriter(&self) -> Overwriter<'_> {
        let Self { disk, is_proven, read_back_percent, pace, .. } = self;
        Overwriter { disk, is_proven: *is_proven, read_back_percent: *read_back_percent, pace: Some(pace) }
    }

    /// As [`Overwriter::overwrite_whole`].
    #[track_caller]
    pub(super) fn overwrite_blocks(
        &self,
        path: &Path,
        recorded: Option<&[PhysicalRange]>,
    ) -> Result<Overwritten, VaultError> {
        self.overwriter().overwrite_whole(path, recorded).map_err(self.on(path))
    }

    /// Takes a name away. One that is gone already is no error. Not flushed: it leads to zeros, and where a power cut brings
    /// it back, the next start takes it away again.
    pub(super) fn unlink(&self, path: &Path) -> Result<(), VaultError> {
        match self.disk.remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(self.on(path)(e)),
            _ => Ok(()),
        }
    }

    /// Overwrites and removes a file that no receipt is wanted for: it was never committed.
    #[track_caller]
    pub(super) fn overwrite_and_remove(&self, path: &Path) -> Result<Overwrite, VaultError> {
        let overwritten = self.overwrite_blocks(path, None)?;
        self.unlink(path)?;
        Ok(overwritten.overwrite)
    }

    /// The same of what no segment stands in and no receipt tells of: where that is not proven, the status does.
    #[track_caller]
    pub(super) fn overwrite_untold(&self, path: &Path) -> Result<(), VaultError> {
        let overwrite = self.overwrite_and_remove(path)?;
        // One that is gone was overwritten before its name went.
        if overwrite.is_failure() && overwrite != Overwrite::NothingThere {
            tracing::error!(volume = %self.id, file = %path.display(), ?overwrite,
                "overwriting a file was not proven: what stood in it may still stand on the device");
            let mut unproven = self.unproven_files.lock().unwrap_or_else(PoisonError::into_inner);
            unproven.files += 1;
            unproven.newest = Some(path.to_path_buf());
        }
        Ok(())
    }

    /// Files without a receipt of which overwriting was not proven since the start.
    pub fn unproven_files(&self) -> UnprovenFiles {
        self.unproven_files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Overwrites files on one file system.
struct Overwriter<'a> {
    disk: &'a SharedDisk,
    is_proven: bool,
    read_back_percent: u8,
    /// Whom it gives way to.
    pace: Option<&'a Pace>,
}

impl Overwriter<'_> {
    /// Overwrites a file's whole allocation and proves it where that can be done. `recorded` are the physical ranges
    /// noted when the segment was sealed; `None` where it never was.
    #[track_caller]
    fn overwrite_whole(&self, path: &Path, recorded: Option<&[PhysicalRange]>) -> io::Result<Overwritten> {
        let file = match self.disk.open(path, Access::Direct) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Ok(Overwritten { overwrite: Overwrite::NothingThere, bytes: 0, read_back_percent: 0 });
            }
            Err(e) => return Err(e),
        };
        let length = file.len_bytes()?;
        let before = file.extents()?;
        self.write_zeros(&*file, length)?;
        let after = file.extents()?;
        let same = stood_still(&before, &after, length)
            && matches!(&before, Extents::Known(ranges) if recorded.is_none_or(|recorded| recorded == ranges));
        let (overwrite, read_back_bytes) = match (self.read_back(path, &*file, length), self.is_proven, same) {
            (ReadBack::Differs, _, _) => (Overwrite::ReadBackDiffers, 0),
            (ReadBack::Failed, _, _) => (Overwrite::ReadBackFailed, 0),
            (ReadBack::Blank { bytes }, false, _) => (Overwrite::DeviceUnproven, bytes),
            (ReadBack::Blank { bytes }, true, false) => (Overwrite::RangesDiffer, bytes),
            (ReadBack::Blank { bytes }, true, true) => (Overwrite::Proven, bytes),
        };
        let share = (u128::from(read_back_bytes) * 100).checked_div(u128::from(length)).unwrap_or(0);
        Ok(Overwritten { overwrite, bytes: length, read_back_percent: u8::try_from(share).unwrap_or(100) })
    }

    fn give_way(&self, waited_for: &mut u64) {
        if let Some(pace) = self.pace {
            pace.give_way(waited_for);
        }
    }

    #[track_caller]
    fn write_zeros(&self, file: &dyn DiskFile, length: u64) -> io::Result<()> {
        let zeros = AlignedBuffer::zeroed(STRIDE_BYTES);
        let end = length.next_multiple_of(BLOCK_BYTES as u64);
        let (mut at, mut waited_for) = (0, 0);
        while at < end {
            self.give_way(&mut waited_for);
            let part = usize::try_from((end - at).min(STRIDE_BYTES as u64)).unwrap_or(STRIDE_BYTES);
            file.write_all_at(&zeros.as_slice()[..part], at)?;
            at += part as u64;
        }
        file.sync_data()
    }

    fn read_back(&self, path: &Path, file: &dyn DiskFile, length: u64) -> ReadBack {
        let told = self.read_back_blank(file, length);
        if let Err(e) = &told {
            // It is destroyed as far as can be, and not proven: that is on its receipt, and no reason to begin again.
            tracing::error!(file = %path.display(), error = %e,
                "what was overwritten cannot be read back: the receipt says so; check the disk");
        }
        told.unwrap_or(ReadBack::Failed)
    }

    fn read_back_blank(&self, file: &dyn DiskFile, length: u64) -> io::Result<ReadBack> {
        let strides = length.div_ceil(STRIDE_BYTES as u64);
        let zeros = AlignedBuffer::zeroed(STRIDE_BYTES);
        let mut buffer = AlignedBuffer::zeroed(STRIDE_BYTES);
        let (mut waited_for, mut bytes) = (0, 0);
        for stride in chosen(strides, self.read_back_percent)? {
            self.give_way(&mut waited_for);
            buffer.as_mut_slice().fill(0xFF);
            let got = file.read_at(buffer.as_mut_slice(), stride * STRIDE_BYTES as u64)?;
            if buffer.as_slice()[..got] != zeros.as_slice()[..got] {
                return Ok(ReadBack::Differs);
            }
            bytes += got as u64;
        }
        Ok(ReadBack::Blank { bytes })
    }
}

/// Overwrites a small file of the state directory, all of it is read back, and tells what that proves. Its name stays: it
/// leads to zeros. `is_proven` is what the device's test said.
///
/// # Errors
/// What the disk says.
#[track_caller]
pub fn overwrite_state_file(disk: &SharedDisk, path: &Path, is_proven: bool) -> Result<Overwrite, VaultError> {
    let overwriter = Overwriter { disk, is_proven, read_back_percent: 100, pace: None };
    let failed = |source| VaultError::Disk { what: path.display().to_string(), source };
    Ok(overwriter.overwrite_whole(path, None).map_err(failed)?.overwrite)
}

/// Whether all blocks with bytes of the file were where they had been. Where blocks are smaller than what is written at once,
/// the file has more of them afterwards; and what a file system reserved behind the end it may take back at any time.
fn stood_still(before: &Extents, after: &Extents, length: u64) -> bool {
    let (Extents::Known(before), Extents::Known(after)) = (before, after) else { return false };
    let held: u64 = before.iter().map(|range| range.length_bytes).sum();
    let bytes = held.min(length.next_multiple_of(BLOCK_BYTES as u64));
    first_bytes(before, bytes) == first_bytes(after, bytes)
}

fn first_bytes(ranges: &[PhysicalRange], bytes: u64) -> Vec<PhysicalRange> {
    let mut left = bytes;
    let mut first = Vec::new();
    for range in ranges {
        let length_bytes = range.length_bytes.min(left);
        if length_bytes == 0 {
            break;
        }
        left -= length_bytes;
        first.push(PhysicalRange { length_bytes, ..*range });
    }
    first
}

/// The first stride, which holds the key block, and of the others so many that their bytes are `percent` of all at least:
/// at random, each once, in the order in which they stand.
fn chosen(strides: u64, percent: u8) -> io::Result<Vec<u64>> {
    if strides == 0 {
        return Ok(Vec::new());
    }
    let mut others: Vec<u64> = (1..strides).collect();
    let wanted = (strides - 1).saturating_mul(u64::from(percent)).div_ceil(100);
    // Fisher and Yates, as far as is wanted.
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(others.len());
    for place in 0..wanted {
        let left = (others.len() - place) as u64;
        let random = random_u64().map_err(io::Error::other)? % left;
        others.swap(place, place + usize::try_from(random).unwrap_or(0));
    }
    others.truncate(wanted);
    others.push(0);
    others.sort_unstable();
    Ok(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn blocks_that_come_behind_a_files_end_or_go_from_there_prove_nothing_against_it() {
        let known = |ranges: &[(u64, u64)]| {
            let range = |(offset_bytes, length_bytes): &(u64, u64)| PhysicalRange {
                offset_bytes: *offset_bytes,
                length_bytes: *length_bytes,
            };
            Extents::Known(ranges.iter().map(range).collect())
        };
        let one = known(&[(1 << 20, 1_024)]);
        assert!(stood_still(&one, &one, 642));
        assert!(stood_still(&one, &known(&[(1 << 20, 1_024), (5 << 20, 3_072)]), 642), "blocks of 1 KiB");
        assert!(
            stood_still(&known(&[(0, 8_192), (1 << 20, 65_536)]), &known(&[(0, 8_192)]), 5_000),
            "a reserve taken back"
        );
        assert!(!stood_still(&one, &known(&[(2 << 20, 1_024), (5 << 20, 3_072)]), 642), "it moved");
        assert!(!stood_still(&known(&[(0, 4_096), (8_192, 4_096)]), &known(&[(0, 4_096), (16_384, 4_096)]), 8_192));
        assert!(!stood_still(&known(&[(0, 8_192)]), &known(&[(0, 4_096)]), 8_192), "a part is gone");
        assert!(!stood_still(&one, &Extents::Unknown("shared"), 642));
        assert!(!stood_still(&Extents::Unknown("shared"), &Extents::Unknown("shared"), 642));
    }

    #[test]
    fn the_key_block_and_the_wanted_share_of_the_rest_are_read_back_each_once() {
        for strides in 1..130 {
            for percent in [5, 20, 99, 100] {
                let told = chosen(strides, percent).unwrap();
                let different: BTreeSet<u64> = told.iter().copied().collect();
                assert_eq!(different.len(), told.len());
                assert!(different.contains(&0) && different.iter().all(|stride| *stride < strides));
                assert!((told.len() as u64 - 1) * 100 >= (strides - 1) * u64::from(percent), "{strides} {percent}");
            }
            assert_eq!(chosen(strides, 100).unwrap(), (0..strides).collect::<Vec<_>>());
        }
        let seen: BTreeSet<u64> = (0..200).flat_map(|_| chosen(30, 5).unwrap()).collect();
        assert_eq!(seen.len(), 30, "none of them is never looked at");
    }
}
