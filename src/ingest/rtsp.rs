//! A session over RTSP by `retina`, in this process: it is memory-safe against what a camera sends.
//!
//! retina bounds neither an RTSP message nor a frame; what a camera can make it hold is bounded by what it can send
//! within the limits of time here.

use super::backlog::Intake;
use super::outlet::Outlet;
use super::source::{Limits, SourceError, Told, censored};
use super::timing::Received;
use crate::clock::Clock;
use crate::domain::{Codec, Source, Transport, VideoParameters};
use crate::fragment::nal;
use bytes::Bytes;
use futures::StreamExt;
use retina::client::{
    Credentials, Demuxed, Described, PlayOptions, Session, SessionOptions, SetupOptions, Stream, TcpTransportOptions,
    TeardownPolicy, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParametersCodec};
use retina::rtcp::ReceivedCompoundPacket;
use std::future::Future;

/// Runs one session: see [`super::receive`].
pub async fn receive(source: &Source, clock: &Clock, limits: &Limits, out: &Intake) -> SourceError {
    let mut outlet = Outlet::new(source.camera, clock, limits, out);
    let ended = match session(source, clock, limits, &mut outlet).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    match outlet.finish() {
        Ok(()) => ended,
        Err(gone) => gone,
    }
}

/// A session never ends well.
enum Never {}

async fn session(
    source: &Source,
    clock: &Clock,
    limits: &Limits,
    outlet: &mut Outlet<'_>,
) -> Result<Never, SourceError> {
    if source.url.scheme() != "rtsp" {
        return Err(SourceError::Scheme { scheme: source.url.scheme().to_owned() });
    }
    let asking = Asking { source, clock, limits };
    let options = SessionOptions::default()
        .creds(source.credentials.as_ref().map(|given| Credentials {
            username: given.username.clone(),
            password: given.password.expose().to_owned(),
        }))
        .user_agent("custodian".to_owned())
        .teardown(TeardownPolicy::Auto);
    let mut session = asking.answer("DESCRIBE", Session::describe(source.url.clone(), options)).await?;
    let (index, codec) = video(&session)?;
    outlet.told(Told::Sound { offered: session.streams().iter().any(|stream| stream.media() == "audio") })?;
    let how = SetupOptions::default().frame_format(FrameFormat::MP4).transport(match source.transport {
        Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
        Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
    });
    // I1: the only SETUP there is.
    asking.answer("SETUP", session.setup(index, how)).await?;
    let playing = asking.answer("PLAY", session.play(PlayOptions::default())).await?;
    let mut frames = playing.demuxed().map_err(|e| asking.failed("PLAY", &e))?;
    loop {
        let next = clock.timeout(limits.frame, next_frame(&mut frames, outlet)).await;
        let next = next.map_err(|_| SourceError::Stalled { limit: limits.frame })?;
        let at = outlet.arrival();
        let frame = next?.ok_or(SourceError::Ended)?.map_err(|e| asking.broke(&e))?;
        if frame.loss() > 0 {
            outlet.lost(u32::from(frame.loss()))?;
        }
        if let Some(parameters) = frames.streams().get(index).and_then(|stream| parameters(codec, stream)) {
            outlet.parameters(parameters?)?;
        }
        let pts_90k = ticks_90k(&frame).ok_or_else(|| asking.unreadable("a time out of range"))?;
        let data = Bytes::from(frame.into_data());
        let sync = nal::is_random_access(codec, &data);
        outlet.frame(Received { at, pts_90k, sync, data })?;
    }
}

