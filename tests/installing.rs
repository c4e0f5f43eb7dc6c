//! What an installer meets: the number of cameras that the notice declares, ways that are not encrypted, passwords from the
//! service manager.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use support::choir::Choir;
use support::commands::{pass, wait_until};
use support::daemon::program;
use support::peers::{Mount, RtspServer, Video};
use support::scene::PATIENCE;
use support::site::{CameraFile, Site};

fn states(site: &Site) -> Vec<(u64, String)> {
    let status = site.status().unwrap().1;
    let line = |camera: &Value| (camera["number"].as_u64().unwrap(), camera["state"].as_str().unwrap().to_owned());
    status["cameras"].as_array().unwrap().iter().map(line).collect()
}

fn wait_for(site: &Site, recording: &[u64]) {
    let wanted: Vec<_> = recording.iter().map(|number| (*number, "recording".to_owned())).collect();
    wait_until(&format!("{recording:?} are recorded"), PATIENCE, || Ok((states(site) == wanted).then_some(())))
        .unwrap();
}

fn beyond(site: &Site) -> Vec<String> {
    let status = site.status().unwrap().1;
    let alarms = status["alarms"].as_array().unwrap().iter().map(|alarm| alarm.as_str().unwrap().to_owned());
    alarms.filter(|alarm| alarm.contains("the notice on the wall declares")).collect()
}

#[test]
fn a_camera_more_than_the_notice_declares_is_refused_until_the_notice_says_so() {
    let choir = Choir::start(3).unwrap();
    let urls: Vec<String> = choir.urls().collect();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    site.declare(2).unwrap();
    // The first file by name is not the first that was recorded.
    for number in [2, 3] {
        site.save_camera(&CameraFile::new(number, "choir", &urls[usize::from(number) - 1])).unwrap();
    }
    let log = dir.path().join("1.log");
    let mut running = site.serve(&log, &[], &[]).unwrap();
    wait_for(&site, &[2, 3]);
    site.save_camera(&CameraFile::new(1, "choir", &urls[0])).unwrap();
    let refused = wait_until("camera 1 is refused", PATIENCE, || Ok(beyond(&site).pop())).unwrap();
    assert!(refused.contains("camera-1.toml:1:10: number: the notice on the wall declares 2 cameras"), "{refused}");
    assert!(refused.contains("write it as declared_cameras in site.toml"), "{refused}");
    assert!(std::fs::read_to_string(&log).unwrap().contains("the notice on the wall declares 2 cameras"));
    wait_for(&site, &[2, 3]);
    let mut officer = running.sign_in(&site, "officer").unwrap();
    let told = officer.api.get("/v1/cameras").unwrap().expect_status(200).unwrap().json;
    assert!(told["wrong_files"][0].as_str().unwrap().contains("camera-1.toml"), "{told}");
    assert!(told["cameras"].as_array().unwrap().iter().all(|camera| camera["encrypted"] == false), "{told}");
    let mut staff = running.sign_in(&site, "staff").unwrap();
    let told = staff.api.get("/v1/cameras").unwrap().expect_status(200).unwrap().json;
    assert_eq!(told.get("wrong_files"), None, "files are no matter of the desk's");

    // After a start it is the same one: the others were recorded. Nothing was committed in the first moment.
    pass(Duration::from_secs(3));
    running.stop().unwrap();
    let lobby = std::fs::read(site.camera_path(2)).unwrap();
    std::fs::write(site.camera_path(2), lobby).unwrap();
    running = site.serve(&dir.path().join("2.log"), &[], &[]).unwrap();
    wait_for(&site, &[2, 3]);
    assert_eq!(beyond(&site).len(), 1);
    assert!(beyond(&site)[0].contains("camera-1.toml"));
    // `cameras probe` asks the daemon who runs.
    let mut probe = std::process::Command::new(program().unwrap());
    probe.args(["cameras", "probe", "--watch-s", "1", "--json", "--site"]).arg(site.dir());
    let told = support::commands::run(&mut probe, "", PATIENCE).unwrap();
    assert!(told.stderr.contains("camera-1.toml:1:10") && told.stderr.lines().count() == 1, "{told:?}");

    // The notice is published with three; the file of it is saved, and nothing is restarted.
    site.declare(3).unwrap();
    wait_for(&site, &[1, 2, 3]);
    assert_eq!(beyond(&site), [] as [&str; 0]);
    // Fewer again: what runs goes on, and an alarm says that the notice is not true.
    site.declare(1).unwrap();
    wait_until("two are too many", PATIENCE, || Ok((beyond(&site).len() == 2).then_some(()))).unwrap();
    wait_for(&site, &[1, 2, 3]);
    // A site file that is half-saved changes nothing.
    let good = std::fs::read_to_string(site.dir().join("site.toml")).unwrap();
    std::fs::write(site.dir().join("site.toml"), "[site]\nname =").unwrap();
    wait_until("the fault is told", PATIENCE, || {
        Ok(site.run("status", &["--json"])?.stdout.contains("site.toml").then_some(()))
    })
    .unwrap();
    wait_for(&site, &[1, 2, 3]);
    std::fs::write(site.dir().join("site.toml"), good).unwrap();
    let status = site.run("status", &[]).unwrap();
    assert!(status.stdout.contains("Not encrypted on their way here: 1, 2, 3."), "{}", status.stdout);
    running.stop().unwrap();
}

#[test]
fn a_password_comes_from_the_service_manager_and_is_nowhere_else() {
    const PASSWORD: &str = "sesame-of-the-unit";
    let server = RtspServer::start(vec![Mount::new("/clock", Video::Clock).with_login("viewer", PASSWORD)]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    site.save_camera(&CameraFile::new(1, "clock", &server.url("/clock")).with_credential("viewer", "clock")).unwrap();
    // Without the service manager the camera is refused, with what to do.
    let mut running = site.serve(&dir.path().join("1.log"), &[], &[]).unwrap();
    let status = site.status().unwrap().1;
    assert!(status["alarms"].to_string().contains("LoadCredential=NAME:FILE"), "{}", status["alarms"]);
    running.stop().unwrap();

    let credentials = dir.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("clock"), PASSWORD).unwrap();
    std::fs::set_permissions(credentials.join("clock"), std::fs::Permissions::from_mode(0o440)).unwrap();
    let given = [("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())];
    let log = dir.path().join("2.log");
    running = site.serve(&log, &[], &given).unwrap();
    wait_for(&site, &[1]);
    let mut staff = running.sign_in(&site, "staff").unwrap();
    let api = staff.api.get("/v1/cameras").unwrap().expect_status(200).unwrap();
    assert_eq!(api.json["cameras"][0]["state"], json!("recording"));
    let told = [api.text(), site.run("status", &["--json"]).unwrap().stdout, std::fs::read_to_string(&log).unwrap()];
    assert!(told.iter().all(|told| !told.contains(PASSWORD)));
    running.stop().unwrap();
}
