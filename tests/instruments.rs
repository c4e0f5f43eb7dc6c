//! The instruments that the other tests trust: each is shown to say yes where it must, and no where it must.

mod support;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use serde_json::json;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::api::Api;
use support::commands::{run, wait_until};
use support::daemon::{Daemon, program};
use support::peers::Video;
use support::probe;
use support::raw_disk::{FileSystem, LoopVolume, is_root, require_root};
use support::raw_search::{SECTOR_BYTES, search_bytes, search_sectors};
use support::rogues::Noise;

const SOON: Duration = Duration::from_secs(10);

fn write_and_flush(path: &Path, content: &[u8]) {
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(content).unwrap();
    file.sync_all().unwrap();
}

fn overwrite_in_place(path: &Path, content: &[u8]) {
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(content).unwrap();
    file.sync_all().unwrap();
}

/// The two controls that everything said of erasing rests on.
fn unlinked_is_found_and_overwritten_is_not(volume: &LoopVolume) {
    const BYTES: usize = 3 << 20;
    let contents: Vec<Vec<u8>> = (1..=3).map(|seed| Noise(seed).bytes(BYTES)).collect();
    let path = |name: &str| volume.mount_point().join(name);
    for (name, content) in ["unlinked", "overwritten", "kept"].iter().zip(&contents) {
        write_and_flush(&path(name), content);
    }
    volume.flush().unwrap();
    std::fs::remove_file(path("unlinked")).unwrap();
    overwrite_in_place(&path("overwritten"), &vec![0xA5; BYTES]);

    let sectors = (BYTES / SECTOR_BYTES) as u64;
    let found: Vec<_> =
        contents.iter().map(|content| volume.search_sectors(std::slice::from_ref(content)).unwrap()).collect();
    let image_bytes = std::fs::metadata(volume.image_path()).unwrap().len();
    assert!(found.iter().all(|search| search.sectors_searched == image_bytes / SECTOR_BYTES as u64));
    assert!(found.iter().all(|search| search.needle_sectors == sectors));
    assert_eq!(found.iter().map(|search| search.found).collect::<Vec<_>>(), [sectors, 0, sectors]);
    assert_eq!(volume.search_bytes(&contents[0][700..800]).unwrap(), 1, "at whatever place");
    assert_eq!(volume.search_bytes(&contents[1][700..800]).unwrap(), 0);
}

#[test]
fn on_ext4_an_unlinked_file_is_found_whole_and_an_overwritten_one_is_not() {
    unlinked_is_found_and_overwritten_is_not(&LoopVolume::new(FileSystem::Ext4, 64).unwrap());
}

#[test]
fn on_xfs_an_unlinked_file_is_found_whole_and_an_overwritten_one_is_not() {
    unlinked_is_found_and_overwritten_is_not(&LoopVolume::new(FileSystem::Xfs, 320).unwrap());
}

#[test]
fn a_file_system_that_journals_data_keeps_what_was_overwritten() {
    let volume = LoopVolume::with_options(FileSystem::Ext4, 64, &[], "data=journal").unwrap();
    let content = Noise(9).bytes(64 << 10);
    write_and_flush(&volume.mount_point().join("file"), &content);
    overwrite_in_place(&volume.mount_point().join("file"), &vec![0xA5; content.len()]);
    assert_ne!(volume.search_sectors(&[content]).unwrap().found, 0, "the journal has it");
}

#[test]
fn a_volume_that_comes_back_has_its_files_and_one_that_is_dropped_leaves_nothing() {
    let mut volume = LoopVolume::new(FileSystem::Ext4, 32).unwrap();
    let (point, image) = (volume.mount_point(), volume.image_path());
    std::fs::write(point.join("file"), b"here").unwrap();
    volume.detach().unwrap();
    assert!(!point.join("file").exists(), "not on the disk below");
    volume.attach().unwrap();
    assert_eq!(std::fs::read(point.join("file")).unwrap(), b"here");
    assert!(volume.device().unwrap().starts_with("/dev"));

    // Somebody still has a file open, as after a panic.
    let open = std::fs::File::open(point.join("file")).unwrap();
    drop(volume);
    assert!(!image.exists() && !point.exists());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(point.to_str().unwrap()), "{mounts}");
    drop(open);
}

