//! What the worker and its parent say to each other.
//!
//! The order is one line of JSON on the worker's stdin; stdin then stays open for as long as the parent wants frames.
//! Messages on its stdout, numbers little-endian:
//! ```text
//! 0  1  kind: 1 parameters, 2 frame, 3 end, 4 failure
//! 1  4  length of what follows
//!       parameters: 1 codec (1 H.264, 2 H.265), 1 sound (0 not known, 1 none, 2 offered), extra data as libav has it
//!       frame:      1 flags (bit 0: the time is known), 8 time in 90 kHz (signed), NAL units as libav has them
//!       failure:    1 reason, text in UTF-8
//! ```

use crate::domain::{Codec, Transport};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::{Zeroize, Zeroizing};

/// The largest frame, in bytes.
pub const LARGEST_FRAME_BYTES: usize = 16 << 20;
const LARGEST_PARAMETERS_BYTES: usize = 64 << 10;
const LARGEST_FAILURE_BYTES: usize = 1 << 10;
const PARAMETERS_HEADER_BYTES: usize = 2;
const FRAME_HEADER_BYTES: usize = 9;
const HEADER_BYTES: usize = 5;

/// What the worker is to open.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub url: url::Url,
    pub username: Option<String>,
    pub password: Option<String>,
    pub transport: Transport,
    /// How long the network may be silent.
    pub silence_ms: u32,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("scheme", &self.url.scheme()).finish_non_exhaustive()
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl Order {
    /// The line that the worker reads.
    ///
    /// # Errors
    /// [`PipeError::Order`], without a cause that could quote it.
    pub fn line(
        url: &url::Url,
        credentials: Option<&crate::domain::Credentials>,
        transport: Transport,
        silence_ms: u32,
    ) -> Result<Zeroizing<Vec<u8>>, PipeError> {
        #[derive(Serialize)]
        struct Line<'a> {
            url: &'a str,
            username: Option<&'a str>,
            password: Option<&'a str>,
            transport: Transport,
            silence_ms: u32,
        }
        let line = Line {
            url: url.as_str(),
            username: credentials.map(|given| given.username.as_str()),
            password: credentials.map(|given| given.password.expose()),
            transport,
            silence_ms,
        };
        // Large enough never to move, which would leave a copy behind.
        let mut out = Zeroizing::new(Vec::with_capacity(16 << 10));
        serde_json::to_writer(&mut *out, &line).map_err(|_| PipeError::Order)?;
        out.push(b'\n');
        Ok(out)
    }
}

/// What the worker says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Before the first frame, and when they change.
    Parameters { codec: Codec, sound: Option<bool>, extra_data: Bytes },
    /// In decode order.
    Frame { pts_90k: Option<i64>, data: Bytes },
    /// The camera ended the stream.
    End,
    /// Nothing more comes.
    Failure { why: Failure, text: String },
}

/// Why a worker gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    Unreachable,
    Unauthorized,
    Refused,
    Unreadable,
    NoVideo,
    Stalled,
    Disconnected,
    Scheme,
    /// The kernel did not let it confine itself.
    Confinement,
    /// The parent's order was unreadable.
    Order,
}

const FAILURES: [(u8, Failure); 10] = [
    (1, Failure::Unreachable),
    (2, Failure::Unauthorized),
    (3, Failure::Refused),
    (4, Failure::Unreadable),
    (5, Failure::NoVideo),
    (6, Failure::Stalled),
    (7, Failure::Disconnected),
    (8, Failure::Scheme),
    (9, Failure::Confinement),
    (10, Failure::Order),
];

/// Why a message cannot be read, or an order not be given.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    #[error("the pipe to the worker broke")]
    Broken(#[from] io::Error),
    #[error("the worker sent a message of kind {0}, which does not exist")]
    UnknownKind(u8),
    #[error("the worker sent a message of kind {kind} with {bytes} bytes")]
    Length { kind: u8, bytes: usize },
    #[error("the worker sent a message of kind {kind} with the value {value} where none such exists")]
    Value { kind: u8, value: u8 },
    #[error("the order for the worker cannot be written")]
    Order,
}

/// Writes one message.
///
/// # Errors
/// What the pipe says; `InvalidInput` for a frame or parameters larger than allowed.
pub fn write(to: &mut impl Write, message: &Message) -> io::Result<()> {
    let (kind, head, body): (u8, Vec<u8>, &[u8]) = match message {
        Message::Parameters { codec, sound, extra_data } => {
            (1, vec![codec_number(*codec), sound.map_or(0, |offered| 1 + u8::from(offered))], extra_data)
        }
        Message::Frame { pts_90k, data } => {
            let mut head = vec![u8::from(pts_90k.is_some())];
            head.extend(pts_90k.unwrap_or(0).to_le_bytes());
            (2, head, data)
        }
        Message::End => (3, Vec::new(), &[]),
        Message::Failure { why, text } => {
            let number = FAILURES.iter().find(|(_, failure)| failure == why).map_or(0, |(number, _)| *number);
            let cut = text.floor_char_boundary(LARGEST_FAILURE_BYTES - 1);
            (4, vec![number], &text.as_bytes()[..cut])
        }
    };
    let length = head.len() + body.len();
    if length > largest(kind).unwrap_or(0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{length} bytes of kind {kind}")));
    }
    let mut header = vec![kind];
    header.extend(u32::try_from(length).map_err(io::Error::other)?.to_le_bytes());
    header.extend(head);
    to.write_all(&header)?;
    to.write_all(body)
}

