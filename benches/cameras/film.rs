//! What every camera of the bench sends over and over, packetized once: H.264 in RTP (RFC 6184), each packet in the frame
//! of RTSP's interleaving (RFC 2326, 10.12).
//!
//! Before each picture stands an SEI unit (ISO/IEC 14496-10, D.1.7: unregistered user data) that names the server's run,
//! the camera and the frame's number, so that a decrypted film tells what was lost and what is out of order.

use anyhow::{Context, Result, ensure};
use cctv_custodian::domain::Codec;
use cctv_custodian::fragment::nal::{self, Framing, ParameterSets};
use std::path::Path;

pub const FRAMES_A_SECOND: u32 = 15;
pub const FRAMES_A_GOP: u32 = 30;
const TICKS_A_FRAME: u32 = 90_000 / FRAMES_A_SECOND;
/// As cameras on Ethernet do it.
const PAYLOAD_LIMIT_BYTES: usize = 1_400;
const INTERLEAVED_BYTES: usize = 4;
const RTP_BYTES: usize = 12;
const PAYLOAD_TYPE: u8 = 96;
const FU_A: u8 = 28;
const SEI: u8 = 6;
/// Without a byte that is zero, so that nothing in the unit must be escaped.
const MARK_UUID: [u8; 16] = *b"custodian-bench1";
const MARK_TEXT_BYTES: usize = 24;
const MARK_PAYLOAD_BYTES: u8 = 40;
/// Type, payload type, payload size, UUID.
const TEXT_AT: usize = 3 + MARK_UUID.len();

/// Which frame of which camera it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mark {
    pub run: u32,
    pub camera: u32,
    pub frame: u32,
}

impl Mark {
    fn text(self) -> String {
        format!("{:08x}{:08x}{:08x}", self.run, self.camera, self.frame)
    }

    /// The mark that a NAL unit holds, if it is one of ours.
    pub fn read(unit: &[u8]) -> Option<Self> {
        let text = unit.get(TEXT_AT..TEXT_AT + MARK_TEXT_BYTES)?;
        if unit[0] != SEI || unit[3..TEXT_AT] != MARK_UUID {
            return None;
        }
        let number = |part: &[u8]| u32::from_str_radix(std::str::from_utf8(part).ok()?, 16).ok();
        Some(Self { run: number(&text[..8])?, camera: number(&text[8..16])?, frame: number(&text[16..])? })
    }
}

/// One picture, ready to be sent but for what changes each time.
#[derive(Debug)]
struct Frame {
    /// The picture's NAL unit, as it must be found again.
    picture: Vec<u8>,
    wire: Vec<u8>,
    /// Where each packet begins.
    packets: Vec<usize>,
    mark_text_at: usize,
}

/// A film that is sent in a loop.
#[derive(Debug)]
pub struct Film {
    frames: Vec<Frame>,
    pub sps: Vec<u8>,
    pub pps: Vec<u8>,
}

/// What of a packet differs from session to session.
#[derive(Debug)]
pub struct Stream {
    pub run: u32,
    pub camera: u32,
    pub sequence: u16,
}

