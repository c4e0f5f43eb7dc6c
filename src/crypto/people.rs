//! Sealing to the holder of a private key: HPKE in base mode (RFC 9180) with X25519, HKDF-SHA-256 and AES-256-GCM.

use super::stack::cleared;
use super::{CryptoFailure, Secret, Unopened};
use hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256, kem::X25519HkdfSha256,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

type Kem = X25519HkdfSha256;

/// What a sealed thing is for. It goes into HPKE's `info`, so that a thing sealed for one use opens for no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label {
    /// A segment's data key, to its day key.
    SegmentKey,
    /// A day key's private half, to an officer's release key or the recovery key.
    DayKey,
    /// A segment's data key, to the viewer of a grant.
    GrantKey,
    /// The desk's private half, to a person.
    DeskKey,
    /// What a request holds of persons, to the desk.
    RequestPersons,
    /// The text of an officer's hold, to the desk.
    HoldText,
    /// Who asked that an operation be filmed, to the desk.
    OperationPersons,
    /// A person's second factor, to their own session key.
    SecondFactor,
}

impl Label {
    fn bytes(self) -> &'static [u8] {
        match self {
            Label::SegmentKey => b"custodian/1 segment key",
            Label::DayKey => b"custodian/1 day key",
            Label::GrantKey => b"custodian/1 grant key",
            Label::DeskKey => b"custodian/1 desk key",
            Label::RequestPersons => b"custodian/1 request persons",
            Label::HoldText => b"custodian/1 hold text",
            Label::OperationPersons => b"custodian/1 operation persons",
            Label::SecondFactor => b"custodian/1 second factor",
        }
    }
}

/// The public half of an X25519 pair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct PublicKey(
    #[serde(with = "hex::serde")]
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$"))]
    pub [u8; 32],
);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The private half of an X25519 pair.
#[derive(Clone, Debug)]
pub struct PrivateKey(Secret<32>);

impl PrivateKey {
    pub fn from_secret(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// The bytes, to be sealed to somebody or printed once as the recovery key.
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// The public half that belongs to it.
    ///
    /// # Errors
    /// [`CryptoFailure`] for bytes that are no key.
    pub fn public(&self) -> Result<PublicKey, CryptoFailure> {
        cleared(|| {
            let private = <Kem as hpke::Kem>::PrivateKey::from_bytes(self.0.expose()).map_err(|_| CryptoFailure)?;
            let mut bytes = [0; 32];
            bytes.copy_from_slice(&Kem::sk_to_pk(&private).to_bytes());
            Ok(PublicKey(bytes))
        })
    }

    /// Opens what was sealed to this key for this use and context.
    ///
    /// # Errors
    /// [`Unopened`].
    pub fn open(&self, label: Label, context: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        cleared(|| self.opened(label, context, sealed))
    }

    fn opened(&self, label: Label, context: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let private = <Kem as hpke::Kem>::PrivateKey::from_bytes(self.0.expose()).map_err(|_| Unopened)?;
        let encapped = <Kem as hpke::Kem>::EncappedKey::from_bytes(&sealed.encapsulated).map_err(|_| Unopened)?;
        hpke::single_shot_open::<AesGcm256, HkdfSha256, Kem>(
            &OpModeR::Base,
            &private,
            &encapped,
            label.bytes(),
            &sealed.ciphertext,
            context,
        )
        .map(Zeroizing::new)
        .map_err(|_| Unopened)
    }

    /// Opens a sealed 32-byte secret.
    ///
    /// # Errors
    /// [`Unopened`], also where it has another length.
    pub fn open_secret(&self, label: Label, context: &[u8], sealed: &Sealed) -> Result<Secret<32>, Unopened> {
        let opened = self.open(label, context, sealed)?;
        Secret::from_slice(&opened).ok_or(Unopened)
    }
}

/// Makes a fresh pair.
///
/// # Errors
/// [`CryptoFailure`] where the machine has no random bytes.
pub fn generate_pair() -> Result<(PrivateKey, PublicKey), CryptoFailure> {
    // Any 32 bytes are an X25519 private key (RFC 7748, section 5 clamps them at use).
    let private = PrivateKey(Secret::random()?);
    let public = private.public()?;
    Ok((private, public))
}

/// Something sealed to a public key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sealed {
    #[serde(with = "hex::serde")]
    pub encapsulated: [u8; 32],
    #[serde(with = "hex::serde")]
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    /// Bytes of a sealed 32-byte secret: encapsulated key, secret, tag.
    pub const SECRET_BYTES: usize = 32 + 32 + 16;

