//! What people type, before any of it is kept.

use super::AccessError;

const TEXT_LIMIT_CHARS: usize = 2_000;

/// Refuses what is too long, what seems to hold an identity number, and nothing where something is wanted.
pub(super) fn check_text(field: &'static str, text: &str, is_wanted: bool) -> Result<(), AccessError> {
    if is_wanted && text.trim().is_empty() {
        return Err(AccessError::BadInput { field, what: "is wanted" });
    }
    if text.chars().count() > TEXT_LIMIT_CHARS {
        return Err(AccessError::BadInput { field, what: "is too long; 2,000 characters are allowed" });
    }
    if holds_id_number(text) {
        return Err(AccessError::IdNumber { field });
    }
    Ok(())
}

/// Whether a text seems to hold a number by which the law identifies a person. They are never stored (PIPA 24, 24-2), and
/// nobody is helped by one that stands there with a blank in it, so full-width digits and any dash or blank between the
/// groups count, too.
///
/// - A resident's or a foreigner's registration number: six digits that are a date of birth and seven more, or thirteen whose
///   last one is the check digit over the others. Numbers given out since October 2020 have none.
/// - A driver's licence in its groups: 2, 2, 6 and 2 digits, or of before, with the region's name in front, 2, 6 and 2.
///   Twelve digits in a row are not told from a bank account.
/// - A passport: a letter and eight digits; since December 2021 a letter, three digits, a letter and four digits.
fn holds_id_number(text: &str) -> bool {
    let chars: Vec<char> = text.chars().map(plain).collect();
    let begins = |at: usize| at == 0 || !chars[at - 1].is_ascii_alphanumeric();
    (0..chars.len()).filter(|at| begins(*at)).any(|at| {
        let rest = &chars[at..];
        let is_resident = matched(rest, "dddddd~ddddddd").is_some_and(|digits| is_registration(&digits));
        let is_licence = matched(rest, "dd-dd-dddddd-dd").is_some()
            || REGIONS.iter().any(|region| behind(rest, region, "~dd-dddddd-dd"));
        let is_passport = matched(rest, "adddddddd").is_some() || matched(rest, "adddadddd").is_some();
        is_resident || is_licence || is_passport
    })
}

/// How licences of before begin.
const REGIONS: [&str; 17] = [
    "서울", "부산", "대구", "인천", "광주", "대전", "울산", "세종", "경기", "강원", "충북", "충남", "전북", "전남",
    "경북", "경남", "제주",
];

/// Full-width letters and digits, and every dash, as the plain ones.
fn plain(c: char) -> char {
    match c {
        '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => {
            char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c)
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}' | '\u{fe63}' | '\u{30fc}' => '-',
        c => c,
    }
}

/// The digits where a text begins like a pattern and ends as a word there: `d` is a digit, `a` a letter, `-` a dash or
/// blanks, `~` the same or nothing.
fn matched(text: &[char], pattern: &str) -> Option<Vec<u32>> {
    let (mut digits, mut at) = (Vec::new(), 0);
    for wanted in pattern.chars() {
        if wanted == '-' || wanted == '~' {
            let between = text[at..].iter().take_while(|c| **c == '-' || c.is_whitespace()).count();
            if between > 3 || (between == 0 && wanted == '-') {
                return None;
            }
            at += between;
            continue;
        }
        let next = text.get(at)?;
        match next.to_digit(10) {
            Some(digit) if wanted == 'd' => digits.push(digit),
            None if wanted == 'a' && next.is_ascii_alphabetic() => {}
            _ => return None,
        }
        at += 1;
    }
    text.get(at).is_none_or(|next| !next.is_ascii_alphanumeric()).then_some(digits)
}

fn behind(text: &[char], word: &str, pattern: &str) -> bool {
    let length = word.chars().count();
    text.len() > length
        && word.chars().eq(text[..length].iter().copied())
        && matched(&text[length..], pattern).is_some()
}

/// Thirteen digits that begin with a date of birth, or end with the check digit over the others.
fn is_registration(digits: &[u32]) -> bool {
    let two = |at: usize| digits[at] * 10 + digits[at + 1];
    let is_birth = (1..=12).contains(&two(2)) && (1..=31).contains(&two(4));
    let weighted: u32 =
        digits.iter().zip([2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]).map(|(digit, weight)| digit * weight).sum();
    let check = (11 - weighted % 11) % 10;
    is_birth || digits[12] == check || digits[12] == (check + 2) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_numbers_are_seen_and_phone_numbers_and_dates_are_not() {
        for text in [
            "900101-1234567",
            "주민 9001011234567.",
            "주민번호900101 - 1234567 입니다",
            "900101 5234567",
            "９００１０１－１２３４５６７",
            "900101–1234567",
            "991332-1234568",
            "11-12-345678-90",
            "11 12 345678 90",
            "서울 12-345678-90",
            "M12345678",
            "passport: m12345678",
            "여권 M123A4567",
        ] {
            assert!(holds_id_number(text), "{text}");
        }
        for text in [
            "010-1234-5678",
            "02-123-4567",
            "1990-01-01",
            "2026-11-22 14:05",
            "room 12, 3rd floor",
            "",
            "20261122-14",
            "900101-1******",
            "9913321234561",
            "90010112345678",
            "2026-11-26T22:10:00.000Z",
            "110-123-456789",
            "사건 2026형제12345",
            "room20261122",
        ] {
            assert!(!holds_id_number(text), "{text}");
        }
    }
}
