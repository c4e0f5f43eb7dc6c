//! The process that plays the cameras, from the bench's side.

use crate::server::{ROLE, SAID, Session, TELL};
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Cameras that film. Killed when dropped.
#[derive(Debug)]
pub struct Served {
    child: Child,
    film: PathBuf,
    pub cameras: u16,
    port: u16,
}

impl Served {
    /// # Errors
    /// When it does not come so far.
    pub fn start(film: &Path, cameras: u16) -> Result<Self> {
        Self::start_on(film, cameras, 0)
    }

    fn start_on(film: &Path, cameras: u16, port: u16) -> Result<Self> {
        // setpriv becomes the program, and a bench that is killed leaves no server behind.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(std::env::current_exe()?)
            .arg(ROLE)
            .arg(film)
            .args([cameras.to_string(), port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        let told = BufReader::new(child.stdout.take().context("its output")?).read_line(&mut said);
        let mut served = Self { child, film: film.to_owned(), cameras, port: 0 };
        told?;
        served.port = said.trim().strip_prefix(SAID).context("the cameras' server broke off")?.parse()?;
        Ok(served)
    }

    /// Cuts all sessions.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn stop(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again at the same address.
    ///
    /// # Errors
    /// As [`Served::start`].
    pub fn start_again(&mut self) -> Result<()> {
        let again = Self::start_on(&self.film, self.cameras, self.port)?;
        *self = again;
        Ok(())
    }

    pub fn url(&self, camera: u16) -> String {
        format!("rtsp://127.0.0.1:{}/{camera}", self.port)
    }

    /// What it has sent so far.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn sessions(&self) -> Result<Vec<Session>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(stream, "{TELL} * RTSP/1.0\r\nCSeq: 1\r\n\r\n")?;
        let mut told = String::new();
        stream.read_to_string(&mut told)?;
        let (_, body) = told.split_once("\r\n\r\n").context("no answer")?;
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that was stopped is gone already.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop().ok();
        }
    }
}
