//! What can be asked, and on what grounds it can be answered: the law's closed lists.
//!
//! PIPA is the Personal Information Protection Act, MSA the Medical Service Act.

use super::CameraClass;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequestKind {
    /// Is there footage of me? (PIPA 35(1); Standard Guidelines, article 44)
    ExistenceCheck,
    /// May I see it? (the same)
    Viewing,
    /// May I have a copy of it? (the same)
    Copy,
    /// Erase what shows me (PIPA 36).
    Erasure,
    /// Somebody else is to get it (PIPA 17, 18).
    Provision,
    /// The site itself looks at it, inside the purpose that the notice names (PIPA 15, 25).
    OwnUse,
    /// An operating room's, asked for by an investigation, a prosecution or a court (MSA 38-2(5)1).
    OperatingRoomAuthority,
    /// An operating room's, asked for by the mediation and arbitration agency, with the consent of the patient or the
    /// guardian (MSA 38-2(5)2).
    OperatingRoomMediation,
    /// An operating room's, with the consent of everybody who is seen (MSA 38-2(5)3).
    OperatingRoomConsent,
}

/// The three ways on which an operating room's footage is shown or handed over, in words.
pub const OPERATING_ROOM_ROUTES: &str = "an investigation, a prosecution or a court (operating-room-authority), the mediation \
     agency with the patient's consent (operating-room-mediation), the consent of everybody who is seen \
     (operating-room-consent)";

impl RequestKind {
    pub const ALL: [RequestKind; 9] = [
        RequestKind::ExistenceCheck,
        RequestKind::Viewing,
        RequestKind::Copy,
        RequestKind::Erasure,
        RequestKind::Provision,
        RequestKind::OwnUse,
        RequestKind::OperatingRoomAuthority,
        RequestKind::OperatingRoomMediation,
        RequestKind::OperatingRoomConsent,
    ];

    /// Whether it is one of the three ways of MSA 38-2(5).
    pub fn is_operating_room_route(self) -> bool {
        match self {
            RequestKind::OperatingRoomAuthority
            | RequestKind::OperatingRoomMediation
            | RequestKind::OperatingRoomConsent => true,
            RequestKind::ExistenceCheck
            | RequestKind::Viewing
            | RequestKind::Copy
            | RequestKind::Erasure
            | RequestKind::Provision
            | RequestKind::OwnUse => false,
        }
    }

    /// Whether somebody gets to see the footage, or has it, when it is approved.
    pub fn hands_over(self) -> bool {
        match self {
            RequestKind::ExistenceCheck | RequestKind::Erasure => false,
            RequestKind::Viewing
            | RequestKind::Copy
            | RequestKind::Provision
            | RequestKind::OwnUse
            | RequestKind::OperatingRoomAuthority
            | RequestKind::OperatingRoomMediation
            | RequestKind::OperatingRoomConsent => true,
        }
    }

    /// Whether it may reach footage of cameras of a class. An operating room's is shown and handed over on three ways alone,
    /// whoever asks: the clinic's head, too (MSA 38-2(5)). To say that there is some, and to erase it, shows nobody any. The
    /// three ways are for operating rooms, and reach no other camera.
    pub fn may_reach(self, class: CameraClass) -> bool {
        match class {
            CameraClass::OperatingRoom => self.is_operating_room_route() || !self.hands_over(),
            CameraClass::PublicArea | CameraClass::NonPublic => !self.is_operating_room_route(),
        }
    }

    /// Whether a copy can come of it. Nobody gets more than they asked for.
    pub fn may_be_copied(self) -> bool {
        match self {
            RequestKind::Copy
            | RequestKind::Provision
            | RequestKind::OperatingRoomAuthority
            | RequestKind::OperatingRoomMediation
            | RequestKind::OperatingRoomConsent => true,
            RequestKind::ExistenceCheck | RequestKind::Viewing | RequestKind::Erasure | RequestKind::OwnUse => false,
        }
    }

    /// Whether it goes to somebody who must be named.
    pub fn wants_recipient(self) -> bool {
        match self {
            RequestKind::Provision | RequestKind::OperatingRoomAuthority | RequestKind::OperatingRoomMediation => true,
            RequestKind::ExistenceCheck
            | RequestKind::Viewing
            | RequestKind::Copy
            | RequestKind::Erasure
            | RequestKind::OwnUse
            | RequestKind::OperatingRoomConsent => false,
        }
    }
}

