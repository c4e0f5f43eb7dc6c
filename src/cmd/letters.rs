//! `custodian letters`.

use super::SiteArg;
use crate::access::LetterTemplates;
use crate::config::{Pace, Site};
use crate::disk::{RealDisk, SharedDisk, parent};
use anyhow::Context;
use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;

/// Check the site's own templates of letters, or write out the program's to begin with.
///
/// A template in `letters/` of the site's directory, such as `refusal.ko.html`, takes the place of the program's own. Each is
/// tried on made-up letters here. One that is broken is named with its line; the daemon writes letters from its own template
/// until that is mended. docs/letters.md says what a template may use. A change counts from the next letter on.
///
/// Exit status: 0 every template is sound, 1 one is broken, or nothing could be checked.
#[derive(Debug, clap::Args)]
pub(super) struct Letters {
    #[command(flatten)]
    site: SiteArg,
    /// Write the program's own templates into `letters/`, to be edited there. What is there already is left as it is.
    #[arg(long)]
    write: bool,
}

impl Letters {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let disk: SharedDisk = Arc::new(RealDisk);
        let site = Site::load(&self.site.site, Pace::Real)?;
        let templates = LetterTemplates::of_site(Arc::clone(&disk), &site.dir);
        if self.write {
            write_missing(&disk, &templates)?;
        }
        let own = templates.defaults().iter().filter(|(path, _)| path.exists()).count();
        let broken = templates.check();
        for one in &broken {
            println!("{one}");
        }
        println!("{own} templates of the site, {} of them broken", broken.len());
        Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn write_missing(disk: &SharedDisk, templates: &LetterTemplates) -> anyhow::Result<()> {
    for (path, source) in templates.defaults() {
        let dir = parent(&path)?;
        disk.create_dir(&dir).with_context(|| dir.display().to_string())?;
        match disk.create_new(&path) {
            // The operator's own from here on, and written anew as easily: nothing waits for its flush.
            Ok(file) => file.write_all_at(source.as_bytes(), 0).with_context(|| path.display().to_string())?,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(e).with_context(|| path.display().to_string()),
        }
        println!("{}", path.display());
    }
    Ok(())
}
