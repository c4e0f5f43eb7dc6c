//! Letters to who asked.

use super::request::Channel;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a letter tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LetterKind {
    /// The request arrived.
    Receipt,
    /// It is granted, or answered.
    Grant,
    /// A part of it is.
    Partial,
    /// It is not decided yet, and why.
    Postponement,
    /// It is refused, and how to object.
    Refusal,
}

impl LetterKind {
    pub const ALL: [Self; 5] = [Self::Receipt, Self::Grant, Self::Partial, Self::Postponement, Self::Refusal];
}

impl fmt::Display for LetterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receipt => "receipt",
            Self::Grant => "grant",
            Self::Partial => "partial",
            Self::Postponement => "postponement",
            Self::Refusal => "refusal",
        })
    }
}

/// What a letter is written in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    Ko,
    En,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::Ko, Self::En];
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ko => "ko",
            Self::En => "en",
        })
    }
}

/// How a letter came to who asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryWay {
    /// Handed over.
    Hand,
    Post,
    EMail,
    Fax,
}

impl DeliveryWay {
    /// The same, as requests name how something came.
    pub fn channel(self) -> Channel {
        match self {
            DeliveryWay::Hand => Channel::Visit,
            DeliveryWay::Post => Channel::Writing,
            DeliveryWay::EMail => Channel::EMail,
            DeliveryWay::Fax => Channel::Fax,
        }
    }
}
