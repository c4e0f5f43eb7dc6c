//! One manifest file: appended to, summed up, and read again where its segments are wanted.

use super::VaultError;
use super::table::{Before, ManifestSum, SegmentRow, SegmentTable};
use crate::crypto::random_u64;
use crate::disk::{Access, DiskFile, PhysicalRange, SharedDisk};
use crate::domain::{Day, Digest, ManifestHead, Retention, SegmentId, VolumeId};
use crate::segment::{
    MANIFEST_HEADER_BYTES, ManifestHeader, ManifestRecord, RecordAt, RecordStream, first_head, next_head, read_record,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Places in a manifest are numbers of 32 bits. A day of a site is below 40 MB.
const MANIFEST_LIMIT_BYTES: u64 = 1 << 30;
const HALF_MADE: &str = "new";
/// Of one whose closing row is flushed, and that is being overwritten.
const CLOSED: &str = "closed";

/// What is wanted of a segment that came to its end, and is not in the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Whole {
    pub bytes: u64,
    pub digest: Digest,
    /// Where it stands on the device; empty where the file system does not tell.
    pub ranges: Vec<PhysicalRange>,
}

/// A manifest as far as it was summed up, and its sum: all that a start reads of most of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Summed {
    pub name: String,
    pub end_bytes: u64,
    pub head: ManifestHead,
    pub sum: ManifestSum,
}

/// An open manifest.
#[derive(Debug)]
pub(super) struct ManifestFile {
    pub header: ManifestHeader,
    sum: ManifestSum,
    table: Option<SegmentTable>,
    name: String,
    file: Box<dyn DiskFile>,
    end_bytes: u64,
    head: ManifestHead,
    flushed: Option<ManifestHead>,
}

/// A manifest that is written and flushed, and has no name yet.
pub(super) struct HalfMade {
    manifest: ManifestFile,
    fresh: PathBuf,
    path: PathBuf,
}

impl HalfMade {
    /// A manifest with its first records.
    pub fn write_out(
        disk: &SharedDisk,
        dir: &Path,
        header: ManifestHeader,
        records: &[ManifestRecord],
    ) -> Result<Self, VaultError> {
        let name = format!("{:016x}", random_u64()?);
        let path = dir.join(&name);
        let on = |source| VaultError::Disk { what: path.display().to_string(), source };
        let fresh = path.with_extension(HALF_MADE);
        let file = disk.create_new(&fresh).map_err(on)?;
        let mut manifest = ManifestFile::at_its_beginning(header, name, file, first_head(&header));
        let mut bytes = header.to_bytes().to_vec();
        let mut table = SegmentTable::default();
        for record in records {
            let (of_record, at_bytes) = (record.to_bytes(), place(bytes.len() as u64));
            manifest.head = next_head(manifest.head, &of_record);
            take_in(&mut manifest.sum, &mut table, record, at_bytes);
            bytes.extend(of_record);
        }
        manifest.table = Some(table);
        manifest.end_bytes = bytes.len() as u64;
        let half_made = Self { manifest, fresh, path: path.clone() };
        let written =
            half_made.manifest.file.write_all_at(&bytes, 0).and_then(|()| half_made.manifest.file.sync_data());
        if let Err(e) = written {
            half_made.give_up(disk);
            return Err(on(e));
        }
        Ok(half_made)
    }

    /// Gives it its name.
    pub fn publish(self, disk: &SharedDisk) -> Result<ManifestFile, VaultError> {
        match disk.rename(&self.fresh, &self.path) {
            Ok(()) => Ok(self.manifest),
            Err(source) => {
                let what = self.path.display().to_string();
                self.give_up(disk);
                Err(VaultError::Disk { what, source })
            }
        }
    }

    /// Takes it away again.
    pub fn give_up(self, disk: &SharedDisk) {
        if let Err(left) = disk.remove_file(&self.fresh) {
            tracing::error!(error = %left, "a manifest that was not made could not be removed");
        }
    }
}

/// A manifest that was read, and what was wrong at its end.
pub(super) struct ReadManifest {
    pub manifest: ManifestFile,
    pub torn_bytes: u64,
    /// Records that do not follow from those before.
    pub misfits: u32,
}

impl ManifestFile {
    /// Makes a manifest whose name never stands for less than a whole header (V12): header written → flush → rename. The
    /// name is durable with the next flush of the volume.
    pub fn create(
        disk: &SharedDisk,
        dir: &Path,
        volume: VolumeId,
        day: Day,
        retention: Retention,
    ) -> Result<Self, VaultError> {
        let header = ManifestHeader { volume, day, retention, carries_on: None };
        HalfMade::write_out(disk, dir, header, &[])?.publish(disk)
    }

