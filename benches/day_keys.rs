//! What it takes when an officer joins or leaves: every day key of a site is sealed again, or loses a slot.
//!
//! `reseal_day_keys_s`: 3,000 day keys (100 cameras, 30 days), each sealed to two officers and the recovery key, get one
//! slot more: opened with an officer's release key, sealed to the newcomer, one flush. `forget_officer_s`: the slots of
//! one who leaves are overwritten in all of them, past the page cache, one flush. Through the real `Vault`, on the disk
//! that cargo builds on. Wall time, since it is a person who waits for it.

#[path = "support/report.rs"]
mod report;

use anyhow::{Context, ensure};
use cctv_custodian::catalog::Catalog;
use cctv_custodian::crypto::{Label, PrivateKey, PublicKey, generate_pair};
use cctv_custodian::disk::{RealDisk, SharedDisk};
use cctv_custodian::domain::{CameraNumber, Day, DayKeyId, Retention, SiteId, Utc, VolumeId};
use cctv_custodian::segment::{ManifestHeader, ManifestRecord, SlotFile, SlotPurpose};
use cctv_custodian::vault::{RECIPIENTS_LIMIT, Vault, Volume};
use report::{Bound, Row};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CAMERAS: u16 = 100;
const DAYS: u32 = 30;
const KEYS: u64 = CAMERAS as u64 * DAYS as u64;
const FIRST_DAY: Day = Day(20_700);
const SITE: SiteId = SiteId([1; 16]);

/// One day key's file, and its record.
fn make_day_key(
    dir: &Path,
    volume: VolumeId,
    number: u64,
    camera: CameraNumber,
    recipients: &[PublicKey],
) -> anyhow::Result<ManifestRecord> {
    let (private, public) = generate_pair()?;
    let day_key = DayKeyId(number);
    let mut facts = [0; 64];
    facts[..16].copy_from_slice(&volume.0);
    facts[16..24].copy_from_slice(&number.to_be_bytes());
    facts[24..56].copy_from_slice(&public.0);
    let path = dir.join("keys").join(day_key.to_string());
    let file = SlotFile::create(&RealDisk, &path, SlotPurpose::DayKey, RECIPIENTS_LIMIT, facts)?;
    for (index, recipient) in (0..).zip(recipients) {
        let sealed = recipient.seal(Label::DayKey, &facts[..56], private.secret().expose())?;
        file.fill(index, &recipient.0, &sealed)?;
    }
    Ok(ManifestRecord::DayKeyMade { day_key, camera, public })
}

/// A volume with nothing but day keys.
fn make_volume(disk: &SharedDisk, dir: &Path, recipients: &[PublicKey]) -> anyhow::Result<()> {
    let volume = Volume::create(disk, dir, SITE)?;
    let retention = Retention::Ceiling(Duration::from_secs(u64::from(DAYS) * 86_400));
    let mut number = 0;
    for day in 0..DAYS {
        let header = ManifestHeader { volume, day: Day(FIRST_DAY.0 + day), retention, carries_on: None };
        let mut manifest = header.to_bytes().to_vec();
        for camera in 1..=CAMERAS {
            number += 1;
            let camera = CameraNumber::new(camera).context("cameras count from 1")?;
            manifest.extend(make_day_key(dir, volume, number, camera, recipients)?.to_bytes());
        }
        std::fs::write(dir.join("manifests").join(format!("{:016x}", u64::from(day) + 1)), manifest)?;
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let key = || generate_pair().context("a key pair");
    let ((officer, officer_public), (_, deputy), (_, recovery), (newcomer, newcomer_public)) =
        (key()?, key()?, key()?, key()?);
    // Not /tmp, which may be memory.
    let parent = report::path().parent().context("the report has no directory")?.to_path_buf();
    std::fs::create_dir_all(&parent)?;
    let dir = tempfile::tempdir_in(parent)?;
    let disk: SharedDisk = Arc::new(RealDisk);
    let place = dir.path().join("v1");
    make_volume(&disk, &place, &[officer_public, deputy, recovery])?;
    disk.sync_file_system(&place)?;
    let volume = Volume::open(Arc::clone(&disk), &place, SITE, true)?;
    let vault = Vault::start(vec![volume], Catalog::open(&dir.path().join("catalog"))?, now())?;
    vault.set_recipients(vec![officer_public, deputy, recovery]);
    ensure!(vault.day_key_count() as u64 == KEYS, "{} day keys", vault.day_key_count());

    let began = Instant::now();
    let round = vault.admit_officer(&officer, newcomer_public)?;
    let reseal_s = began.elapsed().as_secs_f64();
    ensure!(round.changed == KEYS && round.is_complete(), "{round:?}");
    ensure!(opens(&vault, &newcomer)?, "the newcomer opens nothing");

    let began = Instant::now();
    let round = vault.forget_officer(officer_public, recovery)?;
    let forget_s = began.elapsed().as_secs_f64();
    ensure!(round.changed == KEYS && round.is_complete(), "{round:?}");
    ensure!(!opens(&vault, &officer)?, "the officer opens them still");

    let rows = [
        Row::new("reseal_day_keys_s", reseal_s, "s", Bound::Stated),
        Row::new("forget_officer_s", forget_s, "s", Bound::Stated),
    ];
    report::record(&report::path(), &rows)
}

/// Whether a key hands all of them on: it does so only with what it opens itself. To one who has a slot already nothing is
/// done, so it is tried with a stranger.
fn opens(vault: &Vault, key: &PrivateKey) -> anyhow::Result<bool> {
    let round = vault.admit_officer(key, generate_pair()?.1)?;
    Ok(round.changed == KEYS)
}

fn now() -> Utc {
    FIRST_DAY.end()
}
