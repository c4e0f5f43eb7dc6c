//! The real program on the site: when it is ready, how much memory it holds, and its API.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_custodian");
/// The line that comes after volumes were taken over and cameras begun.
const READY: &str = "listening";
pub const INDEX_BEGINS: &str = "the index is rebuilt";
const INDEX_STANDS: &str = "the index is current";
const LEAVE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// USER_HZ, in which the kernel counts for programs whatever its own clock does.
const TICKS_A_SECOND: f64 = 100.0;
const TAIL_LINES: usize = 20;

/// A line of its log, and when it came.
#[derive(Clone, Debug)]
struct Line {
    at: Instant,
    text: String,
}

/// The daemon, from its exec on. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    began: Instant,
    coming: Receiver<Line>,
    lines: Vec<Line>,
    pub ready_after: Duration,
    pub base: String,
}

/// Resident memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub now: u64,
    pub peak: u64,
}

impl Daemon {
    /// Starts it, and waits until it is ready to record.
    ///
    /// # Errors
    /// When it ends before, or `limit` passes; with the end of its log.
    pub fn start(site: &Path, limit: Duration) -> Result<Self> {
        Self::start_with(site, &[], limit)
    }

    /// The same with more arguments.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start_with(site: &Path, more: &[&str], limit: Duration) -> Result<Self> {
        // setpriv becomes the program, and a bench that is killed leaves no daemon behind.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", PROGRAM, "serve", "--listen", "127.0.0.1:0", "--site"])
            .arg(site)
            .args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().context(PROGRAM)?;
        let log = BufReader::new(child.stderr.take().context("its log")?);
        let (to, coming) = channel();
        // Ends with the daemon.
        std::thread::spawn(move || {
            for text in log.lines().map_while(Result::ok) {
                if to.send(Line { at: Instant::now(), text }).is_err() {
                    return;
                }
            }
        });
        let nowhere = String::new();
        let mut daemon = Self { child, began, coming, lines: Vec::new(), ready_after: Duration::ZERO, base: nowhere };
        let ready = daemon.wait_for(READY, limit)?;
        let address = ready.text.split_once("address=").and_then(|(_, rest)| rest.split_whitespace().next());
        daemon.base = format!("http://{}", address.with_context(|| format!("no address in {:?}", ready.text))?);
        daemon.ready_after = ready.at - began;
        Ok(daemon)
    }

    /// Waits until the index stands that an unclean stop left to be made anew; how long after the exec that was.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn wait_for_index(&mut self, limit: Duration) -> Result<Duration> {
        Ok(self.wait_for(INDEX_STANDS, limit)?.at - self.began)
    }

    fn wait_for(&mut self, text: &str, limit: Duration) -> Result<Line> {
        let deadline = Instant::now() + limit;
        if let Some(line) = self.lines.iter().find(|line| line.text.contains(text)) {
            return Ok(line.clone());
        }
        loop {
            match self.coming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.lines.push(line.clone());
                    if line.text.contains(text) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("no `{text}` within {limit:?}:\n{}", self.tail()),
                Err(RecvTimeoutError::Disconnected) => bail!("it ended before `{text}`:\n{}", self.tail()),
            }
        }
    }

    fn tail(&self) -> String {
        let tail = &self.lines[self.lines.len().saturating_sub(TAIL_LINES)..];
        tail.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// When it was started.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// How many lines so far hold `text`.
    pub fn count(&mut self, text: &str) -> usize {
        self.lines.extend(self.coming.try_iter());
        self.lines.iter().filter(|line| line.text.contains(text)).count()
    }

    /// Waits until lines since then hold `text` for so many different cameras; when the last of them came.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn wait_for_cameras(&mut self, text: &str, since: Instant, count: usize, limit: Duration) -> Result<Instant> {
        let deadline = Instant::now() + limit;
        let (mut cameras, mut read) = (BTreeSet::new(), 0);
        loop {
            for line in self.lines[read..].iter().filter(|line| line.at >= since && line.text.contains(text)) {
                let camera = line.text.split_once("camera=").and_then(|(_, rest)| rest.split(' ').next());
                cameras.extend(camera.map(str::to_owned));
                if cameras.len() == count {
                    return Ok(line.at);
                }
            }
            read = self.lines.len();
            match self.coming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.lines.push(line),
                Err(_) => {
                    bail!(
                        "`{text}` of {} cameras in place of {count} within {limit:?}:\n{}",
                        cameras.len(),
                        self.tail()
                    )
                }
            }
        }
    }

    /// CPU time that it has used so far.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn cpu_s(&self) -> Result<f64> {
        cpu_s_of(self.child.id())
    }

    /// # Errors
    /// What the kernel says.
    pub fn memory(&self) -> Result<Memory> {
        let told = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(name)).context("no such field")?;
            let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
            Ok::<u64, anyhow::Error>(kib << 10)
        };
        Ok(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")? })
    }

    /// SIGTERM, and its end; whether it made its index anew in its time.
    ///
    /// # Errors
    /// When it ends badly, or not at all.
    pub fn stop(mut self) -> Result<bool> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)?;
        let deadline = Instant::now() + LEAVE_LIMIT;
        let status = loop {
            ensure!(Instant::now() < deadline, "it did not end within {LEAVE_LIMIT:?}");
            match self.child.try_wait()? {
                Some(status) => break status,
                None => std::thread::sleep(LOOK_AGAIN_AFTER),
            }
        };
        self.lines.extend(self.coming.iter());
        ensure!(status.success(), "it ended with {status}:\n{}", self.tail());
        Ok(self.lines.iter().any(|line| line.text.contains(INDEX_BEGINS)))
    }
}

/// CPU time that a process has used so far, of all threads, in user and kernel mode, in seconds (proc(5), `stat`).
///
/// # Errors
/// What the kernel says.
pub fn cpu_s_of(process: u32) -> Result<f64> {
    let told = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = told.rsplit_once(") ").context("no such process")?;
    let ticks =
        |place: usize| -> Result<f64> { Ok(fields.split(' ').nth(place).context("a field is missing")?.parse()?) };
    // The program's name, the second field, is cut off.
    Ok((ticks(11)? + ticks(12)?) / TICKS_A_SECOND)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that was stopped is gone already.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().and_then(|()| self.child.wait()).ok();
        }
    }
}
