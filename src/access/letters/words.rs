//! What letters say of kinds, grounds and times, in both languages.

use crate::domain::request::{PostponementCause, RefusalGround, RequestKind};
use crate::domain::{Language, Utc};
use crate::ledger::KeptFor;
use jiff::Zoned;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Writes for one letter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    pub language: Language,
    pub zone: &'a TimeZone,
}

impl Words<'_> {
    fn pick(self, korean: &'static str, english: &'static str) -> String {
        match self.language {
            Language::Ko => korean,
            Language::En => english,
        }
        .to_owned()
    }

    fn local(self, at: Utc) -> Zoned {
        jiff::Timestamp::from_microsecond(at.micros()).unwrap_or_default().to_zoned(self.zone.clone())
    }

    /// A day.
    pub fn day(self, at: Utc) -> String {
        let at = self.local(at);
        let month = usize::try_from(at.month()).unwrap_or(1);
        match self.language {
            Language::Ko => format!("{}년 {}월 {}일", at.year(), month, at.day()),
            Language::En => format!("{} {} {}", at.day(), MONTHS.get(month - 1).unwrap_or(&""), at.year()),
        }
    }

    /// A day and a time, to the second.
    pub fn point(self, at: Utc) -> String {
        let local = self.local(at);
        format!("{} {:02}:{:02}:{:02}", self.day(at), local.hour(), local.minute(), local.second())
    }

    /// What was asked for.
    pub fn kind(self, kind: RequestKind) -> String {
        match kind {
            RequestKind::ExistenceCheck => self.pick("개인영상정보 존재 확인", "confirmation of existence"),
            RequestKind::Viewing => self.pick("개인영상정보 열람", "viewing"),
            RequestKind::Erasure => self.pick("개인영상정보 삭제", "erasure"),
            RequestKind::Copy => self.pick("개인영상정보 사본 제공", "a copy"),
            RequestKind::Provision => self.pick("개인영상정보 제3자 제공", "provision to a third party"),
            RequestKind::OwnUse => self.pick("개인영상정보 목적 내 이용", "use inside the purpose"),
            RequestKind::OperatingRoomAuthority => {
                self.pick("수술실 영상정보 제공 (수사·재판)", "operating room: for an investigation or a court")
            }
            RequestKind::OperatingRoomMediation => {
                self.pick("수술실 영상정보 제공 (의료분쟁 조정·중재)", "operating room: for mediation")
            }
            RequestKind::OperatingRoomConsent => {
                self.pick("수술실 영상정보 열람·제공 (전원 동의)", "operating room: with everybody’s consent")
            }
        }
    }

    /// A ground of refusal, in words.
    pub fn ground(self, ground: RefusalGround) -> String {
        match ground {
            RefusalGround::ForbiddenByLaw => {
                self.pick("법률에 따라 열람이 금지되거나 제한되는 경우", "A law forbids or limits it")
            }
            RefusalGround::HarmToOthers => self.pick(
                "다른 사람의 생명·신체를 해할 우려가 있거나 다른 사람의 재산과 그 밖의 이익을 부당하게 침해할 우려가 있는 경우",
                "It would endanger another’s life or body, or unduly harm another’s property or interests",
            ),
            RefusalGround::AlreadyDestroyed => {
                self.pick("보관기간이 경과하여 파기한 경우", "It was destroyed at the end of its period")
            }
            RefusalGround::OtherJustCause => self.pick("그 밖에 정당한 사유가 있는 경우", "Another just cause"),
        }
    }

    /// Where a law knows that ground.
    pub fn statute(self, kind: RequestKind, ground: RefusalGround) -> String {
        match (kind, ground) {
            (RequestKind::Erasure, RefusalGround::ForbiddenByLaw) => self.pick(
                "「개인정보 보호법」 제36조제1항 단서",
                "Personal Information Protection Act, article 36(1), proviso",
            ),
            (_, RefusalGround::ForbiddenByLaw) => self.pick(
                "「개인정보 보호법」 제35조제4항제1호",
                "Personal Information Protection Act, article 35(4), subparagraph 1",
            ),
            (_, RefusalGround::HarmToOthers) => self.pick(
                "「개인정보 보호법」 제35조제4항제2호",
                "Personal Information Protection Act, article 35(4), subparagraph 2",
            ),
            (_, RefusalGround::AlreadyDestroyed | RefusalGround::OtherJustCause) => self.pick(
                "「표준 개인정보 보호지침」 제44조제4항",
                "Standard Personal Information Protection Guidelines, article 44(4)",
            ),
        }
    }

    /// Why something is postponed.
    pub fn cause(self, cause: PostponementCause) -> String {
        match cause {
            PostponementCause::Masking => {
                self.pick("다른 사람을 알아볼 수 없도록 처리하는 중", "Other people are being made unrecognisable")
            }
            PostponementCause::FootageOutOfReach => {
                self.pick("영상이 저장된 장치를 사용할 수 없음", "The disk that it stands on is out of reach")
            }
            PostponementCause::Dispute => self.pick("영상 또는 권한에 다툼이 있음", "It is in dispute"),
            PostponementCause::BeingClarified => {
                self.pick("요구 대상 또는 시각을 확인하는 중", "Who or when is being clarified")
            }
            PostponementCause::OtherJustCause => self.pick("그 밖에 정당한 사유", "Another just cause"),
        }
    }

    /// Where the law knows a postponement.
    pub fn statute_of_postponing(self) -> String {
        self.pick("「개인정보 보호법」 제35조제3항", "Personal Information Protection Act, article 35(3)")
    }

    /// Why something stays that was to be erased.
    pub fn kept(self, why: KeptFor) -> String {
        match why {
            KeptFor::Held { .. } => {
                self.pick("다른 요구 또는 절차를 위하여 보존 중", "kept for another request or procedure")
            }
            KeptFor::Floor { until } => {
                let until = self.day(until);
                match self.language {
                    Language::Ko => format!("법률에 따른 보존 기간 중 ({until}까지)"),
                    Language::En => format!("a law wants it kept until {until}"),
                }
            }
            KeptFor::Recording => self.pick("촬영 중", "still being recorded"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_sites_in_both_languages() {
        let zone = TimeZone::get("Asia/Seoul").unwrap();
        let at: Utc = "2026-11-25T15:04:05Z".parse().unwrap();
        let words = |language| Words { language, zone: &zone };
        assert_eq!(words(Language::Ko).day(at), "2026년 11월 26일");
        assert_eq!(words(Language::Ko).point(at), "2026년 11월 26일 00:04:05");
        assert_eq!(words(Language::En).day(at), "26 November 2026");
        assert_eq!(words(Language::En).point(at), "26 November 2026 00:04:05");
    }
}
