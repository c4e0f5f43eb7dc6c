//! Many plain cameras in one process: one picture each, again and again, over RTSP and TCP. They show that many are
//! handled at once, never that a camera is understood: GStreamer's server does that.

use super::peers::Video;
use super::rogues::is_time_out;
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two pictures.
const BEAT: Duration = Duration::from_millis(250);
const BEAT_90K: u32 = 22_500;

/// What each of them sings.
struct Song {
    sps: Vec<u8>,
    pps: Vec<u8>,
    picture: Vec<u8>,
}

/// Each on a port of its own of 127.0.0.1. Their threads end when it is dropped.
pub struct Choir {
    ports: Vec<u16>,
    over: Arc<AtomicBool>,
    singers: Vec<JoinHandle<()>>,
}

impl Choir {
    pub fn start(count: usize) -> Result<Self> {
        let (song, over) = (Arc::new(song()?), Arc::new(AtomicBool::new(false)));
        let (mut ports, mut singers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let socket = TcpListener::bind(("127.0.0.1", 0))?;
            ports.push(socket.local_addr()?.port());
            let (song, over) = (Arc::clone(&song), Arc::clone(&over));
            singers.push(std::thread::spawn(move || {
                for stream in socket.incoming() {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    // Who hangs up is done.
                    if let Ok(stream) = stream {
                        sing(stream, &song, &over).unwrap_or_default();
                    }
                }
            }));
        }
        Ok(Self { ports, over, singers })
    }

    pub fn urls(&self) -> impl Iterator<Item = String> {
        self.ports.iter().map(|port| format!("rtsp://127.0.0.1:{port}/choir"))
    }
}

impl Drop for Choir {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for port in &self.ports {
            // Wakes its listener.
            drop(TcpStream::connect(("127.0.0.1", *port)));
        }
        for singer in self.singers.drain(..) {
            singer.join().unwrap_or_default();
        }
    }
}

/// Parameter sets and first picture of the test footage.
fn song() -> Result<Song> {
    let film = std::fs::read(Video::Clock.file()?)?;
    let mut starts: Vec<usize> =
        film.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(at, _)| at + 3).collect();
    starts.truncate(16);
    let nals = starts.windows(2).map(|ends| {
        let end = ends[1] - 3;
        // A start code may have a zero byte more.
        let end = if film[end - 1] == 0 { end - 1 } else { end };
        &film[ends[0]..end]
    });
    let nals: Vec<&[u8]> = nals.collect();
    let first =
        |kind: u8| nals.iter().find(|nal| nal[0] & 31 == kind).map(|nal| nal.to_vec()).context("no such NAL unit");
    Ok(Song { sps: first(7)?, pps: first(8)?, picture: first(5)? })
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let whole = three.iter().fold(0u32, |whole, byte| (whole << 8) | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(whole >> (18 - 6 * place)) as usize & 63];
            text.push(if place > three.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

fn sing(mut stream: TcpStream, song: &Song, over: &AtomicBool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(BEAT))?;
    let (mut buffer, mut asked) = ([0; 4096], String::new());
    let (mut plays, mut number) = (false, 0u16);
    while !over.load(Ordering::SeqCst) {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            // Receiver reports of RTCP are not looked at.
            Ok(read) if buffer[0] != b'$' => asked.push_str(&String::from_utf8_lossy(&buffer[..read])),
            Ok(_) => {}
            Err(e) if is_time_out(&e) => {}
            Err(e) => return Err(e),
        }
        while let Some((request, rest)) = asked.split_once("\r\n\r\n") {
            let answer = answer(request, song);
            plays |= request.starts_with("PLAY");
            asked = rest.to_owned();
            stream.write_all(answer.as_bytes())?;
        }
        if plays {
            number = number.wrapping_add(1);
            let length = u16::try_from(12 + song.picture.len()).unwrap_or(u16::MAX);
            let mut packet = vec![b'$', 0];
            packet.extend(length.to_be_bytes());
            packet.extend([0x80, 0x80 | 96]);
            packet.extend(number.to_be_bytes());
            packet.extend((u32::from(number) * BEAT_90K).to_be_bytes());
            packet.extend(7u32.to_be_bytes());
            packet.extend(&song.picture);
            stream.write_all(&packet)?;
        }
    }
    Ok(())
}

fn answer(request: &str, song: &Song) -> String {
    let number = request.lines().find_map(|line| line.strip_prefix("CSeq:")).unwrap_or("0").trim();
    let head = format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\n");
    match request.split(' ').next().unwrap_or_default() {
        "OPTIONS" => format!("{head}Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n\r\n"),
        "DESCRIBE" => {
            let base = request.split(' ').nth(1).unwrap_or_default();
            let body = format!(
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=choir\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n\
                 c=IN IP4 0.0.0.0\r\na=rtpmap:96 H264/90000\r\n\
                 a=fmtp:96 packetization-mode=1;sprop-parameter-sets={},{}\r\na=control:track1\r\n",
                base64(&song.sps),
                base64(&song.pps)
            );
            let length = body.len();
            format!(
                "{head}Content-Base: {base}/\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        }
        "SETUP" => format!(
            "{head}Session: 1;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000007\r\n\r\n"
        ),
        "PLAY" => format!("{head}Session: 1\r\nRTP-Info: url=track1;seq=1;rtptime={BEAT_90K}\r\n\r\n"),
        _ => format!("{head}Session: 1\r\n\r\n"),
    }
}
