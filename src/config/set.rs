//! All cameras of a site, and what a change of their files means.
//!
//! - S1 A bad file stops no other camera.
//! - S2 A bad file leaves its own last good version in force, as long as the daemon runs.
//! - S3 A number belongs to the camera that already runs under it; of two new ones, to the first by file name.
//! - S4 A file that is gone is a camera that is gone. A directory that cannot be read changes nothing.
//! - S5 No more cameras than the notice declares. Those that already run come first, then those that were recorded before,
//!   then the others, those whose files were changed last at the end. A number that is made less stops none that runs.

use super::camera::{Camera, ReadCamera, read_camera};
use super::error::{ConfigError, Fault, Place};
use super::site::{Site, whole_file};
use crate::domain::CameraNumber;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The cameras in force, by number.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CameraSet {
    cameras: BTreeMap<CameraNumber, Camera>,
}

/// One camera's difference between two sets.
#[derive(Clone, PartialEq, Debug)]
pub enum CameraChange {
    Added(Camera),
    /// Something besides the file's name is different. Only where `source` is, a new session is needed.
    Changed {
        was: Box<Camera>,
        is: Box<Camera>,
    },
    Removed(Camera),
}

impl CameraChange {
    pub fn number(&self) -> CameraNumber {
        match self {
            CameraChange::Added(camera) | CameraChange::Removed(camera) => camera.number,
            CameraChange::Changed { is, .. } => is.number,
        }
    }
}

impl CameraSet {
    /// Reads every camera file of the site. Blocks on files. The errors say which files gave no camera, and why.
    pub fn load(site: &Site) -> (Self, Vec<ConfigError>) {
        Self::default().reload(site)
    }

    /// The same, where it is known of which cameras there is footage (S5).
    pub fn load_knowing(site: &Site, was_recorded: &dyn Fn(CameraNumber) -> bool) -> (Self, Vec<ConfigError>) {
        Self::default().reload_knowing(site, was_recorded)
    }

    /// Reads every camera file again; see S1 to S5 for what stays of this set. Blocks on files.
    pub fn reload(&self, site: &Site) -> (Self, Vec<ConfigError>) {
        self.reload_knowing(site, &|_| false)
    }

    /// The same, where it is known of which cameras there is footage (S5).
    pub fn reload_knowing(&self, site: &Site, was_recorded: &dyn Fn(CameraNumber) -> bool) -> (Self, Vec<ConfigError>) {
        let files = match camera_files(&site.camera_dir) {
            Ok(files) => files,
            Err(e) => return (self.clone(), vec![whole_file(&site.camera_dir, Fault::Unreadable(e.to_string()))]),
        };
        let mut reading = Reading { before: self, after: BTreeMap::new(), errors: Vec::new() };
        let mut claims = Vec::new();
        for file in files {
            match read_camera(&file, site) {
                Ok(read) => claims.push(read),
                Err(errors) => {
                    reading.errors.extend(errors);
                    reading.keep_last_good(&file);
                }
            }
        }
        // Those that run under their number already come before all others (S3, S5).
        let (known, fresh): (Vec<_>, Vec<_>) = claims.into_iter().partition(|read| reading.is_at_home(&read.camera));
        let (renamed, fresh): (Vec<_>, Vec<_>) =
            fresh.into_iter().partition(|read| self.cameras.contains_key(&read.camera.number));
        for read in known.into_iter().chain(renamed) {
            reading.claim(read, site.declared_cameras);
        }
        let mut newcomers: Vec<ReadCamera> = Vec::new();
        for read in fresh {
            match newcomers.iter().find(|other| other.camera.number == read.camera.number) {
                Some(other) => reading.refuse_number(&read, &other.camera.file.clone()),
                None => newcomers.push(read),
            }
        }
        newcomers.sort_by_cached_key(|read| (!was_recorded(read.camera.number), changed_at(&read.camera.file)));
        for read in newcomers {
            reading.claim(read, site.declared_cameras);
        }
        let Reading { after, mut errors, .. } = reading;
        errors.sort_by(|one, other| (&one.file, one.place).cmp(&(&other.file, other.place)));
        (Self { cameras: after }, errors)
    }

