//! Sessions with real RTSP servers, and with what is none: both drivers deliver every picture and nothing else, date it
//! rightly, and end with an error that says what is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::clock::Clock;
use cctv_custodian::domain::{
    CameraNumber, Codec, Credentials, Driver, Frame, GapCause, Source, Transport, VideoParameters,
};
use cctv_custodian::fragment::{Fragmenter, init_segment};
use cctv_custodian::ingest::{Backlog, Events, Limits, SourceError, SourceEvent, Told, receive};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::commands::{run, wait_until};
use support::peers::{Login, Mount, RtspServer, Video};
use support::rogues::{Manners, Rogue};
use support::wire::{Condition, Wire};

const BOTH: [Driver; 2] = [Driver::Retina, Driver::Libav];
/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// How far a frame's date may be from the server's log, in microseconds; the machine may be busy.
const CLOSE_US: i64 = 40_000;

/// What a session delivered.
#[derive(Debug, Default)]
struct Taken {
    parameters: Vec<VideoParameters>,
    frames: Vec<Frame>,
    others: Vec<SourceEvent>,
    told: Vec<Told>,
    ended: Option<SourceError>,
}

impl Taken {
    fn keep(&mut self, event: SourceEvent, each: &mut impl FnMut(usize)) {
        match event {
            SourceEvent::Parameters(parameters) => self.parameters.push(parameters),
            SourceEvent::Frame(frame) => {
                self.frames.push(frame);
                each(self.frames.len());
            }
            SourceEvent::Told(told) => self.told.push(told),
            other => self.others.push(other),
        }
    }

    fn cause(&self) -> GapCause {
        self.ended.as_ref().expect("the session did not end").cause()
    }

    /// The error as a vendor reads it, with its causes.
    fn told(&self) -> String {
        format!("{:#}", anyhow::Error::msg(format!("{0} {0:?}", self.ended.as_ref().expect("the session did not end"))))
    }

    /// As a file that players open.
    fn file(&self) -> Vec<u8> {
        let mut file = init_segment(&self.parameters[0]).unwrap().to_vec();
        let mut fragmenter = Fragmenter::default();
        let from = self.frames.iter().position(|frame| frame.sync).unwrap();
        for frame in &self.frames[from..] {
            file.extend(fragmenter.push(frame.clone()).unwrap().iter().flat_map(|fragment| fragment.bytes.to_vec()));
        }
        file.extend(fragmenter.finish().unwrap().unwrap().bytes);
        file
    }
}

fn source(url: &str, driver: Driver) -> Source {
    let camera = CameraNumber::new(3).unwrap();
    Source { camera, url: url.parse().unwrap(), driver, transport: Transport::Tcp, credentials: None }
}

fn with_login(source: Source, username: &str, password: &str) -> Source {
    Source { credentials: Some(Credentials::new(username, password)), ..source }
}

fn short() -> Limits {
    Limits { answer: Duration::from_secs(3), frame: Duration::from_secs(2), ..Limits::default() }
}

fn worker() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_custodian"))
}

/// Takes events until there are `frames`, or the session ends.
fn take(source: &Source, limits: Limits, frames: usize) -> Taken {
    take_with(source, limits, frames, &worker(), |_| {})
}

fn take_with(source: &Source, limits: Limits, frames: usize, worker: &Path, mut each: impl FnMut(usize)) -> Taken {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = Clock::system();
        let (out, mut events) = Backlog::new(64 << 20, clock.clone()).line(source.camera);
        let mut taken = Taken::default();
        let session = async { receive(source, &clock, &limits, &out, worker).await };
        tokio::pin!(session);
        let over = tokio::time::sleep(PATIENCE);
        tokio::pin!(over);
        loop {
            tokio::select! {
                ended = &mut session => {
                    taken.ended = Some(ended);
                    while let Some(event) = events.try_recv() {
                        taken.keep(event, &mut each);
                    }
                    return taken;
                }
                event = events.recv() => match event {
                    Some(event) => taken.keep(event, &mut each),
                    None => return taken,
                },
                () = &mut over => panic!("nothing more within {PATIENCE:?}: {taken:?}"),
            }
            if taken.frames.len() >= frames {
                return taken;
            }
        }
    })
}

