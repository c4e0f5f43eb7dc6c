//! Cameras: GStreamer's RTSP server in a process of its own, see `tests/peers/rtsp_server.py`.

use super::commands::{end_by_force, repository, run, target_dir, wait_for_end};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// Debian's own python, which has the bindings; another one earlier in PATH has not.
const PYTHON: &str = "/usr/bin/python3";
/// The download and two encodings, once for a checkout; everybody waits for the one who makes it.
const FOOTAGE_LIMIT: Duration = Duration::from_secs(300);
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// What a camera shows. No B-frames; a key frame each second, exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Video {
    /// Real CCTV footage, H.264, 768×576, 10 frames a second, 79 s.
    Yard,
    /// The same mirrored, H.265, 640×480, 10 frames a second, 79 s.
    YardH265,
    /// A test picture with a clock and a frame counter, H.264, 640×360, 15 frames a second, 60 s.
    Clock,
}

impl Video {
    pub fn fps(self) -> u64 {
        match self {
            Self::Yard | Self::YardH265 => 10,
            Self::Clock => 15,
        }
    }

    /// The raw byte stream that is served.
    pub fn file(self) -> Result<PathBuf> {
        Ok(footage()?.join(match self {
            Self::Yard => "yard.h264",
            Self::YardH265 => "yard.h265",
            Self::Clock => "clock.h264",
        }))
    }
}

/// The directory of the footage, made when it is not there yet.
pub fn footage() -> Result<PathBuf> {
    let dir = target_dir().join("footage");
    run(Command::new(repository().join("tests/peers/footage.sh")).arg(&dir), "", FOOTAGE_LIMIT)?.succeeded()?;
    Ok(dir)
}

/// A camera to be served.
#[derive(Clone, Debug)]
pub struct Mount {
    path: String,
    video: Video,
    sound: bool,
    login: Option<(String, String)>,
    stall_after_frames: Option<u64>,
    die_after_frames: Option<u64>,
}

impl Mount {
    /// `path` is what stands after the port, as in `/yard`.
    pub fn new(path: &str, video: Video) -> Self {
        Self {
            path: path.to_owned(),
            video,
            sound: false,
            login: None,
            stall_after_frames: None,
            die_after_frames: None,
        }
    }

    /// Offers a second stream: AAC, 16 kHz, mono.
    pub fn with_sound(mut self) -> Self {
        self.sound = true;
        self
    }

    /// Asks for this name and password. A name belongs to one mount of a server.
    pub fn with_login(mut self, username: &str, password: &str) -> Self {
        self.login = Some((username.to_owned(), password.to_owned()));
        self
    }

    /// Once, after this many frames of a take, no more come, though the session lives; until [`RtspServer::resume`].
    pub fn stalls_after(mut self, frames: u64) -> Self {
        self.stall_after_frames = Some(frames);
        self
    }

    /// In every take, closes the connections after this many frames.
    pub fn dies_after(mut self, frames: u64) -> Self {
        self.die_after_frames = Some(frames);
        self
    }

    fn to_json(&self, footage: &Path) -> Result<Value> {
        Ok(json!({
            "path": self.path,
            "video": self.video.file()?,
            "fps": self.video.fps(),
            "audio": self.sound.then(|| footage.join("tone.aac")),
            "username": self.login.as_ref().map(|(name, _)| name),
            "password": self.login.as_ref().map(|(_, password)| password),
            "stall_after_frames": self.stall_after_frames,
            "die_after_frames": self.die_after_frames,
        }))
    }
}

/// How a server asks for passwords. It offers one way only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Login {
    Basic,
    Digest,
}

/// A frame that left the camera.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct LoggedFrame {
    /// Counts over the mount's whole life, restarts of the server included.
    pub n: u64,
    pub key: bool,
    /// Which frame of the file it is.
    pub file_frame: u64,
    /// Counts the lives of the media, each from its first watcher's coming to its last one's going.
    pub take: u64,
    /// Wall time, in microseconds since 1970, at most a few milliseconds before the frame is on the wire.
    pub at_us: i64,
}