    pub fn get(&self, number: CameraNumber) -> Option<&Camera> {
        self.cameras.get(&number)
    }

    /// In the order of their numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Camera> {
        self.cameras.values()
    }

    pub fn len(&self) -> usize {
        self.cameras.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cameras.is_empty()
    }

    /// What has to be done to go from `old` to `new`, in the order of the numbers.
    pub fn diff(old: &CameraSet, new: &CameraSet) -> Vec<CameraChange> {
        let mut changes: Vec<CameraChange> = Vec::new();
        for (number, is) in &new.cameras {
            match old.cameras.get(number) {
                None => changes.push(CameraChange::Added(is.clone())),
                Some(was) if was.is_same(is) => {}
                Some(was) => {
                    changes.push(CameraChange::Changed { was: Box::new(was.clone()), is: Box::new(is.clone()) });
                }
            }
        }
        let gone = old.cameras.iter().filter(|(number, _)| !new.cameras.contains_key(number));
        changes.extend(gone.map(|(_, camera)| CameraChange::Removed(camera.clone())));
        changes.sort_by_key(CameraChange::number);
        changes
    }
}

/// A set being put together from what was in force and what the files say now.
struct Reading<'a> {
    before: &'a CameraSet,
    after: BTreeMap<CameraNumber, Camera>,
    errors: Vec<ConfigError>,
}

impl Reading<'_> {
    /// Whether the camera runs already under this number from this file.
    fn is_at_home(&self, camera: &Camera) -> bool {
        self.before.get(camera.number).is_some_and(|before| before.file == camera.file)
    }

    fn keep_last_good(&mut self, file: &Path) {
        if let Some(before) = self.before.iter().find(|camera| camera.file == file) {
            self.after.entry(before.number).or_insert_with(|| before.clone());
        }
    }

    fn refuse_number(&mut self, read: &ReadCamera, other: &Path) {
        let fault = Fault::NumberTaken { number: read.camera.number, other: other.to_path_buf() };
        self.refuse(&read.camera.file, read.number_place, fault);
    }

    fn claim(&mut self, read: ReadCamera, declared: Option<u32>) {
        if let Some(holder) = self.after.get(&read.camera.number).map(|holder| holder.file.clone()) {
            self.refuse_number(&read, &holder);
            return;
        }
        let ReadCamera { camera, number_place } = read;
        // More files than cameras are never read: 65,535 numbers fit in a u32.
        let count = u32::try_from(self.after.len()).unwrap_or(u32::MAX);
        match declared {
            Some(declared) if count >= declared => {
                self.refuse(&camera.file, number_place, Fault::BeyondNotice { declared });
            }
            _ => {
                self.after.insert(camera.number, camera);
            }
        }
    }

    fn refuse(&mut self, file: &Path, place: Place, fault: Fault) {
        self.errors.push(ConfigError {
            file: file.to_path_buf(),
            place: Some(place),
            field: Some("number".to_owned()),
            fault,
        });
        self.keep_last_good(file);
    }
}

/// Whether a file of this name is a camera's. Hidden ones are not: editors leave them behind.
pub(super) fn is_camera_file(name: &OsStr) -> bool {
    let hidden = name.as_encoded_bytes().first() == Some(&b'.');
    !hidden && Path::new(name).extension() == Some(OsStr::new("toml"))
}

/// When a file was changed last; those that cannot be asked come last.
fn changed_at(file: &Path) -> (bool, Option<SystemTime>) {
    let changed = std::fs::metadata(file).and_then(|meta| meta.modified()).ok();
    (changed.is_none(), changed)
}