/// Every frame is one that the server logged, dated as it was logged.
fn assert_dated(taken: &Taken, server: &RtspServer, path: &str) {
    let logged = server.frames(path).unwrap();
    let first = taken.frames[0].filmed_at.micros();
    let apart = |i: &usize| (logged[*i].at_us - first).abs();
    let start = (0..logged.len()).min_by_key(apart).unwrap();
    for (i, (frame, logged)) in taken.frames.iter().zip(&logged[start..]).enumerate() {
        let apart = frame.filmed_at.micros() - logged.at_us;
        assert!(apart.abs() <= CLOSE_US, "frame {i} is dated {apart} µs from the server's log");
        assert_eq!(frame.sync, logged.key, "frame {i}, {apart} µs from {logged:?}");
    }
}

fn decoded_frames(file: &[u8]) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("taken.mp4");
    std::fs::write(&path, file).unwrap();
    let mut probe = std::process::Command::new("ffprobe");
    probe.args(["-v", "error", "-count_frames", "-show_entries", "stream=codec_type,nb_read_frames", "-of", "csv=p=0"]);
    let told = run(probe.arg(&path), "", PATIENCE).unwrap().succeeded().unwrap();
    assert_eq!(told.stderr, "", "ffprobe finds faults");
    let lines: Vec<&str> = told.stdout.lines().collect();
    let [line] = lines[..] else { panic!("not one stream: {lines:?}") };
    line.strip_prefix("video,").unwrap().trim_end_matches(',').parse().unwrap()
}

#[test]
fn both_drivers_deliver_h264_and_h265_as_it_was_sent() {
    let mounts = vec![Mount::new("/yard", Video::Yard), Mount::new("/mirrored", Video::YardH265)];
    let server = RtspServer::start(mounts).unwrap();
    for (path, codec, pixels) in [("/yard", Codec::H264, (768, 576)), ("/mirrored", Codec::H265, (640, 480))] {
        for driver in BOTH {
            let taken = take(&source(&server.url(path), driver), Limits::default(), 35);
            let [parameters] = &taken.parameters[..] else { panic!("{driver:?}: {:?}", taken.parameters) };
            assert_eq!(parameters.codec, codec, "{driver:?}");
            assert_eq!((parameters.width_px, parameters.height_px), pixels, "{driver:?}");
            assert_dated(&taken, &server, path);
            assert!(taken.others.is_empty(), "{:?}", taken.others);
            assert!(taken.frames.windows(2).all(|pair| pair[1].pts_90k - pair[0].pts_90k == 9_000), "{driver:?}");
            let from = taken.frames.iter().position(|frame| frame.sync).unwrap();
            assert_eq!(decoded_frames(&taken.file()), taken.frames.len() - from, "{driver:?} {path}");
        }
    }
}

#[test]
fn rtp_over_udp_is_received_too() {
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    for driver in BOTH {
        let source = Source { transport: Transport::Udp, ..source(&server.url("/yard"), driver) };
        let taken = take(&source, Limits::default(), 20);
        assert!(taken.ended.is_none(), "{driver:?}: {:?}", taken.ended);
        assert_dated(&taken, &server, "/yard");
    }
}

/// Passes one connection at a time on to a server, and keeps what the client said.
struct Tap {
    port: u16,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let tap = Self { port: listener.local_addr().unwrap().port(), said: Arc::default() };
        let said = Arc::clone(&tap.said);
        std::thread::spawn(move || {
            let (near, _) = listener.accept().unwrap();
            let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to).unwrap_or(0));
            let (mut near, mut far, mut chunk) = (near, far, [0; 4096]);
            while let Ok(count @ 1..) = near.read(&mut chunk) {
                said.lock().unwrap().extend_from_slice(&chunk[..count]);
                if far.write_all(&chunk[..count]).is_err() {
                    return;
                }
            }
        });
        tap
    }
}

