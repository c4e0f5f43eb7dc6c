//! The version of JSON state files.

use serde::de::DeserializeOwned;
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
            found => Err(serde::de::Error::custom(other_version(found))),
        }
    }
}

/// Why a JSON state file was not read. It says where, never what stands there: that may be a name or a sealed key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StateFault {
    #[error("{0}")]
    Version(String),
    #[error("it is not as it was written, at line {line}, column {column}")]
    Changed { line: usize, column: usize },
}

impl StateFault {
    /// Where JSON stopped making sense.
    pub fn at(error: &serde_json::Error) -> Self {
        StateFault::Changed { line: error.line(), column: error.column() }
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u16,
}

impl StateVersion {
    /// Reads a JSON state file.
    ///
    /// # Errors
    /// [`StateFault::Version`] for another version, [`StateFault::Changed`] for anything else.
    pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StateFault> {
        match serde_json::from_slice::<Versioned>(bytes) {
            Ok(Versioned { version }) if version != CURRENT => Err(StateFault::Version(other_version(version))),
            Err(e) => Err(StateFault::at(&e)),
            Ok(_) => serde_json::from_slice(bytes).map_err(|e| StateFault::at(&e)),
        }
    }
}

fn other_version(found: u16) -> String {
    format!("it is of format version {found}, this program reads {CURRENT}; use a newer Custodian")
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

    #[test]
    fn a_file_that_was_changed_is_told_by_place_and_not_by_what_stands_there() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Stored {
            #[serde(rename = "version")]
            _version: StateVersion,
            #[serde(rename = "number")]
            _number: u8,
        }
        assert!(StateVersion::read::<Stored>(br#"{"version": 1, "number": 7}"#).is_ok());
        for (text, told) in [
            (r#"{"version": 2, "name": "Kim"}"#, "it is of format version 2"),
            ("{\"version\": 1,\n\"number\": \"Kim\"}", "it is not as it was written, at line 2, column "),
            (r#"{"version": "Kim"}"#, "it is not as it was written, at line 1, column "),
            (r#"{"version": 1, "number": 7, "Kim": 1}"#, "it is not as it was written, at line 1"),
            ("", "it is not as it was written, at line 1, column 0"),
        ] {
            let fault = StateVersion::read::<Stored>(text.as_bytes()).unwrap_err().to_string();
            assert!(fault.starts_with(told) && !fault.contains("Kim"), "{text}: {fault}");
        }
    }
}
