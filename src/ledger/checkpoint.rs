//! Checkpoints: the ledger's and all manifests' heads, signed.

use crate::crypto::{Signature, SigningKey, VerifyingKey};
use crate::domain::{Digest, ManifestHead, SiteId, VolumeId};
use serde::{Deserialize, Serialize};

/// One manifest's head in a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ManifestCheckpoint {
    pub volume: VolumeId,
    pub manifest: String,
    pub head: ManifestHead,
}

/// The ledger's and all manifests' heads, signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Checkpoint {
    pub site: SiteId,
    /// The row before the checkpoint's own, and its digest.
    pub sequence: u64,
    pub head: Digest,
    pub manifests: Vec<ManifestCheckpoint>,
    pub signature: Option<Signature>,
}

impl Checkpoint {
    fn signed_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = b"custodian checkpoint 1".to_vec();
        serde_json::to_writer(&mut bytes, &Self { signature: None, ..self.clone() })?;
        Ok(bytes)
    }

    /// # Errors
    /// None in practice: the checkpoint's own JSON could not be written.
    pub fn sign(mut self, key: &SigningKey) -> Result<Self, serde_json::Error> {
        self.signature = Some(key.sign(&self.signed_bytes()?));
        Ok(self)
    }

    /// Whether `key` signed it.
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let (Some(signature), Ok(bytes)) = (self.signature, self.signed_bytes()) else { return false };
        key.verify(&bytes, &signature).is_ok()
    }
}
