//! TLS of the API, where the site asks for it: read at a start, and again when it is renewed.

use super::Doors;
use super::regular::every;
use super::status::StatusDesk;
use crate::clock::Clock;
use crate::config::Site;
use crate::http::{Names, Tls, TlsError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A renewed certificate is in force within this. Two small files are read: that needs no watch, and also finds what a symbolic
/// link leads to by now.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// `None` where the site asks for none.
pub(super) fn of(site: &Site, doors: &Doors, state: &Path) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some(certificate) = site.listen.certificate() else { return Ok(None) };
    // Without one, an own certificate is for the address and for `localhost`.
    let host = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    let names = Names {
        site: site.name.clone(),
        host: host.trim().to_owned(),
        address: Some(site.listen.address().ip()),
        now: doors.clock.wall(),
    };
    Ok(Some(Arc::new(Tls::load(&doors.disk, state, certificate, &names)?)))
}

/// Takes what was renewed. What cannot be used is an alarm, and the certificate before goes on; so is one that ends soon.
pub(super) fn keep_renewed(
    tls: Option<&Arc<Tls>>,
    work: &mut JoinSet<()>,
    (clock, stop): (&Clock, &CancellationToken),
    desk: &StatusDesk,
) {
    let Some(tls) = tls.map(Arc::clone) else { return };
    let now = clock.clone();
    let renew = move || tls.renew(now.wall()).map(drop).map_err(|e| e.to_string());
    let what = "renewing the TLS certificate".to_owned();
    work.spawn(every(clock.clone(), LOOK_EVERY, stop.clone(), desk.failing(), what, renew));
}
