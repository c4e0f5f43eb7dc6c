//! The seven steps. Each does, measures from outside, and checks.

use super::evidence::Evidence;
use super::narrator::{Checks, Narrator, StepTitle};
use super::report::Report;
use super::stage::{ALL, Cameras, HALL, Role, Stage, YARD, frames_of, note_cameras};
use super::support::peers::Video;
use super::support::probe;
use super::support::raw_disk::LoopVolume;
use super::support::raw_search::SECTOR_BYTES;
use super::support::rogues::Noise;
use super::support::site::Person;
use super::support::spans::{AskedSpan, choose_span, frames_to_see, micros};
use super::support::stored::{files, segments};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub const STEPS: [StepTitle; 7] = [
    StepTitle { name: "cameras", title: "Four cameras start" },
    StepTitle { name: "serve", title: "Custodian starts, with keys and accounts made just now" },
    StepTitle { name: "record", title: "It records and seals; players look into the files" },
    StepTitle { name: "view", title: "Footage is asked for, approved, and seen" },
    StepTitle { name: "expire", title: "The first request is closed; its footage comes of age" },
    StepTitle { name: "raw-disk", title: "The raw disk is searched, sector by sector" },
    StepTitle { name: "ledger", title: "The ledger is verified, and one byte of a copy is changed" },
];

/// What the first request asks for, and the second.
const FIRST: [&Role; 2] = [&YARD, &HALL];
const SECOND: &Role = &YARD;
const FIRST_LENGTH_US: i64 = 8_000_000;
const SECOND_LENGTH_US: i64 = 10_000_000;
const SECOND_US: i64 = 1_000_000;
const RECORD_LIMIT: Duration = Duration::from_secs(60);
/// The period of a demonstration, and a minute for the eraser.
const EXPIRE_LIMIT: Duration = Duration::from_secs(150);
const CONTROL_BYTES: usize = 256 << 10;
/// How long a piece of the cameras' own bytes is looked for on the raw disk.
const PICTURE_BYTES: usize = 64;

/// Plays the whole story.
///
/// # Errors
/// When a step could not be done, so that those after it have no ground. The report has what was measured until then.
pub fn tell(narrator: &mut Narrator, report: &mut Report, program: &Path, scratch: &Path) -> Result<Stage> {
    let cameras = narrator.step(|_| start_cameras())?;
    let mut stage = narrator.step(|checks| serve(checks, program, scratch, cameras))?;
    let mut evidence = Evidence::new(scratch)?;
    let spans = narrator.step(|checks| record(checks, report, &mut stage, &mut evidence))?;
    let asked = narrator.step(|checks| view(checks, report, &mut stage, &spans))?;
    let erased = narrator.step(|checks| expire(checks, report, &mut stage, &mut evidence, &spans, &asked))?;
    narrator.step(|checks| search_raw_disk(checks, report, &mut stage, &evidence, &erased))?;
    narrator.step(|checks| verify_ledger(checks, report, &stage))?;
    Ok(stage)
}

fn start_cameras() -> Result<(Cameras, String)> {
    let cameras = Cameras::start()?;
    let told = format!(
        "GStreamer's RTSP server, port {}: real CCTV footage, a clock, a camera with sound, one in H.265.",
        cameras.port()
    );
    Ok((cameras, told))
}

fn serve(checks: &mut Checks, program: &Path, scratch: &Path, cameras: Cameras) -> Result<(Stage, String)> {
    let mut stage = Stage::set(program, scratch, cameras)?;
    let health = stage.running.browser().get("/v1/health")?.expect_status(200)?;
    checks.same("the API says that this is a demonstration", &health.json["demo"], &json!(true));
    for path in ["/", "/v1/cameras"] {
        let page = stage.people.staff.api.get(path)?.expect_status(200)?;
        checks.hold(page.header("custodian-demo").is_some(), || {
            format!("{path} does not say that it is a demonstration")
        });
    }
    let log = stage.running.daemon.log()?.to_lowercase();
    checks.hold(log.contains("demonstration"), || "the log does not say that this is a demonstration".to_owned());
    let told = match &stage.disk {
        Some(disk) => format!("Its site stands on a disk of its own: ext4 on {}.", disk.image_path().display()),
        None => format!("Not root, so its site stands in a directory as it is: {}.", stage.site.dir().display()),
    };
    Ok((stage, told + " Four cameras are recording."))
}

struct Spans {
    first: AskedSpan,
    second: AskedSpan,
}

fn now_us() -> Result<i64> {
    Ok(i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros())?)
}

