//! The questions to the kernel for which no kept crate has a safe call: where a file's bytes stand on the device (FIEMAP,
//! Documentation/filesystems/fiemap.rst), whether the clock is synchronised (adjtimex(2)); telling a device which blocks are
//! free (FITRIM, linux/fs.h); and what the C library does with freed memory (mallopt(3)).
#![allow(unsafe_code)]

use super::{Extents, PhysicalRange};
use std::ffi::c_void;
use std::fs::File;
use std::io;

const EXTENTS_A_CALL: usize = 64;
const FLAG_SYNC: u32 = 0x1;
const EXTENT_LAST: u32 = 0x1;
const EXTENT_UNKNOWN: u32 = 0x2;
const EXTENT_DELAYED: u32 = 0x4;
const EXTENT_ENCODED: u32 = 0x8;
const EXTENT_NOT_ALIGNED: u32 = 0x100;
const EXTENT_INLINE: u32 = 0x200;
const EXTENT_TAIL: u32 = 0x400;
const EXTENT_SHARED: u32 = 0x2000;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FiemapExtent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extents: [FiemapExtent; EXTENTS_A_CALL],
}

struct FiemapCall<'a>(&'a mut Fiemap);

// SAFETY: FS_IOC_FIEMAP (_IOWR('f', 11, struct fiemap)) reads and writes a `struct fiemap` followed by
// `extent_count` extents. `Fiemap` has that layout, and `extent_count` is its array's length.
unsafe impl rustix::ioctl::Ioctl for FiemapCall<'_> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> rustix::ioctl::Opcode {
        0xC020_660B
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(_: rustix::ioctl::IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

/// The file's physical ranges, in file order, neighbours merged. The unwritten flag is ignored: those blocks are ours.
///
/// # Errors
/// What the kernel says, except "not supported", which is [`Extents::Unknown`].
pub(super) fn extents(file: &File) -> io::Result<Extents> {
    let mut ranges: Vec<PhysicalRange> = Vec::new();
    let mut start = 0;
    loop {
        let mut map = Fiemap {
            start,
            length: u64::MAX - start,
            flags: FLAG_SYNC,
            mapped_extents: 0,
            extent_count: EXTENTS_A_CALL as u32,
            reserved: 0,
            extents: [FiemapExtent::default(); EXTENTS_A_CALL],
        };
        // SAFETY: see the implementation of `Ioctl` above.
        match unsafe { rustix::ioctl::ioctl(file, FiemapCall(&mut map)) } {
            Ok(()) => {}
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOTTY) => {
                return Ok(Extents::Unknown("the file system does not say where its blocks are"));
            }
            Err(e) => return Err(e.into()),
        }
        let mapped = usize::try_from(map.mapped_extents).unwrap_or(0).min(EXTENTS_A_CALL);
        for extent in &map.extents[..mapped] {
            if let Some(why) = untraceable(extent.flags) {
                return Ok(Extents::Unknown(why));
            }
            match ranges.last_mut() {
                Some(last) if last.offset_bytes + last.length_bytes == extent.physical => {
                    last.length_bytes += extent.length;
                }
                _ => ranges.push(PhysicalRange { offset_bytes: extent.physical, length_bytes: extent.length }),
            }
            start = extent.logical + extent.length;
        }
        if mapped < EXTENTS_A_CALL || map.extents[mapped - 1].flags & EXTENT_LAST != 0 {
            return Ok(Extents::Known(ranges));
        }
    }
}

fn untraceable(flags: u32) -> Option<&'static str> {
    if flags & EXTENT_SHARED != 0 {
        Some("blocks are shared with another file or a snapshot")
    } else if flags & EXTENT_ENCODED != 0 {
        Some("blocks are compressed or encrypted by the file system")
    } else if flags & (EXTENT_INLINE | EXTENT_TAIL | EXTENT_NOT_ALIGNED) != 0 {
        Some("data stands inside the file system's own records")
    } else if flags & (EXTENT_UNKNOWN | EXTENT_DELAYED) != 0 {
        Some("blocks have no place on the device yet")
    } else {
        None
    }
}

/// `struct fstrim_range`.
#[repr(C)]
struct TrimRange {
    start: u64,
    length: u64,
    least: u64,
}

struct TrimCall<'a>(&'a mut TrimRange);

// SAFETY: FITRIM (_IOWR('X', 121, struct fstrim_range)) reads and writes a `struct fstrim_range`, three 64-bit numbers:
// `TrimRange` has that layout.
unsafe impl rustix::ioctl::Ioctl for TrimCall<'_> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> rustix::ioctl::Opcode {
        0xC018_5879
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(_: rustix::ioctl::IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

/// Tells the device of a file system which of its blocks from `start` on are free; how many bytes that were.
///
/// # Errors
/// What the kernel says.
pub(super) fn trim(dir: &File, start: u64, length: u64) -> rustix::io::Result<u64> {
    let mut range = TrimRange { start, length, least: 0 };
    // SAFETY: see the implementation of `Ioctl` above.
    unsafe { rustix::ioctl::ioctl(dir, TrimCall(&mut range)) }?;
    Ok(range.length)
}

/// Whether the kernel says that something (NTP, PTP) keeps its clock right: `STA_UNSYNC` is off.
pub fn clock_is_synchronised() -> bool {
    // SAFETY: all-zero bytes are a valid `timex`; with `modes` 0 the call only fills it in.
    unsafe {
        let mut told: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut told) != -1 && told.status & libc::STA_UNSYNC == 0
    }
}

/// Heaps: one a core of a small machine is enough for allocations as rare as ours.
const HEAPS: i32 = 2;
/// What is larger than this (tables of a day, files read whole) goes back to the kernel when it is freed; fragments do not,
/// since they come again at once.
const RETURNED_FROM_BYTES: i32 = 4 << 20;
/// So much free memory at the end of a heap is kept.
const KEPT_FREE_BYTES: i32 = 8 << 20;

/// Keeps the C library from holding what was freed. Left to itself it makes eight heaps a core, one for each thread that
/// comes while the others are busy, and learns from large blocks to keep twice as much of each: a day's table of 140,000
/// segments read by six threads in turn stayed with the daemon six times. To be called before there are threads.
pub fn bound_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes two numbers and sets the allocator's own; it is called before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
        libc::mallopt(libc::M_MMAP_THRESHOLD, RETURNED_FROM_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE_BYTES);
    }
}

/// Gives back to the kernel what lies free between things that are used: by itself the C library returns only what is free
/// at a heap's end. Takes some milliseconds.
pub fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) changes nothing but what is free, and takes the heaps' own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
