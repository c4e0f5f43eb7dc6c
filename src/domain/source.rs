//! Where a camera's picture comes from.

use super::CameraNumber;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use url::Url;
use zeroize::Zeroizing;

/// What talks to the camera.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// RTSP, in Rust, in this process.
    #[default]
    Retina,
    /// What the other one cannot open (RTSPS, RTMP, MPEG-TS, odd cameras): libavformat, in the confined worker.
    Libav,
}

/// How RTP travels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Inside the RTSP connection.
    #[default]
    Tcp,
    /// Beside it. What comes out of order is lost.
    Udp,
}

/// A password. Shows itself to nobody but who calls [`Password::expose`], and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub fn new(password: impl Into<String>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::new)
    }
}

/// What the camera wants to hear before it shows anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    pub username: String,
    pub password: Password,
}

impl Credentials {
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: Password::new(password) }
    }
}

/// Where a camera's picture comes from.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    pub camera: CameraNumber,
    /// Never with credentials in it.
    pub url: Url,
    pub driver: Driver,
    pub transport: Transport,
    pub credentials: Option<Credentials>,
}

impl Source {
    /// Whether pictures are encrypted on their way from the camera.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.url.scheme(), "rtsps" | "https" | "rtmps")
    }
}

/// Without the address: whoever reads it could watch past every record.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("camera", &self.camera)
            .field("scheme", &self.url.scheme())
            .field("driver", &self.driver)
            .field("transport", &self.transport)
            .field("credentials", &self.credentials.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_address_nor_credentials_are_shown() {
        let source = Source {
            camera: CameraNumber::new(7).unwrap(),
            url: "rtsp://10.1.2.3/token-4711".parse().unwrap(),
            driver: Driver::Libav,
            transport: Transport::Tcp,
            credentials: Some(Credentials::new("admin", "swordfish")),
        };
        let shown = format!("{source:?} {:?}", source.credentials);
        for secret in ["swordfish", "4711", "10.1.2.3"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(serde_json::to_string(&(source.driver, source.transport)).unwrap(), r#"["libav","tcp"]"#);
    }
}
