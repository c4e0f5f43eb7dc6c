//! Cameras: the session of each, what it delivers, and how that becomes segments.
//!
//! ```text
//! camera ─RTSP→ rtsp (retina) ─────────────┐
//! camera ─any→ worker ─pipe→ libav ────────┴→ timing (when was it filmed?) → outlet → backlog
//! backlog → segments (where one ends and the next begins) → vault          supervisor: one task a camera
//! ```
//! Invariants:
//! - **I1** Sound is never asked for: exactly one stream is set up, and it is video (PIPA 25(5)).
//! - **I2** No wait is without end: every answer and every frame has its limit on the clock that was handed in.
//! - **I3** Nobody learns a password or an address from a message: errors name the fault and what to do, and texts
//!   from outside pass [`source`]'s censor.
//! - **I4** What cannot be written in time waits within one budget for all cameras; beyond it whole GOPs are dropped, the
//!   oldest first, and told ([`backlog`]).

mod advice;
pub mod backlog;
pub mod libav;
mod outlet;
mod pauses;
mod probe;
pub mod rtsp;
mod segments;
pub mod source;
mod supervisor;
pub mod timing;

pub use backlog::{Backlog, BacklogReport, Events, Intake};
pub use probe::{Findings, probe};
pub use segments::RecordError;
pub use source::{Limits, SourceError, SourceEvent, Told, receive};
pub use supervisor::{CameraState, CameraStatus, CameraWatchers, Cameras, OperationsUnderWay, Receiving};