impl Film {
    /// Reads what footage.sh made.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let unit = nal::access_unit(Codec::H264, Framing::AnnexB, &bytes)?;
        let ParameterSets { sps, pps, .. } = unit.sets;
        let ([sps], [pps]) = (&sps[..], &pps[..]) else { anyhow::bail!("one SPS and one PPS are wanted") };
        let mut frames = Vec::new();
        for picture in units(&unit.data).filter(|unit| is_picture(unit)) {
            let is_key = frames.len() % FRAMES_A_GOP as usize == 0;
            ensure!(picture[1] & 0x80 != 0, "frame {} has more than one slice", frames.len());
            ensure!((picture[0] & 0x1F == 5) == is_key, "frame {}: GOPs are not of 30 frames", frames.len());
            let sets: &[&[u8]] = if is_key { &[sps, pps] } else { &[] };
            frames.push(Frame::new(sets, picture));
        }
        ensure!(!frames.is_empty() && frames.len() % FRAMES_A_GOP as usize == 0, "{} frames", frames.len());
        Ok(Self { frames, sps: sps.clone(), pps: pps.clone() })
    }

    /// What a camera sends on average.
    pub fn bytes_a_second(&self) -> f64 {
        let bytes: usize = self.frames.iter().map(|frame| frame.picture.len()).sum();
        bytes as f64 / self.frames.len() as f64 * f64::from(FRAMES_A_SECOND)
    }

    /// Cameras show the film from other places, by whole GOPs.
    fn frame(&self, mark: Mark) -> &Frame {
        let place = u64::from(mark.frame) + u64::from(mark.camera) * u64::from(FRAMES_A_GOP);
        &self.frames[usize::try_from(place).unwrap_or_default() % self.frames.len()]
    }

    /// The picture that belongs to a mark.
    pub fn picture(&self, mark: Mark) -> &[u8] {
        &self.frame(mark).picture
    }

    /// Puts the packets of a stream's frame into `out`.
    pub fn packets(&self, stream: &mut Stream, frame: u32, out: &mut Vec<u8>) {
        let mark = Mark { run: stream.run, camera: stream.camera, frame };
        let template = self.frame(mark);
        out.clear();
        out.extend_from_slice(&template.wire);
        for at in &template.packets {
            let rtp = &mut out[at + INTERLEAVED_BYTES..];
            rtp[2..4].copy_from_slice(&stream.sequence.to_be_bytes());
            rtp[4..8].copy_from_slice(&ticks(frame).to_be_bytes());
            rtp[8..12].copy_from_slice(&stream.camera.to_be_bytes());
            stream.sequence = stream.sequence.wrapping_add(1);
        }
        let at = template.mark_text_at;
        out[at..at + MARK_TEXT_BYTES].copy_from_slice(mark.text().as_bytes());
    }
}

/// A frame's RTP time.
pub fn ticks(frame: u32) -> u32 {
    frame.wrapping_mul(TICKS_A_FRAME)
}

impl Frame {
    fn new(sets: &[&[u8]], picture: &[u8]) -> Self {
        let mut frame = Self { picture: picture.to_vec(), wire: Vec::new(), packets: Vec::new(), mark_text_at: 0 };
        for set in sets {
            frame.packet(false, &[set]);
        }
        let mut mark = vec![SEI, 5, MARK_PAYLOAD_BYTES];
        mark.extend_from_slice(&MARK_UUID);
        mark.extend_from_slice(&[b'0'; MARK_TEXT_BYTES]);
        mark.push(0x80);
        frame.mark_text_at = frame.wire.len() + INTERLEAVED_BYTES + RTP_BYTES + TEXT_AT;
        frame.packet(false, &[&mark]);
        if picture.len() <= PAYLOAD_LIMIT_BYTES {
            frame.packet(true, &[picture]);
        } else {
            frame.fragments(picture);
        }
        frame
    }

    /// RFC 6184, 5.8.
    fn fragments(&mut self, unit: &[u8]) {
        let indicator = unit[0] & 0xE0 | FU_A;
        let count = (unit.len() - 1).div_ceil(PAYLOAD_LIMIT_BYTES - 2);
        for (index, part) in unit[1..].chunks(PAYLOAD_LIMIT_BYTES - 2).enumerate() {
            let (is_first, is_last) = (index == 0, index + 1 == count);
            let header = unit[0] & 0x1F | u8::from(is_first) << 7 | u8::from(is_last) << 6;
            self.packet(is_last, &[&[indicator, header], part]);
        }
    }

    fn packet(&mut self, is_last: bool, payload: &[&[u8]]) {
        self.packets.push(self.wire.len());
        let bytes = RTP_BYTES + payload.iter().map(|part| part.len()).sum::<usize>();
        let [high, low] = u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
        self.wire.extend_from_slice(&[b'$', 0, high, low, 0x80, u8::from(is_last) << 7 | PAYLOAD_TYPE]);
        self.wire.extend_from_slice(&[0; RTP_BYTES - 2]);
        payload.iter().for_each(|part| self.wire.extend_from_slice(part));
    }
}

pub fn is_picture(unit: &[u8]) -> bool {
    unit.first().is_some_and(|first| matches!(first & 0x1F, 1 | 5))
}

/// NAL units that stand after their lengths in four bytes. One that is cut short ends them.
pub fn units(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (unit, behind) = behind.split_at_checked(length)?;
        rest = behind;
        Some(unit)
    })
}
