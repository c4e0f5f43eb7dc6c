//! `make demo`: the main job in seven steps, driven and measured from outside the daemon.
//!
//! Arguments: the path of the program, and `--once` to end by itself. With `--once` it writes
//! `target/demo/report.json`, and its exit status says whether every check held.

#[path = "../support.rs"]
mod support;

mod evidence;
mod narrator;
mod report;
mod stage;
mod story;

use anyhow::{Context, Result, bail};
use narrator::Narrator;
use report::Report;
use stage::Stage;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::commands::{pass, target_dir};

const GLANCE: Duration = Duration::from_millis(200);
/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED_STATUS: u8 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// # Errors
/// After Ctrl-C: then the story ends where it is, and what runs is ended in order.
fn go_on() -> Result<()> {
    if is_interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// From here on Ctrl-C only raises a flag.
fn watch_for_interrupt() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listening = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
            let mut listening = match listening {
                Ok(listening) => listening,
                Err(e) => return ready.send(Err(e)).unwrap_or_default(),
            };
            ready.send(Ok(())).unwrap_or_default();
            while listening.recv().await.is_some() {
                INTERRUPTED.store(true, Ordering::SeqCst);
            }
        });
    });
    Ok(is_ready.recv()??)
}

struct Arguments {
    program: PathBuf,
    once: bool,
}

fn arguments() -> Result<Arguments> {
    let (mut program, mut once) = (None, false);
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--once") => once = true,
            _ if program.is_none() => program = Some(PathBuf::from(argument)),
            _ => bail!("usage: demo PROGRAM [--once]; `make demo` calls it so"),
        }
    }
    let program = program.context("usage: demo PROGRAM [--once]; `make demo` calls it so")?;
    Ok(Arguments { program: std::path::absolute(program)?, once })
}

fn main() -> ExitCode {
    run().unwrap_or_else(|e| {
        eprintln!("demo: {e:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let Arguments { program, once } = arguments()?;
    watch_for_interrupt()?;
    let scratch = target_dir().join("demo");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).with_context(|| format!("cannot clear {}", scratch.display()))?;
    }
    std::fs::create_dir_all(&scratch)?;

    let mut narrator = Narrator::new(&story::STEPS);
    let mut report = Report::default();
    let told = story::tell(&mut narrator, &mut report, &program, &scratch);
    let mut stage = match told {
        Ok(stage) => Some(stage),
        Err(e) => {
            // A step that failed has said so itself.
            if !is_interrupted() && narrator.failures.is_empty() {
                narrator.failures.push(format!("{e:#}"));
            }
            None
        }
    };
    report.steps = narrator.finish();
    report.write(&scratch.join("report.json"))?;
    if let Some(stage) = &stage
        && !once
        && !is_interrupted()
    {
        stay(stage);
    }
    let was_interrupted = is_interrupted();
    if let Some(Err(e)) = stage.as_mut().map(Stage::strike) {
        narrator.failures.push(format!("{e:#}"));
    }
    drop(stage);
    Ok(conclude(&narrator.failures, once, was_interrupted, &scratch))
}

/// Lets people look for themselves, until Ctrl-C.
fn stay(stage: &Stage) {
    let rule = "-".repeat(78);
    println!("\n{rule}\nThe daemon is still up. Look for yourself: {}\n", stage.running.base);
    for account in &stage.site.accounts {
        println!("   {:<9} {:<9} password  {}", account.name, format!("({})", account.role), account.password);
    }
    println!(
        "\nThe second request is still open: sign in as officer and approve it for the viewer,\n\
         then sign in as viewer and watch it.\n\
         The site:    {}\nIts log:     {}\nThe report:  {}\n\nCtrl-C ends it.\n{rule}",
        stage.site.dir().display(),
        stage.log_path().display(),
        stage.scratch.join("report.json").display(),
    );
    while !is_interrupted() {
        pass(GLANCE);
    }
    println!("\nEnding.");
}

fn conclude(failures: &[String], once: bool, was_interrupted: bool, scratch: &std::path::Path) -> ExitCode {
    if !failures.is_empty() {
        println!("\nNot everything held:");
        failures.iter().for_each(|failure| println!("   {failure}"));
        println!("What the daemon wrote: {}", scratch.join("custodian.log").display());
        return ExitCode::FAILURE;
    }
    if once && was_interrupted {
        println!("\nInterrupted.");
        return ExitCode::from(INTERRUPTED_STATUS);
    }
    if once {
        println!("\nEverything held. The figures are in {}", scratch.join("report.json").display());
    }
    ExitCode::SUCCESS
}
