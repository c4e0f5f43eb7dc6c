//! The test cameras are what they claim to be: what they log is what they send, when they send it.

mod support;

use futures::StreamExt;
use retina::client::{Credentials, PlayOptions, Session, SessionOptions, SetupOptions};
use retina::codec::CodecItem;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::commands::{pass, wait_until};
use support::peers::{LoggedFrame, Login, Mount, RtspServer, Video};
use support::probe;
use support::rogues::{Manners, Rogue};
use support::wire::{Condition, Wire};

const SOON: Duration = Duration::from_secs(10);
/// How far a logged time may be from the frame's arrival, in microseconds.
const CLOSE_US: i64 = 20_000;

/// A frame as a client got it.
#[derive(Clone, Debug)]
struct Arrived {
    at_us: i64,
    key: bool,
    timestamp_90k: i64,
}

fn now_us() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Watches the picture of a mount for `length`, or until the camera ends it.
fn watch(url: String, creds: Option<(&str, &str)>, length: Duration) -> anyhow::Result<Vec<Arrived>> {
    watch_after(Duration::ZERO, url, creds, length)
}

/// The same, with a rest between having set up and playing.
fn watch_after(
    rest: Duration,
    url: String,
    creds: Option<(&str, &str)>,
    length: Duration,
) -> anyhow::Result<Vec<Arrived>> {
    let options = SessionOptions::default().creds(
        creds.map(|(username, password)| Credentials { username: username.to_owned(), password: password.to_owned() }),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opening = async {
            let mut session = Session::describe(url.parse()?, options).await?;
            let video = session.streams().iter().position(|stream| stream.media() == "video").unwrap();
            session.setup(video, SetupOptions::default()).await?;
            tokio::time::sleep(rest).await;
            anyhow::Ok(session.play(PlayOptions::default()).await?.demuxed()?)
        };
        let mut session = tokio::time::timeout(SOON, opening).await??;
        let mut arrived = Vec::new();
        let over = tokio::time::sleep(length);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return Ok(arrived),
                item = session.next() => match item {
                    Some(Ok(CodecItem::VideoFrame(frame))) => arrived.push(Arrived {
                        at_us: now_us(),
                        key: frame.is_random_access_point(),
                        timestamp_90k: frame.timestamp().timestamp(),
                    }),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Ok(arrived),
                },
            }
        }
    })
}

/// How late each frame arrived, and that none is missing, doubled or another: the log's frames from the first on.
fn lateness_us(arrived: &[Arrived], logged: &[LoggedFrame]) -> Vec<i64> {
    assert!(logged.len() >= arrived.len(), "{} frames arrived, {} were logged", arrived.len(), logged.len());
    let pairs = arrived.iter().zip(logged);
    pairs.clone().enumerate().for_each(|(i, (got, sent))| assert_eq!(got.key, sent.key, "frame {i}: {got:?} {sent:?}"));
    let mut late: Vec<i64> = pairs.map(|(got, sent)| got.at_us - sent.at_us).collect();
    late.sort_unstable();
    late
}

