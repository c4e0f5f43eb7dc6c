//! Segments joined into films: an init segment, then fragments on one timeline, as long as nothing is missing between
//! them.

use super::list::{Finding, Recovered, RecoveredFile};
use crate::crypto::StreamOpener;
use crate::domain::{CameraNumber, Span, Utc};
use crate::fragment::{frame_times, rebase};
use crate::segment::{Ending, FragmentAt, SegmentReader};
use crate::vault::{BareSegment, BareVolume, DayKeys, ToldBy};
use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Less than this is no gap: the house calls half a second without footage one.
pub(super) const NO_GAP: Duration = Duration::from_millis(500);
const NO_GAP_90K: u64 = 45_000;
const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// A film that is being written.
struct Movie {
    file: File,
    path: PathBuf,
    camera: CameraNumber,
    init: Vec<u8>,
    from: Utc,
    to: Utc,
    end_90k: u64,
    segments: u32,
    frames: u64,
    bytes: u64,
}

/// Cuts segments, which come by camera and start, into films.
pub(super) struct Cutter<'a> {
    out: &'a Path,
    asked: Span,
    movie: Option<Movie>,
}

/// A segment on its way: what is asked of it, and where it stands on the film's timeline.
struct Source<'a> {
    segment: &'a BareSegment,
    reader: &'a SegmentReader,
    opener: &'a StreamOpener,
    init: Vec<u8>,
    start: Utc,
    /// Onto the timeline of the film that is open; worked out anew with each film.
    by_90k: Option<i64>,
    is_in_movie: bool,
}

impl<'a> Cutter<'a> {
    pub fn new(out: &'a Path, asked: Span) -> Self {
        Self { out, asked, movie: None }
    }

    /// Writes what can be opened of a segment; what cannot is named, and stops nothing.
    ///
    /// # Errors
    /// What the disk of the films says.
    pub fn segment(
        &mut self,
        volume: &BareVolume,
        segment: &BareSegment,
        keys: &mut DayKeys,
        told: &mut Recovered,
    ) -> anyhow::Result<()> {
        let lost = |what: String| Finding::of(segment, segment.start, segment.end, what);
        let opened = volume.open(segment, keys);
        let (reader, opener) = match opened {
            Ok(opened) => opened,
            Err(e) => {
                told.lost(lost(format!("cannot be opened: {e}")));
                return Ok(());
            }
        };
        let init = match reader.open_init(&opener) {
            Ok(init) => init,
            Err(e) => {
                told.lost(lost(format!("its init segment is damaged, and without it nothing plays: {e}")));
                return Ok(());
            }
        };
        let fragments = match reader.fragments() {
            Ok(fragments) => fragments,
            Err(e) => {
                told.lost(lost(e.to_string()));
                return Ok(());
            }
        };
        told.note_doubt(segment);
        self.note_ending(segment, &reader, &opener, &fragments, told);
        let (start, by_90k, is_in_movie) = (segment.start, None, false);
        let mut source = Source { segment, reader: &reader, opener: &opener, init, start, by_90k, is_in_movie };
        self.fragments(&mut source, &fragments, told)
    }

    /// Names a segment that does not end with its footer, and one whose footer tells otherwise than its headers.
    fn note_ending(
        &self,
        segment: &BareSegment,
        reader: &SegmentReader,
        opener: &StreamOpener,
        fragments: &[FragmentAt],
        told: &mut Recovered,
    ) {
        let end = fragments.last().map_or(segment.start, |last| last.to);
        let chunks = reader.chunks().map_or(0, |chunks| chunks.len());
        if (chunks as u64) < u64::from(segment.ending.chunks()) {
            let what = format!("is damaged: {chunks} of {} chunks are whole", segment.ending.chunks());
            told.lost(Finding::of(segment, end, segment.end, what));
        } else if matches!(segment.ending, Ending::Footer { .. }) {
            if let Err(e) = reader.check_footer(opener) {
                told.lost(Finding::of(
                    segment,
                    segment.start,
                    segment.end,
                    format!("its table of fragments differs: {e}"),
                ));
            }
        } else {
            let why = match segment.told_by {
                ToldBy::Manifest | ToldBy::Commit => "was cut short, and ends at its last commit",
                ToldBy::Itself => "was cut short; no commit is known, and it goes as far as its own headers do",
            };
            told.cut_short(Finding::of(segment, segment.start, end, why.into()));
        }
    }

