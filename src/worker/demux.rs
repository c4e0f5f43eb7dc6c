//! Opens what the order names with libavformat, and passes its packets of video on as they are.

use super::pipe::{self, Failure, Message, Order};
use super::{Stopped, raw};
use crate::domain::{Codec, Transport};
use bytes::Bytes;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Dictionary, Error, Packet, codec, error, format, log, media};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::Write;

/// Damaged packets in a row, after which it is no stream.
const MOST_DAMAGED: u32 = 500;

/// Runs until the camera ends the stream (`Ok`), or something stops it.
pub(super) fn deliver(order: &Order, out: &mut impl Write) -> Result<(), Stopped> {
    ffmpeg_next::init().map_err(|e| failed(e, Failure::Confinement))?;
    log::set_level(log::Level::Warning);
    let options = options(order)?;
    let mut url = order.url.clone();
    if let Some(username) = &order.username {
        let password = order.password.as_deref().map(escaped);
        if url.set_username(&escaped(username)).and_then(|()| url.set_password(password.as_deref())).is_err() {
            return Err(scheme(&order.url));
        }
    }
    let opened = format::input_with_interrupt_and_dictionary(url.as_str(), parent_is_gone, options);
    let mut input = opened.map_err(|e| failed(e, Failure::Unreadable))?;
    let (index, codec) = video(&input)?;
    raw::keep_only(&mut input, index);
    let extra_data = Bytes::from(raw::extra_data(&input, index));
    say(out, &Message::Parameters { codec, sound: sound(order, &input), extra_data })?;
    packets(&mut input, index, out)
}

