//! A start beside a ledger of three years: 97 cameras, 2.5 million rows, nearly all receipts of what was destroyed.
//!
//! `start_3_years_s`: from opening the ledger to everything that access builds of it, by the sums of the months that are over;
//! `start_3_years_by_rows_s`: the same without sums, as a start was before there were any, and as the first one after they were
//! deleted is; `start_3_years_mb` and `_by_rows_mb`: the most memory of each, in a process of its own. `verify_3_years_s`: all
//! months verified beside the work, row by row. Nothing in the page cache is thrown away: what takes the time is not the disk.
//!
//! The months are written as docs/format.md says, not through `Ledger`, which would flush each row.

#[path = "support/report.rs"]
mod report;

use anyhow::{Context, ensure};
use cctv_custodian::access::{
    Access, NewAccount, NewSite, Password, Periods, RequestRules, SecondFactorFor, SessionLimits, SiteFiles,
};
use cctv_custodian::catalog::Catalog;
use cctv_custodian::clock::ManualClock;
use cctv_custodian::config::LedgerKeeping;
use cctv_custodian::crypto::{RunningDigest, Strength};
use cctv_custodian::disk::{DeviceIdentity, RealDisk, SharedDisk};
use cctv_custodian::domain::{
    CameraNumber, DestructionTrigger, Digest, FilmingHours, Month, Overwrite, Role, Span, Utc, VolumeId,
};
use cctv_custodian::ledger::{Act, Actor, DestructionReceipt, Row as LedgerRow};
use cctv_custodian::vault::{Holds, TrustedClock, Vault, Volume};
use report::{Bound, Row};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const MONTHS: u32 = 36;
const CAMERAS: u16 = 97;
/// One an hour and camera.
const ROWS_A_MONTH: u64 = CAMERAS as u64 * 24 * 30;
const HOUR: Duration = Duration::from_secs(3_600);
/// 2023-11-01T00:00:00Z.
const BEGIN: Utc = Utc::from_micros(1_698_796_800_000_000);

fn receipt(row: u64, at: Utc) -> anyhow::Result<Act> {
    let camera = CameraNumber::new(u16::try_from(row % u64::from(CAMERAS))? + 1).context("camera 0")?;
    let begin = at.saturating_sub(HOUR * 24 * 30);
    let mut running = RunningDigest::new();
    running.update(&row.to_be_bytes());
    Ok(Act::FootageDestroyed(DestructionReceipt {
        volume: VolumeId([7; 16]),
        day: begin.day(),
        camera,
        span: Span::new(begin, begin.saturating_add(HOUR))?,
        segments: 60,
        bytes: 900_000_000,
        digest: running.so_far(),
        trigger: DestructionTrigger::Expiry,
        technique: "Clear, with cryptographic erase: key overwritten, then every block, in place (NIST SP 800-88r2)"
            .into(),
        overwrite: Overwrite::Proven,
        hour: Some(begin),
        read_back_percent: Some(5),
        failures: 0,
        device: Some(DeviceIdentity { model: "ST16000NM001G".into(), serial: "ZL2ABCDE".into() }),
    }))
}

/// Writes rows as they stand in a file.
struct Writing {
    to: BufWriter<File>,
    sequence: u64,
    head: Digest,
}

impl Writing {
    fn write(&mut self, at: Utc, act: Act) -> anyhow::Result<()> {
        let row = LedgerRow { sequence: self.sequence, at, actor: Actor::Daemon, act };
        let json = serde_json::to_string(&row)?;
        let mut running = RunningDigest::new();
        running.update(b"custodian ledger 1");
        running.update(&self.head.0);
        running.update(json.as_bytes());
        self.head = running.so_far();
        self.sequence += 1;
        Ok(writeln!(self.to, "{} {json}", self.head)?)
    }
}

fn generate(dir: &Path) -> anyhow::Result<()> {
    let disk: SharedDisk = Arc::new(RealDisk);
    let account = |name: &str, role| NewAccount {
        name: name.to_owned(),
        role,
        password: Password::new(format!("{name}-password")),
    };
    let accounts = [account("officer", Role::Officer), account("deputy", Role::Officer)];
    let new = NewSite { accounts: &accounts, strength: Strength { memory_kib: 64, passes: 1, lanes: 1 } };
    let (site, _) = new.make(&disk, &dir.join("state"), &ManualClock::standing(BEGIN).clock())?;
    Volume::create(&disk, &dir.join("v1"), site)?;
    let ledger = dir.join("state/ledger");
    let first = ledger.join(format!("{}.ledger", Month::of(BEGIN)));
    let text = std::fs::read_to_string(&first)?;
    let last = text.lines().last().context("an empty ledger")?;
    let mut head = [0; 32];
    hex::decode_to_slice(&last[..64], &mut head)?;
    let row: LedgerRow = serde_json::from_str(&last[65..])?;
    let (mut sequence, mut head) = (row.sequence + 1, Digest(head));
    for number in 0..MONTHS {
        let month = Month::of(BEGIN).plus(number);
        let path = ledger.join(format!("{month}.ledger"));
        let file = File::options().create(true).append(true).open(path)?;
        let mut writing = Writing { to: BufWriter::new(file), sequence, head };
        if number > 0 {
            writing.write(month.start(), Act::FileOpened { site, previous: head })?;
        }
        for row in 0..ROWS_A_MONTH {
            let at = month.start().saturating_add(HOUR * u32::try_from(row / u64::from(CAMERAS))?);
            writing.write(at, receipt(row, at)?)?;
        }
        writing.to.flush()?;
        (sequence, head) = (writing.sequence, writing.head);
    }
    Ok(())
}