    fn fragments(&mut self, source: &mut Source, fragments: &[FragmentAt], told: &mut Recovered) -> anyhow::Result<()> {
        // Decoding begins at the key frame at or before the moment asked for.
        let key = fragments.iter().rposition(|fragment| fragment.entry.sync && fragment.from <= self.asked.from());
        let mut wants_key = false;
        for (at, fragment) in fragments.iter().enumerate() {
            if fragment.from >= self.asked.to() || key.is_some_and(|key| at < key) {
                continue;
            }
            let lost = |what: String| Finding::of(source.segment, fragment.from, fragment.to, what);
            let bytes = match source.reader.open_fragment(source.opener, fragment) {
                Ok(bytes) => bytes,
                Err(e) => {
                    told.lost(lost(format!("fragment {} is damaged: {e}", fragment.number)));
                    wants_key = true;
                    continue;
                }
            };
            if wants_key && !fragment.entry.sync {
                told.lost(lost(format!("fragment {} cannot be decoded without the one before", fragment.number)));
                continue;
            }
            if !self.goes_on(source, fragment) {
                if !fragment.entry.sync {
                    told.lost(lost(format!("fragment {} cannot be decoded without the one before", fragment.number)));
                    continue;
                }
                self.begin(source, fragment, told)?;
            }
            wants_key = false;
            if let Err(e) = self.write(source, fragment, bytes)? {
                told.lost(Finding::of(source.segment, fragment.from, fragment.to, e));
                wants_key = true;
            }
        }
        Ok(())
    }

    /// Whether the film that is open goes on with this fragment.
    fn goes_on(&self, source: &Source, fragment: &FragmentAt) -> bool {
        let Some(movie) = &self.movie else { return false };
        let hour = |at: Utc| at.micros().div_euclid(MICROS_PER_HOUR);
        let is_new_hour = !source.is_in_movie && hour(fragment.from) != hour(movie.from);
        let due = fragment.from.ticks_90k_since(movie.from);
        movie.camera == source.segment.camera
            && movie.init == source.init
            && !is_new_hour
            && fragment.from.since(movie.to) < NO_GAP
            && due + NO_GAP_90K > movie.end_90k
    }

    fn begin(&mut self, source: &mut Source, fragment: &FragmentAt, told: &mut Recovered) -> anyhow::Result<()> {
        self.finish(told)?;
        let camera = source.segment.camera;
        let (mut file, path) = create(self.out, camera, fragment.from)?;
        file.write_all(&source.init).with_context(|| path.display().to_string())?;
        let bytes = source.init.len() as u64;
        let (init, from, to) = (source.init.clone(), fragment.from, fragment.from);
        self.movie = Some(Movie { file, path, camera, init, from, to, end_90k: 0, segments: 0, frames: 0, bytes });
        source.by_90k = None;
        source.is_in_movie = false;
        Ok(())
    }

    /// Writes a fragment onto the film's timeline. The inner error is what is wrong with the fragment.
    fn write(
        &mut self,
        source: &mut Source,
        fragment: &FragmentAt,
        mut bytes: Vec<u8>,
    ) -> anyhow::Result<Result<(), String>> {
        let Some(movie) = self.movie.as_mut() else { return Ok(Ok(())) };
        let first_90k = fragment.entry.first_pts_90k;
        let natural = if source.start >= movie.from {
            i64::try_from(source.start.ticks_90k_since(movie.from)).unwrap_or(i64::MAX)
        } else {
            0_i64.saturating_sub_unsigned(first_90k)
        };
        // The camera's clock and ours run apart by some milliseconds from one segment to the next: times only go forward.
        let by_90k = *source.by_90k.get_or_insert_with(|| {
            let earliest = i64::try_from(movie.end_90k).unwrap_or(i64::MAX).saturating_sub_unsigned(first_90k);
            natural.max(earliest)
        });
        let placed = rebase(&mut bytes, by_90k).and_then(|()| frame_times(&bytes));
        let frames = match placed {
            Ok(times) => times.len() as u64,
            Err(e) => return Ok(Err(format!("fragment {} is none: {e}", fragment.number))),
        };
        movie.file.write_all(&bytes).with_context(|| movie.path.display().to_string())?;
        let end = first_90k.saturating_add(u64::from(fragment.entry.duration_90k));
        movie.end_90k = end.saturating_add_signed(by_90k).max(movie.end_90k);
        movie.to = movie.to.max(fragment.to);
        movie.segments += u32::from(!source.is_in_movie);
        source.is_in_movie = true;
        movie.frames += frames;
        movie.bytes += bytes.len() as u64;
        Ok(Ok(()))
    }

    /// Ends the film that is open.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(&mut self, told: &mut Recovered) -> anyhow::Result<()> {
        let Some(movie) = self.movie.take() else { return Ok(()) };
        movie.file.sync_all().with_context(|| movie.path.display().to_string())?;
        let file = movie.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Movie { camera, from, to, segments, frames, bytes, .. } = movie;
        told.files.push(RecoveredFile { file, camera, from, to, segments, frames, bytes });
        Ok(())
    }
}

/// Makes a film's file, named by camera and begin. Nothing is overwritten.
fn create(out: &Path, camera: CameraNumber, from: Utc) -> anyhow::Result<(File, PathBuf)> {
    let whole_second = Utc::from_micros(from.micros().div_euclid(1_000_000) * 1_000_000).to_string();
    let begin = whole_second.replace(".000", "").replace(':', "-");
    for number in 1_u32.. {
        let again = if number == 1 { String::new() } else { format!("_{number}") };
        let path = out.join(format!("camera-{:04}_{begin}{again}.mp4", camera.get()));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e).with_context(|| format!("{} could not be made", path.display())),
        }
    }
    anyhow::bail!("{}: no name is left for a film", out.display())
}
