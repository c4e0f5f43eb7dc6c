//! Receipts of what was destroyed. They stand in the manifests, as the records of it, until they are rows of the ledger: one a
//! camera and hour, once all of the hour is gone. Where something of an hour stays, for a hold that is ending or a disk
//! that fails, the rest waits for it two hours at most. What a person wanted erased waits for nothing.
//!
//! Order: the ledger's rows, flushed → a record in each manifest of what they cover → flush. What a power cut takes of it is
//! written to the ledger once more.

use super::manifests::ManifestFile;
use super::table::{Life, SegmentRow};
use super::volume::{ManifestKey, Volume};
use super::{Vault, VaultError};
use crate::crypto::RunningDigest;
use crate::domain::{CameraNumber, DestructionTrigger, Digest, Overwrite, SegmentId, Span, Utc, VolumeId};
use crate::ledger::DestructionReceipt;
use crate::segment::ManifestRecord;
use std::collections::BTreeMap;
use std::time::Duration;

/// As the receipt says it.
const TECHNIQUE: &str = "key destroyed, then every block of the file overwritten once with zeros past the page cache, \
                         flushed, read back in the share that is told, released (NIST SP 800-88r2: Clear, with \
                         cryptographic erase)";
const MICROS_AN_HOUR: i64 = 3_600_000_000;
/// So long the receipts of an hour wait for the rest of it; less where footage is kept for minutes, as in a demonstration.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 3_600);
const SHARE_OF_PERIOD: u32 = 10;

/// Receipts that are ready to be rows of the ledger, and where to note that they are.
#[derive(Debug, Default)]
pub struct Receipts {
    pub rows: Vec<DestructionReceipt>,
    copied: Vec<Copied>,
    /// The first manifest that could not be read. Its receipts wait; it stands in no other's way.
    pub failure: Option<VaultError>,
}

/// What of a manifest the rows cover.
#[derive(Clone, Copy, Debug)]
struct Copied {
    volume: VolumeId,
    manifest: ManifestKey,
    /// Erasures recorded before this byte.
    end_bytes: u64,
    /// Of segments that begin before this.
    before: Utc,
}

/// What one receipt is of: a camera's hour, and how it ended.
type Batch = (i64, CameraNumber, DestructionTrigger, Overwrite);
type Batches = BTreeMap<Batch, (DestructionReceipt, RunningDigest)>;

impl Vault {
    /// Receipts of hours that are destroyed whole, and of those that have waited long enough.
    pub fn receipts(&self, now: Utc) -> Receipts {
        let mut receipts = Receipts::default();
        self.volumes.iter().for_each(|volume| volume.receipts(now, &mut receipts));
        receipts
    }

    /// All destructions that the ledger does not have yet, of whole hours or not.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn unreceipted(&self) -> Result<Vec<DestructionReceipt>, VaultError> {
        let receipts = self.receipts(Utc::from_micros(i64::MAX));
        receipts.failure.map_or(Ok(receipts.rows), Err)
    }

    /// The rows of these receipts are flushed.
    ///
    /// # Errors
    /// What the disk says; the rows are then written once more.
    pub fn receipts_copied(&self, receipts: &Receipts) -> Result<(), VaultError> {
        let mut told = Ok(());
        for Copied { volume, manifest, end_bytes, before } in &receipts.copied {
            let Some(volume) = self.volumes.iter().find(|known| known.id == *volume) else { continue };
            let record = ManifestRecord::ReceiptsCopiedTo { end_bytes: *end_bytes, before: *before };
            told = told.and(volume.record_in(*manifest, &record).and_then(|()| volume.flush_manifest(*manifest)));
        }
        told
    }
}

impl Volume {
    fn receipts(&self, now: Utc, receipts: &mut Receipts) {
        let keys: Vec<ManifestKey> = {
            let state = self.lock();
            let with_some = state.manifests.iter().filter(|(_, manifest)| manifest.sum().unreceipted > 0);
            with_some.map(|(key, _)| *key).collect()
        };
        let mut batches = Batches::new();
        for key in keys {
            match self.receipts_of(key, now, &mut batches) {
                Ok(copied) => receipts.copied.extend(copied),
                Err(e) => drop(receipts.failure.get_or_insert(e)),
            }
        }
        let whole = |(receipt, running): (DestructionReceipt, RunningDigest)| DestructionReceipt {
            digest: running.so_far(),
            ..receipt
        };
        receipts.rows.extend(batches.into_values().map(whole));
    }

