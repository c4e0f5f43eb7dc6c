//! The real program as a process: started, watched through its log, ended by SIGTERM or by force.

use super::commands::{Ended, end_by_force, run, wait_for_end, wait_until};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

const LEAVE_LIMIT: Duration = Duration::from_secs(5);
const TAIL_LINES: usize = 30;

/// The program as built: as cargo tells integration tests, or else (in the demo) beside this one's directory.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = option_env!("CARGO_BIN_EXE_custodian") {
        return Ok(PathBuf::from(path));
    }
    let me = std::env::current_exe()?;
    let built = me.ancestors().skip(1).map(|dir| dir.join("custodian")).find(|path| path.is_file());
    built.with_context(|| format!("no custodian beside {}: `cargo build` makes it", me.display()))
}

/// Runs one of the program's commands to its end, such as `init` or `verify`, handing it `stdin`.
pub fn command(arguments: &[&str], stdin: &str, limit: Duration) -> Result<Ended> {
    run(Command::new(program()?).args(arguments), stdin, limit)
}

/// A running daemon. Killed, by its id, when dropped, and by the kernel when the thread that started it is gone.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `program` with its arguments. Both its outputs are appended to `log`.
    pub fn start(program: &Path, arguments: &[&str], log: &Path) -> Result<Self> {
        Self::start_with(program, arguments, &[], log)
    }

    /// The same with more environment.
    pub fn start_with(program: &Path, arguments: &[&str], environment: &[(&str, &str)], log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        // setpriv becomes the program (same id), and a killed test leaves no daemon behind.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            // Ctrl-C at the terminal is for the one who started it, and ends it from there.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for a line of its log that holds `text`, and returns the first one.
    ///
    /// # Errors
    /// When it ends without having said so, or `limit` passes; with the end of its log.
    pub fn wait_for_line(&mut self, text: &str, limit: Duration) -> Result<String> {
        let found = |daemon: &Self| Ok(daemon.log()?.lines().find(|line| line.contains(text)).map(str::to_owned));
        self.wait_until(&format!("it writes `{text}`"), limit, found)
    }

    /// Waits until `look` finds something, as long as the daemon runs.
    ///
    /// # Errors
    /// What `look` fails with; that the daemon ended, or that `limit` passed, with the end of its log.
    pub fn wait_until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let waited = wait_until(what, limit, || {
            // Asked before the look, so that its last words are still read.
            let ended = self.ended()?;
            match (look(self)?, ended) {
                (Some(found), _) => Ok(Some(found)),
                (None, Some(status)) => bail!("the daemon ended with {status} before {what}"),
                (None, None) => Ok(None),
            }
        });
        waited.with_context(|| format!("the end of its log:\n{}", self.tail()))
    }

    fn tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// When it has not ended within `limit`; with the end of its log. It goes on running.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)?;
        wait_for_end(&mut self.child, limit).with_context(|| format!("the end of its log:\n{}", self.tail()))
    }

    /// SIGKILL, as a crash would end it.
    pub fn kill(&mut self) -> Result<()> {
        end_by_force(&mut self.child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.stop(LEAVE_LIMIT).is_err() {
            self.kill().ok();
        }
    }
}
