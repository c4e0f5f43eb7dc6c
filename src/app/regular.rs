//! What is done again and again: on blocking threads, with an alarm for what fails.

use super::status::{FailingWork, StatusDesk};
use crate::clock::Clock;
use crate::retention::{Eraser, RetentionError, Round};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One kind of the eraser's work, with its figures for the status.
pub(super) fn erasing(
    desk: &StatusDesk,
    eraser: &Arc<Eraser>,
    part: fn(&Eraser, &mut Round) -> Result<(), RetentionError>,
) -> Box<dyn Fn() -> Result<(), String> + Send + Sync> {
    let (desk, eraser) = (desk.clone(), Arc::clone(eraser));
    Box::new(move || {
        let mut round = Round::default();
        let told = part(&eraser, &mut round);
        desk.note_round(&round);
        told.map_err(|e| e.to_string())
    })
}

/// Runs `act` on a blocking thread again and again. A failure is an alarm until it succeeds, and told once in the log.
pub(super) async fn every(
    clock: Clock,
    pause: Duration,
    stop: CancellationToken,
    failing: FailingWork,
    what: String,
    act: impl Fn() -> Result<(), String> + Send + Sync + 'static,
) {
    let act = Arc::new(act);
    let mut failed: Option<String> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(pause) => {}
        }
        let acting = Arc::clone(&act);
        let told = match tokio::task::spawn_blocking(move || acting()).await {
            Ok(told) => told.err(),
            Err(e) => Some(e.to_string()),
        };
        failing.note(&what, told.as_deref());
        if told != failed {
            match &told {
                Some(e) => tracing::error!(what, error = %e, "a regular task fails"),
                None => tracing::info!(what, "a regular task succeeds again"),
            }
        }
        failed = told;
    }
}