    fn at_its_beginning(header: ManifestHeader, name: String, file: Box<dyn DiskFile>, head: ManifestHead) -> Self {
        Self {
            header,
            sum: ManifestSum::default(),
            table: None,
            name,
            file,
            end_bytes: MANIFEST_HEADER_BYTES as u64,
            head,
            flushed: None,
        }
    }

    /// The number in the name of a manifest.
    pub fn number(&self) -> Result<u64, VaultError> {
        u64::from_str_radix(&self.name, 16).map_err(|e| {
            let (file, what) = (self.name.clone(), format!("is no manifest's name: {e}. Take it away"));
            VaultError::State { file, what }
        })
    }

    /// Reads a whole manifest, with its table. With `mend` a torn tail is cut off; without, the file is only read.
    pub fn read(disk: &SharedDisk, path: &Path, mend: bool) -> Result<ReadManifest, VaultError> {
        let on = |source| VaultError::Disk { what: path.display().to_string(), source };
        let file = disk.open(path, if mend { Access::ReadWrite } else { Access::Read }).map_err(on)?;
        let length = file.len_bytes().map_err(on)?;
        if length > MANIFEST_LIMIT_BYTES {
            let what = format!("is {length} bytes long, more than a manifest may be");
            return Err(VaultError::State { file: path.display().to_string(), what });
        }
        let (header, mut stream) = RecordStream::open(&*file)?;
        let (mut sum, mut table, mut misfits) = (ManifestSum::default(), SegmentTable::default(), 0);
        while let Some(RecordAt { record, at_bytes }) = stream.next_record()? {
            if !take_in(&mut sum, &mut table, &record, place(at_bytes)) {
                misfits += 1;
            }
        }
        let (head, end_bytes) = (stream.head(), stream.offset_bytes());
        let torn_bytes = length.saturating_sub(end_bytes);
        if torn_bytes > 0 && stream.goes_on()? {
            return Err(VaultError::ManifestDamaged { file: path.to_path_buf(), at_bytes: end_bytes });
        }
        drop(stream);
        if torn_bytes > 0 && mend {
            // What a power cut takes of records that are written in its place must read as zeros, not as this. A start
            // flushes the volume before it writes any.
            file.set_len(end_bytes).map_err(on)?;
        }
        let manifest = Self {
            sum,
            table: Some(table),
            head,
            end_bytes,
            ..Self::at_its_beginning(header, file_name(path), file, head)
        };
        Ok(ReadManifest { manifest, torn_bytes, misfits })
    }

