//! The confined process: the only place where C code parses what a camera sends.
//!
//! Started as `custodian worker` with nothing but three pipes: an order on stdin, messages on stdout ([`pipe`]),
//! FFmpeg's log on stderr. Before it looks at a byte from the network it gives up what it does not need
//! (`confine`, `filter`): it holds no key, can write no file, read only what name resolution and TLS read, start no
//! program, use only so much memory, and ask the kernel for little else than to receive. Invariants:
//! - **W1** The worker never sees footage at rest, a key, or another camera's credentials.
//! - **W2** Whatever it is made to do by a hostile stream, its parent reads bounded messages, and can kill it.
//! - **W3** It ends by itself when its parent is gone.
//! - **W4** Sound is not asked for (RTSP), or thrown away by the demuxer (all else): none is ever written to the pipe.

mod confine;
mod demux;
mod filter;
pub mod pipe;
mod raw;

pub use pipe::{Failure, Message, Order, PipeError};

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

/// An order is a line; longer than this it is none.
const LONGEST_ORDER_BYTES: u64 = 16 << 10;

/// Runs the worker's side: reads an order, delivers a camera's packets until it ends, or the parent is gone.
/// To be called before the process has any other thread: some of the confinement binds only the thread that asks.
pub fn run() -> ExitCode {
    raw::close_all_but_standard();
    let mut out = io::stdout().lock();
    let told = match serve(&mut out) {
        Ok(()) => Message::End,
        Err(Stopped::Camera { why, text }) => Message::Failure { why, text },
        Err(Stopped::ParentGone(_)) => return ExitCode::FAILURE,
    };
    match pipe::write(&mut out, &told).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Why the worker stops.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("{why:?}: {text}")]
    Camera { why: Failure, text: String },
    #[error("the parent reads no more")]
    ParentGone(#[source] io::Error),
}

fn serve(out: &mut impl Write) -> Result<(), Stopped> {
    confine::confine().map_err(|e| Stopped::Camera { why: Failure::Confinement, text: e.to_string() })?;
    let order = read_order(io::stdin().lock())?;
    demux::deliver(&order, out)
}

fn read_order(from: impl BufRead) -> Result<Order, Stopped> {
    let unreadable = |text: String| Stopped::Camera { why: Failure::Order, text };
    // Large enough never to move, which would leave a copy behind.
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(16 << 10));
    from.take(LONGEST_ORDER_BYTES).read_until(b'\n', &mut line).map_err(|e| unreadable(e.to_string()))?;
    // The error is not told: it would quote the order.
    serde_json::from_slice(&line).map_err(|_| unreadable("the order is not readable".into()))
}