#[test]
fn a_volume_left_by_a_killed_test_is_cleared_away_and_a_living_one_is_not() {
    let living = LoopVolume::new(FileSystem::Ext4, 32).unwrap();
    let lost = LoopVolume::new(FileSystem::Ext4, 32).unwrap();
    let (point, dir) = (lost.mount_point(), lost.image_path().parent().unwrap().to_owned());
    // What SIGKILL leaves: the mount and the files, but nobody who holds the lock.
    std::mem::forget(lost);
    std::fs::rename(dir.join("lives"), dir.join("held by the forgotten one")).unwrap();
    std::fs::write(dir.join("lives"), b"").unwrap();

    let _another = LoopVolume::new(FileSystem::Ext4, 32).unwrap();
    assert!(!dir.exists(), "{}", dir.display());
    assert!(!std::fs::read_to_string("/proc/self/mounts").unwrap().contains(point.to_str().unwrap()));
    living.flush().unwrap();
    std::fs::write(living.mount_point().join("file"), b"lives").unwrap();
}

#[test]
fn root_is_asked_for_in_words() {
    assert_eq!(require_root().is_ok(), is_root());
    require_root().unwrap();
}

#[test]
fn a_search_sees_every_sector_and_only_whole_ones() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let needle = Noise(4).bytes(3 * SECTOR_BYTES);
    // Sectors at the very first and the very last place, and across the seam of two reads; one changed by a bit.
    let mut disk = Noise(5).bytes(9 << 20);
    let last = disk.len() - SECTOR_BYTES;
    disk[..SECTOR_BYTES].copy_from_slice(&needle[..SECTOR_BYTES]);
    disk[last..].copy_from_slice(&needle[SECTOR_BYTES..2 * SECTOR_BYTES]);
    let mut almost = needle[2 * SECTOR_BYTES..].to_vec();
    almost[SECTOR_BYTES - 1] ^= 1;
    disk[5120..5120 + SECTOR_BYTES].copy_from_slice(&almost);
    let pattern = b"a mark across the seam";
    disk[(4 << 20) - 7..][..pattern.len()].copy_from_slice(pattern);
    std::fs::write(&image, &disk).unwrap();

    let search = search_sectors(&image, std::slice::from_ref(&needle)).unwrap();
    assert_eq!((search.needle_sectors, search.found), (3, 2));
    assert_eq!(search.sectors_searched, (9 << 20) / SECTOR_BYTES as u64);
    assert_eq!(search.hits_bytes, [0, last as u64]);
    assert_eq!(search_bytes(&image, pattern).unwrap(), 1);
    assert_eq!(search_bytes(&image, b"a mark across the steam").unwrap(), 0);
    assert!(search_sectors(&image, &[vec![0; 8192], vec![7; 100]]).is_err(), "nothing to look for proves nothing");
}

#[test]
fn players_open_footage_wherever_it_hides_and_never_noise() {
    let dir = tempfile::tempdir().unwrap();
    let plain = Video::Yard.file().unwrap();
    assert!(probe::any_player_opens(&plain).unwrap());
    assert_eq!(probe::count_frames(plain.to_str().unwrap(), &[]).unwrap(), 790);
    let behind_a_block = dir.path().join("1");
    std::fs::write(&behind_a_block, [Noise(1).bytes(4096), std::fs::read(&plain).unwrap()].concat()).unwrap();
    assert!(probe::any_player_opens(&behind_a_block).unwrap());
    let noise = dir.path().join("2");
    std::fs::write(&noise, Noise(2).bytes(2 << 20)).unwrap();
    assert!(!probe::any_player_opens(&noise).unwrap());
    assert!(probe::count_frames(noise.to_str().unwrap(), &[]).is_err());
    assert!(probe::any_player_opens(&dir.path().join("not there")).is_err());
}

