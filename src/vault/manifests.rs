//! One manifest file, and what its records add up to.

use super::VaultError;
use crate::crypto::random_u64;
use crate::disk::{Access, DiskFile, PhysicalRange, SharedDisk, read_file};
use crate::domain::{
    CameraNumber, Day, DayKeyId, DestructionTrigger, Digest, ManifestHead, Overwrite, Retention, SegmentId, Span, Utc,
    VolumeId,
};
use crate::segment::{
    Ending, MANIFEST_HEADER_BYTES, ManifestHeader, ManifestRecord, RecordReader, first_head, next_head,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MANIFEST_LIMIT_BYTES: u64 = 1 << 30;

/// Where a segment stands in its life.
///
/// ```text
/// Open ── Sealed ──▶ Sealed ── KeyDestroyed ──▶ KeyDestroyed ── Erased ──▶ Erased
///   └──────────────────── Erased (never committed) ─────────────────────────▲
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Open,
    Sealed(Whole),
    KeyDestroyed(Whole, Utc),
    Erased { whole: Option<Whole>, at: Utc, trigger: DestructionTrigger, overwrite: Overwrite },
}

/// What is known of a segment that came to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Whole {
    pub ending: Ending,
    pub bytes: u64,
    pub allocated_bytes: u64,
    pub end: Utc,
    pub digest: Digest,
    pub ranges: Vec<PhysicalRange>,
}

/// A segment as its manifest tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SegmentRecord {
    pub camera: CameraNumber,
    pub start: Utc,
    pub day_key: DayKeyId,
    pub head: Digest,
    pub is_apart: bool,
    pub life: Life,
    /// Its destruction is a row of the ledger.
    pub is_receipted: bool,
}

impl SegmentRecord {
    pub fn whole(&self) -> Option<&Whole> {
        match &self.life {
            Life::Open => None,
            Life::Sealed(whole) | Life::KeyDestroyed(whole, _) => Some(whole),
            Life::Erased { whole, .. } => whole.as_ref(),
        }
    }

    /// From its first frame to the end of its last; `None` while it is open, or if it has no frame.
    pub fn span(&self) -> Option<Span> {
        Span::new(self.start, self.whole()?.end).ok()
    }

    /// A change of life that the diagram has; `false` for any other.
    fn apply(&mut self, record: &ManifestRecord) -> bool {
        let next = match (&self.life, record) {
            (
                Life::Open,
                ManifestRecord::Sealed { chunks, bytes, allocated_bytes, end, digest, has_footer, ranges, .. },
            ) => {
                let chunks = *chunks;
                Life::Sealed(Whole {
                    ending: if *has_footer { Ending::Footer { chunks } } else { Ending::Cut { chunks } },
                    bytes: *bytes,
                    allocated_bytes: *allocated_bytes,
                    end: *end,
                    digest: *digest,
                    ranges: ranges.clone(),
                })
            }
            (Life::Sealed(whole), ManifestRecord::KeyDestroyed { at, .. }) => Life::KeyDestroyed(whole.clone(), *at),
            (Life::KeyDestroyed(whole, _), ManifestRecord::Erased { at, trigger, overwrite, .. }) => {
                Life::Erased { whole: Some(whole.clone()), at: *at, trigger: *trigger, overwrite: *overwrite }
            }
            (Life::Open, ManifestRecord::Erased { at, trigger, overwrite, .. }) => {
                Life::Erased { whole: None, at: *at, trigger: *trigger, overwrite: *overwrite }
            }
            (Life::Sealed(_), ManifestRecord::SetApart { .. }) => {
                self.is_apart = true;
                return true;
            }
            (
                Life::Open | Life::Sealed(_) | Life::KeyDestroyed(..) | Life::Erased { .. },
                ManifestRecord::DayKeyMade { .. }
                | ManifestRecord::Opened { .. }
                | ManifestRecord::Sealed { .. }
                | ManifestRecord::Gap { .. }
                | ManifestRecord::SetApart { .. }
                | ManifestRecord::KeyDestroyed { .. }
                | ManifestRecord::Erased { .. }
                | ManifestRecord::DayKeyDestroyed { .. }
                | ManifestRecord::ReceiptsCopied,
            ) => return false,
        };
        self.life = next;
        true
    }
}

