//! After an outage of a week: 97 cameras, segments of a minute, seven whole days past their period. How long until none of
//! them can be read.

use crate::ground::{MONTH, drop_caches, make, start};
use crate::report::{Bound, Row};
use anyhow::{Context, Result, ensure};
use cctv_custodian::crypto::{Label, generate_pair, random_u64};
use cctv_custodian::disk::{RealDisk, SharedDisk};
use cctv_custodian::domain::{CameraNumber, Day, DayKeyId, Digest, SegmentId, Utc, VolumeId};
use cctv_custodian::segment::{ManifestHeader, ManifestRecord, SlotFile, SlotPurpose};
use cctv_custodian::vault::{RECIPIENTS_LIMIT, Volume};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CAMERAS: u16 = 97;
const DAYS: u32 = 7;
const FIRST_DAY: Day = Day(20_400);
const SEGMENTS_A_DAY: u64 = 1_440;
const SEGMENT: Duration = Duration::from_secs(60);
/// As many as the eraser takes at a time.
const KEYS_AT_A_TIME: usize = 64;

/// # Errors
/// What the disk says.
pub fn week(scratch: &Path) -> Result<Vec<Row>> {
    let dir = tempfile::tempdir_in(scratch)?;
    let disk: SharedDisk = Arc::new(RealDisk);
    make(dir.path(), &disk)?;
    let volume = Volume::whose(&disk, &dir.path().join("volume"))?.0;
    for day in 0..DAYS {
        make_day(&dir.path().join("volume"), volume, Day(FIRST_DAY.0 + day))?;
    }
    let now = Day(FIRST_DAY.0 + DAYS).start().saturating_add(MONTH.period() + Duration::from_secs(7_200));
    // Left in order once: a start after an outage reads sums alone.
    start(dir.path(), dir.path(), Arc::clone(&disk), now)?.stop()?;
    let vault = start(dir.path(), dir.path(), disk, now)?;
    ensure!(vault.day_key_count() == usize::from(CAMERAS) * DAYS as usize, "{} day keys", vault.day_key_count());
    let due = vault.due_count(now)?;
    ensure!(due == u64::from(CAMERAS) * u64::from(DAYS) * SEGMENTS_A_DAY, "{due} segments are due");
    drop_caches(dir.path())?;
    let began = Instant::now();
    let mut destroyed = 0;
    loop {
        let told = vault.destroy_day_keys(now, KEYS_AT_A_TIME, &|_, _| false);
        told.failure.map_or(Ok(()), Err)?;
        if told.destroyed == 0 {
            break;
        }
        destroyed += told.destroyed;
    }
    let took = began.elapsed();
    ensure!(destroyed == usize::from(CAMERAS) * DAYS as usize, "{destroyed} day keys were destroyed");
    let left = std::fs::read_dir(dir.path().join("volume/keys"))?.count();
    ensure!(left == 0 && vault.due_readable(now, 1).segments.is_empty(), "{left} keys are there still");
    Ok(vec![Row::new("backlog_unreadable_s", took.as_secs_f64(), "s", Bound::AtMost(10.0))])
}

/// A day's manifest and day keys, as the vault writes them. There are no files of its segments: their end comes later.
fn make_day(dir: &Path, volume: VolumeId, day: Day) -> Result<()> {
    let mut manifest = ManifestHeader { volume, day, retention: MONTH, carries_on: None }.to_bytes().to_vec();
    let (_, recipient) = generate_pair()?;
    let mut day_keys = Vec::new();
    for number in 1..=CAMERAS {
        let camera = CameraNumber::new(number).context("a camera's number")?;
        let (day_key, (private, public)) = (DayKeyId(random_u64()?), generate_pair()?);
        let mut facts = [0; 64];
        facts[..16].copy_from_slice(&volume.0);
        facts[16..24].copy_from_slice(&day_key.0.to_be_bytes());
        facts[24..56].copy_from_slice(&public.0);
        let path = dir.join("keys").join(day_key.to_string());
        let file = SlotFile::create(&RealDisk, &path, SlotPurpose::DayKey, RECIPIENTS_LIMIT, facts)?;
        let sealed = recipient.seal(Label::DayKey, &facts[..56], private.secret().expose())?;
        (0..3).try_for_each(|slot| file.fill(slot, &recipient.0, &sealed))?;
        manifest.extend(ManifestRecord::DayKeyMade { day_key, camera, public }.to_bytes());
        day_keys.push((camera, day_key));
    }
    let mut id = u64::from(day.0) << 32;
    for minute in 0..SEGMENTS_A_DAY {
        let start = day.start().saturating_add(SEGMENT * u32::try_from(minute)?);
        for (camera, day_key) in &day_keys {
            id += 1;
            put_segment(&mut manifest, (SegmentId(id), *camera, *day_key), start);
        }
    }
    let path = dir.join("manifests").join(format!("{:016x}", random_u64()?));
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(&manifest)?)
}

fn put_segment(manifest: &mut Vec<u8>, (segment, camera, day_key): (SegmentId, CameraNumber, DayKeyId), start: Utc) {
    let opened = ManifestRecord::Opened { segment, camera, start, day_key, head: Digest([6; 32]) };
    let sealed = ManifestRecord::Sealed {
        segment,
        chunks: 32,
        bytes: 30_000_000,
        allocated_bytes: 31 << 20,
        end: start.saturating_add(SEGMENT),
        digest: Digest([8; 32]),
        has_footer: true,
        ranges: Vec::new(),
    };
    manifest.extend(opened.to_bytes());
    manifest.extend(sealed.to_bytes());
}