/// The next picture; sender reports and the like do not count as a sign of life.
async fn next_frame(
    frames: &mut Demuxed,
    outlet: &mut Outlet<'_>,
) -> Result<Option<Result<VideoFrame, retina::Error>>, SourceError> {
    loop {
        match frames.next().await {
            Some(Ok(CodecItem::VideoFrame(frame))) => return Ok(Some(Ok(frame))),
            Some(Ok(CodecItem::Rtcp(report))) => {
                if let Some(clock) = camera_clock(&report) {
                    outlet.told(Told::ClockAhead { micros: clock.saturating_sub(outlet.arrival().wall.micros()) })?;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(e)) => return Ok(Some(Err(e))),
            None => return Ok(None),
        }
    }
}

/// What the camera's clock said, in microseconds since 1970; `None` where it tells nothing or counts from its own start.
fn camera_clock(report: &ReceivedCompoundPacket) -> Option<i64> {
    let told = report.pkts().find_map(|packet| packet.as_sender_report().ok().flatten())?;
    let since_1970 = told.ntp_timestamp().0.checked_sub(retina::UNIX_EPOCH.0)?;
    let micros = (u128::from(since_1970) * 1_000_000) >> 32;
    i64::try_from(micros).ok()
}

/// The first stream of video that can be kept.
fn video(session: &Session<Described>) -> Result<(usize, Codec), SourceError> {
    let streams = session.streams();
    let found = streams.iter().enumerate().find_map(|(index, stream)| match (stream.media(), stream.encoding_name()) {
        ("video", "h264") => Some((index, Codec::H264)),
        ("video", "h265") => Some((index, Codec::H265)),
        _ => None,
    });
    found.ok_or_else(|| {
        let offered = streams.iter().take(8).map(|stream| format!("{} {}", stream.media(), stream.encoding_name()));
        let offered = offered.collect::<Vec<_>>().join(", ");
        let offered = if offered.is_empty() { "no streams at all".to_owned() } else { censored(&offered, None) };
        SourceError::NoVideo { offered }
    })
}

/// `None` until the camera has told them.
fn parameters(codec: Codec, stream: &Stream) -> Option<Result<VideoParameters, SourceError>> {
    let Some(ParametersRef::Video(told)) = stream.parameters() else { return None };
    let fits = matches!(
        (codec, told.codec_params()),
        (Codec::H264, VideoParametersCodec::H264 { .. }) | (Codec::H265, VideoParametersCodec::H265 { .. })
    );
    let (width, height) = told.pixel_dimensions();
    let pixels = u16::try_from(width).ok().zip(u16::try_from(height).ok()).filter(|_| fits);
    Some(match pixels {
        Some((width_px, height_px)) => {
            let decoder_config = Bytes::copy_from_slice(told.extra_data());
            Ok(VideoParameters { codec, width_px, height_px, decoder_config })
        }
        None => Err(SourceError::Unreadable { detail: format!("{width}×{height} pixels of another codec") }),
    })
}

fn ticks_90k(frame: &VideoFrame) -> Option<i64> {
    let stamp = frame.timestamp();
    let ticks = i128::from(stamp.timestamp()) * 90_000 / i128::from(stamp.clock_rate().get());
    i64::try_from(ticks).ok()
}

struct Asking<'a> {
    source: &'a Source,
    clock: &'a Clock,
    limits: &'a Limits,
}

impl Asking<'_> {
    async fn answer<T>(
        &self,
        request: &'static str,
        asked: impl Future<Output = Result<T, retina::Error>>,
    ) -> Result<T, SourceError> {
        let limit = self.limits.answer;
        match self.clock.timeout(limit, asked).await {
            Err(_) => Err(SourceError::NoAnswer { request, limit }),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => Err(self.failed(request, &e)),
        }
    }

    fn failed(&self, request: &'static str, error: &retina::Error) -> SourceError {
        match error.status_code() {
            Some(401 | 403) if self.source.credentials.is_none() => SourceError::CredentialsMissing,
            Some(401 | 403) => SourceError::Unauthorized,
            // A good status with an error: the answer was not understood.
            Some(status) if status >= 300 => SourceError::Refused { request, status },
            Some(_) => self.unreadable(&error.to_string()),
            None => self.broke(error),
        }
    }

    /// retina's errors say their kind in words only; the tests of sessions hold these here.
    fn broke(&self, error: &retina::Error) -> SourceError {
        let told = error.to_string();
        let detail = censored(&told, self.source.credentials.as_ref());
        if told.contains("Out-of-order packet or large loss") {
            SourceError::Disordered
        } else if told.starts_with("Unable to connect") {
            SourceError::Unreachable { detail }
        } else if told.starts_with("Error reading from RTSP peer")
            || told.starts_with("Error writing to RTSP peer")
            || told.starts_with("Error receiving UDP packet")
            || told.starts_with("Timeout")
        {
            SourceError::Disconnected { detail }
        } else {
            SourceError::Unreadable { detail }
        }
    }

    fn unreadable(&self, text: &str) -> SourceError {
        SourceError::Unreadable { detail: censored(text, self.source.credentials.as_ref()) }
    }
}
