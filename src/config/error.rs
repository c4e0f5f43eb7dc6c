//! What can be wrong with a file, where, and what to do about it.

use crate::domain::{CameraNumber, NoHours, NotANetwork, RetentionError};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A point in a text, both counted from 1; columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// One thing wrong with one file. Shown as `file:line:column: field: what is wrong and what to do`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    pub file: PathBuf,
    /// `None` when the file as a whole is meant.
    pub place: Option<Place>,
    /// The field's full name, as in `source.url`; `None` when no field is meant.
    pub field: Option<String>,
    pub fault: Fault,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(place) = self.place {
            write!(f, "{}:{}:", place.line, place.column)?;
        }
        if let Some(field) = &self.field {
            write!(f, " {field}:")?;
        }
        write!(f, " {}", self.fault)
    }
}

impl std::error::Error for ConfigError {}

/// Everything wrong with what was loaded, one error a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// What is wrong. No variant holds a value that stood in the file, except numbers and the names of choices.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    // Files and directories.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is not there; make one with `custodian init`")]
    NoSiteFile,
    #[error("is not a plain file; put the text itself here")]
    NotAFile,
    #[error("is larger than {limit_bytes} bytes, which no configuration file needs to be")]
    TooLarge { limit_bytes: u64 },
    #[error("is not UTF-8 text; save it as UTF-8")]
    NotUtf8,
    #[error("others can reach it (mode {mode:04o}); run `chmod 700` on it")]
    NotPrivate { mode: u32 },
    #[error("belongs to another user (id {owner}); run the daemon as that user, or `chown` the directory")]
    NotOwned { owner: u32 },

    // Text and fields.
    #[error("is not TOML: {0}")]
    Syntax(String),
    #[error("there is no such field; the ones known here are {}", known.join(", "))]
    UnknownField { known: Vec<&'static str> },
    #[error(
        "a password never stands in a camera's file; put it in a file of its own and name that with `password_file`"
    )]
    PasswordInline,
    #[error("is missing; {0}")]
    Missing(&'static str),
    #[error("wants {wanted}, but this is of the type {found}")]
    WrongType { wanted: &'static str, found: &'static str },
    #[error("must be from {min} to {max} {unit}")]
    OutOfRange { min: u32, max: u32, unit: &'static str },
    #[error("must be one of {}", .0.join(", "))]
    NotOneOf(&'static [&'static str]),
    #[error("is empty; write something, or leave the field out")]
    Empty,
    #[error("is longer than {limit} characters; shorten it")]
    TooLong { limit: usize },
    #[error("has control characters in it; write plain text")]
    ControlCharacters,
    #[error("has more than {most} entries; take some out")]
    TooMany { most: usize },
    #[error("is not a day; write it like \"2026-12-25\"")]
    NoDay,

    // The site.
    #[error("no time zone of this name is known; write one like \"Asia/Seoul\"")]
    UnknownTimeZone,
    #[error("is not an address with a port; write one like \"127.0.0.1:8970\"")]
    NotAnAddress,
    #[error(
        "{0} can be reached from other machines, which needs TLS; write tls = \"own-certificate\" or \"given-certificate\", or listen on a loopback address such as 127.0.0.1:8970"
    )]
    WantsTls(SocketAddr),
    #[error("a given certificate wants two files; write certificate = \"…\" and private_key = \"…\"")]
    CertificateMissing,
    #[error(
        "certificate and private_key are read with tls = \"given-certificate\" alone; write that, or take them out"
    )]
    CertificateUnused,
    #[error("is neither a socket's whole path, such as /dev/log, nor \"nowhere\"")]
    NoSocket,
    #[error("the same volume is named twice; name each volume once")]
    VolumeTwice,
    #[error("the same place is named twice; give each a name of its own")]
    TerminalTwice,
    #[error(transparent)]
    NotANetwork(NotANetwork),
    #[error("must not be shorter than session_idle_min")]
    SessionShorterThanIdle,

    // The camera.
    #[error("no camera may be in a toilet or a changing room (PIPA, article 25(2)); take the camera down")]
    ForbiddenArea,
    #[error("an operating room is no place open to the public; write class = \"operating-room\" or \"non-public\"")]
    OperatingRoomAsPublic,
    #[error(
        "the class operating-room keeps footage 30 days at least, which the law allows for operating rooms alone; write area = \"operating-room\", or another class"
    )]
    FloorOutsideOperatingRoom,
    #[error("{0}")]
    Retention(RetentionError),
    #[error(
        "a demonstration destroys footage after 90 seconds, and the footage of an operating room is kept 30 days at least; leave this camera out, or start without --demo"
    )]
    FloorInDemo,
    #[error("is missing; a non-public place is filmed by consent: say whose, and how it was given")]
    ConsentMissing,
    #[error("{0}")]
    Hours(NoHours),
    #[error(
        "an operating room is filmed during operations, whatever the hour: staff says when one begins and ends; take the hours out"
    )]
    HoursInOperatingRoom,
    #[error("another file has camera number {number} already: {}; give this one a number of its own", other.display())]
    NumberTaken { number: CameraNumber, other: PathBuf },
    #[error(
        "the notice on the wall declares {declared} cameras, and this would be one more; publish the new number and write it as declared_cameras in site.toml, or remove a camera"
    )]
    BeyondNotice { declared: u32 },

    // The camera's source.
    #[error("is not an address: {0}; write one like \"rtsp://192.0.2.7/stream1\"")]
    MalformedUrl(url::ParseError),
    #[error("has no host; write one like \"rtsp://192.0.2.7/stream1\"")]
    UrlWithoutHost,
    #[error(
        "has a user name or password in it; take them out, write the name as `username`, and put the password in a file named by `password_file`"
    )]
    CredentialsInUrl,
    #[error("cameras are not read by this kind of address; it must begin with one of {}", known.join(", "))]
    UnknownScheme { known: &'static [&'static str] },
    #[error("the driver retina reads rtsp:// alone; write driver = \"libav\" for this kind of address")]
    SchemeNeedsLibav,
    #[error("only rtsp:// can be carried by udp; leave `transport` out")]
    TransportWithoutRtsp,
    #[error("is missing; a user name and a password, by `password_file` or `password_credential`, go together")]
    HalfCredentials,
    #[error("there is a `password_file` too; name one of them")]
    TwoPasswords,
    #[error("is no name of a credential: write the one that stands in the unit before the colon, without a path")]
    NoCredentialName,
    #[error(
        "the service manager gave this program no credentials; add LoadCredential=NAME:FILE to the unit (systemctl edit custodian) and restart it. By hand, `systemd-run --pipe -p LoadCredential=NAME:FILE custodian …` does it"
    )]
    NoCredentials,
    #[error("{}: {why}", path.display())]
    PasswordFile { path: PathBuf, why: PasswordFault },
}

/// What is wrong with a file that holds a camera's password.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PasswordFault {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is not a plain file")]
    NotAFile,
    #[error("others than its owner can reach it (mode {mode:04o}); run `chmod 600` on it")]
    NotPrivate { mode: u32 },
    #[error("belongs to user {owner}; run `chown` on it")]
    NotOwned { owner: u32 },
    #[error("is empty; write the password in it, on one line")]
    Empty,
    #[error("holds more than one line of text of at most {limit_bytes} bytes; write the password alone")]
    NotOneLine { limit_bytes: u64 },
}

/// A file with a private key that is not read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct KeyFileError {
    pub file: PathBuf,
    pub fault: KeyFileFault,
}

/// What is wrong with a file that holds a private key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyFileFault {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is not a plain file")]
    NotAFile,
    #[error("belongs to user {owner}, not to the one who runs this; copy it to a file of your own")]
    NotOwned { owner: u32 },
    #[error("others than its owner can reach it (mode {mode:04o}); run `chmod 600` on it")]
    NotPrivate { mode: u32 },
    #[error("is not text of at most {limit_bytes} bytes; write the key in it, or two shares, one a line")]
    NotText { limit_bytes: u64 },
}
