//! `custodian officers`.

use super::SiteArg;
use super::identity::read_identity;
use crate::access::Reinstatement;
use crate::app::{Doors, ReinstateAnswer, reinstate};
use crate::clock::Clock;
use crate::config::{Pace, Site};
use crate::disk::{RealDisk, clock_is_synchronised};
use anyhow::{Context, bail};
use clap::Subcommand;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use zeroize::Zeroizing;

#[derive(Debug, Subcommand)]
pub(super) enum OfficersCommand {
    Reinstate(Reinstate),
}

impl OfficersCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            OfficersCommand::Reinstate(reinstate) => reinstate.run(),
        }
    }
}

/// Give an officer back to a site whose officers cannot sign in, or that has one left, who alone cannot approve another: with
/// the recovery key, at the machine's console, with the daemon running or stopped.
///
/// It is run twice with the same words. The first time it prints a one-time code, with which the person chooses a password on
/// the sign-in page (the daemon runs for that); their keys are made from it, and nobody else ever knows it. The second time
/// it seals the day keys and the desk's key to them. Both stand in the ledger, with the reason. After a crash, run it again.
///
/// Where an officer is left who could do the same on the page "People", it refuses, unless it is said why that does not help.
#[derive(Debug, clap::Args)]
pub(super) struct Reinstate {
    #[command(flatten)]
    site: SiteArg,
    /// A file of your own (mode 0600) with the recovery key in 64 hexadecimal digits, or two shares of it, one a line.
    #[arg(long, value_name = "FILE")]
    recovery: PathBuf,
    /// The officer's account; a name that nobody has is a new one.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Why, for the ledger: write no person's name.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Why it is done although an officer stands who could do it: locked out too, ill, gone.
    #[arg(long, value_name = "TEXT")]
    although_another_officer_stands: Option<String>,
}

impl Reinstate {
    fn run(self) -> anyhow::Result<ExitCode> {
        let recovery = read_identity(&self.recovery)?;
        let site = Site::load(&self.site.site, Pace::Real)?;
        let doors = Doors {
            disk: Arc::new(RealDisk),
            clock: Clock::system(),
            clock_is_synchronised,
            worker_program: std::env::current_exe().context("the program's own file is not to be found")?,
        };
        let although = self.although_another_officer_stands;
        let wanted = Reinstatement { name: self.name.clone(), reason: self.reason, although };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        match runtime.block_on(reinstate(site, doors, recovery, wanted))? {
            ReinstateAnswer::Refused { why } => bail!(why),
            ReinstateAnswer::CodeGiven { account, code, until } => {
                let code = Zeroizing::new(code);
                let told = Zeroizing::new(format!(
                    "On record. Account {account}, {name}, has no password and no keys now.\n\n\
                     one-time code: {code}\n\n\
                     It is shown this once. With it {name} chooses a password on the sign-in page, until {until}.\n\
                     Then run this command once more, with the same words: it seals everything to the new keys.\n",
                    name = self.name,
                    code = &*code,
                ));
                let mut out = std::io::stdout().lock();
                out.write_all(told.as_bytes()).and_then(|()| out.flush()).context(
                    "the code could not be shown, and nobody has it: run this command again, it gives another",
                )?;
                Ok(ExitCode::SUCCESS)
            }
            ReinstateAnswer::Sealed { account, day_keys, faults } => {
                println!(
                    "On record. Account {account}, {}, is an officer: {day_keys} day keys and the desk's key were sealed to it.",
                    self.name
                );
                for fault in &faults {
                    eprintln!("custodian: {fault}");
                }
                if faults.is_empty() {
                    return Ok(ExitCode::SUCCESS);
                }
                eprintln!("custodian: what could not be reached is sealed by running this command again");
                Ok(ExitCode::FAILURE)
            }
        }
    }
}