/// The document by which a person was identified. Its number is never taken (PIPA 38, Decree 46).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityDocument {
    ResidentCard,
    Passport,
    DriversLicence,
    /// A foreigner's registration card.
    AlienCard,
    /// An authority's letter, and its officer's card.
    OfficialLetter,
}

/// As what somebody asks (PIPA 38, Decree 45).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// It is about the one who asks.
    #[default]
    Own,
    /// For another person, with a power of attorney.
    Agent,
    /// The legal guardian of a person under 14 (PIPA 38(2)).
    Guardian,
    /// Of a company, an insurer or another body, with a power of attorney from it.
    Representative,
    /// An authority's officer, or the mediation agency's.
    Authority,
    /// Somebody of the site itself.
    Staff,
}

impl Capacity {
    /// Whether a power of attorney has to be seen.
    pub fn wants_power_of_attorney(self) -> bool {
        match self {
            Capacity::Agent | Capacity::Representative => true,
            Capacity::Own | Capacity::Guardian | Capacity::Authority | Capacity::Staff => false,
        }
    }

    /// Whether it is said who the footage is about, besides who asks.
    pub fn wants_subject(self) -> bool {
        match self {
            Capacity::Agent | Capacity::Guardian => true,
            Capacity::Own | Capacity::Representative | Capacity::Authority | Capacity::Staff => false,
        }
    }
}

/// How something came in, or went out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    #[default]
    Visit,
    Writing,
    EMail,
    Fax,
    Phone,
}

/// On what ground footage goes to a third party: PIPA 17(1)1 and 18(2). Number 4 was deleted; numbers 5 to 9 are for public
/// bodies alone (18(2), its last sentence).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProvisionBasis {
    /// The person consents, for this one provision (17(1)1, 18(2)1).
    Consent,
    /// Another law says so in a provision of its own, such as a judge's warrant (18(2)2).
    AnotherLaw,
    /// Clearly needed for somebody's life, body or property, and urgent (18(2)3).
    UrgentInterest,
    /// Without it a duty by law cannot be done, and the Protection Commission has deliberated (18(2)5).
    CommissionDeliberation,
    /// A treaty or an international agreement (18(2)6).
    Treaty,
    /// The investigation of a crime, and its prosecution (18(2)7).
    Investigation,
    /// A court's trial (18(2)8).
    Trial,
    /// The execution of a punishment, of care or of protection (18(2)9).
    Execution,
    /// Public health or another urgent need of public safety (18(2)10).
    PublicSafety,
}

impl ProvisionBasis {
    pub const ALL: [ProvisionBasis; 9] = [
        ProvisionBasis::Consent,
        ProvisionBasis::AnotherLaw,
        ProvisionBasis::UrgentInterest,
        ProvisionBasis::CommissionDeliberation,
        ProvisionBasis::Treaty,
        ProvisionBasis::Investigation,
        ProvisionBasis::Trial,
        ProvisionBasis::Execution,
        ProvisionBasis::PublicSafety,
    ];

    /// Whether only a public body can provide on it.
    pub fn is_for_public_bodies(self) -> bool {
        match self {
            ProvisionBasis::CommissionDeliberation
            | ProvisionBasis::Treaty
            | ProvisionBasis::Investigation
            | ProvisionBasis::Trial
            | ProvisionBasis::Execution => true,
            ProvisionBasis::Consent
            | ProvisionBasis::AnotherLaw
            | ProvisionBasis::UrgentInterest
            | ProvisionBasis::PublicSafety => false,
        }
    }
}

/// In what form something is handed over.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HandOverForm {
    /// It is looked at here.
    Viewing,
    /// A copy leaves.
    Copy,
}

/// Why a request may be refused (PIPA 35(4)). "Bystanders are visible" and "police only" are not grounds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalGround {
    /// A law forbids it or limits it.
    ForbiddenByLaw,
    /// Another's life or body would be endangered, or another's interests harmed unduly.
    HarmToOthers,
    /// Already destroyed at the end of its period.
    AlreadyDestroyed,
    /// Another just cause, given in words.
    OtherJustCause,
}

