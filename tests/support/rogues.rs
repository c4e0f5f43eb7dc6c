//! Things at a camera's address that are no camera: for the tests of bad input.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a thread looks whether it shall end.
const GLANCE: Duration = Duration::from_millis(50);
const GARBAGE_BYTES: usize = 16 << 10;

/// What it does with those who connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manners {
    /// Takes the connection and never says a word.
    Silent,
    /// Answers whatever it is sent with random bytes.
    Garbage,
    /// Speaks RTSP well enough to be believed, then describes itself in nonsense.
    NonsenseDescription,
    /// Takes the connection and closes it.
    HangsUp,
}

/// A listener on a free port of 127.0.0.1. Its threads end when it is dropped.
#[derive(Debug)]
pub struct Rogue {
    port: u16,
    visits: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Rogue {
    pub fn start(manners: Manners) -> Result<Self> {
        let socket = TcpListener::bind(("127.0.0.1", 0))?;
        let port = socket.local_addr()?.port();
        let (visits, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let listener = {
            let (visits, over) = (Arc::clone(&visits), Arc::clone(&over));
            std::thread::spawn(move || {
                let mut guests = Vec::new();
                for stream in socket.incoming() {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    visits.fetch_add(1, Ordering::SeqCst);
                    let (Ok(stream), over) = (stream, Arc::clone(&over)) else { continue };
                    guests.push(std::thread::spawn(move || receive(manners, stream, &over).unwrap_or_default()));
                }
                guests.into_iter().for_each(|guest| guest.join().unwrap_or_default());
            })
        };
        Ok(Self { port, visits, over, listener: Some(listener) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/rogue", self.port)
    }

    /// How many connections it has taken.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap_or_default();
        }
    }
}

fn receive(manners: Manners, mut stream: TcpStream, over: &AtomicBool) -> Result<()> {
    if manners == Manners::HangsUp {
        return stream.shutdown(Shutdown::Both);
    }
    stream.set_read_timeout(Some(GLANCE))?;
    let mut buffer = [0; 4096];
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15 ^ u64::from(stream.peer_addr()?.port()));
    while !over.load(Ordering::SeqCst) {
        let read = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(e) if is_time_out(&e) => continue,
            Err(e) => return Err(e),
        };
        match manners {
            Manners::Silent | Manners::HangsUp => {}
            Manners::Garbage => stream.write_all(&noise.bytes(GARBAGE_BYTES))?,
            Manners::NonsenseDescription => stream.write_all(&nonsense(&buffer[..read], &mut noise))?,
        }
    }
    Ok(())
}

/// An answer that is right by RFC 2326 but for its content.
fn nonsense(request: &[u8], noise: &mut Noise) -> Vec<u8> {
    let request = String::from_utf8_lossy(request);
    let number = request.lines().find_map(|line| line.strip_prefix("CSeq:")).unwrap_or("0").trim().to_owned();
    let body = noise.bytes(512);
    let mut answer = format!(
        "RTSP/1.0 200 OK\r\nCSeq: {number}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

pub(super) fn is_time_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// Bytes without meaning: xorshift64*, for which no dependency is worth having.
#[derive(Debug)]
pub struct Noise(pub u64);

impl Noise {
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            bytes.extend_from_slice(&self.0.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
