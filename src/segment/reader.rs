//! Reads a segment: what it is and how far it goes without any key, its pictures with the data key.

use super::chunk::{ChunkHeader, ChunkKind, HEADER_BYTES};
use super::footer::{FragmentEntry, FragmentTable};
use super::head::{HEAD_BYTES, SegmentHead};
use super::{Progress, SegmentError};
use crate::crypto::{StreamOpener, TAG_BYTES};
use crate::disk::{DiskFile, STRIDE_BYTES};
use crate::domain::{Digest, Utc};

/// Where a segment ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Ending {
    /// At its footer.
    Footer { chunks: u32 },
    /// At the chunk count last committed: it was cut short, or is still being written.
    Cut { chunks: u32 },
}

impl Ending {
    pub fn chunks(self) -> u32 {
        match self {
            Ending::Footer { chunks } | Ending::Cut { chunks } => chunks,
        }
    }
}

/// A chunk and where it stands in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkAt {
    pub header: ChunkHeader,
    pub offset_bytes: u64,
}

/// A whole fragment, as the clear headers tell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentAt {
    /// Its number within the segment, from 0.
    pub number: u32,
    pub entry: FragmentEntry,
    pub from: Utc,
    pub to: Utc,
    first_offset_bytes: u64,
}

/// A segment's file, opened for reading.
#[derive(Debug)]
pub struct SegmentReader {
    file: Box<dyn DiskFile>,
    head: SegmentHead,
    ending: Ending,
    corrected_micros: i64,
}

impl SegmentReader {
    /// # Errors
    /// What [`SegmentHead::parse`] says; after its key block was overwritten a segment is "damaged at byte 0".
    pub fn open(file: Box<dyn DiskFile>, ending: Ending) -> Result<Self, SegmentError> {
        let mut block = vec![0; HEAD_BYTES];
        let got = file.read_at(&mut block, 0)?;
        let head = SegmentHead::parse(&block[..got])?;
        Ok(Self { file, head, ending, corrected_micros: 0 })
    }

    /// With the times of its fragments so much later than its head says.
    #[must_use]
    pub fn corrected(self, by_micros: i64) -> Self {
        Self { corrected_micros: by_micros, ..self }
    }

    pub fn head(&self) -> &SegmentHead {
        &self.head
    }

    /// Where it was said to end.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// The clear header of a chunk of which all bytes are there.
    fn header_at(&self, offset_bytes: u64) -> Result<ChunkHeader, SegmentError> {
        let mut bytes = [0; HEADER_BYTES];
        let read = self.file.read_at(&mut bytes, offset_bytes)?;
        let header = ChunkHeader::parse(&bytes, offset_bytes)?;
        // Memory is taken for what a header claims: never more than the file has.
        if read < HEADER_BYTES || offset_bytes + header.stored_bytes() > self.file.len_bytes()? {
            return Err(SegmentError::Damaged { what: "a chunk", at_bytes: offset_bytes });
        }
        Ok(header)
    }

    /// Walks the clear headers up to the segment's end.
    ///
    /// # Errors
    /// [`SegmentError::Short`] where fewer chunks stand there than were committed; [`SegmentError::Damaged`].
    pub fn chunks(&self) -> Result<Vec<ChunkAt>, SegmentError> {
        let committed = self.ending.chunks();
        // The file's length bounds the count, whatever a manifest claims.
        let fits = self.file.len_bytes()? / (HEADER_BYTES + TAG_BYTES) as u64;
        let mut chunks = Vec::with_capacity(usize::try_from(u64::from(committed).min(fits)).unwrap_or(0));
        let mut offset_bytes = HEAD_BYTES as u64;
        for index in 0..committed {
            let header = match self.header_at(offset_bytes) {
                Err(SegmentError::Damaged { .. }) => return Err(SegmentError::Short { found: index, committed }),
                told => told?,
            };
            let is_last = index + 1 == committed;
            let ends_rightly = match self.ending {
                Ending::Footer { .. } => (header.kind == ChunkKind::Footer) == is_last,
                Ending::Cut { .. } => header.kind != ChunkKind::Footer,
            };
            if header.index != index || !ends_rightly || !header.stands_rightly() {
                return Err(SegmentError::Damaged { what: "a chunk's header", at_bytes: offset_bytes });
            }
            chunks.push(ChunkAt { header, offset_bytes });
            offset_bytes += header.stored_bytes();
        }
        Ok(chunks)
    }

