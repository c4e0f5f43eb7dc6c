//! The example cameras are good ones, and a site follows its files while people save them badly.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cctv_custodian::clock::Clock;
use cctv_custodian::config::{CameraChange, CameraSet, CameraWatch, Pace, SITE_FILE, Site};
use cctv_custodian::domain::source::{Driver, Transport};
use cctv_custodian::domain::{CameraClass, Retention};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);

fn examples() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("camera-config");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A site with the passwords that the examples name, and no camera.
fn site() -> (tempfile::TempDir, Site) {
    let dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
    fs::write(dir.path().join(SITE_FILE), Site::template("Example Clinic")).unwrap();
    fs::create_dir(dir.path().join("camera-config")).unwrap();
    fs::create_dir(dir.path().join("passwords")).unwrap();
    for camera in ["lobby", "server-room", "operating-room"] {
        let path = dir.path().join("passwords").join(camera);
        fs::write(&path, "sesame\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let site = Site::load(dir.path(), Pace::Real).unwrap();
    (dir, site)
}

#[test]
fn every_example_is_a_good_camera_of_its_class() {
    let (_dir, site) = site();
    for example in examples() {
        fs::copy(&example, site.camera_dir.join(example.file_name().unwrap())).unwrap();
    }
    let (set, errors) = CameraSet::load(&site);
    assert_eq!(errors, []);
    assert_eq!(set.len(), examples().len());
    let seen: Vec<_> = set
        .iter()
        .map(|camera| (camera.class, camera.retention, camera.source.driver, camera.source.transport))
        .collect();
    let wanted = [
        (CameraClass::PublicArea, Retention::Ceiling(DAY * 30), Driver::Retina, Transport::Tcp),
        (CameraClass::NonPublic, Retention::Ceiling(DAY * 14), Driver::Libav, Transport::Tcp),
        (CameraClass::OperatingRoom, Retention::Floor(DAY * 60), Driver::Retina, Transport::Tcp),
    ];
    assert_eq!(seen, wanted);
    for camera in set.iter() {
        assert!(camera.source.credentials.is_some());
        assert!(camera.source.url.host_str().unwrap().starts_with("192.0.2."), "an address for documents (RFC 5737)");
        assert!(!format!("{camera:?}").contains("sesame"));
    }
}

#[test]
fn every_field_that_an_example_comments_out_is_a_known_one() {
    let (_dir, site) = site();
    for example in examples() {
        let mut text = fs::read_to_string(&example).unwrap();
        for field in ["owner", "notice", "transport"] {
            text = text.replace(&format!("\n# {field} = "), &format!("\n{field} = "));
        }
        fs::write(site.camera_dir.join(example.file_name().unwrap()), text).unwrap();
    }
    let (set, errors) = CameraSet::load(&site);
    assert_eq!(errors, []);
    assert!(set.iter().any(|camera| camera.owner.is_some() && camera.notice.is_some()));
}

#[tokio::test]
async fn a_running_site_follows_its_files_and_a_half_saved_one_stops_nothing() {
    let (_dir, site) = site();
    let clock = Clock::system();
    let mut watch = CameraWatch::start(&site.camera_dir, clock.clone()).unwrap();
    let (none, _) = CameraSet::load(&site);
    assert!(none.is_empty());

    for example in examples() {
        fs::copy(&example, site.camera_dir.join(example.file_name().unwrap())).unwrap();
    }
    clock.timeout(SOON, watch.changed()).await.unwrap();
    let (three, errors) = none.reload(&site);
    assert_eq!((three.len(), errors), (3, vec![]));

    // Somebody's editor stops halfway.
    let lobby = site.camera_dir.join("lobby.toml");
    let text = fs::read_to_string(&lobby).unwrap();
    fs::write(&lobby, &text[..text.find("192.0.2.11").unwrap()]).unwrap();
    clock.timeout(SOON, watch.changed()).await.unwrap();
    let (still, errors) = three.reload(&site);
    assert_eq!(CameraSet::diff(&three, &still), []);
    let line = text[..text.find("192.0.2.11").unwrap()].lines().count();
    assert!(errors[0].to_string().contains(&format!("lobby.toml:{line}:")), "{}", errors[0]);

    // Then goes on.
    fs::write(&lobby, text.replace("192.0.2.11", "192.0.2.99")).unwrap();
    clock.timeout(SOON, watch.changed()).await.unwrap();
    let (moved, errors) = still.reload(&site);
    assert_eq!(errors, []);
    let [CameraChange::Changed { was, is }] = &CameraSet::diff(&still, &moved)[..] else { panic!() };
    assert_ne!(was.source, is.source);
    assert_eq!(is.source.url.as_str(), "rtsp://192.0.2.99/stream1");
}

/// A camera's file without a password.
fn plain(number: u16, host: u8) -> String {
    format!(
        "number = {number}\nname = \"camera {number}\"\nplace = \"floor {host}\"\narea = \"lobby\"\nclass = \"public-area\"\n\
         purpose = \"crime prevention\"\n\n[source]\nurl = \"rtsp://192.0.2.{host}/{number}\"\n"
    )
}

/// Waits for the watch and reads again, until nothing more happens; what changed in all.
async fn follow(
    watch: &mut CameraWatch,
    clock: &Clock,
    site: &Site,
    mut set: CameraSet,
) -> (CameraSet, Vec<CameraChange>) {
    let before = set.clone();
    let mut limit = SOON;
    while clock.timeout(limit, watch.changed()).await.is_ok() {
        set = set.reload(site).0;
        limit = Duration::from_millis(500);
    }
    let changes = CameraSet::diff(&before, &set);
    (set, changes)
}

/// As dpkg, rsync, configuration management and people save: 97 files at once, the same ones again over new names, another
/// directory in the place of this one. Only what says something else is a change.
#[tokio::test]
async fn a_directory_that_is_replaced_or_written_anew_touches_no_camera_that_stays_as_it_is() {
    let (dir, site) = site();
    let clock = Clock::system();
    let mut watch = CameraWatch::start(&site.camera_dir, clock.clone()).unwrap();
    let write = |into: &Path, change: u16| {
        for number in 1..=97_u16 {
            let host = if number == change { 99 } else { 11 };
            fs::write(into.join(format!("{number}.toml")), plain(number, host)).unwrap();
        }
    };
    write(&site.camera_dir, 0);
    let (all, changes) = follow(&mut watch, &clock, &site, CameraSet::default()).await;
    assert_eq!((all.len(), changes.len()), (97, 97));

    // The package is installed again: each file beside its old one, then over it. Number 40 moved.
    for number in 1..=97_u16 {
        let path = site.camera_dir.join(format!("{number}.toml"));
        fs::write(path.with_extension("toml.dpkg-new"), plain(number, if number == 40 { 99 } else { 11 })).unwrap();
        fs::rename(path.with_extension("toml.dpkg-new"), path).unwrap();
    }
    let (all, changes) = follow(&mut watch, &clock, &site, all).await;
    let [CameraChange::Changed { is, .. }] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((all.len(), is.number.get()), (97, 40));

    // Another directory, another inode, under the same name: 41 moved, and 40 moved back.
    let (fresh, old) = (dir.path().join("fresh"), dir.path().join("old"));
    fs::create_dir(&fresh).unwrap();
    write(&fresh, 41);
    fs::rename(&site.camera_dir, &old).unwrap();
    fs::rename(&fresh, &site.camera_dir).unwrap();
    let (all, changes) = follow(&mut watch, &clock, &site, all).await;
    let numbers: Vec<u16> = changes
        .iter()
        .map(|change| match change {
            CameraChange::Changed { is, .. } => is.number.get(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((all.len(), numbers), (97, vec![40, 41]));

    // The new one is followed, and the old one is nobody's.
    fs::remove_dir_all(&old).unwrap();
    fs::remove_file(site.camera_dir.join("97.toml")).unwrap();
    let (all, changes) = follow(&mut watch, &clock, &site, all).await;
    assert!(matches!(&changes[..], [CameraChange::Removed(camera)] if camera.number.get() == 97), "{changes:?}");
    assert_eq!(all.len(), 96);
}
