//! A session by libavformat, in the confined worker: this process only reads its pipe, and NAL units.

use super::backlog::Intake;
use super::outlet::Outlet;
use super::source::{Limits, SourceError, Told, censored};
use super::timing::{Arrival, Received};
use crate::clock::Clock;
use crate::domain::{Codec, Credentials, Source};
use crate::fragment::nal::{self, AccessUnit, Framing, ParameterSets};
use crate::worker::pipe::{self, Failure, Message, Order};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// For a worker that has closed its pipe, to be gone too.
const LEAVING: Duration = Duration::from_secs(2);
/// Frames without a time, after which it is no stream.
const MOST_TIMELESS: usize = 64;
/// Frames further apart than this do not tell how far others are.
const FARTHEST_APART_90K: i64 = 10 * 90_000;
/// What stands for it then: 25 frames a second.
const UNTOLD_APART_90K: i64 = 3_600;
/// A PTS beyond this is a lie (a thousand years), and none below makes a sum overflow.
const FARTHEST_PTS_90K: u64 = 1 << 52;

/// Runs one session: see [`super::receive`].
pub async fn receive(
    source: &Source,
    clock: &Clock,
    limits: &Limits,
    out: &Intake,
    worker_program: &Path,
) -> SourceError {
    let mut child = match start(worker_program) {
        Ok(child) => child,
        Err(e) => return SourceError::WorkerStart(e),
    };
    let mut outlet = Outlet::new(source.camera, clock, limits, out);
    let ended = match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), Some(stderr)) => {
            let session = Session { source, clock, limits, child: &mut child, stdout, opened: false };
            tokio::select! {
                ended = session.run(&mut outlet) => ended,
                never = pass_on_log(source, stderr) => match never {},
            }
        }
        _ => SourceError::WorkerStart(std::io::ErrorKind::BrokenPipe.into()),
    };
    // Also done when this future is dropped, by tokio; here it is waited for.
    if let Err(e) = child.kill().await {
        tracing::warn!(camera = %source.camera, error = %e, "the worker could not be ended");
    }
    match outlet.finish() {
        Ok(()) => ended,
        Err(gone) => gone,
    }
}

enum Never {}

fn start(program: &Path) -> std::io::Result<Child> {
    Command::new(program)
        .arg("worker")
        .env_clear()
        // One thread needs one heap.
        .env("MALLOC_ARENA_MAX", "1")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

struct Session<'a> {
    source: &'a Source,
    clock: &'a Clock,
    limits: &'a Limits,
    child: &'a mut Child,
    stdout: ChildStdout,
    /// Whether the worker has opened the camera.
    opened: bool,
}

