//! A camera that speaks RTSP well and then does what cameras do that should not: for what no honest server can be brought
//! to. One thread a visitor; RTP between the lines of RTSP (RFC 2326, 10.12), packets by RFC 6184 and RFC 7798.

use super::commands::run;
use super::peers::Video;
use super::rogues::is_time_out;
use anyhow::{Context, Result, ensure};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PAYLOAD_BYTES: usize = 1_400;
/// So many pictures are honest before a lie begins.
const HONEST_PICTURES: usize = 30;

/// What it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// All is well: H.264, 640×360, 15 pictures a second, a key frame each second.
    Nothing,
    /// The same with its key frames alone.
    KeyFramesOnly,
    /// Takes the connection and closes it, as a camera does that is just starting.
    HangsUp,
    /// Every two seconds its RTP time begins anew somewhere else.
    RestartsTime,
    /// Sends every packet twice.
    RepeatsPackets,
    /// Sends every tenth packet before the one that it follows.
    MixesPackets,
    /// Tells its parameter sets neither in its description nor in its stream.
    NoParameterSets,
    /// Begins with a key frame and never sends another one.
    OneKeyFrame,
    /// Never sends one at all.
    NoKeyFrame,
    /// Becomes another picture size in the middle of its stream.
    ChangesSize,
    /// After some pictures it hangs up, and from then on it speaks H.265.
    ChangesCodec,
    SpeaksH265,
    /// H.265 whose key frames are CRA pictures, the first one too: there is no IDR at all.
    OpenGop,
}

/// One coded picture: its NAL units.
type Picture = Vec<Vec<u8>>;

#[derive(Debug)]
struct Reel {
    pictures: Vec<Picture>,
    is_h265: bool,
}

/// A lying camera on a free port of 127.0.0.1. Its threads end when it is dropped.
#[derive(Debug)]
pub struct Liar {
    port: u16,
    lie: Arc<Mutex<Lie>>,
    visits: Arc<Mutex<Vec<Instant>>>,
    guests: Arc<Mutex<Vec<TcpStream>>>,
    over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Liar {
    pub fn start(lie: Lie) -> Result<Self> {
        let reels = match lie {
            Lie::OpenGop => vec![Reel::of_open_gops()?],
            _ => vec![Reel::of(Video::Clock)?, Reel::of(Video::Yard)?, Reel::of(Video::YardH265)?],
        };
        let reels = Arc::new(reels);
        let socket = TcpListener::bind(("127.0.0.1", 0))?;
        let port = socket.local_addr()?.port();
        let (lie, visits) = (Arc::new(Mutex::new(lie)), Arc::new(Mutex::new(Vec::new())));
        let (over, guests) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let listener = {
            let (lie, visits, over) = (Arc::clone(&lie), Arc::clone(&visits), Arc::clone(&over));
            let here = Arc::clone(&guests);
            std::thread::spawn(move || {
                let mut guests = Vec::new();
                for stream in socket.incoming() {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(stream) = stream else { continue };
                    here.lock().unwrap_or_else(PoisonError::into_inner).extend(stream.try_clone());
                    visits.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                    let (reels, over, lie) = (Arc::clone(&reels), Arc::clone(&over), Arc::clone(&lie));
                    guests.push(std::thread::spawn(move || {
                        // Whoever hangs up is gone.
                        Visit::new(stream, &reels, &lie, &over).run().unwrap_or_default();
                    }));
                }
                guests.into_iter().for_each(|guest| guest.join().unwrap_or_default());
            })
        };
        Ok(Self { port, lie, visits, guests, over, listener: Some(listener) })
    }

    pub fn url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}{path}", self.port)
    }

    /// What it does to visitors from now on; those who are there see no change.
    pub fn turns_to(&self, lie: Lie) {
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = lie;
    }

    /// Closes the connections of all who are there.
    pub fn hangs_up(&self) {
        for guest in self.guests.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // Who went before is gone.
            guest.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }

    /// When somebody came.
    pub fn visits(&self) -> Vec<Instant> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap_or_default();
        }
    }
}

impl Reel {
    fn of(video: Video) -> Result<Self> {
        Ok(Self::read(&std::fs::read(video.file()?)?, matches!(video, Video::YardH265)))
    }

