//! What rows say of letters, of days that run, and of the end of what is written of persons; and which row cites what.

use super::row::Act;
use super::viewed::{ViewingBegun, ViewingEnded};
use crate::domain::{DeliveryWay, Digest, HeldFor, Language, LetterKind, LocalDay, Overwrite, PaperOf, RequestId, Utc};
use serde::{Deserialize, Serialize};

/// A letter was printed. Its text holds persons and is kept nowhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LetterProduced {
    pub request: RequestId,
    pub letter: LetterKind,
    pub language: Language,
    /// SHA-256 of the site's own template; `None` where the one of the program was used.
    pub template: Option<Digest>,
    /// HMAC-SHA-256 of the text, under the salt of what the request holds of persons: it tells nothing by itself.
    pub text: Digest,
}

/// A letter came to who asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LetterDelivered {
    pub request: RequestId,
    /// The row of its producing.
    pub produced: u64,
    pub way: DeliveryWay,
    /// When, as whoever delivered it says.
    pub delivered: Utc,
    /// How that is known; `None` where nothing was written of it.
    pub proof: Option<SealedSheet>,
}

/// Something that was written later about a request's persons, and is sealed to the desk in a file of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SealedSheet {
    /// Its number among that request's.
    pub sheet: u64,
    /// Commits to its fields.
    pub fields: Digest,
}

/// A request waits for its answer, and its days run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RequestReminded {
    pub request: RequestId,
    /// The site's day that it was said on: once a day.
    pub day: LocalDay,
    pub due: Utc,
    pub overdue: bool,
}

/// What was written of persons came to its end, like footage does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PaperErased {
    pub of: PaperOf,
    pub files: u32,
    /// The worst of them.
    pub overwrite: Overwrite,
    /// When it was last cited before.
    pub cited: Utc,
}

impl Act {
    /// Whose paper a row cites: from the last such row on its period runs. Grants' ends cite the request of the grant, which
    /// they do not name.
    pub fn cites(&self) -> Option<PaperOf> {
        match self {
            Act::RequestSubmitted { request, .. }
            | Act::RequestUnavailable { request, .. }
            | Act::IdentityChecked { request, .. }
            | Act::RequestDecided { request, .. }
            | Act::RequestObjected { request }
            | Act::RequestClosed { request }
            | Act::DecisionProposed { request, .. }
            | Act::DecisionSeconded { request, .. }
            | Act::RequestDelivered { request, .. }
            | Act::RequestWithdrawn { request, .. }
            | Act::FeeNoted { request, .. }
            | Act::FootageDisputed { request: Some(request), .. }
            | Act::HoldPlaced { request, .. }
            | Act::HoldReleased { request }
            | Act::HoldConfirmed { of: HeldFor::Request(request) }
            | Act::ViewIntended { request, .. }
            | Act::ViewingBegun(ViewingBegun { request, .. })
            | Act::ViewingEnded(ViewingEnded { request, .. })
            | Act::ViewRefused { request: Some(request), .. }
            | Act::LetterProduced(LetterProduced { request, .. })
            | Act::LetterDelivered(LetterDelivered { request, .. })
            | Act::RequestReminded(RequestReminded { request, .. }) => Some(PaperOf::Request(*request)),
            Act::HoldOrdered { hold, .. }
            | Act::HoldConfirmed { of: HeldFor::Hold(hold) }
            | Act::HoldExtended { hold, .. }
            | Act::HoldEnded { hold, .. } => Some(PaperOf::Hold(*hold)),
            Act::OperationStarted { operation, .. } | Act::OperationEnded { operation, .. } => {
                Some(PaperOf::Operation(*operation))
            }
            Act::FileOpened { .. }
            | Act::SiteMade { .. }
            | Act::RightsGranted { .. }
            | Act::RightsRequested { .. }
            | Act::RightsWithdrawn { .. }
            | Act::RightsChanged { .. }
            | Act::RightsRemoved { .. }
            | Act::KeysMade { .. }
            | Act::KeysSealed { .. }
            | Act::KeysForgotten { .. }
            | Act::DeskRotated { .. }
            | Act::PasswordChanged { .. }
            | Act::PasswordReset { .. }
            | Act::SecondFactorSet { .. }
            | Act::SecondFactorUsed { .. }
            | Act::SessionsEnded { .. }
            | Act::DaemonStarted { .. }
            | Act::DaemonStopped
            | Act::SignedIn
            | Act::SignInFailed { .. }
            | Act::SignedOut
            | Act::GrantEnded { .. }
            | Act::RequestsSearched { .. }
            | Act::FootageDisputed { request: None, .. }
            | Act::DisputeSettled { .. }
            | Act::PaperErased(_)
            | Act::ViewServed { .. }
            | Act::ViewRefused { request: None, .. }
            | Act::FootageDestroyed(_)
            | Act::ManifestClosed(_)
            | Act::DestructionConfirmed { .. }
            | Act::FootageRecovered { .. }
            | Act::LedgerRead
            | Act::LedgerRefused
            | Act::LedgerExported(_)
            | Act::LedgerReviewed(_)
            | Act::LedgerMonthEnding(_)
            | Act::LedgerMonthErased(_)
            | Act::CopyDestroyed(_)
            | Act::ClockStepped { .. }
            | Act::ClockInDoubt { .. }
            | Act::ClockSynchronised { .. }
            | Act::ClockConfirmed { .. }
            | Act::Checkpoint(_)
            | Act::Once { .. } => None,
        }
    }
}