impl Session<'_> {
    async fn run(mut self, outlet: &mut Outlet<'_>) -> SourceError {
        match self.deliver(outlet).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn deliver(&mut self, outlet: &mut Outlet<'_>) -> Result<Never, SourceError> {
        // Kept open until the end: the worker leaves when it closes.
        let mut stdin = self.child.stdin.take();
        let silence = self.limits.answer.max(self.limits.frame);
        let silence_ms = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
        let (source, transport) = (self.source, self.source.transport);
        let line = Order::line(&source.url, source.credentials.as_ref(), transport, silence_ms);
        let line = line.map_err(SourceError::WorkerBroken)?;
        if let Some(stdin) = &mut stdin
            && stdin.write_all(&line).await.is_err()
        {
            return Err(self.died().await);
        }
        let mut coded: Option<Coded> = None;
        let mut times = Times::default();
        let mut before: Option<Arrival> = None;
        loop {
            let message = self.next().await?;
            let now = outlet.arrival();
            match message {
                Message::Parameters { codec, sound, extra_data } => {
                    if let Some(offered) = sound {
                        outlet.told(Told::Sound { offered })?;
                    }
                    let mut next = Coded::begin(codec, &extra_data)?;
                    if let Some(parameters) = next.parameters()? {
                        outlet.parameters(parameters)?;
                    }
                    coded = Some(next);
                }
                Message::Frame { pts_90k, data } => {
                    let Some(coded) = &mut coded else {
                        return Err(SourceError::Unreadable { detail: "a frame before its codec".into() });
                    };
                    let unit = coded.frame(&data)?;
                    if let Some(parameters) = coded.parameters()? {
                        outlet.parameters(parameters)?;
                    }
                    if unit.data.is_empty() {
                        continue;
                    }
                    if !coded.told {
                        outlet.useless(now)?;
                        continue;
                    }
                    let at = before.replace(now).filter(|_| comes_a_frame_late(source)).unwrap_or(now);
                    for received in times.timed(at, pts_90k, unit)? {
                        outlet.frame(received)?;
                    }
                }
                Message::End => return Err(SourceError::Ended),
                Message::Failure { why, text } => return Err(self.failed(why, &text)),
            }
        }
    }

    async fn next(&mut self) -> Result<Message, SourceError> {
        let limit = if self.opened { self.limits.frame } else { self.limits.answer };
        let read = self.clock.timeout(limit, pipe::read(&mut self.stdout)).await;
        match read {
            Ok(Ok(Some(message))) => {
                self.opened = true;
                Ok(message)
            }
            Ok(Ok(None) | Err(pipe::PipeError::Broken(_))) => Err(self.died().await),
            Ok(Err(e)) => Err(SourceError::WorkerBroken(e)),
            Err(_) if self.opened => Err(SourceError::Stalled { limit }),
            Err(_) => Err(SourceError::NoAnswer { request: "the opening of its stream", limit }),
        }
    }

    async fn died(&mut self) -> SourceError {
        let how = match self.clock.timeout(LEAVING, self.child.wait()).await {
            Ok(Ok(status)) => told(status),
            Ok(Err(e)) => e.to_string(),
            Err(_) => "it closed its pipe and stayed".to_owned(),
        };
        SourceError::WorkerDied { how }
    }

    fn failed(&self, why: Failure, text: &str) -> SourceError {
        let detail = censored(text, self.source.credentials.as_ref());
        match why {
            Failure::Unreachable => SourceError::Unreachable { detail },
            Failure::Unauthorized if self.source.credentials.is_none() => SourceError::CredentialsMissing,
            Failure::Unauthorized => SourceError::Unauthorized,
            Failure::Refused | Failure::Unreadable => SourceError::Unreadable { detail },
            Failure::NoVideo if text.is_empty() => SourceError::NoVideo { offered: "no streams at all".into() },
            Failure::NoVideo => SourceError::NoVideo { offered: detail },
            Failure::Stalled if self.opened => SourceError::Stalled { limit: self.limits.frame },
            Failure::Stalled => {
                SourceError::NoAnswer { request: "the opening of its stream", limit: self.limits.answer }
            }
            Failure::Disconnected => SourceError::Disconnected { detail },
            Failure::Scheme => SourceError::Scheme { scheme: detail },
            Failure::Confinement | Failure::Order => SourceError::WorkerDied { how: detail },
        }
    }
}

/// Over these, libav learns that a frame is complete when the next one begins. So that frame arrived when the one before
/// it was told.
fn comes_a_frame_late(source: &Source) -> bool {
    matches!(source.url.scheme(), "rtsp" | "rtsps" | "udp")
}

fn told(status: ExitStatus) -> String {
    status.to_string()
}

/// How this camera's frames are coded, as far as it was told.
struct Coded {
    codec: Codec,
    framing: Framing,
    sets: ParameterSets,
    changed: bool,
    /// Whether parameters were ever complete: a frame before is of no use.
    told: bool,
}

impl Coded {
    fn begin(codec: Codec, extra_data: &[u8]) -> Result<Self, SourceError> {
        let (framing, sets) = nal::extra_data(codec, extra_data)?;
        Ok(Self { codec, framing, sets, changed: true, told: false })
    }

    fn frame(&mut self, data: &[u8]) -> Result<AccessUnit, SourceError> {
        let mut unit = nal::access_unit(self.codec, self.framing, data)?;
        let before = self.sets.clone();
        self.sets.update(std::mem::take(&mut unit.sets));
        self.changed |= self.sets != before;
        Ok(unit)
    }

    /// The parameters, if they changed.
    fn parameters(&mut self) -> Result<Option<crate::domain::VideoParameters>, SourceError> {
        if !std::mem::take(&mut self.changed) || !self.sets.is_complete(self.codec) {
            return Ok(None);
        }
        self.told = true;
        Ok(Some(self.sets.parameters(self.codec)?))
    }
}

/// Gives a time to frames that came without one, as libav's very first does.
#[derive(Default)]
struct Times {
    /// Until two times are known: they tell how far apart frames are.
    waiting: Vec<(Arrival, Option<i64>, AccessUnit)>,
    last: Option<(Arrival, i64)>,
}

