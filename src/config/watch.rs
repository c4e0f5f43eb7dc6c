//! Says when the camera files should be read again.
//!
//! The directory itself and its parent are watched, and so is the directory of `site.toml`, which says how many cameras
//! there may be: a package manager or a person may put another directory, or
//! another target of a symbolic link, in its place. After the last event it waits for a quiet moment, so that a
//! save in steps, or a hundred files at once, are one reading. A reading too many does no harm; none is missed.

use super::set::is_camera_file;
use crate::clock::Clock;
use notify::event::{AccessKind, AccessMode};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// So long nothing may have happened before the files are read.
const QUIET: Duration = Duration::from_millis(200);
/// Files that never rest are read this often all the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the camera files cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("{} cannot be watched: it has no parent directory; give the cameras a directory of their own", .0.display())]
    NoParent(PathBuf),
    #[error("cannot ask the kernel to watch files: {0}; raise fs.inotify.max_user_instances")]
    Start(notify::Error),
    #[error("{} cannot be watched: {why}; see that it is there and that fs.inotify.max_user_watches is not used up", path.display())]
    Watch { path: PathBuf, why: notify::Error },
}

/// Watches a directory of camera files.
pub struct CameraWatch {
    dir: PathBuf,
    watcher: RecommendedWatcher,
    /// Holds one permit at most, however many events there were.
    happened: Arc<Notify>,
    /// Something happened that no finished [`CameraWatch::changed`] has told of yet.
    owed: bool,
    clock: Clock,
}

impl std::fmt::Debug for CameraWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CameraWatch({})", self.dir.display())
    }
}

impl CameraWatch {
    /// Starts watching. The directory may be missing as yet; its parent must be there. Load the cameras after this,
    /// or a change in between is missed.
    ///
    /// # Errors
    /// [`WatchError`] when the kernel refuses, which it does when too much is watched already.
    pub fn start(dir: &Path, clock: Clock) -> Result<Self, WatchError> {
        Self::start_beside(dir, None, clock)
    }

    /// The same, of a file beside: of a change of that is told too.
    ///
    /// # Errors
    /// As [`CameraWatch::start`].
    pub fn start_beside(dir: &Path, beside: Option<&Path>, clock: Clock) -> Result<Self, WatchError> {
        let dir = std::path::absolute(dir).map_err(|e| WatchError::Start(notify::Error::io(e)))?;
        let parent = dir.parent().ok_or_else(|| WatchError::NoParent(dir.clone()))?.to_path_buf();
        let happened = Arc::new(Notify::new());
        let watcher = notify::recommended_watcher({
            let (dir, happened, beside) = (dir.clone(), Arc::clone(&happened), beside.map(Path::to_path_buf));
            move |event: notify::Result<Event>| {
                // An error (a full queue of events, say) may hide a change: the files are read again.
                if event.map_or(true, |event| concerns(&event, &dir, beside.as_deref())) {
                    happened.notify_one();
                }
            }
        });
        let mut watch = Self { dir, watcher: watcher.map_err(WatchError::Start)?, happened, owed: false, clock };
        watch
            .watcher
            .watch(&parent, RecursiveMode::NonRecursive)
            .map_err(|why| WatchError::Watch { path: parent.clone(), why })?;
        if let Some(home) = beside.and_then(Path::parent).filter(|home| *home != parent) {
            let watched = watch.watcher.watch(home, RecursiveMode::NonRecursive);
            watched.map_err(|why| WatchError::Watch { path: home.to_path_buf(), why })?;
        }
        watch.watch_dir().map_err(|why| WatchError::Watch { path: watch.dir.clone(), why })?;
        Ok(watch)
    }

    /// Waits until the camera files changed and came to rest, or did not rest for two seconds. Cancelling it loses
    /// nothing: the next call tells.
    pub async fn changed(&mut self) {
        if !self.owed {
            self.happened.notified().await;
            self.owed = true;
        }
        let began = self.clock.monotonic();
        while self.clock.timeout(QUIET, self.happened.notified()).await.is_ok() {
            if self.clock.monotonic().saturating_sub(began) >= PATIENCE {
                break;
            }
        }
        // The directory may be another one by now. Whatever happens in it before this is seen by the reading after.
        if let Err(why) = self.watch_dir() {
            tracing::warn!(dir = %self.dir.display(), %why, "camera files are not watched for now");
        }
        self.owed = false;
    }