#[test]
fn sound_is_offered_and_never_asked_for() {
    let server = RtspServer::start(vec![Mount::new("/hall", Video::Yard).with_sound()]).unwrap();
    for driver in BOTH {
        let tap = Tap::on(server.port());
        let taken = take(&source(&format!("rtsp://127.0.0.1:{}/hall", tap.port), driver), Limits::default(), 12);
        let said = String::from_utf8_lossy(&tap.said.lock().unwrap()).into_owned();
        let setups: Vec<&str> = said.lines().filter(|line| line.starts_with("SETUP ")).collect();
        assert!(matches!(setups[..], [one] if one.contains("stream=0")), "{driver:?}: {setups:?}");
        assert!(said.contains("DESCRIBE ") && said.contains("PLAY "));
        let from = taken.frames.iter().position(|frame| frame.sync).unwrap();
        assert_eq!(decoded_frames(&taken.file()), 12 - from);
        // libav was told not to look for it.
        let known = taken.told.contains(&Told::Sound { offered: true });
        assert_eq!(known, driver == Driver::Retina, "{driver:?}: {:?}", taken.told);
    }
}

#[test]
fn passwords_are_shown_to_the_camera_and_to_nobody_else() {
    let (name, password) = ("install er", "sword:f/ish@%41 1");
    for login in [Login::Digest, Login::Basic] {
        let mount = Mount::new("/yard", Video::Yard).with_login(name, password);
        let server = RtspServer::start_asking(login, vec![mount]).unwrap();
        for driver in BOTH {
            let plain = source(&server.url("/yard"), driver);
            let right = take(&with_login(plain.clone(), name, password), Limits::default(), 3);
            assert!(right.ended.is_none(), "{login:?} {driver:?}: {:?}", right.ended);
            let wrong = take(&with_login(plain.clone(), name, "guess-4711"), short(), 1);
            assert!(matches!(wrong.ended, Some(SourceError::Unauthorized)), "{driver:?}: {:?}", wrong.ended);
            let none = take(&plain, short(), 1);
            assert!(matches!(none.ended, Some(SourceError::CredentialsMissing)), "{driver:?}: {:?}", none.ended);
            for refused in [wrong, none] {
                assert_eq!(refused.cause(), GapCause::Unauthorized);
                assert!(!refused.told().contains("4711") && !refused.told().contains("127.0.0.1"));
            }
        }
    }
}

#[test]
fn whoever_is_no_camera_is_told_from_one() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let nobody = format!("rtsp://127.0.0.1:{free}/x");
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let rogues = [Manners::Garbage, Manners::NonsenseDescription, Manners::HangsUp, Manners::Silent];
    let rogues = rogues.map(|manners| (manners, Rogue::start(manners).unwrap()));
    for driver in BOTH {
        let end = |url: &str| {
            let began = Instant::now();
            let taken = take(&source(url, driver), short(), 1);
            assert!(taken.frames.is_empty() && taken.parameters.is_empty());
            assert!(began.elapsed() < Duration::from_secs(6), "{driver:?} {url}: {:?}", began.elapsed());
            let told = taken.told();
            assert!(!told.contains("rtsp://") && !told.contains('\n'), "{told}");
            eprintln!("{driver:?} {url}: {}", taken.ended.as_ref().unwrap());
            taken.cause()
        };
        assert_eq!(end(&nobody), GapCause::Unreachable);
        assert_eq!(end(&server.url("/no-such-path")), GapCause::Unreadable);
        for (manners, rogue) in &rogues {
            let cause = end(&rogue.url());
            let expected = match manners {
                // libav reads on and on, in the hope of an answer.
                Manners::Garbage if driver == Driver::Libav => &[GapCause::Unreachable][..],
                Manners::Garbage | Manners::NonsenseDescription => &[GapCause::Unreadable],
                Manners::HangsUp if driver == Driver::Libav => &[GapCause::Unreadable],
                Manners::HangsUp => &[GapCause::Disconnected],
                Manners::Silent => &[GapCause::Unreachable],
            };
            assert!(expected.contains(&cause), "{driver:?} {manners:?}: {cause}");
        }
    }
    let web = take(&source("http://127.0.0.1:1/x", Driver::Retina), short(), 1);
    assert!(matches!(web.ended, Some(SourceError::Scheme { .. })), "{:?}", web.ended);
    let file = take(&source("file:///etc/passwd", Driver::Libav), short(), 1);
    assert!(matches!(file.ended, Some(SourceError::Scheme { .. })), "{:?}", file.ended);
}

