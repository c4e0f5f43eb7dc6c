//! What the rows of viewings say. Who, when and from where is each row's actor and time; the purpose stands sealed with the
//! request that each names (Standard Guidelines, article 47; Safety Measures Notice, article 8).

use super::decision::GrantedView;
use crate::domain::{CameraNumber, GrantId, RequestId, Span, ViewingEnd, ViewingId};
use serde::{Deserialize, Serialize};

/// A viewing that begins: of what, where, and who is there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ViewingBegun {
    pub viewing: ViewingId,
    pub grant: GrantId,
    pub request: RequestId,
    /// Which one of this grant it is, from 1.
    pub number: u32,
    /// How many there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// What it may show.
    pub views: Vec<GrantedView>,
    /// The place's name, where the grant names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// The viewer says that the person who asked is there.
    pub present: bool,
}

/// A viewing that ended, and all that it showed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ViewingEnded {
    pub viewing: ViewingId,
    pub grant: GrantId,
    pub request: RequestId,
    pub how: ViewingEnd,
    /// Footage that was shown, by camera; what follows on each other is one stretch.
    pub seen: Vec<GrantedView>,
}

/// Why a picture was not shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewRefusal {
    NoGrant,
    OutsideGrant,
    GrantEnded,
    Expired,
    /// It must be masked, and cannot be yet.
    Masking,
    /// No copy may be taken.
    NoCopy,
    /// Not at the place that the grant names.
    Terminal,
    /// Not within the appointment.
    Appointment,
    /// The person who asked is to be there, and was not said to be.
    NotPresent,
    /// There were as many viewings as there may be.
    ViewingsUsed,
    /// Another viewing is under way.
    UnderWay,
    /// None is.
    NoViewing,
    /// It is in dispute.
    Disputed,
}

/// Footage that was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServedFootage {
    pub viewing: ViewingId,
    pub grant: GrantId,
    pub request: RequestId,
    pub camera: CameraNumber,
    /// When it was filmed; `None` where the answer broke off before the first picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// The answer broke off: no more than this left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broken_off: bool,
}

/// Takes a stretch into a list, in which what follows on each other, or overlaps, is one.
pub fn add_seen(seen: &mut Vec<GrantedView>, camera: CameraNumber, span: Span) {
    let mut whole = span;
    seen.retain(|known| {
        let touches = known.camera == camera && known.span.from() <= whole.to() && whole.from() <= known.span.to();
        if touches {
            whole = whole.hull(known.span);
        }
        !touches
    });
    let place = seen.partition_point(|known| (known.camera, known.span.from()) < (camera, whole.from()));
    seen.insert(place, GrantedView { camera, span: whole });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Utc;

    #[test]
    fn what_follows_on_each_other_is_one_stretch_in_whatever_order_it_was_seen() {
        let camera = |number| CameraNumber::new(number).unwrap();
        let span = |from, to| Span::new(Utc::from_micros(from), Utc::from_micros(to)).unwrap();
        let mut seen = Vec::new();
        for (of, from, to) in [(1, 30, 40), (2, 10, 20), (1, 0, 10), (1, 50, 60), (1, 10, 20), (1, 15, 30), (1, 30, 40)]
        {
            add_seen(&mut seen, camera(of), span(from, to));
        }
        let told: Vec<_> = seen.iter().map(|view| (view.camera.get(), view.span)).collect();
        assert_eq!(told, [(1, span(0, 40)), (1, span(50, 60)), (2, span(10, 20))]);
    }

    #[test]
    fn rows_of_the_first_versions_are_read() {
        let old = [
            r#"{"kind":"grant-ended","grant":4}"#,
            r#"{"kind":"view-served","intended":7,"frames":10,"bytes":5}"#,
            r#"{"kind":"view-intended","grant":4,"request":1,"camera":1,"span":{"from":"2026-11-22T10:00:00Z","to":"2026-11-22T10:00:01Z"}}"#,
        ];
        for row in old {
            let act: crate::ledger::Act = serde_json::from_str(row).unwrap();
            assert!(!serde_json::to_string(&act).unwrap().contains("viewing"), "{row}");
        }
    }
}
