//! What is written of persons has a period of its own, and is erased like footage when that ends.
//!
//! - S1 The period runs from the last row that cites the paper, by the trusted clock. Nothing ends while its request is open
//!   or held, its grant stands, its hold stands, or its operation is under way.
//! - S2 Where the ledger is not whole nothing ends: it does not say what was cited last.
//! - S3 A file that no row tells of was never answered, and is destroyed at a start (A5).
//!
//! Order of an end, in turn: every block overwritten, flushed and read back → the row, which is the receipt → the names. A
//! cut before the row has it done once more, over zeros; behind it, the next start takes the names away. Nothing but the
//! first is flushed for it: a name that a power cut brings back leads to zeros.

use super::desk::{is_blank, paper_files};
use super::registry::{GrantState, Registry};
use super::states::{OperationState, RequestState};
use super::{Access, AccessError};
use crate::disk::SharedDisk;
use crate::domain::{PaperOf, Utc};
use crate::ledger::{Act, Actor, PaperErased, Row};
use crate::vault::VaultError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Each this often it is looked whether something has come to its end.
const LOOKED_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// What has come to its end is erased long before.
const ERASED_WITHIN: Duration = Duration::from_secs(600);

/// When a paper was cited, and whether it came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PaperLife {
    pub cited: Utc,
    /// The newest row that cites it.
    pub row: u64,
    pub erased: Option<Utc>,
}

/// All that was ever written of persons, by what it is of.
#[derive(Debug, Default)]
pub(super) struct Papers(BTreeMap<PaperOf, PaperLife>);

impl Papers {
    /// Takes a row; `cited` is whose paper it cites.
    pub fn apply(&mut self, row: &Row, cited: Option<PaperOf>) {
        if let Act::PaperErased(PaperErased { of, cited, .. }) = &row.act {
            let cited_by = self.0.get(of).map_or(0, |known| known.row);
            self.0.insert(*of, PaperLife { cited: *cited, row: cited_by, erased: Some(row.at) });
        }
        if let Some(of) = cited {
            let life = self.0.entry(of).or_insert(PaperLife { cited: row.at, row: row.sequence, erased: None });
            // Of a clock that was set back the later time counts.
            (life.cited, life.row) = (life.cited.max(row.at), row.sequence);
        }
    }

    pub fn get(&self, of: PaperOf) -> Option<PaperLife> {
        self.0.get(&of).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (PaperOf, PaperLife)> {
        self.0.iter().map(|(of, life)| (*of, *life))
    }

    /// Of what does not count, and is erased, nothing is known but that.
    pub fn forget(&mut self, counts: impl Fn(PaperOf) -> bool) {
        self.0.retain(|of, life| {
            if !counts(*of) {
                life.row = 0;
            }
            life.row > 0 || life.erased.is_some()
        });
    }
}

impl Registry {
    pub(super) fn is_known(&self, of: PaperOf) -> bool {
        match of {
            PaperOf::Request(request) => self.requests.contains_key(&request),
            PaperOf::Hold(hold) => self.holds.contains_key(&hold),
            PaperOf::Operation(operation) => self.operations.contains_key(&operation),
        }
    }

    /// Whether nothing is done with it any more.
    pub(super) fn is_settled(&self, of: PaperOf) -> bool {
        match of {
            PaperOf::Request(request) => self.requests.get(&request).is_some_and(|known| {
                let is_granted =
                    |grant: &super::registry::Grant| grant.request == request && grant.state == GrantState::Open;
                let is_over = known.state.is_over() || (known.state.can_lapse() && known.hold_has_ended);
                is_over
                    && !known.holds()
                    && !self.grants.values().any(is_granted)
                    && !self.deciding.contains_key(&request)
            }),
            PaperOf::Hold(hold) => self.holds.get(&hold).is_some_and(|known| !known.holds()),
            PaperOf::Operation(operation) => {
                let known = self.operations.get(&operation);
                known.is_some_and(|known| matches!(known.state, OperationState::Ended { .. }))
            }
        }
    }