impl Times {
    fn timed(&mut self, at: Arrival, pts_90k: Option<i64>, unit: AccessUnit) -> Result<Vec<Received>, SourceError> {
        if pts_90k.is_some_and(|pts| pts.unsigned_abs() > FARTHEST_PTS_90K) {
            return Err(SourceError::Unreadable { detail: "a frame with an impossible time".into() });
        }
        if let Some((then, last)) = self.last {
            // As much later as it came later.
            let later = || last.saturating_add(ticks_90k(at.monotonic.saturating_sub(then.monotonic)).max(1));
            let pts_90k = pts_90k.unwrap_or_else(later);
            self.last = Some((at, pts_90k));
            return Ok(vec![received(at, pts_90k, unit)]);
        }
        self.waiting.push((at, pts_90k, unit));
        if self.waiting.len() > MOST_TIMELESS {
            return Err(SourceError::Unreadable { detail: "frames without times".into() });
        }
        let times: Vec<Option<i64>> = self.waiting.iter().map(|(_, pts, _)| *pts).collect();
        let Some((first, apart)) = evenly(&times) else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for (place, (at, pts, unit)) in (0_i64..).zip(self.waiting.drain(..)) {
            let pts_90k = pts.unwrap_or(first + place * apart);
            self.last = Some((at, pts_90k));
            out.push(received(at, pts_90k, unit));
        }
        Ok(out)
    }
}

/// The first frame's time and the distance from frame to frame, where enough is known to tell.
fn evenly(times: &[Option<i64>]) -> Option<(i64, i64)> {
    let mut known = (0_i64..).zip(times).filter_map(|(place, time)| time.map(|time| (place, time)));
    let (place, time) = known.next()?;
    if place == 0 {
        return Some((time, 0));
    }
    let (next_place, next_time) = known.next()?;
    let apart = (next_time - time) / (next_place - place);
    let apart = if (1..=FARTHEST_APART_90K).contains(&apart) { apart } else { UNTOLD_APART_90K };
    Some((time - place * apart, apart))
}

fn received(at: Arrival, pts_90k: i64, unit: AccessUnit) -> Received {
    Received { at, pts_90k, sync: unit.sync, data: unit.data }
}

fn ticks_90k(length: Duration) -> i64 {
    i64::try_from(length.as_micros() * 9 / 100).unwrap_or(i64::MAX)
}

/// Passes FFmpeg's log on, censored, until the other side of the `select!` ends.
async fn pass_on_log(source: &Source, mut stderr: ChildStderr) -> Never {
    let mut line = Vec::new();
    let mut chunk = [0; 1024];
    while let Some(count) = some(&mut stderr, &mut chunk).await {
        for byte in &chunk[..count] {
            match byte {
                b'\n' => log_line(source, &std::mem::take(&mut line), source.credentials.as_ref()),
                byte if line.len() < 1024 => line.push(*byte),
                _ => {}
            }
        }
    }
    std::future::pending().await
}

async fn some(from: &mut (impl AsyncRead + Unpin), chunk: &mut [u8]) -> Option<usize> {
    from.read(chunk).await.ok().filter(|count| *count > 0)
}

fn log_line(source: &Source, line: &[u8], credentials: Option<&Credentials>) {
    let text = censored(&String::from_utf8_lossy(line), credentials);
    tracing::debug!(camera = %source.camera, text, "the worker's log");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Utc;
    use bytes::Bytes;

    fn times(told: &[Option<i64>]) -> Result<Vec<i64>, SourceError> {
        let mut times = Times::default();
        let mut out = Vec::new();
        for (i, pts) in told.iter().enumerate() {
            let monotonic = Duration::from_millis(100 * i as u64);
            let at = Arrival { wall: Utc::from_micros(0).saturating_add(monotonic), monotonic };
            let unit = AccessUnit { data: Bytes::from_static(b"x"), sync: i == 0, sets: ParameterSets::default() };
            out.extend(times.timed(at, *pts, unit)?.into_iter().map(|received| received.pts_90k));
        }
        Ok(out)
    }

    #[test]
    fn frames_without_a_time_get_one_that_fits_the_others() {
        let told = [None, Some(9_000), Some(18_000), None, Some(36_000)];
        assert_eq!(times(&told).unwrap(), [0, 9_000, 18_000, 27_000, 36_000]);
        assert_eq!(times(&[None, None, Some(5_000), Some(8_000)]).unwrap(), [-1_000, 2_000, 5_000, 8_000]);
        assert_eq!(times(&[Some(7), None]).unwrap(), [7, 9_007]);
        assert_eq!(times(&[None, Some(9_000), Some(0)]).unwrap(), [5_400, 9_000, 0]);
        assert!(times(&[None, Some(9_000)]).unwrap().is_empty());
        assert!(times(&[None; 65]).is_err());
        for lie in [i64::MIN, i64::MAX] {
            assert!(times(&[Some(lie)]).is_err());
        }
    }
}