fn start(dir: &Path) -> anyhow::Result<Access> {
    let disk: SharedDisk = Arc::new(RealDisk);
    let files = SiteFiles::open(Arc::clone(&disk), &dir.join("state"))?;
    let volume = Volume::open(Arc::clone(&disk), &dir.join("v1"), files.site(), true)?;
    let clock = ManualClock::standing(Month::of(BEGIN).plus(MONTHS).start()).clock();
    let time = TrustedClock::start(clock, Arc::clone(&disk), files.path("clock"), HOUR * 72, || true, None)?;
    let vault = Arc::new(Vault::start(vec![volume], Catalog::open(&files.path("catalog"))?, time.trusted())?);
    let holds = Arc::new(Mutex::new(Holds::open(disk, files.path("holds"))?));
    let zone = jiff::tz::TimeZone::get("Asia/Seoul")?;
    let ledger = LedgerKeeping {
        checkpoints_to: None,
        checkpoint_every: HOUR,
        review_months: 1,
        keep_months: 36,
        opening_hours: FilmingHours::parse("mon-fri 08:00-20:00", zone.clone())?,
    };
    let periods = Periods {
        session: SessionLimits { idle: HOUR, whole: HOUR },
        second_factor: SecondFactorFor::Nobody,
        password_max: None,
        due_days: 10,
        remind_days: Vec::new(),
        holidays: std::collections::BTreeSet::new(),
        papers: HOUR * 24 * 1_096,
        viewing_place: None,
        contact: None,
        objection: HOUR * 720,
        requests: RequestRules::default(),
        held_warn_percent: 10,
        unconfirmed_days: 7,
        operation_warn: HOUR * 8,
        viewing_idle: HOUR,
        terminals: Vec::new(),
        ledger,
        site_name: "Bench".into(),
        time_zone: zone,
    };
    let began = Instant::now();
    let (access, _) = Access::start(&files, vault, Arc::new(time), holds, periods)?;
    println!("took {}", began.elapsed().as_secs_f64());
    Ok(access)
}

/// The most memory that this process had, in MB.
fn peak_mb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1_024.0 / 1e6)
}

/// A part of it, in a process of its own: seconds and MB.
fn measured(what: &str, dir: &Path) -> anyhow::Result<(f64, f64)> {
    let told = Command::new(std::env::current_exe()?).arg(what).arg(dir).output()?;
    ensure!(told.status.success(), "{what}: {}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8(told.stdout)?;
    let of = |name: &str| -> anyhow::Result<f64> {
        let line = text.lines().rev().find_map(|line| line.strip_prefix(name)).context("it told nothing")?;
        Ok(line.trim().parse()?)
    };
    Ok((of("took")?, of("peak")?))
}

fn verify_all(dir: &Path) -> anyhow::Result<()> {
    let access = start(dir)?;
    let began = Instant::now();
    let mut months = 1;
    while access.check_next_month()? {
        months += 1;
    }
    ensure!(months == MONTHS - 1, "{months} months were verified");
    println!("took {}", began.elapsed().as_secs_f64());
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["start", dir] => drop(start(Path::new(dir))?),
        ["verify", dir] => verify_all(Path::new(dir))?,
        _ => return whole(),
    }
    println!("peak {}", peak_mb()?);
    Ok(())
}

fn whole() -> anyhow::Result<()> {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&base)?;
    let dir = tempfile::tempdir_in(&base)?;
    generate(dir.path())?;
    let (by_rows_s, by_rows_mb) = measured("start", dir.path())?;
    let (verify_s, _) = measured("verify", dir.path())?;
    let (by_sums_s, by_sums_mb) = measured("start", dir.path())?;
    let rows = [
        Row::new("start_3_years_s", by_sums_s, "s", Bound::AtMost(1.0)),
        Row::new("start_3_years_mb", by_sums_mb, "MB", Bound::Stated),
        Row::new("start_3_years_by_rows_s", by_rows_s, "s", Bound::Stated),
        Row::new("start_3_years_by_rows_mb", by_rows_mb, "MB", Bound::Stated),
        Row::new("verify_3_years_s", verify_s, "s", Bound::Stated),
    ];
    report::record(&report::path(), &rows)
}
