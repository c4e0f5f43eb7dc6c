//! The words of the house: ids, spans of time, camera classes, roles. Pure; no input or output.

pub mod camera;
pub mod copies;
pub mod deadline;
pub mod destruction;
pub mod doubt;
pub mod grant;
pub mod hold;
pub mod hours;
pub mod ids;
pub mod letter;
pub mod local_day;
pub mod month;
pub mod operation;
pub mod paper;
pub mod people;
pub mod request;
pub mod source;
pub mod terminal;
pub mod time;
pub mod version;
pub mod video;

pub use camera::{CameraClass, FilmedArea, PUBLIC_CEILING, Retention, RetentionError};
pub use copies::{CopyEnd, CopyKind};
pub use deadline::DayCount;
pub use destruction::{DestructionTrigger, ManifestHead, Overwrite};
pub use doubt::{Correction, Dating, Doubt, Mark};
pub use grant::{GrantEnd, RevocationGround, ViewingEnd};
pub use hold::{HeldFor, HoldEnd, HoldReason};
pub use hours::{Filming, FilmingHours, NoHours};
pub use ids::{
    AccountId, CameraNumber, DayKeyId, Digest, DisputeId, GrantId, HoldId, OperationId, RequestId, SegmentId, SiteId,
    ViewingId, VolumeId,
};
pub use letter::{DeliveryWay, Language, LetterKind};
pub use local_day::{LocalDay, NotADay};
pub use month::{Month, NotAMonth};
pub use operation::AskedBy;
pub use paper::PaperOf;
pub use people::Role;
pub use source::{Credentials, Driver, Password, Source, Transport};
pub use terminal::{Network, NotANetwork, Terminal};
pub use time::{Day, Span, SpanError, Utc};
pub use version::{StateFault, StateVersion};
pub use video::{Codec, Frame, GapCause, VideoParameters};
