//! TLS (rustls with ring): a certificate that was given, or one of our own; read again when it is renewed.
//!
//! A renewed file that cannot be used changes nothing: connections go on with the certificate that was good, and what is wrong
//! is an alarm until it is mended. Version 1.2 and later (RFC 8446, RFC 5246 with AEAD suites and forward secrecy alone: rustls
//! has no others).

use crate::config::{Certificate, read_key_file};
use crate::crypto::sha256;
use crate::disk::{SharedDisk, read_file, replace_file};
use crate::domain::{Digest, Utc};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

const CHAIN_LIMIT_BYTES: u64 = 256 << 10;
/// In the site's state directory.
const OWN_CERTIFICATE: &str = "own-certificate.pem";
const OWN_KEY: &str = "own-certificate.key";
/// How many years our own one is good for. Nobody else vouches for it: it is compared by its fingerprint, once.
const OWN_YEARS: i16 = 10;
/// From when on it is an alarm that a certificate ends: those who renew by a program do so a month before.
const WARNED_BEFORE: Duration = Duration::from_secs(14 * 86_400);

/// Why there is no TLS, or why a renewed certificate is not used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Key(#[from] crate::config::KeyFileError),
    #[error("{}: it holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)", .0.display())]
    NoCertificate(PathBuf),
    #[error("{}: it holds no private key in PEM (`-----BEGIN PRIVATE KEY-----`)", .0.display())]
    NoKey(PathBuf),
    #[error("{}: certificate and private key cannot be used: {source}; see that the one belongs to the other", path.display())]
    Refused { path: PathBuf, source: rustls::Error },
    #[error("{}: the certificate is good until {until} and no longer; renew it, since browsers let nobody in after that", path.display())]
    EndsSoon { path: PathBuf, until: Utc },
    #[error("a certificate of our own could not be made: {0}")]
    Own(#[from] rcgen::Error),
}

/// Where certificate and key are.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

/// What was read when it was looked at last.
#[derive(Debug)]
struct Seen {
    /// Of both files; `None` after something was wrong with them.
    digest: Option<Digest>,
    /// Until when the certificate in force is good; `None` where it does not tell.
    until: Option<Utc>,
}

/// Certificate and key as they are on the disk.
struct Found {
    digest: Digest,
    config: ServerConfig,
    /// As browsers show it.
    fingerprint: String,
    until: Option<Utc>,
}

/// TLS as it is now.
pub struct Tls {
    disk: SharedDisk,
    files: Files,
    current: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Seen>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({})", self.files.chain.display())
    }
}

/// For whom our own certificate is, and from when on.
#[derive(Clone, Debug)]
pub struct Names {
    pub site: String,
    pub host: String,
    /// The address that is listened on; not one that stands for all.
    pub address: Option<IpAddr>,
    pub now: Utc,
}

impl Tls {
    /// Reads the certificate that was given, or our own, which is made where there is none yet.
    ///
    /// # Errors
    /// [`TlsError`], which says which file is wrong and what to do.
    pub fn load(disk: &SharedDisk, state: &Path, given: &Certificate, names: &Names) -> Result<Self, TlsError> {
        let files = match given {
            Certificate::Given { chain, key } => Files { chain: chain.clone(), key: key.clone() },
            Certificate::Own => {
                let files = Files { chain: state.join(OWN_CERTIFICATE), key: state.join(OWN_KEY) };
                if !files.chain.exists() || !files.key.exists() {
                    make_own(disk, &files, names)?;
                }
                files
            }
        };
        let Found { digest, config, fingerprint, until } = read(disk, &files)?;
        tracing::info!(%fingerprint, certificate = %files.chain.display(), "TLS: browsers show this SHA-256 fingerprint");
        let (current, seen) = (RwLock::new(Arc::new(config)), Mutex::new(Seen { digest: Some(digest), until }));
        Ok(Self { disk: Arc::clone(disk), files, current, seen })
    }