#[test]
fn a_camera_that_falls_silent_is_left_in_time() {
    for driver in BOTH {
        let mut server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
        let source = source(&server.url("/yard"), driver);
        let mut silent_since = Instant::now();
        let taken = take_with(&source, short(), usize::MAX, &worker(), |count| {
            if count == 8 {
                server.stall("/yard").unwrap();
                silent_since = Instant::now();
            }
        });
        assert!(matches!(taken.ended, Some(SourceError::Stalled { .. })), "{driver:?}: {:?}", taken.ended);
        assert_eq!(taken.cause(), GapCause::Stalled);
        let waited = silent_since.elapsed();
        assert!((1_500..6_000).contains(&waited.as_millis()), "{waited:?}");
    }
}

#[test]
fn a_camera_that_dies_or_whose_cable_breaks_ends_the_session() {
    for driver in BOTH {
        let mut server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
        let url = server.url("/yard");
        let taken = take_with(&source(&url, driver), short(), usize::MAX, &worker(), |count| {
            if count == 8 {
                server.kill().unwrap();
            }
        });
        assert_eq!(taken.cause(), GapCause::Disconnected, "{driver:?}: {:?}", taken.ended);
        assert!(taken.frames.len() >= 8);
        server.restart().unwrap();

        let wire = Wire::to(server.port()).unwrap();
        for (condition, causes) in [
            (Condition::Cut, &[GapCause::Disconnected][..]),
            (Condition::Frozen, &[GapCause::Stalled]),
            // Noise inside a length of RTP is a damaged picture; where a length stood, it is the end, or a long wait.
            (Condition::Garbling, &[GapCause::Unreadable, GapCause::Disconnected, GapCause::Stalled]),
        ] {
            wire.becomes(Condition::Sound);
            let taken = take_with(&source(&wire.url("/yard"), driver), short(), 500, &worker(), |count| {
                if count == 5 {
                    wire.becomes(condition);
                }
            });
            assert!(causes.contains(&taken.cause()), "{driver:?} {condition:?}: {:?}", taken.ended);
        }
    }
}

#[test]
fn a_receiver_that_is_too_slow_loses_whole_gops_and_is_told() {
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let source = source(&server.url("/yard"), Driver::Retina);
    let limits = Limits::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let events = runtime.block_on(async {
        let clock = Clock::system();
        // The yard has some 100 kB a second.
        let (out, mut events): (_, Events) = Backlog::new(300_000, clock.clone()).line(source.camera);
        let program = worker();
        let session = receive(&source, &clock, &limits, &out, &program);
        tokio::pin!(session);
        let mut taken = Vec::new();
        // Writing has begun with the first, and then takes nothing for a while.
        while !matches!(&taken[..], [.., SourceEvent::Frame(_), SourceEvent::Frame(_)]) {
            tokio::select! {
                ended = &mut session => panic!("{ended}"),
                event = events.recv() => taken.extend(event.filter(|event| !matches!(event, SourceEvent::Told(_)))),
            }
        }
        let pause = tokio::time::sleep(Duration::from_millis(6_500));
        tokio::select! {
            ended = &mut session => panic!("{ended}"),
            () = pause => {}
        }
        let over = tokio::time::sleep(PATIENCE);
        tokio::pin!(over);
        while !matches!(&taken[..], [.., SourceEvent::Dropped { .. }, SourceEvent::Frame(_), SourceEvent::Frame(_)]) {
            tokio::select! {
                ended = &mut session => panic!("{ended}"),
                event = events.recv() => taken.extend(event.filter(|event| !matches!(event, SourceEvent::Told(_)))),
                () = &mut over => panic!("{taken:?}"),
            }
        }
        taken
    });
    let [SourceEvent::Parameters(_), before @ .., dropped, SourceEvent::Frame(next), SourceEvent::Frame(_)] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    let SourceEvent::Dropped { frames, until } = dropped else { panic!("{events:?}") };
    let Some(SourceEvent::Frame(last)) = before.last() else { panic!("{events:?}") };
    assert!(next.sync, "a GOP without its beginning");
    let apart = next.filmed_at.micros() - until.micros();
    assert!((50_000..150_000).contains(&apart), "the last that was dropped is right before the next: {apart} us");
    assert_eq!(next.pts_90k - last.pts_90k, (i64::from(*frames) + 1) * 9_000, "frames went untold: {events:?}");
}