fn camera_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if is_camera_file(&entry.file_name()) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pace;
    use std::os::unix::fs::PermissionsExt;

    struct Fixture {
        _dir: tempfile::TempDir,
        site: Site,
    }

    impl Fixture {
        fn declaring(cameras: Option<u32>) -> Self {
            let mine = std::fs::Permissions::from_mode(0o700);
            let dir = tempfile::Builder::new().permissions(mine).tempdir().unwrap();
            std::fs::write(dir.path().join("site.toml"), Site::template("S")).unwrap();
            std::fs::create_dir(dir.path().join("camera-config")).unwrap();
            let mut site = Site::load(dir.path(), Pace::Real).unwrap();
            site.declared_cameras = cameras;
            Self { _dir: dir, site }
        }

        fn new() -> Self {
            Self::declaring(None)
        }

        fn path(&self, file: &str) -> PathBuf {
            self.site.camera_dir.join(file)
        }

        fn write(&self, file: &str, text: &str) {
            std::fs::write(self.path(file), text).unwrap();
        }

        fn camera(&self, file: &str, number: u16) {
            self.write(file, &camera(number, "A"));
        }

        fn remove(&self, file: &str) {
            std::fs::remove_file(self.path(file)).unwrap();
        }

        fn load(&self) -> CameraSet {
            let (set, errors) = CameraSet::load(&self.site);
            assert_eq!(errors, []);
            set
        }
    }

    fn camera(number: u16, name: &str) -> String {
        format!(
            "number = {number}\nname = \"{name}\"\nplace = \"p\"\narea = \"lobby\"\nclass = \"public-area\"\n\
             purpose = \"q\"\n[source]\nurl = \"rtsp://192.0.2.7/{number}\"\n"
        )
    }

    fn numbers(set: &CameraSet) -> Vec<u16> {
        set.iter().map(|camera| camera.number.get()).collect()
    }

    fn number(number: u16) -> CameraNumber {
        CameraNumber::new(number).unwrap()
    }

    /// The file that a camera was read from.
    fn home(set: &CameraSet, of: u16) -> String {
        set.get(number(of)).unwrap().file.file_name().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn s1_a_bad_file_stops_no_other_camera() {
        let site = Fixture::new();
        site.camera("a.toml", 1);
        site.write("b.toml", "number = ");
        site.write("c.toml", "");
        std::fs::create_dir(site.path("d.toml")).unwrap();
        std::os::unix::fs::symlink("nowhere", site.path("e.toml")).unwrap();
        site.camera("f.toml", 6);
        for ignored in [".hidden.toml", "notes.txt", "g.toml.example", "h.toml~", "toml"] {
            site.write(ignored, "garbage");
        }
        let (set, errors) = CameraSet::load(&site.site);
        assert_eq!(numbers(&set), [1, 6]);
        let mut wrong: Vec<_> = errors.iter().map(|error| error.file.file_name().unwrap().to_str().unwrap()).collect();
        wrong.dedup();
        assert_eq!(wrong, ["b.toml", "c.toml", "d.toml", "e.toml"]);
    }

    #[test]
    fn s2_a_bad_file_leaves_its_last_good_version_in_force_until_it_is_good_again() {
        let site = Fixture::new();
        site.camera("a.toml", 1);
        site.camera("b.toml", 2);
        let first = site.load();
        site.write("a.toml", &camera(1, "A")[..40]);
        site.write("b.toml", &camera(2, "B"));
        let (second, errors) = first.reload(&site.site);
        assert!(!errors.is_empty() && errors.iter().all(|error| error.file == site.path("a.toml")), "{errors:?}");
        assert_eq!(second.get(number(1)), first.get(number(1)));
        assert_eq!(second.get(number(2)).unwrap().name, "B");
        site.write("a.toml", &camera(1, "Z"));
        let (third, errors) = second.reload(&site.site);
        assert_eq!(errors, []);
        assert_eq!(third.get(number(1)).unwrap().name, "Z");
        // A daemon that starts on a bad file has no last good version.
        site.write("a.toml", "");
        assert_eq!(numbers(&CameraSet::load(&site.site).0), [2]);
    }

    #[test]
    fn s3_of_two_files_with_one_number_the_one_that_runs_keeps_it_and_both_are_named() {
        let site = Fixture::new();
        site.camera("m.toml", 5);
        let first = site.load();
        site.camera("a.toml", 5);
        let (second, errors) = first.reload(&site.site);
        assert_eq!(home(&second, 5), "m.toml");
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].file, site.path("a.toml"));
        assert_eq!(errors[0].field.as_deref(), Some("number"));
        assert_eq!(errors[0].place, Some(Place { line: 1, column: 10 }));
        assert_eq!(errors[0].fault, Fault::NumberTaken { number: number(5), other: site.path("m.toml") });
        let shown = errors[0].to_string();
        assert!(shown.contains("a.toml:1:10") && shown.contains("m.toml"), "{shown}");
        // Also while the one that runs is half-saved.
        site.write("m.toml", "number = 5\nname =");
        let (third, errors) = second.reload(&site.site);
        assert_eq!(home(&third, 5), "m.toml");
        assert_eq!(third.get(number(5)), first.get(number(5)));
        assert!(errors.iter().any(|error| matches!(error.fault, Fault::NumberTaken { .. })), "{errors:?}");
        // When it goes, the other takes over.
        site.remove("m.toml");
        let (fourth, errors) = third.reload(&site.site);
        assert_eq!((home(&fourth, 5).as_str(), errors), ("a.toml", vec![]));
    }

    #[test]
    fn s3_at_the_start_the_first_by_file_name_has_the_number() {
        let site = Fixture::new();
        for file in ["c.toml", "b.toml", "d.toml"] {
            site.camera(file, 9);
        }
        let (set, errors) = CameraSet::load(&site.site);
        assert_eq!(home(&set, 9), "b.toml");
        let refused: Vec<_> = errors.iter().map(|error| error.file.clone()).collect();
        assert_eq!(refused, [site.path("c.toml"), site.path("d.toml")]);
    }

    #[test]
    fn s3_a_file_that_takes_a_number_in_use_keeps_its_own_last_good_version() {
        let site = Fixture::new();
        site.camera("a.toml", 1);
        site.camera("b.toml", 2);
        let first = site.load();
        site.camera("a.toml", 2);
        let (second, errors) = first.reload(&site.site);
        assert_eq!((numbers(&second), errors.len()), (vec![1, 2], 1));
        assert_eq!((home(&second, 1), home(&second, 2)), ("a.toml".into(), "b.toml".into()));
        // Two that change places at once do not stand in each other's way.
        site.camera("a.toml", 2);
        site.camera("b.toml", 1);
        let (third, errors) = first.reload(&site.site);
        assert_eq!(errors, []);
        assert_eq!((home(&third, 2), home(&third, 1)), ("a.toml".into(), "b.toml".into()));
    }

    #[test]
    fn s4_a_file_that_is_gone_is_a_camera_gone_but_a_directory_that_is_gone_changes_nothing() {
        let site = Fixture::new();
        site.camera("a.toml", 1);
        site.camera("b.toml", 2);
        let first = site.load();
        site.remove("a.toml");
        let (second, errors) = first.reload(&site.site);
        assert_eq!((numbers(&second), errors), (vec![2], vec![]));
        std::fs::remove_dir_all(&site.site.camera_dir).unwrap();
        let (third, errors) = second.reload(&site.site);
        assert_eq!(third, second);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].to_string().contains("camera-config"), "{}", errors[0]);
    }

    #[test]
    fn s5_a_camera_beyond_the_notice_is_refused_with_the_reason_and_those_that_run_come_first() {
        let site = Fixture::declaring(Some(2));
        site.camera("m.toml", 1);
        site.camera("n.toml", 2);
        let first = site.load();
        site.camera("a.toml", 3);
        let (second, errors) = first.reload(&site.site);
        assert_eq!(numbers(&second), [1, 2]);
        assert_eq!((errors.len(), &errors[0].fault), (1, &Fault::BeyondNotice { declared: 2 }));
        assert_eq!(errors[0].file, site.path("a.toml"));
        assert!(errors[0].to_string().contains("declared_cameras in site.toml"), "{}", errors[0]);
        // A camera whose file is renamed, or is half-saved, does not lose its place to a newcomer.
        std::fs::rename(site.path("m.toml"), site.path("z.toml")).unwrap();
        site.write("n.toml", "number");
        let (third, _) = second.reload(&site.site);
        assert_eq!(numbers(&third), [1, 2]);
        // One that goes makes room.
        site.remove("z.toml");
        assert_eq!(numbers(&third.reload(&site.site).0), [2, 3]);
    }

    #[test]
    fn s5_at_a_start_those_that_were_recorded_come_first_and_the_newest_file_last() {
        let site = Fixture::declaring(Some(2));
        let age = |file: &str, seconds: u64| {
            let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(site.path(file)).unwrap().set_modified(then).unwrap();
        };
        for (file, number, seconds) in [("a.toml", 1, 300), ("b.toml", 2, 100), ("c.toml", 3, 200)] {
            site.camera(file, number);
            age(file, seconds);
        }
        let refused = |loaded: (CameraSet, Vec<ConfigError>)| {
            assert_eq!((loaded.0.len(), loaded.1.len()), (2, 1));
            assert_eq!(loaded.1[0].fault, Fault::BeyondNotice { declared: 2 });
            loaded.1[0].file.clone()
        };
        assert_eq!(refused(CameraSet::load(&site.site)), site.path("a.toml"));
        // One that was recorded is not refused for having been edited.
        let recorded = |of| of == number(1);
        assert_eq!(refused(CameraSet::load_knowing(&site.site, &recorded)), site.path("c.toml"));
        // Of two with one number the first by name is asked, and no more.
        site.camera("d.toml", 2);
        let (_, errors) = CameraSet::load(&site.site);
        assert_eq!(errors.len(), 2);
        assert_eq!(errors[1].fault, Fault::NumberTaken { number: number(2), other: site.path("b.toml") });
    }

    #[test]
    fn s5_a_lower_number_on_the_notice_stops_no_camera_that_runs() {
        let mut site = Fixture::declaring(Some(3));
        for (file, number) in [("a.toml", 1), ("b.toml", 2), ("c.toml", 3)] {
            site.camera(file, number);
        }
        let first = site.load();
        site.site.declared_cameras = Some(2);
        let (second, errors) = first.reload(&site.site);
        assert_eq!(numbers(&second), [1, 2, 3]);
        assert_eq!((errors.len(), &errors[0].fault), (1, &Fault::BeyondNotice { declared: 2 }));
        // And a higher one lets the next in.
        site.camera("d.toml", 4);
        site.site.declared_cameras = Some(4);
        assert_eq!(numbers(&second.reload(&site.site).0), [1, 2, 3, 4]);
    }

    #[test]
    fn a_difference_names_what_was_added_changed_and_removed_and_nothing_else() {
        let site = Fixture::new();
        for n in 1..=4 {
            site.camera(&format!("{n}.toml"), n);
        }
        let old = site.load();
        assert_eq!(CameraSet::diff(&old, &old), []);
        site.remove("1.toml");
        site.write("2.toml", &camera(2, "B"));
        std::fs::rename(site.path("3.toml"), site.path("renamed.toml")).unwrap();
        site.camera("5.toml", 5);
        let (new, errors) = old.reload(&site.site);
        assert_eq!(errors, []);
        let changes = CameraSet::diff(&old, &new);
        let shown: Vec<_> = changes
            .iter()
            .map(|change| match change {
                CameraChange::Added(camera) => format!("+{}", camera.number),
                CameraChange::Removed(camera) => format!("-{}", camera.number),
                CameraChange::Changed { was, is } => format!("{} {}>{}", change.number(), was.name, is.name),
            })
            .collect();
        assert_eq!(shown, ["-1", "2 A>B", "+5"]);
        assert_eq!(CameraSet::diff(&CameraSet::default(), &new).len(), new.len());
    }
}