/// An open manifest.
#[derive(Debug)]
pub(super) struct ManifestFile {
    pub header: ManifestHeader,
    pub segments: BTreeMap<SegmentId, SegmentRecord>,
    pub day_keys: BTreeMap<DayKeyId, (CameraNumber, crate::crypto::PublicKey)>,
    pub gaps: Vec<(CameraNumber, Span, crate::domain::GapCause)>,
    /// Segments that are not erased: without any, nothing can become due here.
    left: usize,
    /// Erased segments whose destruction is not a row of the ledger yet.
    unreceipted: usize,
    name: String,
    file: Box<dyn DiskFile>,
    end_bytes: u64,
    head: ManifestHead,
    flushed: Option<ManifestHead>,
}

/// A manifest that was read, and what was wrong at its end.
pub(super) struct ReadManifest {
    pub manifest: ManifestFile,
    pub torn_bytes: u64,
    /// Records that do not follow from those before.
    pub misfits: u32,
}

impl ManifestFile {
    pub fn create(
        disk: &SharedDisk,
        dir: &Path,
        volume: VolumeId,
        day: Day,
        retention: Retention,
    ) -> Result<Self, VaultError> {
        let name = format!("{:016x}", random_u64()?);
        let path = dir.join(&name);
        let on = |source| VaultError::Disk { what: path.display().to_string(), source };
        let header = ManifestHeader { volume, day, retention };
        let file = disk.create_new(&path).map_err(on)?;
        file.write_all_at(&header.to_bytes(), 0).map_err(on)?;
        let head = first_head(&header);
        Ok(Self::empty(header, name, file, head))
    }

    fn empty(header: ManifestHeader, name: String, file: Box<dyn DiskFile>, head: ManifestHead) -> Self {
        Self {
            header,
            segments: BTreeMap::new(),
            day_keys: BTreeMap::new(),
            gaps: Vec::new(),
            left: 0,
            unreceipted: 0,
            name,
            file,
            end_bytes: MANIFEST_HEADER_BYTES as u64,
            head,
            flushed: None,
        }
    }

