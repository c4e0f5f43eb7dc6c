//! Where the API listens, and how connections to it are encrypted.

use super::document::Section;
use super::error::Fault;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8970);
const ADDRESS_LIMIT: usize = 100;
const PATH_LIMIT: usize = 1000;

/// Whose certificate it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Certificate {
    /// One of our own, made at the first start; nobody vouches for it.
    Own,
    /// Files that somebody renews: a chain, and the private key of its first certificate, both in PEM.
    Given { chain: PathBuf, key: PathBuf },
}

/// An address, and the encryption of connections to it: none only where no other machine can reach it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    address: SocketAddr,
    certificate: Option<Certificate>,
}

impl Default for Listen {
    fn default() -> Self {
        Self { address: DEFAULT_ADDRESS, certificate: None }
    }
}

impl Listen {
    /// # Errors
    /// [`Fault::WantsTls`] where other machines could reach it and nothing would be encrypted.
    pub fn new(address: SocketAddr, certificate: Option<Certificate>) -> Result<Self, Fault> {
        if certificate.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(Fault::WantsTls(address));
        }
        Ok(Self { address, certificate })
    }

    /// Elsewhere, encrypted as here.
    ///
    /// # Errors
    /// As [`Listen::new`].
    pub fn at(&self, address: SocketAddr) -> Result<Self, Fault> {
        Self::new(address, self.certificate.clone())
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `None`: connections are not encrypted.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }
}

/// How connections are encrypted, as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Encryption {
    /// Not at all: on loopback alone.
    None,
    OwnCertificate,
    GivenCertificate,
}

/// Reads the section `[http]`; paths in it are from the site directory.
pub(super) fn read_listen(mut http: Section<'_>, dir: &Path) -> Listen {
    let written = http.line("listen", ADDRESS_LIMIT);
    let encryption = http.choice::<Encryption>("tls").map_or(Encryption::None, |found| found.value);
    let mut path = |key| http.line(key, PATH_LIMIT).map(|found| dir.join(found.value));
    let (chain, key) = (path("certificate"), path("private_key"));
    let certificate = match (encryption, chain, key) {
        (Encryption::None, None, None) => None,
        (Encryption::OwnCertificate, None, None) => Some(Certificate::Own),
        (Encryption::GivenCertificate, Some(chain), Some(key)) => Some(Certificate::Given { chain, key }),
        (Encryption::GivenCertificate, _, _) => {
            http.refuse("tls", Fault::CertificateMissing);
            Some(Certificate::Own)
        }
        (Encryption::None | Encryption::OwnCertificate, chain, _) => {
            let unused = if chain.is_some() { "certificate" } else { "private_key" };
            http.refuse(unused, Fault::CertificateUnused);
            Some(Certificate::Own)
        }
    };
    let address = match written {
        None => Ok(DEFAULT_ADDRESS),
        Some(written) => written.value.parse().map_err(|_| Fault::NotAnAddress),
    };
    let listen = address.and_then(|address| Listen::new(address, certificate)).unwrap_or_else(|fault| {
        http.refuse("listen", fault);
        Listen::default()
    });
    http.finish();
    listen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on_without_tls() {
        let own = Some(Certificate::Own);
        for (address, is_loopback) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("192.0.2.1:1", false),
            ("[::ffff:192.0.2.1]:1", false),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            let told = Listen::new(address, None);
            assert_eq!(told.is_ok(), is_loopback, "{address}");
            assert!(told.is_ok() || told == Err(Fault::WantsTls(address)));
            assert_eq!(Listen::new(address, own.clone()).unwrap().address(), address);
            assert_eq!(Listen::default().at(address).is_ok(), is_loopback);
        }
    }
}