    fn watch_dir(&mut self) -> Result<(), notify::Error> {
        match self.watcher.unwatch(&self.dir) {
            Ok(()) => {}
            Err(e) if matches!(e.kind, ErrorKind::WatchNotFound) => {}
            Err(e) => return Err(e),
        }
        match self.watcher.watch(&self.dir, RecursiveMode::NonRecursive) {
            Err(e) if matches!(e.kind, ErrorKind::PathNotFound) => Ok(()),
            watched => watched,
        }
    }
}

/// Whether an event can have changed what the directory's camera files say. Reading them is an event too.
fn concerns(event: &Event, dir: &Path, beside: Option<&Path>) -> bool {
    let changes = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    };
    let here = |path: &PathBuf| {
        path == dir
            || Some(path.as_path()) == beside
            || (path.parent() == Some(dir) && path.file_name().is_some_and(is_camera_file))
    };
    changes && (event.need_rescan() || event.paths.iter().any(here))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, TimedOut};
    use crate::domain::Utc;
    use std::fs;

    const SOON: Duration = Duration::from_secs(10);
    /// Longer than any event that is under way takes.
    const A_WHILE: Duration = Duration::from_millis(700);

    struct Fixture {
        root: tempfile::TempDir,
        clock: Clock,
    }

    impl Fixture {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("cameras")).unwrap();
            Self { root, clock: Clock::system() }
        }

        fn dir(&self) -> PathBuf {
            self.root.path().join("cameras")
        }

        fn start(&self) -> CameraWatch {
            CameraWatch::start(&self.dir(), self.clock.clone()).unwrap()
        }

        async fn tells(&self, watch: &mut CameraWatch) {
            self.clock.timeout(SOON, watch.changed()).await.unwrap();
        }

        async fn is_quiet(&self, watch: &mut CameraWatch) {
            assert_eq!(self.clock.timeout(A_WHILE, watch.changed()).await, Err(TimedOut(A_WHILE)));
        }
    }

    #[tokio::test]
    async fn each_way_to_save_is_told_and_reading_is_not() {
        let site = Fixture::new();
        let mut watch = site.start();
        site.is_quiet(&mut watch).await;
        let file = site.dir().join("a.toml");
        // Written in place.
        fs::write(&file, "number = 1").unwrap();
        site.tells(&mut watch).await;
        // Written beside it and renamed over it, as most editors do.
        fs::write(site.dir().join(".a.toml.swp"), "number = 2").unwrap();
        fs::rename(site.dir().join(".a.toml.swp"), &file).unwrap();
        site.tells(&mut watch).await;
        // Moved away for a backup, then written anew.
        fs::rename(&file, site.dir().join("a.toml~")).unwrap();
        fs::write(&file, "number = 3").unwrap();
        site.tells(&mut watch).await;
        fs::remove_file(&file).unwrap();
        site.tells(&mut watch).await;
        // What cannot be a camera's file, or only reads one, is nothing new: else a reload would cause the next.
        fs::write(&file, "number = 4").unwrap();
        site.tells(&mut watch).await;
        fs::read(&file).unwrap();
        fs::read_dir(site.dir()).unwrap().count();
        fs::write(site.dir().join("notes.txt"), "x").unwrap();
        fs::write(site.root.path().join("other.toml"), "x").unwrap();
        site.is_quiet(&mut watch).await;
    }

    #[tokio::test]
    async fn a_hundred_files_at_once_are_one_reading() {
        let site = Fixture::new();
        let hands = ManualClock::standing(Utc::from_micros(0));
        let mut watch = CameraWatch::start(&site.dir(), hands.clock()).unwrap();
        for n in 0..100 {
            fs::write(site.dir().join(format!("{n}.toml")), format!("number = {n}")).unwrap();
        }
        // The clock stands until all events are there, however slow the machine is.
        site.is_quiet(&mut watch).await;
        let mut told = 0;
        let count = async {
            loop {
                watch.changed().await;
                told += 1;
            }
        };
        let advancing = async {
            for _ in 0..20 {
                site.clock.sleep(Duration::from_millis(20)).await;
                hands.advance(QUIET);
            }
        };
        tokio::select! {
            () = count => {}
            () = advancing => {}
        }
        assert_eq!(told, 1);
    }

    #[tokio::test]
    async fn a_directory_that_is_replaced_is_watched_again() {
        let site = Fixture::new();
        let mut watch = site.start();
        let (fresh, old) = (site.root.path().join("fresh"), site.root.path().join("old"));
        for round in 0..3 {
            fs::create_dir(&fresh).unwrap();
            fs::rename(site.dir(), &old).unwrap();
            fs::rename(&fresh, site.dir()).unwrap();
            site.tells(&mut watch).await;
            fs::write(site.dir().join("a.toml"), format!("number = {round}")).unwrap();
            site.tells(&mut watch).await;
            // The one that was moved away is nobody's any more.
            fs::write(old.join("b.toml"), "x").unwrap();
            site.is_quiet(&mut watch).await;
            fs::remove_dir_all(&old).unwrap();
        }
    }

    #[tokio::test]
    async fn a_directory_may_go_and_come_back_or_come_late() {
        let site = Fixture::new();
        fs::remove_dir(site.dir()).unwrap();
        let mut watch = site.start();
        for round in 0..3 {
            fs::create_dir(site.dir()).unwrap();
            site.tells(&mut watch).await;
            fs::write(site.dir().join("a.toml"), format!("number = {round}")).unwrap();
            site.tells(&mut watch).await;
            fs::remove_dir_all(site.dir()).unwrap();
            site.tells(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn a_symbolic_link_that_is_turned_elsewhere_is_followed() {
        let site = Fixture::new();
        let link = site.root.path().join("current");
        for version in ["v1", "v2"] {
            fs::create_dir(site.root.path().join(version)).unwrap();
        }
        std::os::unix::fs::symlink("v1", &link).unwrap();
        let mut watch = CameraWatch::start(&link, site.clock.clone()).unwrap();
        fs::write(site.root.path().join("v1/a.toml"), "x").unwrap();
        site.tells(&mut watch).await;
        std::os::unix::fs::symlink("v2", site.root.path().join("next")).unwrap();
        fs::rename(site.root.path().join("next"), &link).unwrap();
        site.tells(&mut watch).await;
        fs::write(site.root.path().join("v2/a.toml"), "x").unwrap();
        site.tells(&mut watch).await;
    }

    #[tokio::test]
    async fn being_cancelled_loses_nothing() {
        let site = Fixture::new();
        let mut watch = site.start();
        fs::write(site.dir().join("a.toml"), "x").unwrap();
        // Cancelled again and again inside the quiet time, each time after the event was taken.
        for _ in 0..5 {
            assert!(site.clock.timeout(QUIET / 4, watch.changed()).await.is_err());
        }
        site.tells(&mut watch).await;
        site.is_quiet(&mut watch).await;
    }

    #[tokio::test]
    async fn files_that_never_rest_are_told_all_the_same() {
        let site = Fixture::new();
        let mut watch = site.start();
        let file = site.dir().join("a.toml");
        let restless = async {
            loop {
                fs::write(&file, "x").unwrap();
                site.clock.sleep(QUIET / 4).await;
            }
        };
        tokio::select! {
            () = site.tells(&mut watch) => {}
            () = restless => {}
        }
    }

    #[tokio::test]
    async fn the_quiet_time_is_the_clocks() {
        let site = Fixture::new();
        let hands = ManualClock::standing(Utc::from_micros(0));
        let mut watch = CameraWatch::start(&site.dir(), hands.clock()).unwrap();
        fs::write(site.dir().join("a.toml"), "x").unwrap();
        assert!(site.clock.timeout(A_WHILE, watch.changed()).await.is_err(), "no time passes on the standing clock");
        let advancing = async {
            loop {
                hands.advance(QUIET);
                site.clock.sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = site.tells(&mut watch) => {}
            () = advancing => {}
        }
    }

    #[tokio::test]
    async fn what_cannot_be_watched_says_what_to_do() {
        let site = Fixture::new();
        let far = site.root.path().join("none/cameras");
        let refused = CameraWatch::start(&far, site.clock.clone()).unwrap_err();
        assert!(refused.to_string().contains("see that it is there"), "{refused}");
        assert!(matches!(CameraWatch::start(Path::new("/"), site.clock.clone()), Err(WatchError::NoParent(_))));
    }
}
