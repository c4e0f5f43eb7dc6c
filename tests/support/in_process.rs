//! The daemon in the test's own process, whole, with real cameras and real files; only its clock is in the test's
//! hands, so that a month takes a moment.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::api::Api;
use super::daemon::program;
use super::scene::PATIENCE;
use super::site::{Person, Site};
use cctv_custodian::app::{AppError, Daemon, Doors};
use cctv_custodian::clock::ManualClock;
use cctv_custodian::config::{Listen, Pace, Site as Configured};
use cctv_custodian::disk::RealDisk;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The whole daemon, with its clock in hand. Dropping it stops it.
#[derive(Debug)]
pub struct InProcess {
    pub hands: ManualClock,
    base: String,
    stop: CancellationToken,
    running: Option<JoinHandle<Result<(), AppError>>>,
}

impl InProcess {
    pub fn start(site: &Site, hands: &ManualClock) -> Self {
        let mut configured = Configured::load(site.dir(), Pace::Real).unwrap();
        configured.listen = Listen::new(SocketAddr::from(([127, 0, 0, 1], 0)), None).unwrap();
        // What is searched for on raw disks must have been overwritten, not thrown away by the device.
        configured.erasing.discard = false;
        let doors = Doors {
            disk: Arc::new(RealDisk),
            clock: hands.clock(),
            clock_is_synchronised: || false,
            worker_program: program().unwrap(),
        };
        let stop = CancellationToken::new();
        let (tell, told) = std::sync::mpsc::channel();
        let stopping = stop.clone();
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let daemon = Daemon::build(configured, doors).await.unwrap();
                tell.send(daemon.address()).unwrap();
                daemon.run(stopping).await
            })
        });
        let address = told.recv_timeout(PATIENCE).unwrap();
        Self { hands: hands.clone(), base: format!("http://{address}"), stop, running: Some(running) }
    }

    /// Stops it, and tells how it ended.
    pub fn end(mut self) -> Result<(), AppError> {
        self.stop.cancel();
        self.running.take().unwrap().join().unwrap()
    }

    pub fn sign_in(&self, site: &Site, name: &str) -> Person {
        let account = site.account(name).unwrap().clone();
        let mut api = Api::new(&self.base);
        let credentials = serde_json::json!({"name": account.name, "password": account.password});
        let told = api.post("/v1/session", &credentials).unwrap();
        let number = told.expect_status(200).unwrap().json["account"].clone();
        Person { api, account, number }
    }

    /// Where its pages are.
    pub fn url(&self) -> String {
        self.base.clone()
    }

    pub fn wall_us(&self) -> i64 {
        self.hands.clock().wall().micros()
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
