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

/// Whether a text seems to hold a resident registration number (13 digits, as 6 and 7), a driver's licence (12 digits,
/// as 2, 2, 6 and 2) or a passport number (a letter and 8 digits). They are never stored (PIPA 24-2).
fn holds_id_number(text: &str) -> bool {
    let mut groups: Vec<usize> = Vec::new();
    let mut digits = 0;
    let mut letter_before = false;
    let mut previous = ' ';
    for c in text.chars().chain(std::iter::once('\n')) {
        if c.is_ascii_digit() {
            if digits == 0 {
                letter_before = previous.is_ascii_uppercase();
            }
            digits += 1;
        } else {
            if digits > 0 {
                groups.push(digits);
                if digits == 13 || (letter_before && digits == 8) {
                    return true;
                }
            }
            let joins = c == '-' && digits > 0;
            if groups.ends_with(&[6, 7]) || groups.ends_with(&[2, 2, 6, 2]) {
                return true;
            }
            if !joins {
                groups.clear();
            }
            digits = 0;
        }
        previous = c;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_numbers_are_seen_and_phone_numbers_and_dates_are_not() {
        for text in ["900101-1234567", "주민 9001011234567.", "11-12-345678-90", "M12345678", "passport: M12345678"] {
            assert!(holds_id_number(text), "{text}");
        }
        for text in
            ["010-1234-5678", "02-123-4567", "1990-01-01", "2026-11-22 14:05", "room 12, 3rd floor", "", "20261122-14"]
        {
            assert!(!holds_id_number(text), "{text}");
        }
    }
}