fn record(
    checks: &mut Checks,
    report: &mut Report,
    stage: &mut Stage,
    evidence: &mut Evidence,
) -> Result<(Spans, String)> {
    let earliest = now_us()? + SECOND_US;
    let first = stage.wait("the first span is recorded", RECORD_LIMIT, |stage| {
        look(stage, evidence)?;
        choose(stage, &FIRST, earliest, FIRST_LENGTH_US)
    })?;
    // The second request's camera is also the first's: no file shall be asked for by both.
    let apart = stage.wait("a new file begins", RECORD_LIMIT, |stage| {
        look(stage, evidence)?;
        let later = |s: &&_| is_of(s, SECOND) && s.start_us >= first.to_us;
        Ok(segments(&stage.site.volume())?.iter().find(later).map(|segment| segment.start_us))
    })?;
    let second = stage.wait("the second span is recorded", RECORD_LIMIT, |stage| {
        look(stage, evidence)?;
        choose(stage, &[SECOND], apart + SECOND_US, SECOND_LENGTH_US)
    })?;
    stage.wait("the first span's files are finished", RECORD_LIMIT, |stage| {
        look(stage, evidence)?;
        Ok(FIRST.iter().all(|role| evidence.reaches(role.number, first.to_us)).then_some(()))
    })?;
    while evidence.try_players()? {}

    let footage = Video::Yard.file()?;
    checks.hold(probe::any_player_opens(&footage)?, || "the players do not even open the footage itself".to_owned());
    checks.same("files that a player opened", evidence.opened.len(), 0);
    report.segments_sealed = Some(evidence.sealed.len() as u64);
    note_cameras(report, evidence.all().map(|copy| copy.camera));
    checks.same("cameras with sealed files", report.cameras, Some(ALL.len() as u64));
    let told = format!(
        "{} files of {} cameras. No player opens one of them; each opens what the cameras sent.",
        evidence.sealed.len(),
        ALL.len()
    );
    Ok((Spans { first, second }, told))
}

fn is_of(segment: &super::support::stored::StoredSegment, role: &Role) -> bool {
    segment.camera == role.number
}

/// Copies what is finished, and shows one copy to the players.
fn look(stage: &Stage, evidence: &mut Evidence) -> Result<()> {
    evidence.gather(stage)?;
    evidence.try_players()?;
    Ok(())
}

/// A span that all of these cameras have sent by now.
fn choose(stage: &Stage, roles: &[&Role], earliest_us: i64, length_us: i64) -> Result<Option<AskedSpan>> {
    let frames = frames_of(&stage.cameras, roles)?;
    let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
    // Too early: there will be more.
    Ok(choose_span(&frames, earliest_us, length_us).ok())
}

/// The two requests' numbers, and the first one's grant.
struct Asked {
    first: Value,
    second: Value,
    grant: Value,
}

fn view(checks: &mut Checks, report: &mut Report, stage: &mut Stage, spans: &Spans) -> Result<(Asked, String)> {
    let numbers = FIRST.map(|role| role.number);
    let staff = &mut stage.people.staff;
    let first = staff.ask(&numbers, spans.first, "Demo Visitor")?.expect_status(201)?.json["number"].clone();
    let second =
        staff.ask(&[SECOND.number], spans.second, "Second Visitor")?.expect_status(201)?.json["number"].clone();
    staff.identify(&first)?.expect_status(200)?;

    // Grants are counted from 1, and this is the first site day.
    let early = stage.people.viewer.api.get(&Person::playlist(&json!(1), YARD.number))?;
    report.view_before_approval_status = Some(early.status);
    checks.same("the status of viewing before the decision", early.status, 403);

    let viewer = stage.people.viewer.number.clone();
    let approved = stage.people.officer.approve(&first, &viewer)?.expect_status(200)?.json;
    let grant = approved["grant"].clone();
    ensure!(grant.is_u64(), "the approved request names no grant: {approved}");
    let granted_to = micros(&approved["granted_span"]["to"])?;
    checks.same("where the granted span ends", granted_to, spans.first.to_us);

    stage.people.viewer.begin_viewing(&grant)?.expect_status(201)?;
    let (mut viewed, mut expected, mut audio) = (0, 0, 0);
    for role in FIRST {
        let (url, headers) = stage.people.viewer.for_player(&Person::playlist(&grant, role.number));
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let seen = probe::count_frames(&url, &headers)?;
        let due = frames_to_see(&stage.cameras.frames(role)?, spans.first)?.len() as u64;
        checks.same(&format!("frames of {}", role.name), seen, due);
        let streams = probe::streams(&url, &headers)?;
        audio += streams.iter().filter(|stream| stream.kind == "audio").count() as u64;
        checks.hold(streams.iter().any(|stream| stream.kind == "video"), || format!("{} has no picture", role.name));
        (viewed, expected) = (viewed + seen, expected + due);
    }
    (report.frames_viewed, report.frames_expected, report.audio_streams) = (Some(viewed), Some(expected), Some(audio));
    checks.same("audio streams", audio, 0);

    let outside = AskedSpan { from_us: spans.first.to_us + SECOND_US, to_us: spans.first.to_us + 2 * SECOND_US };
    let path = format!("{}?{}", Person::playlist(&grant, YARD.number), outside.to_query()?);
    let refused = stage.people.viewer.api.get(&path)?;
    report.view_outside_span_status = Some(refused.status);
    checks.same("the status of viewing a moment outside the span", refused.status, 403);

    let told = format!(
        "Two requests. Before the decision: {}. Approved: {viewed} of {expected} frames, {audio} audio streams. \
         A moment outside: {}.",
        early.status, refused.status
    );
    Ok((Asked { first, second, grant }, told))
}