    /// Reads a manifest. With `mend` a torn tail is cut off; without, the file is only read.
    pub fn read(disk: &SharedDisk, path: &Path, mend: bool) -> Result<ReadManifest, VaultError> {
        let on = |source| VaultError::Disk { what: path.display().to_string(), source };
        let bytes = read_file(&**disk, path, MANIFEST_LIMIT_BYTES).map_err(on)?;
        let (header, mut reader) = RecordReader::new(&bytes)?;
        let file = disk.open(path, if mend { Access::ReadWrite } else { Access::Read }).map_err(on)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut manifest = Self::empty(header, name, file, first_head(&header));
        let mut misfits = 0;
        for record in reader.by_ref() {
            if !manifest.apply(&record) {
                misfits += 1;
            }
        }
        manifest.head = reader.head();
        manifest.end_bytes = reader.offset_bytes();
        let torn_bytes = bytes.len() as u64 - manifest.end_bytes;
        if torn_bytes > 0 && reader.goes_on() {
            return Err(VaultError::ManifestDamaged { file: path.to_path_buf(), at_bytes: manifest.end_bytes });
        }
        if torn_bytes > 0 && mend {
            manifest.file.set_len(manifest.end_bytes).map_err(on)?;
            manifest.file.sync_data().map_err(on)?;
        }
        Ok(ReadManifest { manifest, torn_bytes, misfits })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn head(&self) -> ManifestHead {
        self.head
    }

    /// Appends a record. It is durable with the next flush of the volume, or after [`ManifestFile::flush`].
    pub fn append(&mut self, record: &ManifestRecord) -> Result<(), VaultError> {
        let bytes = record.to_bytes();
        self.file.write_all_at(&bytes, self.end_bytes).map_err(|source| self.failed(source))?;
        self.end_bytes += bytes.len() as u64;
        self.head = next_head(self.head, &bytes);
        self.apply(record);
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), VaultError> {
        self.file.sync_data().map_err(|source| self.failed(source))?;
        // Before the first flush of the whole volume the file's name may still be lost.
        self.flushed = self.flushed.map(|_| self.head);
        Ok(())
    }

    /// A flush of the whole volume covered the records up to here.
    pub fn note_flushed(&mut self, head: ManifestHead) {
        if self.flushed.is_none_or(|flushed| flushed.records < head.records) {
            self.flushed = Some(head);
        }
    }

    /// How far the manifest is certain to survive a power cut; `None` for one that may be lost whole.
    pub fn flushed_head(&self) -> Option<ManifestHead> {
        self.flushed
    }

    fn failed(&self, source: std::io::Error) -> VaultError {
        VaultError::Disk { what: format!("manifest {}", self.name), source }
    }

    /// Whether any segment is not erased.
    pub fn has_any_left(&self) -> bool {
        self.left > 0
    }

    /// The records of segments whose destruction is not a row of the ledger yet.
    pub fn unreceipted(&self) -> impl Iterator<Item = (SegmentId, &SegmentRecord)> {
        // Asked twice a second: most manifests have none, and are not searched for it.
        let among = if self.unreceipted > 0 { Some(&self.segments) } else { None };
        among
            .into_iter()
            .flatten()
            .filter(|(_, record)| matches!(record.life, Life::Erased { .. }) && !record.is_receipted)
            .map(|(segment, record)| (*segment, record))
    }

    fn apply(&mut self, record: &ManifestRecord) -> bool {
        match record {
            ManifestRecord::DayKeyMade { day_key, camera, public } => {
                self.day_keys.insert(*day_key, (*camera, *public)).is_none()
            }
            ManifestRecord::DayKeyDestroyed { day_key, .. } => self.day_keys.remove(day_key).is_some(),
            ManifestRecord::Gap { camera, span, cause } => {
                self.gaps.push((*camera, *span, *cause));
                true
            }
            ManifestRecord::Opened { segment, camera, start, day_key, head } => {
                let opened = SegmentRecord {
                    camera: *camera,
                    start: *start,
                    day_key: *day_key,
                    head: *head,
                    is_apart: false,
                    life: Life::Open,
                    is_receipted: false,
                };
                self.left += 1;
                self.segments.insert(*segment, opened).is_none()
            }
            ManifestRecord::ReceiptsCopied => {
                for record in self.segments.values_mut() {
                    record.is_receipted |= matches!(record.life, Life::Erased { .. });
                }
                self.unreceipted = 0;
                true
            }
            ManifestRecord::Sealed { segment, .. }
            | ManifestRecord::SetApart { segment }
            | ManifestRecord::KeyDestroyed { segment, .. }
            | ManifestRecord::Erased { segment, .. } => {
                let fits = self.segments.get_mut(segment).is_some_and(|known| known.apply(record));
                if fits && matches!(record, ManifestRecord::Erased { .. }) {
                    self.left = self.left.saturating_sub(1);
                    self.unreceipted += 1;
                }
                fits
            }
        }
    }
}

/// The manifests of a directory, by file name.
pub(super) fn list(disk: &SharedDisk, dir: &Path) -> Result<Vec<PathBuf>, VaultError> {
    let on = |source| VaultError::Disk { what: dir.display().to_string(), source };
    Ok(disk.list_files(dir).map_err(on)?.into_iter().map(|name| dir.join(name)).collect())
}
