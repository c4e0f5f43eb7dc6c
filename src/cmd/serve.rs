//! `custodian serve`.

use super::SiteArg;
use crate::app::{Daemon, Doors};
use crate::clock::Clock;
use crate::config::{Pace, Site};
use crate::disk::{RealDisk, bound_heaps, clock_is_synchronised};
use anyhow::Context;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Record, keep, show and destroy, until it is told to stop (SIGTERM or Ctrl-C).
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    site: SiteArg,
    /// Answer here in place of the address in site.toml; without TLS on loopback only. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Show in minutes what takes a month: segments of 10 s, destroyed after 90 s. Never for real footage.
    #[arg(long)]
    demo: bool,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        bound_heaps();
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
        let mut site = Site::load(&self.site.site, Pace::from_flag(self.demo))?;
        if let Some(address) = self.listen {
            site.listen = site.listen.at(address).map_err(|fault| anyhow::anyhow!("--listen: {fault}"))?;
        }
        let doors = Doors {
            disk: Arc::new(RealDisk),
            clock: Clock::system(),
            clock_is_synchronised,
            worker_program: std::env::current_exe().context("the program's own file is not to be found")?,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            // Before anything is built, so that a stop during a long recovery is not lost.
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let stop = CancellationToken::new();
            let daemon = Daemon::build(site, doors).await?;
            let running = daemon.run(stop.clone());
            tokio::pin!(running);
            tokio::select! {
                ended = &mut running => return Ok::<_, anyhow::Error>(ended?),
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.cancel();
            Ok(running.await?)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
