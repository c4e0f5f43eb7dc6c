//! Operations: what an operating room's camera is for.

use serde::{Deserialize, Serialize};

/// Who asked that an operation be filmed (Medical Service Act, article 38-2(2)). Nobody films one without being asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AskedBy {
    Patient,
    /// Who answers for the patient.
    Guardian,
    /// The clinic's head or a doctor, with the patient's or the guardian's consent.
    MedicalStaff,
}
