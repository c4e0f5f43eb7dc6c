//! What cameras there are, and what there is of each.

use super::Routes;
use super::answers::{SignedIn, ask};
use super::bodies::{Asked, Ends, Place};
use super::parts::Part;
use super::problem::Problem;
use crate::config::{Camera, CameraSet};
use crate::domain::{CameraClass, CameraNumber, Retention, Role, Utc};
use crate::ingest::CameraStatus;
use crate::vault::Availability;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::{Arc, PoisonError, RwLock};

/// The cameras as configured now, and what is wrong with their files. Whoever watches the configuration sets it.
#[derive(Clone, Debug, Default)]
pub struct KnownCameras(Arc<RwLock<(CameraSet, Vec<String>)>>);

impl KnownCameras {
    /// `wrong` says of each file that is not in force why, and what to do.
    pub fn set(&self, cameras: CameraSet, wrong: Vec<String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (cameras, wrong);
    }

    pub fn get(&self) -> CameraSet {
        self.0.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// What is wrong with files.
    pub fn wrong(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct CameraView {
    number: CameraNumber,
    name: String,
    place: String,
    class: CameraClass,
    purpose: String,
    retention: Retention,
    /// Whether its pictures, and its password, are encrypted on their way to the recorder.
    encrypted: bool,
    #[serde(flatten)]
    status: Option<CameraStatus>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Cameras {
    cameras: Vec<CameraView>,
    /// Files that are not in force, each with what to do; for installers and officers.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong_files: Option<Vec<String>>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn list(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Cameras>, Problem> {
    let statuses = routes.watchers.all();
    let view = |camera: &Camera| CameraView {
        number: camera.number,
        name: camera.name.clone(),
        place: camera.place.clone(),
        class: camera.class,
        purpose: camera.purpose.clone(),
        retention: camera.retention,
        encrypted: camera.source.is_encrypted(),
        status: statuses.get(&camera.number).cloned(),
    };
    let mends = matches!(caller.person().role, Role::Installer | Role::Officer);
    let all = routes.cameras.get().iter().filter(|camera| caller.reaches(camera.number)).map(view).collect();
    let (cameras, next) = part.of(all, |camera: &CameraView| camera.number)?;
    Ok(Json(Cameras { cameras, wrong_files: mends.then(|| routes.cameras.wrong()), next }))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Pieces {
    camera: CameraNumber,
    from: Utc,
    to: Utc,
    pieces: Vec<Availability>,
}

pub(super) async fn availability(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(camera): Place<CameraNumber>,
    Asked(ends): Asked<Ends>,
) -> Result<Json<Pieces>, Problem> {
    let span = ends.span()?;
    let pieces = ask(&routes.access, move |access| access.availability(&caller, camera, span)).await?;
    Ok(Json(Pieces { camera, from: span.from(), to: span.to(), pieces }))
}