/// Names of files that are destroyed.
type Erased = Vec<String>;

fn expire(
    checks: &mut Checks,
    report: &mut Report,
    stage: &mut Stage,
    evidence: &mut Evidence,
    spans: &Spans,
    asked: &Asked,
) -> Result<(Erased, String)> {
    stage.people.staff.close(&asked.first)?.expect_status(200)?;
    let closed = stage.people.viewer.api.get(&Person::playlist(&asked.grant, YARD.number))?.status;
    checks.same("the status of viewing after the request was closed", closed, 403);

    // A segment belongs to a request if it has a frame of its span, the key frame before it included.
    let of = |evidence: &Evidence, role: &Role, span: AskedSpan| -> Vec<String> {
        evidence.of(role.number, span.from_us - SECOND_US, span.to_us).iter().map(|copy| copy.name.clone()).collect()
    };
    stage.wait("the second span's files are finished", RECORD_LIMIT, |stage| {
        evidence.gather(stage)?;
        Ok(evidence.reaches(SECOND.number, spans.second.to_us).then_some(()))
    })?;
    let first: Vec<String> = FIRST.iter().flat_map(|role| of(evidence, role, spans.first)).collect();
    let second = of(evidence, SECOND, spans.second);
    ensure!(!first.iter().any(|name| second.contains(name)), "both requests ask for the same file");

    // The second's period is over as well when footage filmed after all of it is gone.
    stage.wait("the footage of both spans has come of age", EXPIRE_LIMIT, |stage| {
        evidence.gather(stage)?;
        let there = files(&stage.site.volume())?;
        let later_gone =
            evidence.all().any(|copy| copy.start_us >= spans.second.to_us && !there.contains_key(&copy.name));
        let first_gone = !first.iter().any(|name| there.contains_key(name));
        Ok((later_gone && first_gone).then_some(()))
    })?;

    let (of_first, of_second) = (evidence.compare(stage, &first)?, evidence.compare(stage, &second)?);
    report.segments_erased = Some(of_first.gone);
    report.held_segments_surviving = Some(of_second.unchanged);
    checks.same("files of the closed request that are gone", of_first.gone, first.len() as u64);
    checks.same("files of the open request that are there unchanged", of_second.unchanged, second.len() as u64);
    checks.hold(!second.is_empty(), || "the open request has no file".to_owned());

    let held = stage.people.staff.api.get(&format!("/v1/requests/{}", asked.second))?.expect_status(200)?.json;
    checks.same("the open request's hold", &held["held"], &json!(true));
    let again =
        stage.people.staff.ask(&FIRST.map(|role| role.number), spans.first, "Demo Visitor")?.expect_status(201)?;
    let answer = again.json["answer"].as_str().unwrap_or_default().to_owned();
    checks
        .hold(answer.starts_with("unavailable: destroyed on"), || format!("the same question is answered {answer:?}"));
    let told = format!(
        "Its {} files are gone. The second request is open, and its {} are untouched.\n\
         The same question now answers: {answer}",
        of_first.gone, of_second.unchanged
    );
    let there = files(&stage.site.volume())?;
    let erased = evidence.all().filter(|copy| !there.contains_key(&copy.name)).map(|copy| copy.name.clone()).collect();
    Ok((erased, told))
}