    /// A sealed 32-byte secret in a fixed number of bytes; `None` where it is not one.
    pub fn to_array(&self) -> Option<[u8; Self::SECRET_BYTES]> {
        let mut out = [0; Self::SECRET_BYTES];
        if self.ciphertext.len() != Self::SECRET_BYTES - 32 {
            return None;
        }
        out[..32].copy_from_slice(&self.encapsulated);
        out[32..].copy_from_slice(&self.ciphertext);
        Some(out)
    }

    pub fn from_array(bytes: &[u8; Self::SECRET_BYTES]) -> Self {
        let mut encapsulated = [0; 32];
        encapsulated.copy_from_slice(&bytes[..32]);
        Self { encapsulated, ciphertext: bytes[32..].to_vec() }
    }
}

impl PublicKey {
    /// Seals `plain` to the holder of the private half, for one use and context.
    ///
    /// # Errors
    /// [`CryptoFailure`] where this is no valid key.
    pub fn seal(&self, label: Label, context: &[u8], plain: &[u8]) -> Result<Sealed, CryptoFailure> {
        cleared(|| self.sealed(label, context, plain))
    }

    fn sealed(&self, label: Label, context: &[u8], plain: &[u8]) -> Result<Sealed, CryptoFailure> {
        let recipient = <Kem as hpke::Kem>::PublicKey::from_bytes(&self.0).map_err(|_| CryptoFailure)?;
        let (encapped, ciphertext) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, Kem>(
            &OpModeS::Base,
            &recipient,
            label.bytes(),
            plain,
            context,
        )
        .map_err(|_| CryptoFailure)?;
        let mut encapsulated = [0; 32];
        encapsulated.copy_from_slice(&encapped.to_bytes());
        Ok(Sealed { encapsulated, ciphertext })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recipient_opens_it_and_only_for_its_use_and_context() {
        let (private, public) = generate_pair().unwrap();
        let (other, _) = generate_pair().unwrap();
        let sealed = public.seal(Label::GrantKey, b"grant 7", b"secret").unwrap();
        assert_eq!(&private.open(Label::GrantKey, b"grant 7", &sealed).unwrap()[..], b"secret");
        assert_eq!(private.open(Label::GrantKey, b"grant 8", &sealed), Err(Unopened));
        assert_eq!(private.open(Label::DayKey, b"grant 7", &sealed), Err(Unopened));
        assert_eq!(other.open(Label::GrantKey, b"grant 7", &sealed), Err(Unopened));
        let mut changed = sealed.clone();
        changed.encapsulated[0] ^= 1;
        assert_eq!(private.open(Label::GrantKey, b"grant 7", &changed), Err(Unopened));
    }

    #[test]
    fn a_sealed_secret_fits_its_fixed_room() {
        let (private, public) = generate_pair().unwrap();
        let secret = Secret::<32>::random().unwrap();
        let sealed = public.seal(Label::SegmentKey, b"", secret.expose()).unwrap();
        let again = Sealed::from_array(&sealed.to_array().unwrap());
        assert_eq!(private.open_secret(Label::SegmentKey, b"", &again).unwrap().expose(), secret.expose());
    }

    /// RFC 9180, appendix A.1.1 gives skRm and pkRm of DHKEM(X25519, HKDF-SHA256).
    #[test]
    fn the_public_half_is_that_of_the_rfc() {
        let private = "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8";
        let public = "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d";
        let key = PrivateKey(Secret::from_slice(&hex::decode(private).unwrap()).unwrap());
        assert_eq!(key.public().unwrap().to_string(), public);
    }

    #[test]
    fn a_key_of_low_order_is_refused() {
        assert!(PublicKey([0; 32]).seal(Label::DayKey, b"", b"x").is_err());
    }
}