    fn receipts_of(&self, key: ManifestKey, now: Utc, batches: &mut Batches) -> Result<Option<Copied>, VaultError> {
        let mut state = self.lock();
        let Some(manifest) = state.loaded(key)? else { return Ok(None) };
        let rows = manifest.table().into_iter().flat_map(|table| &table.rows);
        let waiting: Vec<(SegmentId, SegmentRow)> =
            rows.filter(|(_, row)| row.waits_for_receipt()).map(|(segment, row)| (*segment, *row)).collect();
        let before = ready_before(manifest, &waiting, now);
        let ready: Vec<_> = waiting.into_iter().filter(|(_, row)| row.start < before).collect();
        if ready.is_empty() {
            return Ok(None);
        }
        for (segment, row) in &ready {
            let Life::Erased { trigger, overwrite, read_back_percent, .. } = row.life else { continue };
            let shown = manifest.table().and_then(|table| table.shown(row));
            let (Some(span), whole) = (shown, manifest.whole(row)?) else { continue };
            let hour = row.start.micros().div_euclid(MICROS_AN_HOUR);
            let new = || self.empty_receipt(manifest, row.camera, (hour, span), (trigger, overwrite));
            let (receipt, running) = batches.entry((hour, row.camera, trigger, overwrite)).or_insert_with(new);
            receipt.span = receipt.span.hull(span);
            receipt.segments += 1;
            receipt.failures += u32::from(overwrite.fails(trigger));
            receipt.bytes += whole.as_ref().map_or(0, |whole| whole.bytes);
            receipt.read_back_percent =
                Some(receipt.read_back_percent.map_or(read_back_percent, |least| least.min(read_back_percent)));
            running.update(&segment.0.to_be_bytes());
            running.update(&whole.as_ref().map_or(Digest::ZERO, |whole| whole.digest).0);
        }
        Ok(Some(Copied { volume: self.id, manifest: key, end_bytes: manifest.end_bytes(), before }))
    }

    fn empty_receipt(
        &self,
        manifest: &ManifestFile,
        camera: CameraNumber,
        (hour, span): (i64, Span),
        (trigger, overwrite): (DestructionTrigger, Overwrite),
    ) -> (DestructionReceipt, RunningDigest) {
        let receipt = DestructionReceipt {
            volume: self.id,
            day: manifest.header.day,
            hour: Some(Utc::from_micros(hour * MICROS_AN_HOUR)),
            camera,
            span,
            segments: 0,
            bytes: 0,
            digest: Digest::ZERO,
            trigger,
            technique: TECHNIQUE.to_owned(),
            overwrite,
            read_back_percent: None,
            failures: 0,
            device: Some(self.device.clone()),
        };
        (receipt, RunningDigest::new())
    }
}

/// Segments that begin before this have all been destroyed, or their receipts have waited long enough.
fn ready_before(manifest: &ManifestFile, waiting: &[(SegmentId, SegmentRow)], now: Utc) -> Utc {
    let all = Utc::from_micros(i64::MAX);
    let wait = LONGEST_WAIT.min(manifest.header.retention.period() / SHARE_OF_PERIOD);
    let is_overdue = |(_, row): &(SegmentId, SegmentRow)| match row.life {
        // Who wanted it gone is told so at once.
        Life::Erased { trigger: DestructionTrigger::ErasureRequest, .. } => true,
        Life::Erased { at, .. } => at.saturating_add(wait) <= now,
        Life::Open | Life::Sealed | Life::Condemned { .. } | Life::KeyDestroyed { .. } => false,
    };
    if waiting.iter().any(is_overdue) {
        return all;
    }
    let left = manifest.table().and_then(|table| {
        [table.keyed.first(), table.condemned.first(), table.keyless.first()].into_iter().flatten().min()
    });
    left.map_or(all, |(start, _)| Utc::from_micros(start.micros().div_euclid(MICROS_AN_HOUR) * MICROS_AN_HOUR))
}

impl SegmentRow {
    fn waits_for_receipt(&self) -> bool {
        matches!(self.life, Life::Erased { .. }) && !self.is_receipted
    }
}