fn search_raw_disk(
    checks: &mut Checks,
    report: &mut Report,
    stage: &mut Stage,
    evidence: &Evidence,
    erased: &Erased,
) -> Result<((), String)> {
    let Some(disk) = &stage.disk else {
        let told = stage.people.officer.api.get("/v1/destructions")?.expect_status(200)?.json;
        let receipts = told["destructions"].as_array().context("no receipts")?;
        let says = |what: &str| receipts.iter().filter(|row| row["act"]["overwrite"] == what).count();
        let (proven, unproven) = (says("proven"), says("device-unproven"));
        checks.same("receipts of a sound erasure", proven + unproven, receipts.len());
        checks.hold(!receipts.is_empty(), || "there is no receipt".to_owned());
        let told = format!(
            "Left out: only root can search a raw disk. Of {} receipts {proven} say that overwriting was proven to\n\
             reach the blocks, {unproven} say \"not proven\".",
            receipts.len()
        );
        return Ok(((), told));
    };
    // The control first, and at once: its blocks are free for the daemon's next file.
    let control = Noise(0x00C0_FFEE).bytes(CONTROL_BYTES);
    unlink_after_flush(disk, &control)?;
    let found = disk.search_sectors(std::slice::from_ref(&control))?;
    report.control_sectors_found = Some(found.found);
    checks.same("sectors found of a file that was only unlinked", found.found, (CONTROL_BYTES / SECTOR_BYTES) as u64);

    let copies: Vec<Vec<u8>> = erased.iter().map(|name| evidence.bytes(name)).collect::<Result<_>>()?;
    let search = disk.search_sectors(&copies)?;
    report.sectors_searched = Some(search.sectors_searched);
    report.sectors_recoverable = Some(search.found);
    checks.hold(search.found == 0, || format!("sectors of destroyed files stand at {:?}", search.hits_bytes));

    let footage = std::fs::read(Video::Yard.file()?)?;
    for quarter in 1..4 {
        let at = footage.len() / 4 * quarter;
        let plain = disk.search_bytes(&footage[at..at + PICTURE_BYTES])?;
        checks.same("places on the disk with the camera's own bytes", plain, 0);
    }
    let told = format!(
        "{} sectors: of {} destroyed files, {} of {} sectors are found.\n\
         The control, a file that was only unlinked: {} of {}.",
        search.sectors_searched,
        copies.len(),
        search.found,
        search.needle_sectors,
        found.found,
        found.needle_sectors
    );
    Ok(((), told))
}

fn unlink_after_flush(disk: &LoopVolume, content: &[u8]) -> Result<()> {
    let path = disk.mount_point().join("control");
    let mut file = std::fs::File::create(&path)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(std::fs::remove_file(path)?)
}

fn verify_ledger(checks: &mut Checks, report: &mut Report, stage: &Stage) -> Result<((), String)> {
    let dir = stage.scratch.join("ledger");
    std::fs::create_dir_all(&dir)?;
    let mut copies: Vec<PathBuf> = Vec::new();
    for file in stage.site.ledger_files()? {
        let copy = dir.join(file.file_name().context("a ledger without a name")?);
        std::fs::copy(&file, &copy)?;
        copies.push(copy);
    }
    let whole = copies.iter().map(std::fs::read).collect::<std::io::Result<Vec<_>>>()?.concat();
    let rows = whole.iter().filter(|byte| **byte == b'\n').count() as u64;
    let told = stage.site.verify_ledger(&copies)?;
    report.ledger_rows = Some(rows);
    report.ledger_ok = told["ok"].as_bool();
    checks.same("the ledger verifies", &told["ok"], &json!(true));
    checks.same("rows that the verifier read", &told["rows"], &json!(rows));

    let last = copies.last().context("no ledger")?;
    let mut bytes = std::fs::read(last)?;
    let row = tamper(&mut bytes)?;
    std::fs::write(last, bytes)?;
    let told = stage.site.verify_ledger(&copies)?;
    report.tamper_detected_at = told["row"].as_u64();
    checks.same("the changed copy verifies", &told["ok"], &json!(false));
    checks.same("the row that was changed", &told["row"], &json!(row));
    let what = told["what"].as_str().unwrap_or_default();
    Ok(((), format!("{rows} rows verify. After the change, the verifier says: row {}: {what}", told["row"])))
}

/// Changes one bit in the middle of the middle row; which row that is, counted from 1.
fn tamper(file: &mut [u8]) -> Result<u64> {
    let rows = file.iter().filter(|byte| **byte == b'\n').count();
    let row = rows / 2;
    let start: usize = file.split_inclusive(|byte| *byte == b'\n').take(row).map(<[u8]>::len).sum();
    let length = file.split_inclusive(|byte| *byte == b'\n').nth(row).context("an empty ledger")?.len();
    file[start + length / 2] ^= 1;
    Ok(row as u64 + 1)
}