    /// Looks whether the files changed, and takes what is new for connections from now on. Tells whether it did.
    ///
    /// # Errors
    /// [`TlsError`]: what was good stays in force. Said at each look until it is mended. [`TlsError::EndsSoon`] too: who renews
    /// it by a program finds out here that the program does not.
    pub fn renew(&self, now: Utc) -> Result<bool, TlsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = read(&self.disk, &self.files).inspect_err(|_| seen.digest = None)?;
        let is_new = self.take(&mut seen, found);
        match seen.until.filter(|until| now.saturating_add(WARNED_BEFORE) > *until) {
            Some(until) => Err(TlsError::EndsSoon { path: self.files.chain.clone(), until }),
            None => Ok(is_new),
        }
    }

    fn take(&self, seen: &mut Seen, Found { digest, config, fingerprint, until }: Found) -> bool {
        if seen.digest == Some(digest) {
            return false;
        }
        *seen = Seen { digest: Some(digest), until };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        tracing::info!(%fingerprint, certificate = %self.files.chain.display(), "TLS: the certificate was renewed");
        true
    }

    /// What makes TLS of a connection, by the certificate in force.
    pub fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

fn read(disk: &SharedDisk, files: &Files) -> Result<Found, TlsError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| TlsError::File { path, source }
    };
    let pem = read_file(&**disk, &files.chain, CHAIN_LIMIT_BYTES).map_err(at(&files.chain))?;
    let key_pem = read_key_file(&files.key)?;
    let digest = sha256(&[&pem[..], &[0], sha256(key_pem.as_bytes()).0.as_slice()].concat());
    let none = || TlsError::NoCertificate(files.chain.clone());
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| none())?;
    let fingerprint = chain.first().map(|first| colons(sha256(first).0)).ok_or_else(none)?;
    let until = chain.iter().filter_map(good_until).min();
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| TlsError::NoKey(files.key.clone()))?;
    let refused = |source| TlsError::Refused { path: files.chain.clone(), source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = versions.map_err(refused)?.with_no_client_auth().with_single_cert(chain, key).map_err(refused)?;
    // HTTP/1.1 alone: a handful of browsers in one house gain nothing by more, and there is less to attack.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Found { digest, config, fingerprint, until })
}

/// The last moment of a certificate's validity (RFC 5280, 4.1.2.5).
fn good_until(certificate: &CertificateDer<'_>) -> Option<Utc> {
    let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
    read.validity().not_after.timestamp().checked_mul(1_000_000).map(Utc::from_micros)
}

/// As browsers show a fingerprint.
fn colons(digest: [u8; 32]) -> String {
    digest.map(|byte| format!("{byte:02X}")).join(":")
}

