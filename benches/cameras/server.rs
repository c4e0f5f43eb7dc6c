//! The cameras: an RTSP server (RFC 2326) in a process of its own, on one thread, that sends one film of pre-packetized
//! RTP over and over to whoever plays `rtsp://127.0.0.1:PORT/N`, interleaved in TCP.
//!
//! It proves load and never compatibility: it knows only what the two clients of this bench ask for. Each camera films
//! always: a session begins with whatever frame is next, and ends where the client ends it. Key frames of the cameras are
//! spread evenly over the length of a GOP. Nothing is ever left out: a client that is slow gets its frames late, and how
//! late the latest was is counted.

use crate::film::{Film, Stream, ticks};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

/// The argument that makes this program the server.
pub const ROLE: &str = "rtsp-server";
pub const SAID: &str = "listening on port ";
/// The bench's own question: all sessions so far, as JSON.
pub const TELL: &str = "TELL";
const GOP: Duration = Duration::from_secs(2);
/// Frames are sent at whole multiples of this: fewer awakenings.
const GRID_US: u64 = 5_000;
const REQUEST_LIMIT_BYTES: usize = 16 << 10;

/// What one session was sent: all frames from `first` up to `end`, which it was not.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Session {
    pub run: u32,
    pub camera: u32,
    pub first: u32,
    pub end: u32,
    /// How late the latest frame was handed to the kernel.
    pub late_ms: u64,
}

struct Server {
    film: Film,
    run: u32,
    cameras: u32,
    began: Instant,
    sessions: RefCell<Vec<Session>>,
}

/// Serves until it is killed.
///
/// # Errors
/// When the port is taken, or the film is none.
pub fn serve(film: &Path, cameras: &str, port: &str) -> Result<()> {
    let cameras: u32 = cameras.parse()?;
    let server = Server {
        film: Film::read(film)?,
        run: std::process::id(),
        cameras,
        began: Instant::now(),
        sessions: RefCell::default(),
    };
    let server = Rc::new(server);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
        println!("{SAID}{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            let server = Rc::clone(&server);
            tokio::task::spawn_local(async move {
                // A client that goes without a word is how sessions end here.
                Connection { server, stream, playing: None }.run().await.ok();
            });
        }
    })
}

struct Playing {
    stream: Stream,
    frame: u32,
    /// Its place among the sessions.
    session: usize,
}

struct Connection {
    server: Rc<Server>,
    stream: TcpStream,
    playing: Option<Playing>,
}

impl Server {
    /// When a camera's frame is due, counted from the start.
    fn due(&self, camera: u32, frame: u32) -> Duration {
        let phase = GOP * camera / self.cameras;
        let exact_us = phase.as_micros() + u128::from(ticks_us(frame));
        Duration::from_micros(u64::try_from(exact_us).unwrap_or(u64::MAX).next_multiple_of(GRID_US))
    }

    /// The first frame that is not due yet.
    fn next_frame(&self, camera: u32) -> u32 {
        let now = self.began.elapsed();
        let passed = now.saturating_sub(self.due(camera, 0)).as_micros() * 15 / 1_000_000;
        let guess = u32::try_from(passed).unwrap_or(u32::MAX);
        (guess..).find(|frame| self.due(camera, *frame) > now).unwrap_or(guess)
    }

    fn camera(&self, url: &str) -> Option<u32> {
        let camera = url.split('/').nth(3)?.parse().ok()?;
        (1..=self.cameras).contains(&camera).then_some(camera)
    }
}

fn ticks_us(frame: u32) -> u64 {
    u64::from(frame) * 1_000_000 / 15
}

