//! What happens to a sealed fragment on its way to a viewer: cut at the end of what was granted, moved onto a playlist's
//! timeline, counted.

use super::FragmentError;
use super::moof::{self, Sample};
use bytes::Bytes;

/// The fragment without the frames that are shown at or after `keep_until_90k`, counted from the segment's start;
/// `None` when nothing is left. The last frame kept is shown no longer than up to the limit.
///
/// A frame that a later-shown one helps to decode (a B-frame) stays even when that one goes, and may then show
/// blocks: what was not granted is never handed over for the sake of what was.
///
/// # Errors
/// [`FragmentError`] when `fragment` is none of ours.
pub fn trim(fragment: &[u8], keep_until_90k: u64) -> Result<Option<Bytes>, FragmentError> {
    let layout = moof::read(fragment)?;
    let mut kept: Vec<Sample> = layout
        .samples
        .iter()
        .filter(|sample| sample.shown_90k < keep_until_90k)
        .map(|sample| Sample {
            decode_90k: sample.decode_90k,
            shown_90k: sample.shown_90k,
            duration_90k: sample.duration_90k,
            sync: sample.sync,
            data: Bytes::copy_from_slice(&fragment[sample.data.clone()]),
        })
        .collect();
    for i in 1..kept.len() {
        let between = kept[i].decode_90k.saturating_sub(kept[i - 1].decode_90k);
        kept[i - 1].duration_90k = u32::try_from(between).map_err(|_| FragmentError::TimeOverflow)?;
    }
    let Some(last) = kept.last_mut() else { return Ok(None) };
    let left = keep_until_90k.saturating_sub(last.decode_90k).max(1);
    last.duration_90k = last.duration_90k.min(u32::try_from(left).unwrap_or(u32::MAX));
    moof::write(layout.sequence, &kept).map(Some)
}

/// Moves a fragment onto another timeline, later or earlier: changes its `baseMediaDecodeTime`, in place.
///
/// # Errors
/// [`FragmentError`] when `fragment` is none of ours, or would begin before 0 or end beyond 64 bits; it is then as it
/// was.
pub fn rebase(fragment: &mut [u8], by_90k: i64) -> Result<(), FragmentError> {
    let layout = moof::read(fragment)?;
    let last_90k = layout.samples.iter().map(|sample| sample.shown_90k.max(sample.decode_90k)).max().unwrap_or(0);
    if last_90k.checked_add_signed(by_90k).is_none() {
        return Err(FragmentError::TimeOverflow);
    }
    let moved = layout.base_decode_90k.checked_add_signed(by_90k).ok_or(FragmentError::TimeOverflow)?;
    fragment[layout.base_decode_at].copy_from_slice(&moved.to_be_bytes());
    Ok(())
}

/// Where each frame's data begins in a fragment, and up to when it is shown, counted from the segment's start.
///
/// # Errors
/// [`FragmentError`] when `fragment` is none of ours.
pub fn frame_places(fragment: &[u8]) -> Result<Vec<(usize, u64)>, FragmentError> {
    let samples = moof::read(fragment)?.samples.into_iter();
    Ok(samples.map(|sample| (sample.data.start, sample.shown_90k + u64::from(sample.duration_90k))).collect())
}

/// When the frames are shown, counted from the segment's start (or from where [`rebase`] moved it), in decode order.
///
/// # Errors
/// [`FragmentError`] when `fragment` is none of ours.
pub fn frame_times(fragment: &[u8]) -> Result<Vec<u64>, FragmentError> {
    Ok(moof::read(fragment)?.samples.into_iter().map(|sample| sample.shown_90k).collect())
}
