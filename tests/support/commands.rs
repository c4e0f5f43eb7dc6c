//! Other programs, run for a bounded time; and waiting for things to become true, the one place here that sleeps.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The repository's root, wherever the test was started from.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo builds, and where footage is kept.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), |dir| repository().join(dir))
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// # Errors
    /// When the program failed, with what it wrote to its standard error.
    pub fn succeeded(self) -> Result<Self> {
        if !self.status.success() {
            bail!("ended with {}: {}", self.status, self.stderr.trim());
        }
        Ok(self)
    }
}

/// Runs `command` to its end, handing it `stdin`.
///
/// # Errors
/// When it cannot be started, or has not ended within `limit`; then it is killed.
pub fn run(command: &mut Command, stdin: &str, limit: Duration) -> Result<Ended> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    if let Some(mut pipe) = child.stdin.take() {
        // One that ends without reading has its reasons; its status tells them.
        pipe.write_all(stdin.as_bytes()).or_else(|e| match e.kind() {
            std::io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(e),
        })?;
    }
    let waited = wait_for_end(&mut child, limit);
    if waited.is_err() {
        end_by_force(&mut child)?;
    }
    let (stdout, stderr) = (collect(stdout), collect(stderr));
    let status = waited.with_context(|| format!("{name} wrote: {}", stderr.trim()))?;
    Ok(Ended { status, stdout, stderr })
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).ok();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn collect(reader: JoinHandle<String>) -> String {
    reader.join().unwrap_or_default()
}

/// # Errors
/// When it has not ended within `limit`; it goes on running.
pub fn wait_for_end(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let id = child.id();
    wait_until(&format!("process {id} ends"), limit, || Ok(child.try_wait()?))
}

/// SIGKILL to this process alone; one that has ended already is only collected.
pub fn end_by_force(child: &mut Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Looks again and again until `look` finds something.
///
/// # Errors
/// What `look` fails with, at once; or that nothing was found within `limit`, naming `what` was waited for.
pub fn wait_until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if started.elapsed() >= limit {
            bail!("waited {} s in vain until {what}", limit.as_secs_f32());
        }
        std::thread::sleep(LOOK_AGAIN_AFTER);
    }
}

/// Lets real time pass, where a real peer must do something meanwhile.
pub fn pass(length: Duration) {
    std::thread::sleep(length);
}
