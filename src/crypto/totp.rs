//! One-time passwords by time (RFC 6238) with HMAC-SHA-1, six digits and steps of 30 s: what every authenticator app does.
//! The weakness of SHA-1 is one of collisions; HMAC does not rest on those (RFC 6238, section 1.2).

use super::Secret;
use ring::hmac;
use zeroize::Zeroizing;

/// How long one code is shown.
pub const TOTP_STEP_S: u64 = 30;
const DIGITS: u32 = 6;
/// RFC 4226, section 4: 160 bits are recommended.
pub const TOTP_SECRET_BYTES: usize = 20;
/// RFC 4648, section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What an authenticator app and the daemon share.
pub type TotpSecret = Secret<TOTP_SECRET_BYTES>;

impl TotpSecret {
    /// The code of a step: six digits.
    pub fn code(&self, step: u64) -> String {
        format!("{:06}", truncated(self, step) % 10_u32.pow(DIGITS))
    }

    /// As an authenticator app takes it.
    pub fn to_base32(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TOTP_SECRET_BYTES * 8 / 5));
        for five in self.expose().chunks(5) {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for at in (0..8).rev() {
                text.push(char::from(BASE32[usize::from(u8::try_from(bits >> (at * 5) & 31).unwrap_or(0))]));
            }
        }
        text
    }

    /// `None` for what is no secret.
    pub fn from_base32(text: &str) -> Option<Self> {
        let values = text.bytes().map(|c| BASE32.iter().position(|known| *known == c));
        let values: Zeroizing<Vec<usize>> = Zeroizing::new(values.collect::<Option<_>>()?);
        if values.len() != TOTP_SECRET_BYTES * 8 / 5 {
            return None;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(TOTP_SECRET_BYTES));
        for eight in values.chunks(8) {
            let bits = eight.iter().fold(0_u64, |bits, value| bits << 5 | *value as u64);
            bytes.extend_from_slice(&bits.to_be_bytes()[3..]);
        }
        Self::from_slice(&bytes)
    }
}

/// RFC 4226, section 5.3.
fn truncated<const N: usize>(secret: &Secret<N>, step: u64) -> u32 {
    let tag = super::stack::cleared(|| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose());
        let mut tag = [0; 20];
        tag.copy_from_slice(hmac::sign(&key, &step.to_be_bytes()).as_ref());
        tag
    });
    let at = usize::from(tag[19] & 15);
    u32::from_be_bytes([tag[at] & 127, tag[at + 1], tag[at + 2], tag[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the column of SHA-1. It has eight digits; ours are the last six of them.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = TotpSecret::new(*b"12345678901234567890");
        for (seconds, code) in [
            (59_u64, 94_287_082_u32),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(truncated(&secret, seconds / TOTP_STEP_S) % 100_000_000, code);
            assert_eq!(secret.code(seconds / TOTP_STEP_S), format!("{:06}", code % 1_000_000));
        }
    }

    /// RFC 4648, section 10: BASE32("foobar…") of whole groups.
    #[test]
    fn base32_is_that_of_the_rfc_and_reads_back() {
        let secret = TotpSecret::new(*b"12345678901234567890");
        assert_eq!(secret.to_base32().as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(TotpSecret::from_base32(&secret.to_base32()).unwrap().expose(), secret.expose());
        for wrong in ["", "GEZDGNBV", "gezdgnbvgy3tqojqgezdgnbvgy3tqojq", "1EZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"] {
            assert!(TotpSecret::from_base32(wrong).is_none(), "{wrong}");
        }
    }
}
