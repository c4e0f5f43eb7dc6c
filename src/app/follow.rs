//! Follows the cameras' files, and the number of cameras that the notice declares, while the daemon runs.

use super::AppError;
use crate::access::Access;
use crate::config::{CameraChange, CameraSet, ConfigError, Site};
use crate::http::KnownCameras;
use crate::ingest::Cameras;
use crate::vault::Vault;
use std::sync::Arc;

/// The cameras as their files were read last.
pub(super) struct Following {
    site: Site,
    set: CameraSet,
    /// What was wrong the last time: said once in the log.
    wrong: Vec<ConfigError>,
    vault: Arc<Vault>,
    access: Arc<Access>,
    known: KnownCameras,
}

impl Following {
    pub fn new(site: &Site, vault: &Arc<Vault>, access: &Arc<Access>, known: &KnownCameras) -> Self {
        Self {
            site: site.clone(),
            set: CameraSet::default(),
            wrong: Vec::new(),
            vault: Arc::clone(vault),
            access: Arc::clone(access),
            known: known.clone(),
        }
    }

    /// Reads the files again and brings what runs into line. A file that is not right changes nothing.
    pub async fn follow(&mut self, cameras: &mut Cameras) -> Result<(), AppError> {
        let (site, before, vault) = (self.site.clone(), self.set.clone(), Arc::clone(&self.vault));
        let (declared, after, errors) = tokio::task::spawn_blocking(move || read(site, &before, &vault)).await?;
        if self.site.declared_cameras != declared {
            tracing::info!(cameras = declared, "the notice declares another number of cameras");
            self.site.declared_cameras = declared;
        }
        for error in errors.iter().filter(|error| !self.wrong.contains(error)) {
            tracing::error!(error = %error, "a file is not right; what was right before goes on");
        }
        for change in CameraSet::diff(&self.set, &after) {
            apply(change, cameras).await;
        }
        self.access.set_cameras(after.iter().map(|camera| (camera.number, camera.class)).collect());
        self.known.set(after.clone(), errors.iter().map(ToString::to_string).collect());
        (self.set, self.wrong) = (after, errors);
        Ok(())
    }
}

/// How many cameras the notice declares now, the cameras, and what is wrong. Of `site.toml` that number alone is followed.
fn read(mut site: Site, before: &CameraSet, vault: &Vault) -> (Option<u32>, CameraSet, Vec<ConfigError>) {
    let mut errors = Vec::new();
    match Site::load(&site.dir, site.pace) {
        Ok(now) => site.declared_cameras = now.declared_cameras,
        Err(wrong) => errors.extend(wrong.0),
    }
    let (after, wrong) = before.reload_knowing(&site, &|camera| vault.has_camera(camera));
    errors.extend(wrong);
    (site.declared_cameras, after, errors)
}

async fn apply(change: CameraChange, cameras: &mut Cameras) {
    match change {
        CameraChange::Added(camera) => {
            tracing::info!(camera = %camera.number, "a camera was added");
            let filming = camera.filming();
            cameras.start(camera.source, camera.retention, filming);
        }
        CameraChange::Changed { was, is } => {
            let filming = is.filming();
            if was.source != is.source || was.retention != is.retention || was.filming() != filming {
                tracing::info!(camera = %is.number, "a camera was changed");
                cameras.stop(is.number).await;
                cameras.start(is.source, is.retention, filming);
            }
        }
        CameraChange::Removed(camera) => {
            tracing::info!(camera = %camera.number, "a camera was removed; its footage stays until it expires");
            cameras.stop(camera.number).await;
        }
    }
}
