//! The command line: one file a subcommand.

mod cameras;
mod check;
mod identity;
mod init;
mod ledger;
mod letters;
mod officers;
mod plan;
mod progress;
mod recover;
mod serve;
mod status;
mod verify;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Keeps a clinic's CCTV footage exactly as long as the notice says, and shows it to nobody without an approved,
/// recorded reason.
#[derive(Debug, Parser)]
#[command(name = "custodian", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What is not explained here is explained, with its JSON and its exit status, where its arguments are.
#[derive(Debug, Subcommand)]
enum Command {
    /// Make a site: keys, accounts, a first volume. Prints the recovery key once.
    Init(init::Init),
    /// Record, keep, show and destroy, until it is told to stop.
    Serve(serve::Serve),
    /// Ask the running daemon how it is. Exit status: 0 all is well, 1 an alarm, 2 it is not running.
    Status(status::StatusCommand),
    Plan(plan::Plan),
    Check(check::Check),
    Verify(verify::Verify),
    Recover(recover::Recover),
    /// Give an officer back to a site that has none who can sign in.
    #[command(subcommand)]
    Officers(officers::OfficersCommand),
    /// Work with cameras.
    #[command(subcommand)]
    Cameras(cameras::CamerasCommand),
    /// Work with ledger files.
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    Letters(letters::Letters),
    /// The confined process that opens odd cameras. Started by the daemon.
    #[command(hide = true)]
    Worker,
}

/// Where a site is unless it is told otherwise.
const DEFAULT_SITE: &str = "/var/lib/custodian";

/// Which site.
#[derive(Debug, clap::Args)]
struct SiteArg {
    /// The site's directory.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_SITE)]
    site: PathBuf,
}

/// No file of ours for others, and no core dump: it would hold keys and pictures.
fn keep_to_ourselves() -> rustix::io::Result<()> {
    // Whatever a library makes in the site's directory is its owner's alone, too: sled would let everybody read.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, none)?;
    // A dump that goes through a pipe, as to systemd-coredump, does not ask for the limit. This also keeps other
    // processes of the same user out of our memory.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

/// Runs the command that was given.
pub fn run() -> ExitCode {
    let command = Cli::parse().command;
    if let Err(e) = keep_to_ourselves() {
        eprintln!("custodian: core dumps cannot be switched off ({e}), and one would hold keys and pictures");
        return ExitCode::FAILURE;
    }
    let told = match command {
        // Before any thread: the worker confines itself for good.
        Command::Worker => return crate::worker::run(),
        Command::Init(init) => init.run(),
        Command::Serve(serve) => serve.run(),
        Command::Status(status) => status.run(),
        Command::Plan(plan) => plan.run(),
        Command::Check(check) => check.run(),
        Command::Verify(verify) => verify.run(),
        Command::Recover(recover) => recover.run(),
        Command::Officers(officers) => officers.run(),
        Command::Cameras(cameras) => cameras.run(),
        Command::Ledger(ledger) => ledger.run(),
        Command::Letters(letters) => letters.run(),
    };
    match told {
        Ok(code) => code,
        Err(e) => {
            tell(&e);
            ExitCode::FAILURE
        }
    }
}

/// Says an error to the person at the terminal.
fn tell(error: &anyhow::Error) {
    eprintln!("custodian: {}", told_once(error));
}

/// An error and its causes, each said once: many of ours say their cause in their own text.
fn told_once(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !told.contains(&cause) {
            told.push_str(if told.is_empty() { "" } else { ": " });
            told.push_str(&cause);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_core_dump_is_taken_of_a_process_that_keeps_to_itself() {
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), rustix::process::DumpableBehavior::Dumpable);
        keep_to_ourselves().unwrap();
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), rustix::process::DumpableBehavior::NotDumpable);
        let left = rustix::process::getrlimit(rustix::process::Resource::Core);
        assert_eq!((left.current, left.maximum), (Some(0), Some(0)));
    }

    #[test]
    fn help_explains_the_json_and_the_exit_status() {
        use clap::CommandFactory;
        for name in ["plan", "check", "verify"] {
            let mut cli = Cli::command();
            let help = cli.find_subcommand_mut(name).unwrap().render_long_help().to_string();
            assert!(help.contains("Exit status: 0 ") && help.contains("The JSON has "), "{name}: {help}");
        }
    }

    #[test]
    fn a_cause_is_said_once() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        let disk = crate::app::AppError::Disk { what: "state/lock".into(), source };
        let told = told_once(&anyhow::Error::new(disk).context("it cannot begin"));
        assert_eq!(told, "it cannot begin: state/lock: entity not found");
    }
}