    /// Takes a manifest up where it was summed up, if nothing was appended since: then only its header is read.
    /// `None` where something was.
    ///
    /// # Errors
    /// [`VaultError::ManifestShort`] where records are missing that had been flushed.
    pub fn resume(disk: &SharedDisk, path: &Path, known: &Summed) -> Result<Option<Self>, VaultError> {
        let on = |source| VaultError::Disk { what: path.display().to_string(), source };
        let file = disk.open(path, Access::ReadWrite).map_err(on)?;
        let length = file.len_bytes().map_err(on)?;
        if length < known.end_bytes {
            return Err(VaultError::ManifestShort {
                file: path.to_path_buf(),
                missing_bytes: known.end_bytes - length,
            });
        }
        if length > known.end_bytes {
            return Ok(None);
        }
        let (header, _) = RecordStream::open(&*file)?;
        let Summed { name, end_bytes, head, sum } = known.clone();
        Ok(Some(Self { sum, end_bytes, head, flushed: Some(head), ..Self::at_its_beginning(header, name, file, head) }))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn head(&self) -> ManifestHead {
        self.head
    }

    pub fn end_bytes(&self) -> u64 {
        self.end_bytes
    }

    pub fn sum(&self) -> &ManifestSum {
        &self.sum
    }

    pub fn summed(&self) -> Summed {
        Summed { name: self.name.clone(), end_bytes: self.end_bytes, head: self.head, sum: self.sum.clone() }
    }

    /// The table, where it is in memory.
    pub fn table(&self) -> Option<&SegmentTable> {
        self.table.as_ref()
    }

    /// The table, read again if it is not in memory. The sum is put together anew with it: what a summary told counts no
    /// more from here on, since whoever can write to the disk can forge one.
    pub fn load(&mut self) -> Result<&SegmentTable, VaultError> {
        let table = match self.table.take() {
            Some(table) => table,
            None => self.complete(TableSoFar::of_nothing(&*self.file)?)?,
        };
        Ok(self.table.insert(table))
    }

    /// Lets the table go. It is read again when it is wanted.
    pub fn unload(&mut self) {
        self.table = None;
    }

    /// Takes a table over that was read while nobody waited for it, with what was appended meanwhile.
    pub fn load_from(&mut self, so_far: TableSoFar) -> Result<(), VaultError> {
        if self.table.is_none() {
            self.table = Some(self.complete(so_far)?);
        }
        Ok(())
    }

    fn complete(&mut self, so_far: TableSoFar) -> Result<SegmentTable, VaultError> {
        let whole = so_far.read_on(&*self.file, self.end_bytes)?;
        if (whole.end_bytes, whole.head) != (self.end_bytes, self.head) {
            let file = PathBuf::from("manifests").join(&self.name);
            return Err(VaultError::ManifestDamaged { file, at_bytes: whole.end_bytes });
        }
        if whole.sum != self.sum {
            tracing::error!(manifest = self.name, "the summary told otherwise of it: somebody changed one of the two");
            self.sum = whole.sum;
        }
        Ok(whole.table)
    }

    /// Appends a record. It is durable with the next flush of the volume, or after [`ManifestFile::flush`].
    pub fn append(&mut self, record: &ManifestRecord) -> Result<(), VaultError> {
        // A day key's end is no row's: after an outage the keys of whole days go, and their tables are not read for it.
        if !matches!(record, ManifestRecord::DayKeyDestroyed { .. }) {
            self.load()?;
        }
        let bytes = record.to_bytes();
        if self.end_bytes + bytes.len() as u64 > MANIFEST_LIMIT_BYTES {
            let what = "is as long as a manifest may be".to_owned();
            return Err(VaultError::State { file: self.name.clone(), what });
        }
        self.file.write_all_at(&bytes, self.end_bytes).map_err(|source| self.failed(source))?;
        let at_bytes = place(self.end_bytes);
        self.end_bytes += bytes.len() as u64;
        self.head = next_head(self.head, &bytes);
        match self.table.as_mut() {
            Some(table) => take_in(&mut self.sum, table, record, at_bytes),
            None => self.sum.apply(record, None),
        };
        Ok(())
    }

    #[track_caller]
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

    /// What the record "sealed" says of a segment; `None` for one that never was.
    pub fn whole(&self, row: &SegmentRow) -> Result<Option<Whole>, VaultError> {
        if row.sealed_at_bytes == 0 {
            return Ok(None);
        }
        match read_record(&*self.file, u64::from(row.sealed_at_bytes))? {
            ManifestRecord::Sealed { bytes, digest, ranges, .. } => Ok(Some(Whole { bytes, digest, ranges })),
            ManifestRecord::Carried(carried) => {
                Ok(Some(Whole { bytes: carried.bytes, digest: carried.digest, ranges: carried.ranges }))
            }
            _ => Err(self.changed(row.sealed_at_bytes)),
        }
    }

    /// The digest of a segment's first block, as it was recorded when it was made.
    pub fn head_of(&self, row: &SegmentRow) -> Result<Digest, VaultError> {
        match read_record(&*self.file, u64::from(row.opened_at_bytes))? {
            ManifestRecord::Opened { head, .. } => Ok(head),
            ManifestRecord::Carried(carried) => Ok(carried.head),
            _ => Err(self.changed(row.opened_at_bytes)),
        }
    }

    fn changed(&self, at_bytes: u32) -> VaultError {
        let file = PathBuf::from("manifests").join(&self.name);
        VaultError::ManifestDamaged { file, at_bytes: u64::from(at_bytes) }
    }

    pub fn row(&self, segment: SegmentId) -> Option<&SegmentRow> {
        self.table.as_ref()?.rows.get(&segment)
    }
}

/// A table of a manifest's records up to a place.
pub(super) struct TableSoFar {
    table: SegmentTable,
    sum: ManifestSum,
    end_bytes: u64,
    head: ManifestHead,
}

impl TableSoFar {
    fn of_nothing(file: &dyn DiskFile) -> Result<Self, VaultError> {
        let (_, stream) = RecordStream::open(file)?;
        let (table, sum) = (SegmentTable::default(), ManifestSum::default());
        Ok(Self { table, sum, end_bytes: stream.offset_bytes(), head: stream.head() })
    }

    /// Reads a manifest's table through a file handle of its own, up to `end_bytes`.
    pub fn read(disk: &SharedDisk, path: &Path, end_bytes: u64) -> Result<Self, VaultError> {
        let on = |source| VaultError::Disk { what: path.display().to_string(), source };
        let file = disk.open(path, Access::Read).map_err(on)?;
        Self::of_nothing(&*file)?.read_on(&*file, end_bytes)
    }