    /// How far a segment goes, as its clear headers alone tell it: for one of which no commit is known any more. Its last
    /// chunk may be torn; opening it will say so.
    ///
    /// # Errors
    /// As [`SegmentReader::open`]; what the disk says.
    pub fn survey(file: Box<dyn DiskFile>) -> Result<Progress, SegmentError> {
        let mut reader = Self::open(file, Ending::Cut { chunks: 0 })?;
        let (mut chunks, mut offset_bytes, mut end_90k, mut complete) = (0, HEAD_BYTES as u64, 0, false);
        while !complete {
            let header = match reader.header_at(offset_bytes) {
                Ok(header) if header.index == chunks && header.stands_rightly() => header,
                Ok(_) | Err(SegmentError::Damaged { .. }) => break,
                Err(e) => return Err(e),
            };
            chunks += 1;
            offset_bytes += header.stored_bytes();
            complete = header.kind == ChunkKind::Footer;
            end_90k = end_90k.max(header.first_pts_90k.saturating_add(u64::from(header.duration_90k)));
        }
        reader.ending = if complete { Ending::Footer { chunks } } else { Ending::Cut { chunks } };
        let (digest, bytes) = reader.digest()?;
        let crc = reader.crc_from(0, 0, bytes)?;
        Ok(Progress { chunks, bytes, end: reader.head.facts.start.plus_90k(end_90k), digest, crc, complete })
    }

    /// The fragments, put together from the clear headers.
    ///
    /// # Errors
    /// As [`SegmentReader::chunks`].
    pub fn fragments(&self) -> Result<Vec<FragmentAt>, SegmentError> {
        let start = self.head.facts.start.plus_micros(self.corrected_micros);
        let mut fragments: Vec<FragmentAt> = Vec::new();
        for chunk in self.chunks()?.iter().filter(|chunk| chunk.header.kind == ChunkKind::Fragment) {
            let header = chunk.header;
            if header.continues {
                let Some(last) = fragments.last_mut() else {
                    return Err(SegmentError::Damaged { what: "a fragment", at_bytes: chunk.offset_bytes });
                };
                last.entry.chunks += 1;
                last.entry.bytes += u64::from(header.plain_bytes);
                continue;
            }
            let entry = FragmentEntry {
                first_chunk: header.index,
                chunks: 1,
                first_pts_90k: header.first_pts_90k,
                duration_90k: header.duration_90k,
                frames: header.frames,
                sync: header.sync,
                bytes: u64::from(header.plain_bytes),
            };
            fragments.push(FragmentAt {
                number: u32::try_from(fragments.len()).unwrap_or(u32::MAX),
                entry,
                from: start.plus_90k(entry.first_pts_90k),
                to: start.plus_90k(entry.first_pts_90k.saturating_add(u64::from(entry.duration_90k))),
                first_offset_bytes: chunk.offset_bytes,
            });
        }
        Ok(fragments)
    }

    /// Decrypts the init segment.
    ///
    /// # Errors
    /// [`SegmentError::Unopened`], [`SegmentError::Damaged`].
    pub fn open_init(&self, opener: &StreamOpener) -> Result<Vec<u8>, SegmentError> {
        let header = self.header_at(HEAD_BYTES as u64)?;
        if header.kind != ChunkKind::Init {
            return Err(SegmentError::Damaged { what: "the init segment", at_bytes: HEAD_BYTES as u64 });
        }
        self.open_chunk(opener, &ChunkAt { header, offset_bytes: HEAD_BYTES as u64 })
    }

    /// Decrypts one fragment.
    ///
    /// # Errors
    /// As [`SegmentReader::open_init`].
    pub fn open_fragment(&self, opener: &StreamOpener, fragment: &FragmentAt) -> Result<Vec<u8>, SegmentError> {
        let mut plain = Vec::new();
        let mut offset_bytes = fragment.first_offset_bytes;
        for part in 0..fragment.entry.chunks {
            let header = self.header_at(offset_bytes)?;
            if header.index != fragment.entry.first_chunk + part || header.kind != ChunkKind::Fragment {
                return Err(SegmentError::Damaged { what: "a fragment", at_bytes: offset_bytes });
            }
            let opened = self.open_chunk(opener, &ChunkAt { header, offset_bytes })?;
            // Most fragments are one chunk: its memory is the fragment's.
            if plain.is_empty() {
                plain = opened;
            } else {
                plain.extend_from_slice(&opened);
            }
            offset_bytes += header.stored_bytes();
        }
        Ok(plain)
    }

