//! The three things for which neither the standard library nor `rustix` or `ffmpeg-next` has a safe call.
#![allow(unsafe_code)]

use ffmpeg_next::ffi::AVDiscard;
use ffmpeg_next::format::context::Input;

/// The most extra data that is copied; parameter sets are a few hundred bytes.
const LARGEST_EXTRA_DATA_BYTES: usize = 64 << 10;

/// Closes every descriptor but stdin, stdout and stderr.
pub(super) fn close_all_but_standard() {
    // SAFETY: nothing in this process owns a descriptor above 2 yet: `run` calls this before it opens any. An error
    // (a kernel before 5.9) leaves them open; they are close-on-exec in the parent anyway.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32);
    }
}

/// What libav knows of a stream's codec before its first packet.
pub(super) fn extra_data(input: &Input, stream: usize) -> Vec<u8> {
    let Some(stream) = input.stream(stream) else { return Vec::new() };
    // SAFETY: the stream and its parameters live as long as `input`, which is borrowed; libav keeps `extradata` valid
    // for `extradata_size` bytes, or null.
    unsafe {
        let parameters = stream.parameters();
        let parameters = &*parameters.as_ptr();
        let length = usize::try_from(parameters.extradata_size).unwrap_or(0);
        if parameters.extradata.is_null() || length == 0 || length > LARGEST_EXTRA_DATA_BYTES {
            return Vec::new();
        }
        std::slice::from_raw_parts(parameters.extradata, length).to_vec()
    }
}

/// Lets the demuxer throw away every stream but this one (W4).
pub(super) fn keep_only(input: &mut Input, stream: usize) {
    for mut other in input.streams_mut() {
        if other.index() != stream {
            // SAFETY: `other` is a stream of `input`, which is borrowed for writing; `discard` is for callers to set.
            unsafe { (*other.as_mut_ptr()).discard = AVDiscard::AVDISCARD_ALL };
        }
    }
}
