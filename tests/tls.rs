//! TLS as somebody finds it who connects: nothing but loopback without it, an own certificate, a given one that is renewed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::commands::{run, wait_until};
use support::daemon::{Daemon, program};
use support::scene::PATIENCE;
use support::site::{Running, Site};

const SOON: Duration = Duration::from_secs(20);

fn site(dir: &Path) -> Site {
    Site::init(&program().unwrap(), &dir.join("site"), &["--name", "Test", "--allow-unproven"]).unwrap()
}

fn set_tls(site: &Site, lines: &str) {
    let file = site.dir().join("site.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\ntls = \"none\"\n"), "{text}");
    std::fs::write(&file, text.replace("\ntls = \"none\"\n", &format!("\n{lines}\n"))).unwrap();
}

fn address(running: &Running) -> SocketAddr {
    running.base.trim_start_matches("http://").parse().unwrap()
}

/// Trusts this certificate alone; says what comes back, and which certificate was shown.
fn ask(address: SocketAddr, trusted: &Path, head: &str) -> Result<(String, Vec<u8>), std::io::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trusted).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    let mut tls = StreamOwned::new(connection, stream);
    tls.write_all(format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut told = Vec::new();
    if let Err(e) = tls.read_to_end(&mut told)
        && e.kind() != std::io::ErrorKind::UnexpectedEof
    {
        return Err(e);
    }
    let shown = tls.conn.peer_certificates().and_then(|chain| chain.first()).map(|first| first.to_vec());
    Ok((String::from_utf8_lossy(&told).into_owned(), shown.unwrap_or_default()))
}

#[test]
fn without_tls_no_other_machine_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(dir.path());
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8970"] {
        let mut serve = Command::new(program().unwrap());
        serve.args(["serve", "--site"]).arg(site.dir()).args(["--listen", address]);
        let told = run(&mut serve, "", SOON).unwrap();
        assert!(!told.status.success() && told.stderr.contains("needs TLS"), "{address}: {}", told.stderr);
    }
}

#[test]
fn an_own_certificate_is_made_and_everything_is_encrypted_under_it() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(dir.path());
    set_tls(&site, "tls = \"own-certificate\"");
    let log = dir.path().join("log");
    std::fs::write(&log, "").unwrap();
    let arguments = ["serve", "--site", site.dir().to_str().unwrap(), "--listen", "0.0.0.0:0"];
    let mut daemon = Daemon::start(&program().unwrap(), &arguments, &log).unwrap();
    let line = daemon.wait_for_line("listening", PATIENCE).unwrap();
    let port = line.split("0.0.0.0:").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    let certificate = site.dir().join("state/own-certificate.pem");
    let (told, shown) = ask(here, &certificate, "GET /v1/health HTTP/1.1").unwrap();
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    assert!(told.to_ascii_lowercase().contains("\r\nstrict-transport-security: max-age=63072000\r\n"), "{told}");
    let key = std::fs::metadata(site.dir().join("state/own-certificate.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert!(daemon.log().unwrap().contains("fingerprint"), "it says what to compare");

    // Who speaks plainly gets nothing, and no hint of what is there.
    let mut plain = TcpStream::connect(here).unwrap();
    plain.set_read_timeout(Some(SOON)).unwrap();
    plain.write_all(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut told = Vec::new();
    plain.read_to_end(&mut told).ok();
    assert!(!String::from_utf8_lossy(&told).contains("HTTP/1.1"), "{told:?}");
    // Who never says a word is let go of.
    let mut silent = TcpStream::connect(here).unwrap();
    silent.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "it is not closed");

    // The next start has the same.
    assert!(daemon.stop(SOON).unwrap().success());
    let running = site.serve(&dir.path().join("log-2"), &[], &[]).unwrap();
    assert_eq!(ask(address(&running), &certificate, "GET /v1/health HTTP/1.1").unwrap().1, shown);
}

#[test]
fn a_given_certificate_is_read_again_when_it_is_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(dir.path());
    let given = site.dir().join("tls");
    std::fs::create_dir(&given).unwrap();
    let (chain, key) = (given.join("chain.pem"), given.join("key.pem"));
    let issue = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let put = |(certificate, private): &(String, String)| {
        std::fs::write(&chain, certificate).unwrap();
        std::fs::write(&key, private).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let (first, second) = (issue(), issue());
    put(&first);
    let lines = "tls = \"given-certificate\"\ncertificate = \"tls/chain.pem\"\nprivate_key = \"tls/key.pem\"";
    set_tls(&site, lines);

    // Others could read the key: it says what to do, and does not start.
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = site.run("serve", &[]).unwrap();
    assert!(!refused.status.success() && refused.stderr.contains("chmod 600"), "{}", refused.stderr);
    put(&first);

    let running = site.serve(&dir.path().join("log"), &[], &[]).unwrap();
    let at = address(&running);
    let trusted = dir.path().join("trusted.pem");
    std::fs::write(&trusted, first.0.clone() + &second.0).unwrap();
    let shown = || ask(at, &trusted, "GET /v1/health HTTP/1.1").unwrap().1;
    let before = shown();

    // Half of a renewal: what was good goes on, and it is an alarm.
    std::fs::write(&chain, &second.0).unwrap();
    wait_until("it is an alarm", PATIENCE, || {
        let (_, status) = site.status()?;
        Ok(status["alarms"].to_string().contains("certificate").then_some(()))
    })
    .unwrap();
    assert_eq!(shown(), before);
    put(&second);
    wait_until("the renewed one is shown", PATIENCE, || Ok((shown() != before).then_some(()))).unwrap();
    wait_until("it is no alarm any more", PATIENCE, || {
        let (_, status) = site.status()?;
        Ok((!status["alarms"].to_string().contains("certificate")).then_some(()))
    })
    .unwrap();
}