    fn read_on(self, file: &dyn DiskFile, end_bytes: u64) -> Result<Self, VaultError> {
        let (mut table, mut sum) = (self.table, self.sum);
        let mut stream = RecordStream::resume(file, self.end_bytes, self.head);
        while stream.offset_bytes() < end_bytes
            && let Some(RecordAt { record, at_bytes }) = stream.next_record()?
        {
            take_in(&mut sum, &mut table, &record, place(at_bytes));
        }
        Ok(Self { table, sum, end_bytes: stream.offset_bytes(), head: stream.head() })
    }
}

/// The day and the sum of a manifest as it lies there, if nothing was appended since it was summed up.
pub(super) fn unchanged(
    disk: &SharedDisk,
    path: &Path,
    known: &Summed,
) -> Result<Option<(Day, ManifestSum)>, VaultError> {
    let on = |source| VaultError::Disk { what: path.display().to_string(), source };
    let file = disk.open(path, Access::Read).map_err(on)?;
    if file.len_bytes().map_err(on)? != known.end_bytes {
        return Ok(None);
    }
    let (header, _) = RecordStream::open(&*file)?;
    Ok(Some((header.day, known.sum.clone())))
}

fn place(at_bytes: u64) -> u32 {
    // The limit of a manifest is below.
    u32::try_from(at_bytes).unwrap_or(u32::MAX)
}

fn take_in(sum: &mut ManifestSum, table: &mut SegmentTable, record: &ManifestRecord, at_bytes: u32) -> bool {
    let before = match record {
        ManifestRecord::Sealed { segment, .. }
        | ManifestRecord::SetApart { segment }
        | ManifestRecord::KeyDestroyed { segment, .. }
        | ManifestRecord::Erased { segment, .. }
        | ManifestRecord::Condemned { segment, .. } => {
            let before = |row: &SegmentRow| Before { row: *row, day_key: table.day_key(row), doubt: table.doubt(row) };
            table.rows.get(segment).map(before)
        }
        ManifestRecord::DayKeyMade { .. }
        | ManifestRecord::Opened { .. }
        | ManifestRecord::Gap { .. }
        | ManifestRecord::DayKeyDestroyed { .. }
        | ManifestRecord::ReceiptsCopied
        | ManifestRecord::ReceiptsCopiedTo { .. }
        | ManifestRecord::Carried(_)
        | ManifestRecord::InDoubt { .. }
        | ManifestRecord::Corrected { .. } => None,
    };
    let fits = table.apply(record, at_bytes) && sum.apply(record, before);
    if matches!(record, ManifestRecord::ReceiptsCopiedTo { .. }) {
        sum.unreceipted = table.unreceipted();
    }
    fits
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The manifests of a directory, by file name. What was only half made is none.
pub(super) fn list(disk: &SharedDisk, dir: &Path) -> Result<Vec<PathBuf>, VaultError> {
    Ok(all_files(disk, dir)?.into_iter().filter(|path| !is_left_over(path)).collect())
}

/// The names of manifests whose held segments another one has taken over. What cannot be read takes over nothing.
pub(super) fn taken_over(disk: &SharedDisk, paths: &[PathBuf]) -> BTreeSet<String> {
    let header = |path: &PathBuf| {
        let file = disk.open(path, Access::Read).ok()?;
        let (header, _) = RecordStream::open(&*file).ok()?;
        Some(format!("{:016x}", header.carries_on?.manifest))
    };
    paths.iter().filter_map(header).collect()
}

/// What a crash left of the making of a manifest, or of its end: it names cameras and times, and is overwritten.
pub(super) fn left_overs(disk: &SharedDisk, dir: &Path) -> Result<Vec<PathBuf>, VaultError> {
    Ok(all_files(disk, dir)?.into_iter().filter(|path| is_left_over(path)).collect())
}

/// Under which name a manifest is overwritten: were it its own, a crash would leave one that is damaged.
pub(super) fn closed_path(path: &Path) -> PathBuf {
    path.with_extension(CLOSED)
}

fn is_left_over(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == HALF_MADE || extension == CLOSED)
}

fn all_files(disk: &SharedDisk, dir: &Path) -> Result<Vec<PathBuf>, VaultError> {
    let on = |source| VaultError::Disk { what: dir.display().to_string(), source };
    Ok(disk.list_files(dir).map_err(on)?.into_iter().map(|name| dir.join(name)).collect())
}