    /// Decrypts the footer and holds it against the clear headers: nothing is missing, nothing was added.
    ///
    /// # Errors
    /// [`SegmentError::Unopened`]; [`SegmentError::Damaged`] where the table differs or there is no footer.
    pub fn check_footer(&self, opener: &StreamOpener) -> Result<(), SegmentError> {
        let chunks = self.chunks()?;
        let missing = SegmentError::Damaged { what: "a segment's footer", at_bytes: 0 };
        let Some(last) = chunks.last().filter(|chunk| chunk.header.kind == ChunkKind::Footer) else {
            return Err(missing);
        };
        let table = FragmentTable::parse(&self.open_chunk(opener, last)?)?;
        let told = FragmentTable(self.fragments()?.iter().map(|fragment| fragment.entry).collect());
        if table == told { Ok(()) } else { Err(missing) }
    }

    /// The offset behind the last chunk.
    ///
    /// # Errors
    /// As [`SegmentReader::chunks`].
    pub fn end_bytes(&self) -> Result<u64, SegmentError> {
        Ok(self.chunks()?.last().map_or(HEAD_BYTES as u64, |last| last.offset_bytes + last.header.stored_bytes()))
    }

    /// The digest over the sealed bytes up to the segment's end, and how many those are.
    ///
    /// # Errors
    /// As [`SegmentReader::chunks`].
    pub fn digest(&self) -> Result<(Digest, u64), SegmentError> {
        let end_bytes = self.end_bytes()?;
        let mut running = self.head.facts.version.digest();
        self.each_piece(0, end_bytes, |piece| running.update(piece))?;
        Ok((running.so_far(), end_bytes))
    }

    /// Carries a CRC-32C over the first `from_bytes` sealed bytes on to `to_bytes`.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] where the file is shorter.
    pub fn crc_from(&self, crc: u32, from_bytes: u64, to_bytes: u64) -> Result<u32, SegmentError> {
        let mut carried = crc;
        self.each_piece(from_bytes, to_bytes, |piece| carried = crc32c::crc32c_append(carried, piece))?;
        Ok(carried)
    }

    fn each_piece(&self, from_bytes: u64, to_bytes: u64, mut each: impl FnMut(&[u8])) -> Result<(), SegmentError> {
        let wanted = to_bytes.saturating_sub(from_bytes);
        let mut buffer = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX).min(STRIDE_BYTES)];
        let mut offset_bytes = from_bytes;
        while offset_bytes < to_bytes {
            let want = usize::try_from(to_bytes - offset_bytes).unwrap_or(usize::MAX).min(buffer.len());
            let got = self.file.read_at(&mut buffer[..want], offset_bytes)?;
            if got < want {
                return Err(SegmentError::Damaged { what: "a segment", at_bytes: offset_bytes + got as u64 });
            }
            each(&buffer[..got]);
            offset_bytes += got as u64;
        }
        Ok(())
    }

    fn open_chunk(&self, opener: &StreamOpener, chunk: &ChunkAt) -> Result<Vec<u8>, SegmentError> {
        let mut associated = [0; 56 + HEADER_BYTES];
        associated[..56].copy_from_slice(&self.head.facts.binding());
        associated[56..].copy_from_slice(&chunk.header.to_bytes());
        let mut sealed = vec![0; chunk.header.plain_bytes as usize + TAG_BYTES];
        let got = self.file.read_at(&mut sealed, chunk.offset_bytes + HEADER_BYTES as u64)?;
        if got < sealed.len() {
            return Err(SegmentError::Unopened(crate::crypto::Unopened));
        }
        let length = opener.open(chunk.header.place(), &associated, &mut sealed)?.len();
        sealed.truncate(length);
        Ok(sealed)
    }
}