impl fmt::Display for RefusalGround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusalGround::ForbiddenByLaw => "a law forbids or limits it",
            RefusalGround::HarmToOthers => "it would harm others",
            RefusalGround::AlreadyDestroyed => "the footage was destroyed at the end of its period",
            RefusalGround::OtherJustCause => "another just cause",
        })
    }
}

/// Why a decision waits (PIPA 35(3)). That other people are seen is a reason to mask them first, and not one to refuse.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PostponementCause {
    /// Other people are seen, and are being made unrecognisable.
    Masking,
    /// The disk that it stands on is away or being mended.
    FootageOutOfReach,
    /// Whether the footage, or the right to it, is as somebody says is in dispute.
    Dispute,
    /// What is asked for cannot be told apart yet: who is meant, or when.
    BeingClarified,
    /// Another just cause, given in words.
    OtherJustCause,
}

impl fmt::Display for PostponementCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PostponementCause::Masking => "other people are being made unrecognisable",
            PostponementCause::FootageOutOfReach => "the footage is out of reach for now",
            PostponementCause::Dispute => "it is in dispute",
            PostponementCause::BeingClarified => "what is asked for is being clarified",
            PostponementCause::OtherJustCause => "another just cause",
        })
    }
}

/// Why footage, or a request, is in dispute.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DisputeGround {
    /// Whether it shows what, whom or when it is said to.
    Accuracy,
    /// Whether who asks is who they say, or may ask for another.
    Entitlement,
    /// Whether it may be used or provided for this (PIPA 37).
    Lawfulness,
    /// Before a court, an authority or the mediation agency.
    Proceedings,
}

impl fmt::Display for DisputeGround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DisputeGround::Accuracy => "what it shows",
            DisputeGround::Entitlement => "who may ask for it",
            DisputeGround::Lawfulness => "whether it may be used",
            DisputeGround::Proceedings => "proceedings about it",
        })
    }
}

/// How a dispute was settled: from then on it blocks nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DisputeOutcome {
    /// Who disputed it was right.
    Upheld,
    /// Who disputed it was not.
    Rejected,
    /// The parties agree.
    Agreed,
    /// It was taken back.
    Withdrawn,
}

/// What the states of a request are called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateName {
    Submitted,
    Identified,
    Approved,
    Partly,
    Confirmed,
    Refused,
    Erased,
    Postponed,
    Objected,
    Unavailable,
    Delivered,
    Withdrawn,
    Closed,
}

impl StateName {
    pub fn text(self) -> &'static str {
        match self {
            StateName::Submitted => "submitted",
            StateName::Identified => "identified",
            StateName::Approved => "approved",
            StateName::Partly => "partly",
            StateName::Confirmed => "confirmed",
            StateName::Refused => "refused",
            StateName::Erased => "erased",
            StateName::Postponed => "postponed",
            StateName::Objected => "objected",
            StateName::Unavailable => "unavailable",
            StateName::Delivered => "delivered",
            StateName::Withdrawn => "withdrawn",
            StateName::Closed => "closed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [CameraClass; 3] = [CameraClass::PublicArea, CameraClass::NonPublic, CameraClass::OperatingRoom];

    /// From the law and requirements.md (L13, L19), written by hand.
    #[test]
    fn an_operating_rooms_footage_leaves_on_three_ways_alone_and_these_reach_no_other() {
        let wanted = [
            ("existence-check", [true, true, true]),
            ("viewing", [true, true, false]),
            ("copy", [true, true, false]),
            ("erasure", [true, true, true]),
            ("provision", [true, true, false]),
            ("own-use", [true, true, false]),
            ("operating-room-authority", [false, false, true]),
            ("operating-room-mediation", [false, false, true]),
            ("operating-room-consent", [false, false, true]),
        ];
        let told = RequestKind::ALL.map(|kind| (kind, CLASSES.map(|class| kind.may_reach(class))));
        for ((kind, reached), (name, reach)) in told.into_iter().zip(wanted) {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("{name:?}"));
            assert_eq!(reached, reach, "{name}");
        }
    }

    #[test]
    fn what_is_for_public_bodies_alone_is_articles_18_2_5_to_9() {
        let public: Vec<_> = ProvisionBasis::ALL.into_iter().filter(|basis| basis.is_for_public_bodies()).collect();
        let names = serde_json::to_string(&public).unwrap();
        assert_eq!(names, r#"["commission-deliberation","treaty","investigation","trial","execution"]"#);
    }
}