    /// Files of what is written of persons that still hold something, though its period had ended at `now` for a while, or it
    /// was erased.
    pub(super) fn old_papers(
        &self,
        (disk, dir): (&SharedDisk, &Path),
        (period, now): (Duration, Utc),
    ) -> Result<Vec<PathBuf>, VaultError> {
        let over = self.papers_over(now.saturating_sub(period + ERASED_WITHIN));
        let is_old = |of: PaperOf| over.contains(&of) || self.papers.get(of).is_some_and(|life| life.erased.is_some());
        let mut old = Vec::new();
        for (of, name) in paper_files(disk, dir)? {
            let path = dir.join(name);
            if is_old(of) && !is_blank(disk, &path)? {
                old.push(path);
            }
        }
        Ok(old)
    }

    /// The papers that were last cited at `before` or earlier, and that nothing keeps.
    fn papers_over(&self, before: Utc) -> Vec<PaperOf> {
        let over = self
            .papers
            .iter()
            .filter(|(of, life)| life.erased.is_none() && life.cited <= before && self.is_settled(*of));
        over.map(|(of, _)| of).collect()
    }
}

impl RequestState {
    /// Whether it is over once its hold has lapsed: nobody can object to it any more.
    fn can_lapse(&self) -> bool {
        self.hold_until().is_some()
    }
}

impl Access {
    /// Erases what is written of persons and whose period has ended. Looks once a minute.
    ///
    /// # Errors
    /// What the disk says of one of them, the others are erased all the same; [`AccessError::NotRecorded`], and then its
    /// content is gone and the receipt follows.
    pub(super) fn erase_papers_that_are_over(&self) -> Result<(), AccessError> {
        let at = self.time.clock().monotonic();
        {
            let mut looked = self.papers_looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if looked.is_some_and(|looked| at.saturating_sub(looked) < LOOKED_AGAIN_AFTER) {
                return Ok(());
            }
            *looked = Some(at);
        }
        if self.ledger.damage().is_some() {
            return Ok(());
        }
        let over = self.registry().papers_over(self.papers_end_before());
        let mut told = Ok(());
        for of in over {
            told = told.and(self.erase_paper(of));
        }
        told
    }

    /// Files of what is written of persons that are older than they may be. In turn, since one may be written and erased.
    ///
    /// # Errors
    /// What the disk says.
    pub fn old_papers(&self) -> Result<Vec<PathBuf>, VaultError> {
        let _turn = self.turn();
        self.registry().old_papers((&self.disk, &self.requests_dir), (self.periods.papers, self.now()))
    }

    fn papers_end_before(&self) -> Utc {
        self.now().saturating_sub(self.periods.papers)
    }

    fn erase_paper(&self, of: PaperOf) -> Result<(), AccessError> {
        let _turn = self.turn();
        // Somebody may have cited it meanwhile.
        let is_over = self.registry().papers_over(self.papers_end_before()).contains(&of);
        let Some(life) = self.registry().papers.get(of).filter(|_| is_over) else { return Ok(()) };
        let (files, overwrite) = self.desk.overwrite(&self.requests_dir, of)?;
        self.record(Actor::Daemon, Act::PaperErased(PaperErased { of, files, overwrite, cited: life.cited }))?;
        tracing::info!(%of, files, ?overwrite, "what was written of persons has come to its end");
        let removed = self.desk.remove(&self.requests_dir, of);
        self.tidied(removed)
    }

    /// Destroys files of papers that no row tells of, and takes away the names of those that are erased (S3). In turn, and
    /// with a ledger that is whole.
    pub(super) fn tidy_papers(&self) -> Result<(), AccessError> {
        for (of, name) in self.desk.files(&self.requests_dir)? {
            let known = self.registry().papers.get(of);
            let is_draft = name.ends_with(super::desk::DRAFT);
            if known.is_some_and(|life| life.erased.is_none()) && !is_draft {
                continue;
            }
            if known.is_none() || is_draft {
                tracing::warn!(%of, file = name, "what no row tells of persons is destroyed");
            }
            self.desk.destroy_file(&self.requests_dir, &name)?;
        }
        Ok(())
    }

    /// When what something holds of persons was erased; `None` while it stands.
    pub(super) fn paper_erased(&self, of: impl Into<PaperOf>) -> Option<Utc> {
        self.registry().papers.get(of.into()).and_then(|life| life.erased)
    }
}