/// A program that is started in the worker's place.
fn impostor(dir: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join("impostor");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn a_worker_that_dies_or_lies_ends_the_session_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let camera = source("rtsp://127.0.0.1:1/x", Driver::Libav);
    let end = |program: &Path| take_with(&camera, short(), 1, program, |_| {}).ended.unwrap();
    assert!(matches!(end(&dir.path().join("nothing")), SourceError::WorkerStart(_)));
    for dying in ["exit 0", "kill -9 $$", "read line; kill -SEGV $$", "printf '\\002\\377\\000'"] {
        let ended = end(&impostor(dir.path(), dying));
        assert!(matches!(ended, SourceError::WorkerDied { .. }), "{dying}: {ended:?}");
        assert_eq!(ended.cause(), GapCause::Disconnected);
    }
    for lying in ["printf '\\007hello'; sleep 60", "printf '\\002\\377\\377\\377\\377'; sleep 60"] {
        let began = Instant::now();
        let ended = end(&impostor(dir.path(), lying));
        assert!(matches!(ended, SourceError::WorkerBroken(_)), "{lying}: {ended:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "the worker was waited for");
    }
    // A frame before any parameters; parameters that are none; a failure that quotes the address.
    let ended = end(&impostor(
        dir.path(),
        "printf '\\002\\011\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000'; sleep 60",
    ));
    assert_eq!(ended.cause(), GapCause::Unreadable, "{ended:?}");
    let ended = end(&impostor(dir.path(), "printf '\\001\\006\\000\\000\\000\\001\\000nope'; sleep 60"));
    assert_eq!(ended.cause(), GapCause::Unreadable, "{ended:?}");
    let ended = end(&impostor(dir.path(), "printf '\\004\\012\\000\\000\\000\\004rtsp://me'; sleep 60"));
    assert!(matches!(&ended, SourceError::Unreadable { detail } if detail == "<address>"), "{ended:?}");
    let silent = end(&impostor(dir.path(), "sleep 60"));
    assert!(matches!(silent, SourceError::NoAnswer { .. }), "{silent:?}");
}

/// Processes that this one started and that have not been collected.
fn children() -> Vec<u32> {
    let mut all = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let told = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        all.extend(told.split_whitespace().map(|id| id.parse::<u32>().unwrap()));
    }
    all
}

fn workers() -> Vec<u32> {
    let is_worker = |id: &u32| {
        let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        arguments.ends_with(b"custodian\0worker\0")
    };
    children().into_iter().filter(is_worker).collect()
}

#[test]
fn the_worker_is_confined_and_gone_when_its_session_is() {
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let source = source(&server.url("/yard"), Driver::Libav);
    let mut seen = None;
    let before = workers();
    let taken = take_with(&source, Limits::default(), 5, &worker(), |count| {
        if count == 3 {
            let mine = workers().into_iter().find(|id| !before.contains(id)).unwrap();
            seen = Some((mine, std::fs::read_to_string(format!("/proc/{mine}/status")).unwrap()));
            let arguments = std::fs::read_to_string(format!("/proc/{mine}/cmdline")).unwrap();
            assert!(!arguments.contains("127.0.0.1"));
        }
    });
    assert!(taken.ended.is_none());
    let (id, status) = seen.unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    wait_until("the worker is gone", PATIENCE, || {
        Ok((!Path::new(&format!("/proc/{id}")).exists() || !children().contains(&id)).then_some(()))
    })
    .unwrap();
}
