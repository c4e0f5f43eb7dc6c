//! `custodian ledger`.

use crate::crypto::VerifyingKey;
use crate::ledger::verify_files;
use anyhow::Context;
use clap::Subcommand;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// Verify ledger files, oldest first: offline, without the site and without keys. Names the first bad row.
    Verify(LedgerVerify),
}

#[derive(Debug, clap::Args)]
pub(super) struct LedgerVerify {
    /// Ledger files, in any order: their names say which is older.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The site's signing key (64 hexadecimal digits), known from elsewhere: a ledger written anew by somebody else
    /// then fails. Without it the key in the ledger's own first row is taken.
    #[arg(long, value_name = "HEX")]
    signer: Option<String>,
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
    head: Option<String>,
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
        let mut files = Vec::new();
        for path in &self.files {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            files.push((path.display().to_string(), bytes));
        }
        let told = match verify_files(&files, signer) {
            Ok(verified) => Told {
                ok: true,
                rows: verified.rows,
                checkpoints: verified.checkpoints,
                signatures_checked: verified.signatures_checked,
                head: Some(verified.head.to_string()),
                ..Told::default()
            },
            Err((file, fault)) => {
                Told { file: Some(file), row: Some(fault.line), what: Some(fault.what.to_string()), ..Told::default() }
            }
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&told)?);
        } else if let (Some(file), Some(row), Some(what)) = (&told.file, told.row, &told.what) {
            println!("{file}: row {row}: {what}");
        } else {
            let (rows, checkpoints, checked) = (told.rows, told.checkpoints, told.signatures_checked);
            println!("sound: {rows} rows, {checkpoints} checkpoints, head {}", told.head.unwrap_or_default());
            if checked < checkpoints {
                println!(
                    "signatures checked: {checked} of {checkpoints}; for the others give the site's first file, or --signer"
                );
            }
        }
        Ok(if told.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn read_signer(text: &str) -> anyhow::Result<VerifyingKey> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).context("--signer: 64 hexadecimal digits are wanted")?;
    Ok(VerifyingKey(key))
}
