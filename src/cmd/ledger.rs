//! `custodian ledger`.

use crate::crypto::VerifyingKey;
use crate::ledger::{CheckpointMark, Known, Verified, is_root_name, verify_against};
use anyhow::Context;
use clap::Subcommand;
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// Verify ledger files, oldest first: offline, without the site and without keys. Names the first bad row.
    Verify(LedgerVerify),
}

#[derive(Debug, clap::Args)]
pub(super) struct LedgerVerify {
    /// Ledger files, in any order: their names say which is older. Also `root-YYYY-MM`, what is carried on of months that are
    /// erased.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The site's signing key (64 hexadecimal digits), known from elsewhere: a ledger written anew by somebody else
    /// then fails. Without it the key in the ledger's own first row is taken.
    #[arg(long, value_name = "HEX")]
    signer: Option<String>,
    /// Where checkpoints were kept elsewhere: lines of the system's journal (`journalctl -t custodian`), the foot of a
    /// letter or of an export, copied or typed in, or a film that was handed out. Rows that were cut off or written anew, under whatever key, then show.
    /// `-` reads the standard input. Can be given several times.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Default, Serialize)]
struct Told {
    ok: bool,
    rows: u64,
    checkpoints: u64,
    signatures_checked: u64,
    first: u64,
    last: u64,
    head: Option<String>,
    elsewhere_fit: u64,
    elsewhere_newest: Option<u64>,
    elsewhere_before: u64,
    erased_to: Option<String>,
    file: Option<String>,
    row: Option<u64>,
    what: Option<String>,
}

impl LedgerCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            LedgerCommand::Verify(verify) => verify.run(),
        }
    }
}

impl LedgerVerify {
    fn run(mut self) -> anyhow::Result<ExitCode> {
        let signer = self.signer.as_deref().map(read_signer).transpose()?;
        self.files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        let (mut files, mut roots) = (Vec::new(), Vec::new());
        for path in &self.files {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            let is_root = path.file_name().and_then(|name| name.to_str()).is_some_and(is_root_name);
            if is_root { &mut roots } else { &mut files }.push((path.display().to_string(), bytes));
        }
        let checkpoints = read_checkpoints(&self.checkpoints)?;
        let told = match verify_against(&files, &Known { signer, checkpoints, roots }, |_| {}) {
            Ok(verified) => Told::of(&verified),
            Err((file, fault)) => {
                Told { file: Some(file), row: Some(fault.line), what: Some(fault.what.to_string()), ..Told::default() }
            }
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&told)?);
        } else if let (Some(file), Some(row), Some(what)) = (&told.file, told.row, &told.what) {
            println!("{file}: row {row}: {what}");
        } else {
            told.say();
        }
        Ok(if told.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Told {
    fn of(verified: &Verified) -> Self {
        Self {
            ok: true,
            rows: verified.rows,
            checkpoints: verified.checkpoints,
            signatures_checked: verified.signatures_checked,
            first: verified.first,
            last: verified.last,
            head: Some(verified.head.to_string()),
            elsewhere_fit: verified.elsewhere_fit,
            elsewhere_newest: verified.elsewhere_newest,
            elsewhere_before: verified.elsewhere_before,
            erased_to: verified.erased_to.map(|month| month.to_string()),
            ..Self::default()
        }
    }

    fn say(&self) {
        let (rows, checkpoints, checked) = (self.rows, self.checkpoints, self.signatures_checked);
        let head = self.head.as_deref().unwrap_or_default();
        println!("sound: {rows} rows, {checkpoints} checkpoints, head {head}");
        if checked < checkpoints {
            println!(
                "signatures checked: {checked} of {checkpoints}; for the others give the site's first file, or --signer"
            );
        }
        if let Some(month) = &self.erased_to {
            println!(
                "it begins at a root: months up to {month} are past their period and erased, as a row of it says. What stood in \
                 them can be checked by nobody any more; that row {} follows on them can",
                self.first
            );
        }
        match self.elsewhere_newest {
            Some(newest) => {
                let (fit, behind) = (self.elsewhere_fit, self.last - newest);
                println!(
                    "checkpoints kept elsewhere: {fit} hold, the newest for row {newest}; {behind} rows are behind it"
                );
            }
            None => println!(
                "no checkpoint kept elsewhere was held against it: whether rows at its end are missing, or all of it was \
                 written anew, cannot be told; see --checkpoint"
            ),
        }
        if self.elsewhere_before > 0 {
            println!(
                "checkpoints kept elsewhere of rows before {}: {}; those rows are in no file given here, or their month is \
                 erased, and nothing can be checked of them any more",
                self.first, self.elsewhere_before
            );
        }
    }
}

fn read_checkpoints(files: &[PathBuf]) -> anyhow::Result<Vec<CheckpointMark>> {
    let mut found = Vec::new();
    for path in files {
        let marks = if path.as_os_str() == "-" {
            CheckpointMark::find_all(std::io::stdin().lock()).context("the standard input")?
        } else {
            let marks = File::open(path).and_then(|file| CheckpointMark::find_all(BufReader::new(file)));
            marks.with_context(|| path.display().to_string())?
        };
        anyhow::ensure!(
            !marks.is_empty(),
            "{}: no checkpoint is in it; a line with `sequence=` and `head=` is wanted",
            path.display()
        );
        found.extend(marks);
    }
    Ok(found)
}

fn read_signer(text: &str) -> anyhow::Result<VerifyingKey> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).context("--signer: 64 hexadecimal digits are wanted")?;
    Ok(VerifyingKey(key))
}