#[test]
fn four_cameras_show_what_their_logs_say() {
    let server = RtspServer::start(vec![
        Mount::new("/yard", Video::Yard),
        Mount::new("/clock", Video::Clock).with_login("watcher", "right horse"),
        Mount::new("/hall", Video::Clock).with_sound(),
        Mount::new("/gate", Video::YardH265),
    ])
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let paths = ["/yard", "/clock", "/hall", "/gate"];
    let file_of = |path: &str| dir.path().join(format!("{}.mkv", &path[1..]));
    std::thread::scope(|scope| {
        for path in paths {
            let (url, file) = (server.url_with_login(path).replace(' ', "%20"), file_of(path));
            scope.spawn(move || probe::record(&url, Duration::from_secs(3), &file).unwrap());
        }
    });
    for (path, fps, codecs) in [
        ("/yard", 10, vec!["h264"]),
        ("/clock", 15, vec!["h264"]),
        ("/hall", 15, vec!["h264", "aac"]),
        ("/gate", 10, vec!["hevc"]),
    ] {
        let file = file_of(path);
        let file = file.to_str().unwrap();
        let got: Vec<String> = probe::streams(file, &[]).unwrap().into_iter().map(|stream| stream.codec).collect();
        assert_eq!(got, codecs, "{path}");
        let recorded = probe::count_frames(file, &[]).unwrap();
        let logged = server.frames(path).unwrap();
        assert!(recorded.abs_diff(fps * 3) <= 2, "{path}: {recorded} frames in 3 s");
        // A few more leave while the watcher says goodbye.
        assert!((recorded..=recorded + fps).contains(&(logged.len() as u64)), "{path}: {recorded} of {}", logged.len());
        assert!(logged[0].key, "{path}: the first frame is one that can be decoded alone");
        let takes = logged.iter().map(|frame| frame.take).max();
        assert_eq!(takes, Some(0), "{path}: one watcher, one life of the media");
    }
    let shown = probe::picture_digests(file_of("/yard").to_str().unwrap(), &[]).unwrap();
    let footage = probe::picture_digests(Video::Yard.file().unwrap().to_str().unwrap(), &[]).unwrap();
    for (digest, frame) in shown.iter().zip(server.frames("/yard").unwrap()) {
        assert_eq!(*digest, footage[usize::try_from(frame.file_frame).unwrap()], "{frame:?}");
    }
}

#[test]
fn a_logged_time_is_the_time_of_arrival_and_a_second_watcher_changes_nothing() {
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let url = server.url("/yard");
    let first = std::thread::spawn({
        let url = url.clone();
        move || watch(url, None, Duration::from_secs(5)).unwrap()
    });
    pass(Duration::from_millis(1730));
    let second = watch(url, None, Duration::from_secs(2)).unwrap();
    let first = first.join().unwrap();
    let logged = server.frames("/yard").unwrap();

    assert!(first.len() >= 48, "{} frames in 5 s", first.len());
    let late = lateness_us(&first, &logged);
    println!("first watcher, late by us: median {} all {late:?}", late[late.len() / 2]);
    assert!(late[late.len() / 2].abs() < CLOSE_US, "{late:?}");
    for pair in first.windows(2) {
        assert_eq!(pair[1].timestamp_90k - pair[0].timestamp_90k, 9000, "ten frames a second, evenly");
    }

    // The second sees the same frames from where it came in.
    let joined = logged.iter().position(|frame| (second[0].at_us - frame.at_us).abs() < 50_000).unwrap();
    assert!(joined > 10, "it came later");
    let late = lateness_us(&second, &logged[joined..]);
    println!("second watcher, late by us: median {} all {late:?}", late[late.len() / 2]);
    assert!(late[late.len() / 2].abs() < CLOSE_US, "{late:?}");
    assert!(logged.iter().all(|frame| frame.take == 0));
}

#[test]
fn who_wants_no_sound_gets_every_picture() {
    let server = RtspServer::start(vec![Mount::new("/hall", Video::Clock).with_sound()]).unwrap();
    let seen = watch(server.url("/hall"), None, Duration::from_secs(4)).unwrap();
    assert!(seen.len() >= 58, "{} frames in 4 s", seen.len());
    let late = lateness_us(&seen, &server.frames("/hall").unwrap());
    assert!(late[late.len() / 2].abs() < CLOSE_US, "{late:?}");
}

#[test]
fn h265_arrives_frame_by_frame_with_its_keys_in_place() {
    let server = RtspServer::start(vec![Mount::new("/gate", Video::YardH265)]).unwrap();
    let seen = watch(server.url("/gate"), None, Duration::from_secs(3)).unwrap();
    assert!(seen.len() >= 28, "{} frames in 3 s", seen.len());
    let keys: Vec<usize> = seen.iter().enumerate().filter(|(_, frame)| frame.key).map(|(at, _)| at).collect();
    assert_eq!(keys[..3], [0, 10, 20]);
    let late = lateness_us(&seen, &server.frames("/gate").unwrap());
    assert!(late[late.len() / 2].abs() < CLOSE_US, "{late:?}");
}