/// Reads one message; `None` where the pipe ends between two.
///
/// # Errors
/// [`PipeError`] for whatever is not one: the worker may be in a camera's hands (W2).
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Message>, PipeError> {
    let mut header = [0; HEADER_BYTES];
    if from.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut header[1..]).await?;
    let [kind, length @ ..] = header;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > largest(kind).ok_or(PipeError::UnknownKind(kind))? {
        return Err(PipeError::Length { kind, bytes: length });
    }
    // Grows with what really comes: a length alone claims no memory.
    let mut body = Vec::with_capacity(length.min(64 << 10));
    from.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(PipeError::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    decode(kind, body.into()).map(Some)
}

fn decode(kind: u8, mut body: Bytes) -> Result<Message, PipeError> {
    let bytes = body.len();
    let mut take = |count: usize| {
        if body.len() < count { Err(PipeError::Length { kind, bytes }) } else { Ok(body.split_to(count)) }
    };
    let value = |value| PipeError::Value { kind, value };
    match kind {
        1 => {
            let head = take(PARAMETERS_HEADER_BYTES)?;
            let codec = match head[0] {
                1 => Codec::H264,
                2 => Codec::H265,
                other => return Err(value(other)),
            };
            let sound = match head[1] {
                0 => None,
                1 => Some(false),
                2 => Some(true),
                other => return Err(value(other)),
            };
            Ok(Message::Parameters { codec, sound, extra_data: body })
        }
        2 => {
            let head = take(FRAME_HEADER_BYTES)?;
            let time = head[1..].first_chunk::<8>().map_or(0, |time| i64::from_le_bytes(*time));
            let pts_90k = match head[0] {
                0 => None,
                1 => Some(time),
                other => return Err(value(other)),
            };
            Ok(Message::Frame { pts_90k, data: body })
        }
        3 => Ok(Message::End),
        4 => {
            let number = take(1)?[0];
            let found = FAILURES.iter().find(|(known, _)| *known == number);
            let why = found.map(|(_, failure)| *failure).ok_or(value(number))?;
            Ok(Message::Failure { why, text: String::from_utf8_lossy(&body).into_owned() })
        }
        other => Err(PipeError::UnknownKind(other)),
    }
}

fn codec_number(codec: Codec) -> u8 {
    match codec {
        Codec::H264 => 1,
        Codec::H265 => 2,
    }
}

fn largest(kind: u8) -> Option<usize> {
    match kind {
        1 => Some(PARAMETERS_HEADER_BYTES + LARGEST_PARAMETERS_BYTES),
        2 => Some(FRAME_HEADER_BYTES + LARGEST_FRAME_BYTES),
        3 => Some(0),
        4 => Some(1 + LARGEST_FAILURE_BYTES),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Credentials;
    use proptest::prelude::*;

    fn read_now(bytes: &[u8]) -> Result<Option<Message>, PipeError> {
        futures::executor::block_on(read(&mut &bytes[..]))
    }

    fn messages() -> impl Strategy<Value = Message> {
        let data = || proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
        prop_oneof![
            (any::<bool>(), any::<Option<bool>>(), data()).prop_map(|(h264, sound, extra_data)| Message::Parameters {
                codec: if h264 { Codec::H264 } else { Codec::H265 },
                sound,
                extra_data
            }),
            (any::<Option<i64>>(), data()).prop_map(|(pts_90k, data)| Message::Frame { pts_90k, data }),
            Just(Message::End),
            (0..FAILURES.len(), ".{0,40}").prop_map(|(i, text)| Message::Failure { why: FAILURES[i].1, text }),
        ]
    }

    proptest! {
        #[test]
        fn a_message_is_read_as_it_was_written(message in messages(), cut in any::<proptest::sample::Index>()) {
            let mut bytes = Vec::new();
            write(&mut bytes, &message).unwrap();
            prop_assert_eq!(read_now(&bytes).unwrap(), Some(message));
            let cut = cut.index(bytes.len());
            prop_assert!(cut == 0 || read_now(&bytes[..cut]).is_err());
        }

        #[test]
        fn nonsense_never_makes_the_parent_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            drop(read_now(&bytes));
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_neither_written_nor_waited_for() {
        let frame = Message::Frame { pts_90k: None, data: Bytes::from(vec![0; LARGEST_FRAME_BYTES + 1]) };
        assert_eq!(write(&mut Vec::new(), &frame).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        for kind in [1, 2, 3, 4] {
            let mut header = vec![kind];
            header.extend(u32::MAX.to_le_bytes());
            assert!(matches!(read_now(&header), Err(PipeError::Length { .. })));
        }
        assert!(matches!(read_now(&[9, 0, 0, 0, 0]), Err(PipeError::UnknownKind(9))));
        assert!(read_now(&[]).unwrap().is_none());
    }

    #[test]
    fn an_order_is_one_line_and_shows_no_password() {
        let url: url::Url = "rtsp://10.0.0.1/a".parse().unwrap();
        let credentials = Credentials::new("admin", "two\nlines\"");
        let line = Order::line(&url, Some(&credentials), Transport::Udp, 10_000).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let order: Order = serde_json::from_slice(&line).unwrap();
        assert_eq!(order.password.as_deref(), Some("two\nlines\""));
        assert_eq!((order.transport, order.silence_ms), (Transport::Udp, 10_000));
        let shown = format!("{order:?}");
        assert!(!shown.contains("lines") && !shown.contains("10.0.0.1"), "{shown}");
    }
}
