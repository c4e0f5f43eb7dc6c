//! `custodian init`.

use super::SiteArg;
use crate::access::{NewAccount, NewSite, Password};
use crate::clock::Clock;
use crate::config::{SITE_FILE, Site};
use crate::crypto::{KeyShare, PrivateKey, SHARES, Strength};
use crate::disk::{RealDisk, SharedDisk};
use crate::domain::{Role, SiteId};
use crate::vault::{Volume, examined_device};
use anyhow::{Context, bail};
use serde::Deserialize;
use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Make a site: key pairs, the first officer, a deputy, a viewer and staff, and the recovery key.
///
/// Each person types their own password here: their keys are made from it, and nobody else ever knows it.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    #[command(flatten)]
    site: SiteArg,
    /// The clinic's name, as on the notice.
    #[arg(long, default_value = "Clinic")]
    name: String,
    /// Where the first volume of footage is to be (default: volumes/v1 in the site's directory).
    #[arg(long, value_name = "DIR")]
    volume: Option<PathBuf>,
    /// A TOML file of accounts, mode 0600, in place of typing: [[account]] name, role, password.
    #[arg(long, value_name = "FILE")]
    accounts: Option<PathBuf>,
    /// Print the recovery key as three shares for different keepers in place of the whole key: any two restore it.
    #[arg(long)]
    recovery_shares: bool,
    /// Take a disk where overwriting cannot be proven. Every receipt will say "not proven".
    #[arg(long)]
    allow_unproven: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountsFile {
    account: Vec<AccountEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountEntry {
    name: String,
    role: Role,
    password: String,
}

impl Init {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let disk: SharedDisk = Arc::new(RealDisk);
        let dir = &self.site.site;
        if dir.join(SITE_FILE).exists() || dir.join("state/site").exists() {
            bail!("{}: there is a site here already; nothing was changed", dir.display());
        }
        let accounts = match &self.accounts {
            Some(file) => read_accounts(file)?,
            None => ask_accounts()?,
        };
        // Everything that can be refused is asked before anything lasting is made.
        let volume = self.volume.clone().unwrap_or_else(|| dir.join("volumes/v1"));
        if Volume::is_there(&disk, &volume) {
            bail!(
                "{}: there is a volume here already, of this site or another; choose an empty directory",
                volume.display()
            );
        }
        make_private(dir)?;
        let mut warnings = examined_device(&disk, dir, self.allow_unproven)?.1.warnings();
        make_private(&volume)?;
        warnings.extend(examined_device(&disk, &volume, self.allow_unproven)?.1.warnings());
        warnings.dedup();
        for warning in warnings {
            eprintln!("custodian: {}: {warning}", volume.display());
        }
        let new = NewSite { accounts: &accounts, strength: Strength::RECOMMENDED };
        let (site, recovery) = new.make(&disk, &dir.join("state"), &Clock::system())?;
        Volume::create(&disk, &volume, site)?;
        make_private(&dir.join("camera-config"))?;
        std::fs::write(dir.join(SITE_FILE), self.site_file(&volume)?)
            .with_context(|| format!("{} could not be written", dir.join(SITE_FILE).display()))?;
        // All of it is durable before the key is told: a power cut would leave a paper that opens nothing, and half a
        // site that can neither be used nor made again.
        for place in [dir, &volume] {
            disk.sync_file_system(place).with_context(|| format!("{} could not be flushed", place.display()))?;
        }

        let recovery = if self.recovery_shares { told_in_shares(&recovery, site)? } else { told_whole(&recovery) };
        let told = Zeroizing::new(format!(
            "The site is made: {dir}\n\n\
             {recovery}\
             Without it and without the officers' passwords, footage cannot be opened by anybody.\n\n\
             Next: put one file a camera into {cameras}, then:\n  custodian serve --site {dir}\n",
            dir = dir.display(),
            recovery = &*recovery,
            cameras = dir.join("camera-config").display(),
        ));
        let mut out = std::io::stdout().lock();
        out.write_all(told.as_bytes()).and_then(|()| out.flush()).with_context(|| {
            format!("the recovery key could not be shown, and nobody has it: remove {} and begin again", dir.display())
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// The commented template, with the volume's place filled in.
    fn site_file(&self, volume: &Path) -> anyhow::Result<String> {
        let mut text = Site::template(&self.name);
        if self.volume.is_some() {
            let path = std::path::absolute(volume)?;
            let path = path.to_str().context("the volume's path is not valid UTF-8")?;
            let path = toml::Value::String(path.to_owned()).to_string();
            text = text.replacen("\"volumes/v1\"", &path, 1);
        }
        if self.allow_unproven {
            text = text.replacen("allow_unproven = false", "allow_unproven = true", 1);
        }
        Ok(text)
    }
}

fn told_whole(recovery: &PrivateKey) -> Zeroizing<String> {
    let key = Zeroizing::new(hex::encode(recovery.secret().expose()));
    Zeroizing::new(format!(
        "recovery key: {}\n\
         It is shown this once and kept nowhere. It opens everything: print it, seal it, lock it away from\n\
         this machine. ",
        &*key
    ))
}

fn told_in_shares(recovery: &PrivateKey, site: SiteId) -> anyhow::Result<Zeroizing<String>> {
    let shares = KeyShare::split(recovery, site)?;
    // Room for all of it at once: growing would leave copies behind.
    let mut told = Zeroizing::new(String::with_capacity(2048));
    for share in &shares {
        let head = format!("recovery key of site {}, share {} of {SHARES}\n  ", share.site(), share.number());
        told.push_str(&head);
        told.push_str(&share.to_text()?);
        told.push_str("\n\n");
    }
    told.push_str(
        "They are shown this once and kept nowhere. Any two of the three restore the key, which opens everything; one\n\
         tells nothing. Print each on a sheet of its own, and give them to different keepers, away from this machine.\n\
         To use them, type two into one file of your own, one a line. ",
    );
    Ok(told)
}

fn make_private(dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("{} could not be made", dir.display()))?;
    let mode = std::fs::metadata(dir)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{}: others can look into it; run `chmod 700 {}` first", dir.display(), dir.display());
    }
    Ok(())
}

fn read_accounts(file: &Path) -> anyhow::Result<Vec<NewAccount>> {
    let mode = std::fs::metadata(file).with_context(|| file.display().to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{}: it holds passwords and others can read it; run `chmod 600 {}`", file.display(), file.display());
    }
    let text = Zeroizing::new(std::fs::read_to_string(file).with_context(|| file.display().to_string())?);
    let read: AccountsFile = match toml::from_str(&text) {
        Ok(read) => read,
        // The parser's message would quote the line, and with it a password.
        Err(e) => {
            let at =
                e.span().map_or(0, |span| text.get(..span.start).map_or(0, |before| before.lines().count().max(1)));
            bail!("{}: line {at}: {}", file.display(), e.message());
        }
    };
    let account = |entry: AccountEntry| NewAccount {
        name: entry.name,
        role: entry.role,
        password: Password::new(entry.password),
    };
    Ok(read.account.into_iter().map(account).collect())
}

/// The persons that a site begins with, each typing a name and a password.
fn ask_accounts() -> anyhow::Result<Vec<NewAccount>> {
    if !std::io::stdin().is_terminal() {
        bail!("the persons' passwords are typed at a terminal; without one, give --accounts FILE");
    }
    println!("Four people begin a site. Each types a name and a password of their own, one after the other.");
    let wanted = [
        (Role::Officer, "the privacy officer, who decides requests"),
        (Role::Officer, "the deputy, who decides what the officer entered or watches"),
        (Role::Viewer, "who watches what was approved"),
        (Role::Staff, "the front desk, who enters requests"),
    ];
    wanted.into_iter().map(|(role, who)| ask_account(role, who)).collect()
}

fn ask_account(role: Role, who: &str) -> anyhow::Result<NewAccount> {
    print!("\nName of {who}: ");
    std::io::stdout().flush()?;
    let mut name = String::new();
    std::io::stdin().lock().read_line(&mut name)?;
    loop {
        let password = rpassword::prompt_password("Password (10 characters or more): ")?;
        if password == rpassword::prompt_password("The same again: ")? {
            return Ok(NewAccount { name: name.trim().to_owned(), role, password: Password::new(password) });
        }
        println!("They are not the same; try again.");
    }
}
