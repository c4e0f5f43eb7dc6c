//! The rows of closed manifests, read from the ledger's files when they are asked for.
//!
//! They are kept for years, and nobody needs them all at once: a start looks for a single one, and only where a manifest
//! is not there that should be. What is read here was verified when the ledger was opened, or is about to be.

use super::file::file_names;
use super::lines::each_line;
use super::receipt::ManifestClosed;
use super::row::Act;
use super::verify::read_line;
use crate::disk::{Access, SharedDisk};
use crate::domain::{Day, VolumeId};
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// As it stands in every such row and in few others: only these are parsed.
const MARK: &str = "\"kind\":\"manifest-closed\"";

/// A door to those rows.
#[derive(Clone, Debug)]
pub struct ClosedManifests {
    disk: SharedDisk,
    dir: PathBuf,
}

impl ClosedManifests {
    pub fn new(disk: SharedDisk, dir: PathBuf) -> Self {
        Self { disk, dir }
    }

    /// The newest row that closed a manifest of `day`. No manifest is closed before its day is over, so months before it
    /// are not read.
    ///
    /// # Errors
    /// What the disk says.
    pub fn find(&self, volume: VolumeId, manifest: &str, day: Day) -> io::Result<Option<ManifestClosed>> {
        for name in self.files_since(day)?.into_iter().rev() {
            let mut found = None;
            self.each_in(&name, manifest, |closed| {
                if (closed.volume, closed.manifest.as_str()) == (volume, manifest) {
                    found = Some(closed);
                }
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Each row from the month of `since` on, oldest first.
    ///
    /// # Errors
    /// What the disk says.
    pub fn each(&self, since: Day, mut each: impl FnMut(ManifestClosed)) -> io::Result<()> {
        for name in self.files_since(since)? {
            self.each_in(&name, "", &mut each)?;
        }
        Ok(())
    }

    /// A clock that stepped back reopens no older month: names sort as rows do.
    fn files_since(&self, day: Day) -> io::Result<Vec<String>> {
        let month = day.to_string().chars().take(7).collect::<String>();
        let names = match file_names(&self.disk, &self.dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names?,
        };
        Ok(names.into_iter().filter(|name| name.as_str() >= month.as_str()).collect())
    }

    fn each_in(&self, name: &str, with: &str, mut each: impl FnMut(ManifestClosed)) -> io::Result<()> {
        let file = self.disk.open(&self.dir.join(name), Access::Read)?;
        each_line(&*file, 0, |line| {
            let is_wanted =
                std::str::from_utf8(line.bytes).is_ok_and(|text| text.contains(MARK) && text.contains(with));
            // A last line that is only half-way there is none.
            if let Some((_, row)) = Some(line.bytes).filter(|_| is_wanted).and_then(read_line)
                && let Act::ManifestClosed(closed) = row.act
            {
                each(closed);
            }
            ControlFlow::Continue(())
        })
    }
}