#[test]
fn who_takes_a_while_to_play_gets_frames_of_now() {
    let server = RtspServer::start(vec![Mount::new("/hall", Video::Clock).with_sound()]).unwrap();
    let rest = Duration::from_secs(3);
    let asked_us = now_us();
    let seen = watch_after(rest, server.url("/hall"), None, Duration::from_secs(2)).unwrap();
    let logged = server.frames("/hall").unwrap();
    assert!(logged[0].at_us - asked_us > 2_900_000, "nothing leaves before somebody plays");
    assert!((28..=32).contains(&seen.len()), "{} frames in 2 s, not those of the rest besides", seen.len());
    let late = lateness_us(&seen, &logged);
    assert!(late[late.len() / 2].abs() < CLOSE_US, "{late:?}");
    assert!(late[0] > -CLOSE_US, "no frame comes before it is logged: {late:?}");
}

#[test]
fn only_the_right_password_for_the_right_camera_opens_it() {
    for login in [Login::Digest, Login::Basic] {
        let server = RtspServer::start_asking(
            login,
            vec![
                Mount::new("/open", Video::Clock),
                Mount::new("/a", Video::Clock).with_login("anna", "one"),
                Mount::new("/b", Video::Clock).with_login("bert", "two"),
            ],
        )
        .unwrap();
        let see = |path: &str, creds| watch(server.url(path), creds, Duration::from_millis(500));
        assert!(!see("/open", None).unwrap().is_empty(), "{login:?}");
        assert!(!see("/a", Some(("anna", "one"))).unwrap().is_empty(), "{login:?}");
        for (path, creds) in [
            ("/a", None),
            ("/a", Some(("anna", "two"))),
            ("/a", Some(("nobody", "one"))),
            ("/a", Some(("bert", "two"))),
        ] {
            let refused = see(path, creds).unwrap_err();
            assert!(format!("{refused:#}").contains("40"), "{login:?} {path} {creds:?}: {refused:#}");
        }
        assert_eq!(server.frames("/b").unwrap(), [], "nobody got in, so nothing was sent");
    }
}

#[test]
fn a_camera_that_dies_comes_back_for_who_asks_again() {
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard).dies_after(12)]).unwrap();
    for take in 0..2 {
        let seen = watch(server.url("/yard"), None, SOON).unwrap();
        assert_eq!(seen.len(), 12, "take {take}");
        let logged = server.frames("/yard").unwrap();
        assert_eq!(logged.iter().filter(|frame| frame.take == take).count(), 12);
    }
}

#[test]
fn a_stalled_camera_sends_nothing_and_goes_on_where_it_stopped() {
    let mut server = RtspServer::start(vec![Mount::new("/yard", Video::Yard).stalls_after(8)]).unwrap();
    let watcher = std::thread::spawn({
        let url = server.url("/yard");
        move || watch(url, None, Duration::from_secs(4)).unwrap()
    });
    wait_until("it stalls", SOON, || Ok((server.frames("/yard")?.len() == 8).then_some(()))).unwrap();
    pass(Duration::from_millis(1500));
    assert_eq!(server.frames("/yard").unwrap().len(), 8);
    server.resume("/yard").unwrap();
    let seen = watcher.join().unwrap();
    let logged = server.frames("/yard").unwrap();
    lateness_us(&seen, &logged);
    assert!(seen.len() > 12, "the session lived on: {} frames", seen.len());
    assert!(logged[8].at_us - logged[7].at_us > 1_400_000);
    assert!(seen[8].timestamp_90k - seen[7].timestamp_90k > 90_000, "its own clock ran on");
    assert_eq!(logged[8].file_frame, logged[7].file_frame + 1);
    assert!(server.stall("/nowhere").is_err(), "an order for an unknown camera is refused");
}