impl Connection {
    async fn run(mut self) -> Result<()> {
        self.stream.set_nodelay(true)?;
        let (mut inbox, mut packets) = (Vec::with_capacity(4 << 10), Vec::new());
        loop {
            let due = self.playing.as_ref().map(|it| self.server.began + self.server.due(it.stream.camera, it.frame));
            tokio::select! {
                // Cancelled without a loss.
                read = self.stream.read_buf(&mut inbox) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    while let Some(request) = take_request(&mut inbox)? {
                        if !self.answer(&request).await? {
                            return Ok(());
                        }
                    }
                }
                () = until(due), if due.is_some() => self.send(&mut packets).await?,
            }
        }
    }

    async fn send(&mut self, packets: &mut Vec<u8>) -> Result<()> {
        let Some(playing) = &mut self.playing else { return Ok(()) };
        let due = self.server.due(playing.stream.camera, playing.frame);
        self.server.film.packets(&mut playing.stream, playing.frame, packets);
        self.stream.write_all(packets).await?;
        playing.frame += 1;
        let late = self.server.began.elapsed().saturating_sub(due);
        let session = &mut self.server.sessions.borrow_mut()[playing.session];
        session.end = playing.frame;
        session.late_ms = session.late_ms.max(u64::try_from(late.as_millis()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// `false` when the session is over.
    async fn answer(&mut self, request: &Request) -> Result<bool> {
        let (mut headers, mut body, mut goes_on) = (String::new(), String::new(), true);
        let camera = self.server.camera(&request.url);
        match (request.method.as_str(), camera) {
            (TELL, _) => {
                body = serde_json::to_string(&*self.server.sessions.borrow())?;
                goes_on = false;
            }
            ("OPTIONS", _) => headers = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n".into(),
            ("GET_PARAMETER" | "SET_PARAMETER", Some(_)) => {}
            ("DESCRIBE", Some(_)) => {
                headers = format!("Content-Base: {}/\r\nContent-Type: application/sdp\r\n", request.url);
                body = self.description();
            }
            ("SETUP", Some(_)) => headers = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n".into(),
            ("PLAY", Some(camera)) => {
                let frame = self.server.next_frame(camera);
                headers = format!(
                    "Range: npt=now-\r\nRTP-Info: url={}/track1;seq=0;rtptime={}\r\n",
                    request.url.trim_end_matches('/'),
                    ticks(frame)
                );
                let session = Session { run: self.server.run, camera, first: frame, end: frame, late_ms: 0 };
                let mut sessions = self.server.sessions.borrow_mut();
                sessions.push(session);
                let stream = Stream { run: self.server.run, camera, sequence: 0 };
                self.playing = Some(Playing { stream, frame, session: sessions.len() - 1 });
            }
            ("TEARDOWN", _) => goes_on = false,
            _ => {
                let refused = format!("RTSP/1.0 404 Not Found\r\nCSeq: {}\r\n\r\n", request.sequence);
                self.stream.write_all(refused.as_bytes()).await?;
                return Ok(true);
            }
        }
        let answer = format!(
            "RTSP/1.0 200 OK\r\nCSeq: {}\r\nSession: 1;timeout=60\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            request.sequence,
            body.len()
        );
        self.stream.write_all(answer.as_bytes()).await?;
        Ok(goes_on)
    }

    fn description(&self) -> String {
        let film = &self.server.film;
        let (sps, pps) = (STANDARD.encode(&film.sps), STANDARD.encode(&film.pps));
        let profile = hex::encode(&film.sps[1..4]);
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n\
             m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=framerate:15\r\n\
             a=fmtp:96 packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sps},{pps}\r\n\
             a=control:track1\r\n"
        )
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

struct Request {
    method: String,
    url: String,
    sequence: String,
}

/// The next request, receiver reports before it left out; `None` until it is whole.
fn take_request(inbox: &mut Vec<u8>) -> Result<Option<Request>> {
    while let [b'$', _, high, low, ..] = inbox[..] {
        let length = 4 + usize::from(u16::from_be_bytes([high, low]));
        if inbox.len() < length {
            return Ok(None);
        }
        inbox.drain(..length);
    }
    ensure!(inbox.len() < REQUEST_LIMIT_BYTES, "an endless request");
    if inbox.first() == Some(&b'$') {
        return Ok(None);
    }
    let Some(end) = inbox.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = String::from_utf8(inbox.drain(..end + 4).collect())?;
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("cseq").then(|| value.trim().to_owned())
    };
    let sequence = lines.find_map(header).unwrap_or_default();
    let (method, url) = (words.next().context("no method")?, words.next().unwrap_or_default());
    Ok(Some(Request { method, url, sequence }))
}