/// Makes a certificate that nobody else vouches for, with its key: the key first, so that none is left without.
fn make_own(disk: &SharedDisk, files: &Files, names: &Names) -> Result<(), TlsError> {
    let addresses = names.address.iter().filter(|address| !address.is_unspecified()).map(ToString::to_string);
    let all = ["localhost".to_owned(), names.host.clone()].into_iter().filter(|name| !name.is_empty());
    let mut wanted: Vec<String> = all.chain(addresses).collect();
    wanted.dedup();
    let mut params = CertificateParams::new(wanted)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, format!("Custodian, {}", names.site));
    params.distinguished_name = subject;
    let day = jiff::Timestamp::from_microsecond(names.now.micros()).unwrap_or_default();
    let day = day.to_zoned(jiff::tz::TimeZone::UTC).date();
    let at = |year: i16| {
        let month = u8::try_from(day.month()).unwrap_or(1);
        // The 29th of February is not in every year.
        rcgen::date_time_ymd(i32::from(year), month, u8::try_from(day.day().min(28)).unwrap_or(1))
    };
    (params.not_before, params.not_after) = (at(day.year()), at(day.year().saturating_add(OWN_YEARS)));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let key_pem = zeroize::Zeroizing::new(key.serialize_pem());
    let certificate = params.self_signed(&key)?;
    let written = |path: &Path, text: &str| {
        replace_file(&**disk, path, text.as_bytes())
            .map_err(|source| TlsError::File { path: path.to_path_buf(), source })
    };
    written(&files.key, &key_pem)?;
    written(&files.chain, &certificate.pem())?;
    tracing::info!(certificate = %files.chain.display(), "a certificate of our own was made");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn disk() -> SharedDisk {
        Arc::new(RealDisk)
    }

    fn names() -> Names {
        let address = Some("192.0.2.7".parse().unwrap());
        Names { site: "Test".into(), host: "recorder".into(), address, now: Utc::from_micros(1_795_341_600_000_000) }
    }

    fn own(dir: &Path) -> Result<Tls, TlsError> {
        Tls::load(&disk(), dir, &Certificate::Own, &names())
    }

    #[test]
    fn an_own_certificate_is_made_once_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        own(dir.path()).unwrap();
        let (chain, key) = (dir.path().join(OWN_CERTIFICATE), dir.path().join(OWN_KEY));
        let first = fs::read(&chain).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let tls = own(dir.path()).unwrap();
        assert_eq!(fs::read(&chain).unwrap(), first);
        assert!(!tls.renew(names().now).unwrap());

        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        let told = own(dir.path()).unwrap_err().to_string();
        assert!(told.contains("own-certificate.key") && told.contains("chmod 600"), "{told}");
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_a_bad_one_changes_nothing() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tls = own(dir.path()).unwrap();
        own(other.path()).unwrap();
        let in_force = || Arc::clone(&tls.current.read().unwrap());
        let before = in_force();
        let put = |name: &str, text: &[u8]| {
            fs::write(dir.path().join(name), text).unwrap();
        };
        // The new certificate is there and its key is not yet: they do not belong together.
        let (chain, key) =
            (fs::read(other.path().join(OWN_CERTIFICATE)).unwrap(), fs::read(other.path().join(OWN_KEY)));
        put(OWN_CERTIFICATE, &chain);
        for _ in 0..2 {
            assert!(matches!(tls.renew(names().now), Err(TlsError::Refused { .. })));
            assert!(Arc::ptr_eq(&before, &in_force()));
        }
        put(OWN_KEY, &key.unwrap());
        assert!(tls.renew(names().now).unwrap());
        assert!(!Arc::ptr_eq(&before, &in_force()));
        assert!(!tls.renew(names().now).unwrap());

        let before = in_force();
        for text in [&b""[..], b"-----BEGIN CERTIFICATE-----\nAAAA", &chain[..chain.len() / 2]] {
            put(OWN_CERTIFICATE, text);
            let told = tls.renew(names().now).unwrap_err().to_string();
            assert!(told.contains(OWN_CERTIFICATE), "{told}");
            assert!(Arc::ptr_eq(&before, &in_force()));
        }
        fs::remove_file(dir.path().join(OWN_CERTIFICATE)).unwrap();
        assert!(matches!(tls.renew(names().now), Err(TlsError::File { .. })));
        // Mended: what was good is good again.
        put(OWN_CERTIFICATE, &chain);
        assert!(tls.renew(names().now).unwrap());
    }

    #[test]
    fn a_certificate_that_ends_soon_is_an_alarm_and_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let tls = own(dir.path()).unwrap();
        let until = tls.seen.lock().unwrap().until.unwrap();
        let years = until.since(names().now).as_secs() / (365 * 86_400);
        assert!((9..=10).contains(&years), "{years}");
        let before = |days: u64| until.saturating_sub(Duration::from_secs(days * 86_400));
        assert!(!tls.renew(before(15)).unwrap());
        for now in [before(13), until, until.saturating_add(Duration::from_secs(1))] {
            let told = tls.renew(now).unwrap_err().to_string();
            assert!(told.contains(OWN_CERTIFICATE) && told.contains("renew it"), "{told}");
            drop(tls.acceptor());
        }
        // Another one is taken, and then all is well.
        let other = tempfile::tempdir().unwrap();
        let renewed = Names { now: before(1), ..names() };
        Tls::load(&disk(), other.path(), &Certificate::Own, &renewed).unwrap();
        for name in [OWN_KEY, OWN_CERTIFICATE] {
            fs::copy(other.path().join(name), dir.path().join(name)).unwrap();
        }
        assert!(tls.renew(before(1)).unwrap());
        assert!(!tls.renew(before(0)).unwrap());
    }
}