    fn of_open_gops() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("open.h265");
        let mut make = Command::new("ffmpeg");
        make.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15:duration=20", "-c:v", "libx265"]);
        make.args(["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params"]);
        make.arg("open-gop=1:keyint=15:min-keyint=15:scenecut=0:bframes=0:repeat-headers=1:log-level=error").arg(&file);
        run(&mut make, "", Duration::from_secs(60))?.succeeded()?;
        let mut reel = Self::read(&std::fs::read(&file)?, true);
        ensure!(reel.pictures.len() > 200, "{} pictures", reel.pictures.len());
        // The very first is an IDR picture.
        reel.pictures.drain(..15);
        let is_cra = |picture: &&Picture| picture.iter().any(|unit| kind(true, unit) == 21);
        let keys: Vec<&Picture> = reel.pictures.iter().filter(|picture| reel.is_key(picture)).collect();
        ensure!(keys.len() >= 18 && keys.iter().all(is_cra), "the footage has no open GOPs");
        Ok(reel)
    }

    fn read(bytes: &[u8], is_h265: bool) -> Self {
        let mut pictures: Vec<Picture> = Vec::new();
        let (mut picture, mut has_slice) = (Picture::new(), false);
        for unit in units(bytes) {
            let (is_slice, is_first) = if is_h265 {
                (kind(is_h265, unit) < 32, unit.get(2).is_some_and(|byte| byte & 0x80 != 0))
            } else {
                (matches!(kind(is_h265, unit), 1 | 5), unit.get(1).is_some_and(|byte| byte & 0x80 != 0))
            };
            if has_slice && (!is_slice || is_first) {
                pictures.push(std::mem::take(&mut picture));
                has_slice = false;
            }
            has_slice |= is_slice;
            picture.push(unit.to_vec());
        }
        Self { pictures, is_h265 }
    }

    fn is_key(&self, picture: &Picture) -> bool {
        picture.iter().any(|unit| match kind(self.is_h265, unit) {
            5 => !self.is_h265,
            kind => self.is_h265 && (16..24).contains(&kind),
        })
    }

    /// VPS, SPS, PPS as the first picture has them.
    fn sets(&self) -> Vec<&[u8]> {
        let first = self.pictures.first().into_iter().flatten();
        first.filter(|unit| is_set(self.is_h265, unit)).map(Vec::as_slice).collect()
    }
}

fn kind(is_h265: bool, unit: &[u8]) -> u8 {
    let first = unit.first().copied().unwrap_or_default();
    if is_h265 { (first >> 1) & 0x3F } else { first & 0x1F }
}

fn is_set(is_h265: bool, unit: &[u8]) -> bool {
    if is_h265 { (32..35).contains(&kind(true, unit)) } else { matches!(kind(false, unit), 7 | 8) }
}

/// The NAL units of a byte stream (ISO/IEC 14496-10, annex B).
fn units(bytes: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (0..bytes.len().saturating_sub(3)).filter(|at| bytes[*at..*at + 3] == [0, 0, 1]).collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &bytes[start + 3..end];
        // A longer start code begins with one more zero, which belongs to nobody.
        &unit[..unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
    };
    starts.iter().zip(ends).map(unit).filter(|unit| !unit.is_empty()).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Somebody who came.
struct Visit<'a> {
    stream: TcpStream,
    reels: &'a [Reel],
    lie: Lie,
    /// For the visits after this one.
    told: &'a Mutex<Lie>,
    over: &'a AtomicBool,
    heard: Vec<u8>,
    sequence: u16,
    time_90k: u32,
}

impl<'a> Visit<'a> {
    fn new(stream: TcpStream, reels: &'a [Reel], lie: &'a Mutex<Lie>, over: &'a AtomicBool) -> Self {
        let now = *lie.lock().unwrap_or_else(PoisonError::into_inner);
        Self { stream, reels, lie: now, told: lie, over, heard: Vec::new(), sequence: 7_000, time_90k: 1_000_000 }
    }

