//! The version of JSON state files.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const CURRENT: u16 = 1;

/// Written as 1. A file of another version is not read: what it says may mean something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StateVersion;

impl Serialize for StateVersion {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(CURRENT)
    }
}

impl<'de> Deserialize<'de> for StateVersion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u16::deserialize(from)? {
            CURRENT => Ok(Self),
            found => Err(serde::de::Error::custom(format!(
                "it is of format version {found}, this program reads {CURRENT}; use a newer Custodian"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_by_name() {
        assert_eq!(serde_json::to_string(&StateVersion).unwrap(), "1");
        assert_eq!(serde_json::from_str::<StateVersion>("1").unwrap(), StateVersion);
        let told = serde_json::from_str::<StateVersion>("2").unwrap_err().to_string();
        assert!(told.starts_with("it is of format version 2, this program reads 1"), "{told}");
        assert!(serde_json::from_str::<StateVersion>("0").is_err());
    }
}