#[test]
fn a_killed_server_comes_back_on_its_port_and_its_log_goes_on() {
    let mut server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let port = server.port();
    let watcher = std::thread::spawn({
        let url = server.url("/yard");
        move || watch(url, None, SOON).unwrap()
    });
    wait_until("it sends", SOON, || Ok((server.frames("/yard")?.len() > 5).then_some(()))).unwrap();
    server.kill().unwrap();
    assert!(watcher.join().unwrap().len() > 4, "ended by the camera, long before its time");
    assert!(watch(server.url("/yard"), None, Duration::from_secs(1)).is_err());
    let before = server.frames("/yard").unwrap().len();
    server.restart().unwrap();
    assert_eq!(server.port(), port);
    assert!(!watch(server.url("/yard"), None, Duration::from_secs(1)).unwrap().is_empty());
    let logged = server.frames("/yard").unwrap();
    assert!(logged.len() > before);
    assert!(logged.iter().enumerate().all(|(i, frame)| frame.n == i as u64), "n counts on");
    assert_eq!(logged[before].take, logged[0].take + 1);
}

#[test]
fn those_who_watch_are_hung_up_on_and_may_come_again() {
    let mut server = RtspServer::start(vec![Mount::new("/a", Video::Clock), Mount::new("/b", Video::Clock)]).unwrap();
    let watcher = |path: &str, length| {
        let url = server.url(path);
        std::thread::spawn(move || watch(url, None, length).unwrap())
    };
    let (cut, spared) = (watcher("/a", SOON * 3), watcher("/b", Duration::from_secs(3)));
    wait_until("both watch", SOON, || {
        Ok(["/a", "/b"].iter().all(|p| server.frames(p).unwrap().len() > 5).then_some(()))
    })
    .unwrap();
    server.hang_up("/a").unwrap();
    let cut = cut.join().unwrap();
    assert!(cut.len() < 100, "{} frames: it was not hung up on", cut.len());
    assert!(spared.join().unwrap().len() > 40, "the other camera goes on");
    assert!(!watch(server.url("/a"), None, Duration::from_secs(1)).unwrap().is_empty());
}

#[test]
fn rogues_do_what_they_say() {
    for manners in [Manners::Silent, Manners::Garbage, Manners::NonsenseDescription, Manners::HangsUp] {
        let rogue = Rogue::start(manners).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asking = async {
            let asked = Session::describe(rogue.url().parse().unwrap(), SessionOptions::default());
            tokio::time::timeout(Duration::from_secs(1), asked).await
        };
        match runtime.block_on(asking) {
            Err(_late) => assert_eq!(manners, Manners::Silent),
            Ok(Ok(_)) => panic!("{manners:?} was taken for a camera"),
            Ok(Err(refused)) => {
                let why = match manners {
                    Manners::Silent => panic!("a silent one refused: {refused}"),
                    Manners::Garbage => "Invalid RTSP message",
                    Manners::NonsenseDescription => "Unable to parse SDP",
                    Manners::HangsUp => "EOF while expecting response",
                };
                assert!(refused.to_string().contains(why), "{manners:?}: {refused}");
            }
        }
        assert_eq!(rogue.visits(), 1, "{manners:?}");
    }
}

#[test]
fn a_cable_freezes_garbles_and_is_cut() {
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let wire = Wire::to(server.port()).unwrap();
    let sound = watch(wire.url("/yard"), None, Duration::from_secs(1)).unwrap();
    assert!(sound.len() >= 8, "{}", sound.len());

    for (condition, ended_early) in [(Condition::Frozen, false), (Condition::Garbling, true), (Condition::Cut, true)] {
        wire.becomes(Condition::Sound);
        let started = now_us();
        let watcher = std::thread::spawn({
            let url = wire.url("/yard");
            move || watch(url, None, Duration::from_secs(3)).unwrap()
        });
        pass(Duration::from_millis(1200));
        wire.becomes(condition);
        let before = now_us();
        let seen = watcher.join().unwrap();
        let lasted = now_us() - started;
        assert!(seen.len() > 5, "{condition:?}: {} frames", seen.len());
        assert!(seen.iter().all(|frame| frame.at_us < before + 200_000), "{condition:?}: frames came through");
        assert_eq!(lasted < 2_900_000, ended_early, "{condition:?} lasted {lasted} us");
    }
    assert!(watch(wire.url("/yard"), None, Duration::from_secs(1)).is_err(), "a cut cable takes nobody");
}