/// W3. Called by libav whenever it waits.
fn parent_is_gone() -> bool {
    let stdin = std::io::stdin();
    let mut watched = [PollFd::new(&stdin, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut watched, Some(&now)).is_ok() && watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

/// Percent-encoded (RFC 3986, 2.1) but for letters and digits: libav decodes, and `url` leaves a `%` as it stands.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}

fn scheme(url: &url::Url) -> Stopped {
    Stopped::Camera { why: Failure::Scheme, text: url.scheme().to_owned() }
}

/// Options by the address's scheme. The whitelist keeps a camera's answer from sending libav to files or elsewhere.
fn options(order: &Order) -> Result<Dictionary<'static>, Stopped> {
    let mut options = Dictionary::new();
    let silence_micros = (u64::from(order.silence_ms) * 1000).to_string();
    let whitelist = match order.url.scheme() {
        "rtsp" | "rtsps" => {
            options.set("allowed_media_types", "video");
            options.set("timeout", &silence_micros);
            options.set(
                "rtsp_transport",
                match order.transport {
                    Transport::Tcp => "tcp",
                    Transport::Udp => "udp",
                },
            );
            // RTSP tells the parameters before the first packet: looking for them needs next to nothing.
            options.set("probesize", "32");
            "rtsp,rtsps,rtp,srtp,udp,tcp,tls"
        }
        "rtmp" | "rtmps" | "http" | "https" | "udp" => {
            options.set("rw_timeout", &silence_micros);
            options.set("probesize", "500000");
            // Receiving in a thread of its own is refused by the confinement.
            options.set("fifo_size", "0");
            match order.url.scheme() {
                "rtmp" => "rtmp,tcp",
                "rtmps" => "rtmps,tls,tcp",
                "udp" => "udp",
                _ => "http,https,tls,tcp,httpproxy",
            }
        }
        _ => return Err(scheme(&order.url)),
    };
    options.set("protocol_whitelist", whitelist);
    options.set("analyzeduration", "1000000");
    Ok(options)
}

/// The first stream of video that can be kept.
fn video(input: &Input) -> Result<(usize, Codec), Stopped> {
    let mut offered = Vec::new();
    for stream in input.streams() {
        let parameters = stream.parameters();
        match (parameters.medium(), parameters.id()) {
            (media::Type::Video, codec::Id::H264) => return Ok((stream.index(), Codec::H264)),
            (media::Type::Video, codec::Id::HEVC) => return Ok((stream.index(), Codec::H265)),
            (medium, id) => offered.push(format!("{medium:?} {id:?}")),
        }
    }
    Err(Stopped::Camera { why: Failure::NoVideo, text: offered.join(", ") })
}

/// Whether sound is offered. Over RTSP libav is told to leave it out, so it is not known there.
fn sound(order: &Order, input: &Input) -> Option<bool> {
    let is_rtsp = matches!(order.url.scheme(), "rtsp" | "rtsps");
    let is_offered = || input.streams().any(|stream| stream.parameters().medium() == media::Type::Audio);
    (!is_rtsp).then(is_offered)
}

fn packets(input: &mut Input, index: usize, out: &mut impl Write) -> Result<(), Stopped> {
    let mut damaged = 0;
    loop {
        let mut packet = Packet::empty();
        match packet.read(input) {
            Ok(()) => {}
            Err(Error::Eof) => return Ok(()),
            Err(Error::InvalidData | Error::Other { errno: error::EAGAIN }) if damaged < MOST_DAMAGED => {
                damaged += 1;
                continue;
            }
            Err(e) => return Err(failed(e, Failure::Disconnected)),
        }
        damaged = 0;
        if packet.stream() != index {
            continue;
        }
        let Some(data) = packet.data().filter(|data| !data.is_empty()) else { continue };
        if data.len() > pipe::LARGEST_FRAME_BYTES {
            let text = format!("a frame of {} bytes", data.len());
            return Err(Stopped::Camera { why: Failure::Unreadable, text });
        }
        let base = input.stream(index).map(|stream| stream.time_base());
        let pts_90k = packet.pts().zip(base).and_then(|(pts, base)| in_90k(pts, base.numerator(), base.denominator()));
        say(out, &Message::Frame { pts_90k, data: Bytes::copy_from_slice(data) })?;
    }
}

fn in_90k(pts: i64, numerator: i32, denominator: i32) -> Option<i64> {
    let ticks = i128::from(pts) * i128::from(numerator) * 90_000;
    ticks.checked_div(i128::from(denominator)).and_then(|ticks| i64::try_from(ticks).ok())
}

fn say(out: &mut impl Write, message: &Message) -> Result<(), Stopped> {
    pipe::write(out, message).and_then(|()| out.flush()).map_err(Stopped::ParentGone)
}

fn failed(error: Error, otherwise: Failure) -> Stopped {
    let why = match error {
        Error::HttpUnauthorized | Error::HttpForbidden => Failure::Unauthorized,
        Error::HttpBadRequest | Error::HttpNotFound | Error::HttpOther4xx | Error::HttpServerError => Failure::Refused,
        Error::Other { errno: error::ETIMEDOUT } => Failure::Stalled,
        Error::Other { errno: error::ECONNREFUSED | error::EHOSTUNREACH | error::ENETUNREACH | error::EIO } => {
            if otherwise == Failure::Disconnected {
                Failure::Disconnected
            } else {
                Failure::Unreachable
            }
        }
        Error::InvalidData | Error::DemuxerNotFound | Error::ProtocolNotFound => Failure::Unreadable,
        _ => otherwise,
    };
    Stopped::Camera { why, text: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(url: &str) -> Order {
        Order { url: url.parse().unwrap(), username: None, password: None, transport: Transport::Tcp, silence_ms: 1 }
    }

    #[test]
    fn files_and_other_ways_into_the_machine_are_not_opened() {
        for url in ["file:///etc/shadow", "concat:/etc/passwd", "pipe:0", "data:text/plain,x", "ftp://10.0.0.1/x"] {
            let refused = options(&order(url));
            assert!(matches!(refused, Err(Stopped::Camera { why: Failure::Scheme, .. })), "{url}");
        }
        for url in ["rtsp://h/x", "rtsps://h/x", "http://h/x", "rtmp://h/x", "udp://h:1"] {
            let given = options(&order(url)).unwrap();
            assert!(!given.get("protocol_whitelist").unwrap().contains("file"));
        }
        assert_eq!(options(&order("rtsp://h/x")).unwrap().get("allowed_media_types"), Some("video"));
    }

    #[test]
    fn times_are_counted_in_90_kilohertz() {
        assert_eq!(in_90k(1_000, 1, 1_000), Some(90_000));
        assert_eq!(in_90k(-3_003, 1, 90_000), Some(-3_003));
        assert_eq!(in_90k(1, 1, 0), None);
        assert_eq!(in_90k(i64::MAX, i32::MAX, 1), None);
    }
}
