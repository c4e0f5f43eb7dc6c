//! Copies of sealed files, taken before any is destroyed: what is looked for afterwards.

use super::stage::Stage;
use super::support::probe;
use super::support::stored::{StoredSegment, files, segments};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const TRIES_A_CAMERA: usize = 2;

/// Finished segments, each with a copy outside the volume.
pub struct Evidence {
    dir: PathBuf,
    copies: BTreeMap<String, StoredSegment>,
    /// Those that no player opened, and those that one did.
    pub sealed: Vec<String>,
    pub opened: Vec<String>,
}

impl Evidence {
    pub fn new(scratch: &Path) -> Result<Self> {
        let dir = scratch.join("copies");
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir, copies: BTreeMap::new(), sealed: Vec::new(), opened: Vec::new() })
    }

    /// Copies every finished segment that is not copied yet: one that its camera's next one follows.
    pub fn gather(&mut self, stage: &Stage) -> Result<()> {
        for segment in segments(&stage.site.volume())? {
            if segment.end_us.is_none() || self.copies.contains_key(&segment.name) {
                continue;
            }
            let copied = std::fs::copy(&segment.path, self.dir.join(&segment.name));
            match copied {
                Ok(_) => drop(self.copies.insert(segment.name.clone(), segment)),
                // It may be destroyed just now: then it is no evidence.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(e).context("copying a segment"),
            }
        }
        Ok(())
    }

    /// Shows one more copy to the players, of the camera that was shown least; `false` when each was shown often enough.
    ///
    /// Every copy would take a busy machine longer than the first footage lives.
    pub fn try_players(&mut self) -> Result<bool> {
        let is_tried = |copy: &&StoredSegment| self.sealed.contains(&copy.name) || self.opened.contains(&copy.name);
        let tries = |camera: u16| self.copies.values().filter(|copy| copy.camera == camera).filter(is_tried).count();
        let untried = self.copies.values().filter(|copy| !is_tried(copy) && tries(copy.camera) < TRIES_A_CAMERA);
        let Some(next) = untried.min_by_key(|copy| (tries(copy.camera), copy.start_us)) else { return Ok(false) };
        let name = next.name.clone();
        let opens = probe::any_player_opens(&self.dir.join(&name))?;
        if opens {
            self.opened.push(name)
        } else {
            self.sealed.push(name)
        }
        Ok(true)
    }

    /// Whether a camera's segments are copied up to a time.
    pub fn reaches(&self, camera: u16, until_us: i64) -> bool {
        self.copies.values().any(|copy| copy.camera == camera && copy.end_us.is_some_and(|end| end >= until_us))
    }

    /// The copied segments of a camera that have any of that time.
    pub fn of(&self, camera: u16, from_us: i64, to_us: i64) -> Vec<&StoredSegment> {
        self.copies.values().filter(|copy| copy.camera == camera && copy.overlaps(from_us, to_us)).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = &StoredSegment> {
        self.copies.values()
    }

    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.dir.join(name))?)
    }

    /// How many of these stand on the volume as they were copied, and how many have no file any more.
    pub fn compare(&self, stage: &Stage, wanted: &[String]) -> Result<Standing> {
        let there = files(&stage.site.volume())?;
        let mut standing = Standing::default();
        for name in wanted {
            match there.get(name) {
                None => standing.gone += 1,
                Some(path) if std::fs::read(path)? == self.bytes(name)? => standing.unchanged += 1,
                Some(_) => standing.changed += 1,
            }
        }
        Ok(standing)
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Standing {
    pub unchanged: u64,
    pub changed: u64,
    pub gone: u64,
}
