//! HTTP as somebody writes it who means no good: bytes on a connection, in whatever pieces.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection on which anything can be written.
#[derive(Debug)]
pub struct RawHttp(TcpStream);

impl RawHttp {
    /// `base` as in `http://127.0.0.1:8080`.
    pub fn connect(base: &str, patience: Duration) -> Result<Self> {
        let address = base.strip_prefix("http://").context("no plain HTTP")?;
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// # Errors
    /// When the other side has closed, or takes nothing.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.write_all(bytes)?)
    }

    /// Everything until the other side closes.
    pub fn read_all(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => {}
            // It was closed while we had more to say.
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(e) => return Err(e).context("it is not closed"),
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// One request as it stands, and all that is answered to it; the connection ends with it.
pub fn exchange(base: &str, head: &str, body: &[u8], patience: Duration) -> Result<String> {
    let mut raw = RawHttp::connect(base, patience)?;
    let host = base.trim_start_matches("http://");
    raw.write(format!("{head}\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    // It may have been answered already.
    raw.write(body).ok();
    raw.read_all()
}

/// The status of an answer; `None` where there is none.
pub fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}
