//! Identifiers. Each is its own type, so that a camera is never handed over where a request is meant.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// A camera's number on the site plan, 1 to 65,535. It stands in the camera's TOML file, never changes, and is
/// the only thing of a camera's identity that reaches a disk of footage: the name does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CameraNumber(NonZeroU16);

impl CameraNumber {
    /// `None` for zero.
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for CameraNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for CameraNumber {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A random 64-bit number that names something on a disk; written as 16 hexadecimal digits.
macro_rules! opaque_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:016x})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let plain = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !plain {
                    return Err(MalformedId);
                }
                u64::from_str_radix(text, 16).map(Self).map_err(|_| MalformedId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A text that is not 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an id: 16 lower-case hexadecimal digits are wanted")]
pub struct MalformedId;

opaque_number! {
    /// One sealed file of footage. The file's name is this number and nothing else.
    SegmentId
}
opaque_number! {
    /// One day-key file: the key pair of a camera, a UTC day and a volume.
    DayKeyId
}

/// 16 random bytes made once; written as 32 hexadecimal digits.
macro_rules! random_identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "hex::serde")] pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

random_identity! {
    /// A volume: one file system that holds footage. Made at its initialisation.
    VolumeId
}
random_identity! {
    /// A site. Volumes and ledgers carry it, so that those of two sites are never mixed.
    SiteId
}

/// A SHA-256 digest, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(#[serde(with = "hex::serde")] pub [u8; 32]);

impl Digest {
    /// Stands where there is no predecessor.
    pub const ZERO: Digest = Digest([0; 32]);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A number given out in order, starting at 1, that people read aloud.
macro_rules! counted {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

counted! {
    /// A person's account. The ledger names staff by this number, never by name.
    AccountId
}
counted! {
    /// A request to see, copy or erase footage.
    RequestId
}
counted! {
    /// A hold that an officer placed. A request's own has the request's number.
    HoldId
}
counted! {
    /// An operation that is filmed.
    OperationId
}
counted! {
    /// A dispute about footage.
    DisputeId
}
counted! {
    /// A grant: what an approval handed to one viewer.
    GrantId
}
counted! {
    /// One sitting in front of what a grant names.
    ViewingId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opaque_number_reads_back_what_it_writes_and_nothing_else() {
        let id = SegmentId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "0123456789abcdef");
        assert_eq!("0123456789abcdef".parse(), Ok(id));
        for wrong in ["", "123", "0123456789ABCDEF", "../../etc/passwd", "+123456789abcdef", "0123456789abcdef0"] {
            assert_eq!(wrong.parse::<SegmentId>(), Err(MalformedId), "{wrong}");
        }
    }

    #[test]
    fn camera_zero_does_not_exist() {
        assert!(CameraNumber::new(0).is_none());
        assert!("0".parse::<CameraNumber>().is_err());
    }
}