#[test]
fn a_player_sends_the_headers_it_is_given_with_every_fragment() {
    let dir = tempfile::tempdir().unwrap();
    let playlist = dir.path().join("index.m3u8");
    let mut cut = Command::new("ffmpeg");
    cut.args(["-v", "error", "-nostdin", "-r", "10", "-i"]).arg(Video::Yard.file().unwrap());
    cut.args(["-t", "4", "-c", "copy", "-f", "hls", "-hls_segment_type", "fmp4", "-hls_time", "2"]).arg(&playlist);
    run(&mut cut, "", SOON).unwrap().succeeded().unwrap();

    let root = dir.path().to_owned();
    let serve = move |request: Request| {
        let known = request.headers().get(header::COOKIE).is_some_and(|cookie| cookie == "id=abc");
        let file = std::fs::read(root.join(request.uri().path().trim_start_matches('/')));
        async move { if known { Ok(file.unwrap()) } else { Err(StatusCode::FORBIDDEN) } }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/index.m3u8", listener.local_addr().unwrap());
    let serving = runtime.spawn(async move { axum::serve(listener, axum::Router::new().fallback(serve)).await });

    let cookie = [("Cookie", "id=abc")];
    assert_eq!(probe::count_frames(&url, &cookie).unwrap(), 40);
    let footage = probe::picture_digests(Video::Yard.file().unwrap().to_str().unwrap(), &[]).unwrap();
    assert_eq!(probe::picture_digests(&url, &cookie).unwrap(), footage[..40]);
    let streams = probe::streams(&url, &cookie).unwrap();
    assert_eq!((streams.len(), streams[0].kind.as_str(), streams[0].width), (1, "video", Some(768)));
    assert!(probe::count_frames(&url, &[]).is_err());
    serving.abort();
}

#[test]
fn a_program_that_does_not_end_is_ended() {
    let started = Instant::now();
    let refused = run(Command::new("sh").args(["-c", "echo why >&2; exec sleep 60"]), "", Duration::from_millis(300));
    assert!(format!("{:#}", refused.unwrap_err()).contains("why"));
    assert!(started.elapsed() < SOON);
    let told = run(Command::new("sh").args(["-c", "cat; exit 3"]), "asked", SOON).unwrap();
    assert_eq!((told.stdout.as_str(), told.status.code()), ("asked", Some(3)));
    assert!(told.succeeded().is_err());
}

#[test]
fn a_daemon_is_heard_stopped_and_never_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let start = |script: &str| Daemon::start(Path::new("/bin/sh"), &["-c", script], &log).unwrap();

    let mut polite = start("trap 'echo bye; exit 7' TERM; echo listening on 40123; while :; do sleep 0.05; done");
    assert_eq!(polite.wait_for_line("listening", SOON).unwrap(), "listening on 40123");
    assert_eq!(polite.stop(SOON).unwrap().code(), Some(7));
    assert!(polite.log().unwrap().ends_with("bye\n"));

    let mut short = start("echo cannot; exit 2");
    let refused = format!("{:#}", short.wait_for_line("never said", SOON).unwrap_err());
    assert!(refused.contains("cannot") && refused.contains("exit status: 2"), "{refused}");

    let mut deaf = start("trap '' TERM; echo deaf; while :; do sleep 0.05; done");
    deaf.wait_for_line("deaf", SOON).unwrap();
    assert!(deaf.stop(Duration::from_millis(200)).is_err());
    deaf.kill().unwrap();
    assert!(deaf.ended().unwrap().is_some());

    let id = start("exec sleep 60").id();
    wait_until("the dropped one is gone", SOON, || Ok((!Path::new(&format!("/proc/{id}")).exists()).then_some(())))
        .unwrap();
    assert!(program().unwrap().is_file());
}

#[test]
fn a_client_keeps_cookies_and_takes_every_status_for_an_answer() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let cookies = |request: Request| async move {
        let sent = request.headers().get_all(header::COOKIE).iter();
        sent.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" | ")
    };
    let app = axum::Router::new()
        .route("/v1/session", post(|| async { ([(header::SET_COOKIE, "id=abc; HttpOnly; Path=/")], "{\"ok\":true}") }))
        .route("/v1/end", post(|| async { ([(header::SET_COOKIE, "id=; Max-Age=0")], StatusCode::NO_CONTENT) }))
        .route("/v1/seen", get(cookies))
        .route("/v1/no", get(|| async { (StatusCode::FORBIDDEN, "{\"title\":\"no\"}") }));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = runtime.spawn(async move { axum::serve(listener, app).await });

    let mut api = Api::new(&base);
    assert_eq!(api.get("/v1/seen").unwrap().text(), "");
    let signed_in = api.post("/v1/session", &json!({"name": "n"})).unwrap();
    assert_eq!((signed_in.status, &signed_in.json), (200, &json!({"ok": true})));
    assert!(signed_in.header("set-cookie").is_some());
    assert_eq!(api.get("/v1/seen").unwrap().text(), "id=abc", "once");
    let refused = api.get("/v1/no").unwrap();
    assert_eq!((refused.status, &refused.json["title"]), (403, &json!("no")));
    assert!(refused.expect_status(200).is_err());
    assert_eq!(api.get("/v1/nowhere").unwrap().status, 404);
    assert_eq!(api.post("/v1/end", &json!({})).unwrap().status, 204);
    assert_eq!(api.get("/v1/seen").unwrap().text(), "");
    serving.abort();
    assert!(Api::new("http://127.0.0.1:1").get("/").is_err());
}
