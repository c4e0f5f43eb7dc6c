//! What cameras there are, and what there is of each.

use super::Routes;
use super::answers::{SignedIn, ask};
use super::bodies::{Asked, Ends, Place};
use super::problem::Problem;
use crate::config::{Camera, CameraSet};
use crate::domain::{CameraClass, CameraNumber, Retention, Utc};
use crate::ingest::CameraStatus;
use crate::vault::Availability;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::{Arc, PoisonError, RwLock};

/// The cameras as configured now. Whoever watches the configuration sets it.
#[derive(Clone, Debug, Default)]
pub struct KnownCameras(Arc<RwLock<CameraSet>>);

impl KnownCameras {
    pub fn set(&self, cameras: CameraSet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = cameras;
    }

    pub fn get(&self) -> CameraSet {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Serialize)]
pub(super) struct CameraView {
    number: CameraNumber,
    name: String,
    place: String,
    class: CameraClass,
    purpose: String,
    retention: Retention,
    #[serde(flatten)]
    status: Option<CameraStatus>,
}

#[derive(Serialize)]
pub(super) struct Cameras {
    cameras: Vec<CameraView>,
}

pub(super) async fn list(State(routes): State<Routes>, SignedIn(caller): SignedIn) -> Json<Cameras> {
    let statuses = routes.watchers.all();
    let view = |camera: &Camera| CameraView {
        number: camera.number,
        name: camera.name.clone(),
        place: camera.place.clone(),
        class: camera.class,
        purpose: camera.purpose.clone(),
        retention: camera.retention,
        status: statuses.get(&camera.number).cloned(),
    };
    Json(Cameras {
        cameras: routes.cameras.get().iter().filter(|camera| caller.reaches(camera.number)).map(view).collect(),
    })
}

#[derive(Serialize)]
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