/// A running RTSP server on a port of its own of 127.0.0.1. Ends when dropped, and when this process dies.
#[derive(Debug)]
pub struct RtspServer {
    mounts: Vec<Mount>,
    login: Login,
    log_dir: tempfile::TempDir,
    port: u16,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl RtspServer {
    /// Serves the mounts; those with a login ask for it by Digest.
    pub fn start(mounts: Vec<Mount>) -> Result<Self> {
        Self::start_asking(Login::Digest, mounts)
    }

    pub fn start_asking(login: Login, mounts: Vec<Mount>) -> Result<Self> {
        let log_dir = tempfile::tempdir()?;
        let mut server = Self { mounts, login, log_dir, port: 0, process: None };
        server.launch()?;
        Ok(server)
    }

    fn launch(&mut self) -> Result<()> {
        let footage = footage()?;
        let mounts: Vec<Value> = self.mounts.iter().map(|mount| mount.to_json(&footage)).collect::<Result<_>>()?;
        let auth = match self.login {
            Login::Basic => "basic",
            Login::Digest => "digest",
        };
        let config = json!({"port": self.port, "log_dir": self.log_dir.path(), "auth": auth, "mounts": mounts});
        let mut child = Command::new(PYTHON)
            .arg(repository().join("tests/peers/rtsp_server.py"))
            // Ctrl-C at the terminal is for the one who started it, and ends it from there.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start Debian's python3; `make deps` installs what the cameras need")?;
        let (Some(orders), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the camera's pipes are missing");
        };
        let (said, answers) = sync_channel(16);
        std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|s| said.send(s)));
        let mut process = Process { child, orders, answers };
        let answer = process.ask(&config);
        self.port = answer
            .ok()
            .and_then(|answer| answer["port"].as_u64())
            .and_then(|port| u16::try_from(port).ok())
            .context("the RTSP server did not start; what it wrote stands above")?;
        self.process = Some(process);
        Ok(())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a mount, without name and password.
    pub fn url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}{path}", self.port)
    }

    /// The address of a mount with name and password inside, for players that want it so.
    pub fn url_with_login(&self, path: &str) -> String {
        let login = self.mounts.iter().find(|mount| mount.path == path).and_then(|mount| mount.login.as_ref());
        match login {
            Some((name, password)) => format!("rtsp://{name}:{password}@127.0.0.1:{}{path}", self.port),
            None => self.url(path),
        }
    }

    /// Every frame that this mount has sent so far.
    pub fn frames(&self, path: &str) -> Result<Vec<LoggedFrame>> {
        let name = format!("{}.jsonl", path.trim_matches('/').replace('/', "_"));
        let log = std::fs::read_to_string(self.log_dir.path().join(&name)).with_context(|| format!("no log {name}"))?;
        // Read while it is written: the last line may be half there.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        whole.lines().map(|line| serde_json::from_str(line).with_context(|| format!("{name}: {line}"))).collect()
    }

    /// The mount's frames that left in `from_us <= at < until_us`.
    pub fn frames_between(&self, path: &str, from_us: i64, until_us: i64) -> Result<Vec<LoggedFrame>> {
        let mut frames = self.frames(path)?;
        frames.retain(|frame| (from_us..until_us).contains(&frame.at_us));
        Ok(frames)
    }

    /// No more frames from this mount; its sessions live.
    pub fn stall(&mut self, path: &str) -> Result<()> {
        self.order("stall", path)
    }

    pub fn resume(&mut self, path: &str) -> Result<()> {
        self.order("resume", path)
    }

    /// Closes the connections of those who watch this mount; they may come again.
    pub fn hang_up(&mut self, path: &str) -> Result<()> {
        self.order("hang_up", path)
    }

    fn order(&mut self, act: &str, path: &str) -> Result<()> {
        let Some(process) = &mut self.process else { bail!("the RTSP server was killed") };
        let answer = process.ask(&json!({"act": act, "path": path}))?;
        if answer["done"] != act {
            bail!("{act} {path}: {answer}");
        }
        Ok(())
    }

    /// Every camera loses its power at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| end_by_force(&mut process.child))
    }

    /// The power is back: same port, same mounts; the logs go on.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.launch()
    }
}

impl Process {
    fn ask(&mut self, order: &Value) -> Result<Value> {
        writeln!(self.orders, "{order}")?;
        let answer = self.answers.recv_timeout(ANSWER_LIMIT).context("the RTSP server does not answer")?;
        serde_json::from_str(&answer).with_context(|| format!("the RTSP server answered {answer:?}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if wait_for_end(&mut self.child, Duration::ZERO).is_err() {
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
                .ok();
            if wait_for_end(&mut self.child, LEAVE_LIMIT).is_err() {
                end_by_force(&mut self.child).ok();
            }
        }
    }
}