    fn reel(&self, pictures: usize) -> &'a Reel {
        match self.lie {
            Lie::ChangesSize if pictures >= HONEST_PICTURES => &self.reels[1],
            Lie::SpeaksH265 => &self.reels[2],
            _ => &self.reels[0],
        }
    }

    fn run(mut self) -> Result<()> {
        if self.lie == Lie::HangsUp {
            return Ok(self.stream.shutdown(Shutdown::Both)?);
        }
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        while !self.over.load(Ordering::SeqCst) {
            if self.listen()? {
                return self.play();
            }
        }
        Ok(())
    }

    /// Answers what was asked; whether that was PLAY.
    fn listen(&mut self) -> Result<bool> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => self.heard.extend_from_slice(&chunk[..count]),
            Err(e) if is_time_out(&e) => return Ok(false),
            Err(e) => return Err(e.into()),
        }
        let mut plays = false;
        while let Some(end) = self.heard.windows(4).position(|four| four == b"\r\n\r\n") {
            let request: Vec<u8> = self.heard.drain(..end + 4).collect();
            // What stands before is a report of how well it is received.
            let from = request.iter().rposition(|byte| *byte == b'$').map_or(0, |at| at.min(request.len()));
            let text = String::from_utf8_lossy(&request[from..]).into_owned();
            let (method, rest) = text.split_once(' ').context("no request")?;
            let number = text.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap_or("0").trim().to_owned();
            let url = rest.split(' ').next().unwrap_or_default();
            let (more, body) = match method {
                "DESCRIBE" => {
                    let more = format!("Content-Base: {url}/\r\nContent-Type: application/sdp\r\n");
                    (more, self.description())
                }
                "SETUP" => {
                    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=01020304\r\n";
                    (format!("{transport}Session: 4711;timeout=60\r\n"), String::new())
                }
                "PLAY" => ("Session: 4711\r\nRange: npt=0-\r\n".to_owned(), String::new()),
                _ => ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n".to_owned(), String::new()),
            };
            let length = body.len();
            let answer = format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{more}Content-Length: {length}\r\n\r\n{body}");
            self.stream.write_all(answer.as_bytes())?;
            plays |= method == "PLAY";
        }
        Ok(plays)
    }

    fn description(&self) -> String {
        let reel = self.reel(0);
        let sets = reel.sets();
        let (name, format) = match (reel.is_h265, &sets[..]) {
            _ if self.lie == Lie::NoParameterSets => ("H264", "a=fmtp:96 packetization-mode=1\r\n".to_owned()),
            (false, [sps, pps, ..]) => {
                let sets = format!("{},{}", base64(sps), base64(pps));
                ("H264", format!("a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"))
            }
            (true, [vps, sps, pps, ..]) => {
                let (vps, sps, pps) = (base64(vps), base64(sps), base64(pps));
                ("H265", format!("a=fmtp:96 sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}\r\n"))
            }
            _ => ("H264", String::new()),
        };
        format!(
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=liar\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
             a=rtpmap:96 {name}/90000\r\n{format}a=control:track1\r\n"
        )
    }

    fn play(&mut self) -> Result<()> {
        let began = Instant::now();
        let (apart, ticks) = match self.lie {
            Lie::KeyFramesOnly => (Duration::from_secs(1), 90_000),
            _ => (Duration::from_micros(66_667), 6_000),
        };
        let mut key_sent = false;
        for sent in 0_usize.. {
            // Reading takes up the time until the next one is due.
            let due = apart * u32::try_from(sent)?;
            while began.elapsed() < due {
                if self.over.load(Ordering::SeqCst) {
                    return Ok(());
                }
                self.listen()?;
            }
            let reel = self.reel(sent);
            let at = if std::ptr::eq(reel, self.reel(0)) { sent } else { sent - HONEST_PICTURES };
            let mut picture = &reel.pictures[at % reel.pictures.len()];
            let is_key = reel.is_key(picture);
            match self.lie {
                Lie::KeyFramesOnly => {
                    let mut keys = reel.pictures.iter().filter(|picture| reel.is_key(picture)).cycle();
                    picture = keys.nth(at % 50).context("no key frame")?;
                }
                Lie::NoKeyFrame if is_key => continue,
                Lie::OneKeyFrame if is_key && std::mem::replace(&mut key_sent, true) => continue,
                Lie::RestartsTime if sent % 30 == 29 => self.time_90k = self.time_90k.wrapping_mul(31).wrapping_add(7),
                Lie::ChangesCodec if sent >= HONEST_PICTURES => {
                    *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Lie::SpeaksH265;
                    return Ok(self.stream.shutdown(Shutdown::Both)?);
                }
                _ => {}
            }
            let is_left_out = |unit: &&Vec<u8>| self.lie == Lie::NoParameterSets && is_set(reel.is_h265, unit);
            let units: Vec<&Vec<u8>> = picture.iter().filter(|unit| !is_left_out(unit)).collect();
            let packets = self.packets(&units, reel.is_h265);
            self.stream.write_all(&packets)?;
            self.time_90k = self.time_90k.wrapping_add(ticks);
        }
        Ok(())
    }

    /// A picture's packets, one behind the other.
    fn packets(&mut self, units: &[&Vec<u8>], is_h265: bool) -> Vec<u8> {
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        for unit in units {
            if unit.len() <= PAYLOAD_BYTES {
                payloads.push((*unit).clone());
                continue;
            }
            let header = if is_h265 { 2 } else { 1 };
            let parts: Vec<&[u8]> = unit[header..].chunks(PAYLOAD_BYTES).collect();
            for (number, part) in parts.iter().enumerate() {
                let place = u8::from(number == 0) << 7 | u8::from(number + 1 == parts.len()) << 6;
                let mut payload = match is_h265 {
                    true => vec![(unit[0] & 0x81) | 49 << 1, unit[1], place | kind(true, unit)],
                    false => vec![(unit[0] & 0xE0) | 28, place | kind(false, unit)],
                };
                payload.extend_from_slice(part);
                payloads.push(payload);
            }
        }
        let last = payloads.len().saturating_sub(1);
        let mut packets: Vec<Vec<u8>> = Vec::new();
        for (number, payload) in payloads.into_iter().enumerate() {
            let marker = u8::from(number == last) << 7;
            let mut packet = vec![0x80, marker | 96];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend(self.time_90k.to_be_bytes());
            packet.extend([1, 2, 3, 4]);
            packet.extend(payload);
            self.sequence = self.sequence.wrapping_add(1);
            if self.lie == Lie::RepeatsPackets {
                packets.push(packet.clone());
            }
            packets.push(packet);
            if self.lie == Lie::MixesPackets && self.sequence.is_multiple_of(10) && packets.len() > 1 {
                let end = packets.len();
                packets.swap(end - 1, end - 2);
            }
        }
        let framed = packets.into_iter().flat_map(|packet| {
            let length = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
            [vec![b'$', 0, length[0], length[1]], packet].concat()
        });
        framed.collect()
    }
}
