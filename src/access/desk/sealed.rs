//! The files that are sealed to the desk, and their end.
//!
//! Each is written once. One that stands in its place already was never answered (its row is missing), and is overwritten
//! before its name leads elsewhere.

use super::{DRAFT, Desk, DeskKeys, FILE_LIMIT_BYTES, StoredAsker, StoredPersons, StoredText};
use crate::access::AccessError;
use crate::access::nameless::debug_tells_its_name_alone;
use crate::crypto::{Label, Sealed, Unopened, commitment, random_array};
use crate::disk::{Access, SharedDisk, read_file, replace_file};
use crate::domain::{Digest, HoldId, OperationId, Overwrite, PaperOf, RequestId, StateFault, StateVersion};
use crate::vault::{VaultError, overwrite_state_file};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A file of a paper: its own, or one that came later, by a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::access) struct Sheet {
    of: PaperOf,
    number: Option<u64>,
}

impl Sheet {
    /// The paper itself.
    pub fn first(of: impl Into<PaperOf>) -> Self {
        Self { of: of.into(), number: None }
    }

    /// One that came later, of a request.
    pub fn numbered(request: RequestId, number: u64) -> Self {
        Self { of: PaperOf::Request(request), number: Some(number) }
    }

    /// What it is sealed as: what is of one thing opens for no other.
    fn bound_to(self) -> (Label, Vec<u8>) {
        let (label, number) = match self.of {
            PaperOf::Request(request) => (Label::RequestPersons, request.0),
            PaperOf::Hold(hold) => (Label::HoldText, hold.0),
            PaperOf::Operation(operation) => (Label::OperationPersons, operation.0),
        };
        let mut context = number.to_be_bytes().to_vec();
        context.extend(self.number.into_iter().flat_map(u64::to_be_bytes));
        (label, context)
    }

    /// Its file's name.
    pub fn name(self) -> String {
        let name = name_of(self.of);
        self.number.map_or_else(|| name.clone(), |number| format!("{name}-{number:016x}"))
    }

    fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.name())
    }

    fn stored(self, sealed: Sealed) -> Result<Vec<u8>, serde_json::Error> {
        let version = StateVersion;
        match self.of {
            PaperOf::Request(request) => StoredPersons { version, request, persons: sealed }.to_bytes(),
            PaperOf::Hold(hold) => serde_json::to_vec(&StoredText { version, hold, text: sealed }),
            PaperOf::Operation(operation) => serde_json::to_vec(&StoredAsker { version, operation, persons: sealed }),
        }
    }

    fn sealed(self, bytes: &[u8]) -> Result<Sealed, StateFault> {
        match self.of {
            PaperOf::Request(_) => StoredPersons::parse(bytes).map(|stored| stored.persons),
            PaperOf::Hold(_) => StateVersion::read::<StoredText>(bytes).map(|stored| stored.text),
            PaperOf::Operation(_) => StateVersion::read::<StoredAsker>(bytes).map(|stored| stored.persons),
        }
    }
}

fn name_of(of: PaperOf) -> String {
    match of {
        PaperOf::Request(request) => format!("{:08x}", request.0),
        PaperOf::Hold(hold) => format!("h{:08x}", hold.0),
        PaperOf::Operation(operation) => format!("o{:08x}", operation.0),
    }
}

/// Whose paper a file is, by its name.
pub fn paper_named(name: &str) -> Option<PaperOf> {
    let name = name.strip_suffix(DRAFT).unwrap_or(name);
    let (name, sheet) = name.split_once('-').map_or((name, None), |(name, sheet)| (name, Some(sheet)));
    let of = match name.as_bytes().first()? {
        b'h' => PaperOf::Hold(HoldId(u32::from_str_radix(name.get(1..)?, 16).ok()?)),
        b'o' => PaperOf::Operation(OperationId(u32::from_str_radix(name.get(1..)?, 16).ok()?)),
        _ => PaperOf::Request(RequestId(u32::from_str_radix(name, 16).ok()?)),
    };
    // There is one way to write it.
    let is_sheet = |text: &str| u64::from_str_radix(text, 16).is_ok_and(|number| format!("{number:016x}") == text);
    (name_of(of) == name && sheet.is_none_or(is_sheet)).then_some(of)
}

/// The files of papers, by whose they are. What bears another name is nobody's, and left alone.
pub fn paper_files(disk: &SharedDisk, dir: &Path) -> Result<Vec<(PaperOf, String)>, VaultError> {
    let names = match disk.list_files(dir) {
        Ok(names) => names,
        Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(VaultError::Disk { what: dir.display().to_string(), source }),
    };
    Ok(names.into_iter().filter_map(|name| Some((paper_named(&name)?, name))).collect())
}

/// Whether nothing stands in a file any more: its name leads to zeros, or is gone.
pub fn is_blank(disk: &SharedDisk, path: &Path) -> Result<bool, VaultError> {
    match read_file(&**disk, path, FILE_LIMIT_BYTES) {
        Ok(bytes) => Ok(bytes.iter().all(|byte| *byte == 0)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(source) => Err(VaultError::Disk { what: path.display().to_string(), source }),
    }
}

/// Salt and fields: only with both can the ledger's commitment be checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Salted {
    #[serde(with = "hex::serde")]
    salt: [u8; 32],
    fields: String,
}

fn failed(of: PaperOf, what: impl std::fmt::Display) -> VaultError {
    VaultError::State { file: of.to_string(), what: what.to_string() }
}

impl Desk {
    /// Seals what something says of persons, writes and flushes it; returns the commitment for the ledger.
    pub fn store(&self, dir: &Path, of: impl Into<PaperOf>, fields: &impl Serialize) -> Result<Digest, AccessError> {
        self.store_sheet(dir, Sheet::first(of), fields)
    }

    /// The same of one file of a paper.
    pub fn store_sheet(&self, dir: &Path, sheet: Sheet, fields: &impl Serialize) -> Result<Digest, AccessError> {
        let of = sheet.of;
        let fields = serde_json::to_string(fields).map_err(|e| failed(of, e))?;
        let salt = random_array()?;
        let committed = commitment(&salt, fields.as_bytes());
        let salted = Zeroizing::new(serde_json::to_vec(&Salted { salt, fields }).map_err(|e| failed(of, e))?);
        let (label, context) = sheet.bound_to();
        let sealed = self.newest()?.1.seal(label, &context, &salted)?;
        let stored = sheet.stored(sealed).map_err(|e| failed(of, e))?;
        let path = sheet.path(dir);
        for left in [path.clone(), path.with_extension(&DRAFT[1..])] {
            self.overwrite_file(&left)?;
        }
        replace_file(&*self.disk, &path, &stored).map_err(|e| failed(of, e))?;
        Ok(committed)
    }

    /// Opens what something says of persons, and holds it against the ledger's commitment.
    pub fn read<T: DeserializeOwned>(
        &self,
        dir: &Path,
        of: impl Into<PaperOf>,
        committed: Digest,
        desk: &DeskKeys,
    ) -> Result<T, AccessError> {
        self.read_sheet(dir, Sheet::first(of), committed, desk)
    }

    /// The same of one file of a paper.
    pub fn read_sheet<T: DeserializeOwned>(
        &self,
        dir: &Path,
        sheet: Sheet,
        committed: Digest,
        desk: &DeskKeys,
    ) -> Result<T, AccessError> {
        let salted = self.open_salted(dir, sheet, committed, desk)?;
        // What was opened is of persons: an error says where, never what.
        let told = serde_json::from_str(&salted.fields).map_err(|e| failed(sheet.of, StateFault::at(&e)));
        Ok(told?)
    }

    /// Commits to a text about the same persons, under the same salt: when that is erased, nobody can guess the text from
    /// it.
    pub fn commit_beside(
        &self,
        dir: &Path,
        of: impl Into<PaperOf>,
        committed: Digest,
        desk: &DeskKeys,
        text: &str,
    ) -> Result<Digest, AccessError> {
        let salted = self.open_salted(dir, Sheet::first(of), committed, desk)?;
        let bytes = [b"custodian/1 letter\n", text.as_bytes()].concat();
        Ok(commitment(&salted.salt, &bytes))
    }

    fn open_salted(&self, dir: &Path, sheet: Sheet, committed: Digest, desk: &DeskKeys) -> Result<Salted, AccessError> {
        let of = sheet.of;
        let bytes = read_file(&*self.disk, &sheet.path(dir), FILE_LIMIT_BYTES).map_err(|e| failed(of, e))?;
        let sealed = sheet.sealed(&bytes).map_err(|e| failed(of, e))?;
        let (label, context) = sheet.bound_to();
        let opened = desk.0.iter().find_map(|desk| desk.open(label, &context, &sealed).ok());
        let salted = opened.ok_or(Unopened)?;
        let salted: Salted = serde_json::from_slice(&salted).map_err(|e| failed(of, StateFault::at(&e)))?;
        if commitment(&salted.salt, salted.fields.as_bytes()) != committed {
            return Err(failed(of, "is not what the ledger committed to: it was changed").into());
        }
        Ok(salted)
    }

    /// As [`paper_files`].
    pub fn files(&self, dir: &Path) -> Result<Vec<(PaperOf, String)>, VaultError> {
        paper_files(&self.disk, dir)
    }

    fn files_of(&self, dir: &Path, of: PaperOf) -> Result<Vec<String>, VaultError> {
        Ok(self.files(dir)?.into_iter().filter(|(whose, _)| *whose == of).map(|(_, name)| name).collect())
    }

    /// Overwrites every file of a paper: how many, and the worst of what that proves. Their names stay.
    pub fn overwrite(&self, dir: &Path, of: PaperOf) -> Result<(u32, Overwrite), VaultError> {
        let names = self.files_of(dir, of)?;
        let mut worst = if names.is_empty() { Overwrite::NothingThere } else { Overwrite::Proven };
        for name in &names {
            let told = self.overwrite_file(&dir.join(name))?;
            if told.is_failure() || worst == Overwrite::Proven {
                worst = told;
            }
        }
        Ok((u32::try_from(names.len()).unwrap_or(u32::MAX), worst))
    }

    /// Takes the names of a paper's files away, which lead to zeros.
    pub fn remove(&self, dir: &Path, of: PaperOf) -> Result<(), VaultError> {
        self.files_of(dir, of)?.iter().try_for_each(|name| self.remove_file(&dir.join(name)))
    }

    /// Overwrites one file and takes its name away.
    pub fn destroy_file(&self, dir: &Path, name: &str) -> Result<(), VaultError> {
        let path = dir.join(name);
        self.overwrite_file(&path)?;
        self.remove_file(&path)
    }

    /// All that stood there is gone from the device when this returns.
    fn overwrite_file(&self, path: &Path) -> Result<Overwrite, VaultError> {
        overwrite_state_file(&self.disk, path, self.is_proven)
    }

    fn remove_file(&self, path: &Path) -> Result<(), VaultError> {
        let failed = |source| VaultError::Disk { what: path.display().to_string(), source };
        match self.disk.open(path, Access::ReadWrite) {
            Ok(file) => file.set_len(0).map_err(failed)?,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(e)),
        }
        self.disk.remove_file(path).map_err(failed)
    }
}

debug_tells_its_name_alone!(Salted);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_tells_whose_it_is_and_other_names_are_nobodys() {
        let request = PaperOf::Request(RequestId(26));
        for name in ["0000001a", "0000001a.new", "0000001a-00000000000001ff", "0000001a-00000000000001ff.new"] {
            assert_eq!(paper_named(name), Some(request), "{name}");
        }
        assert_eq!(paper_named("h00000002"), Some(PaperOf::Hold(HoldId(2))));
        assert_eq!(paper_named("o00000003.new"), Some(PaperOf::Operation(OperationId(3))));
        for name in ["", ".new", "1a", "0000001A", "h2", "x00000002", "0000001a-1ff", "0000001a-", "0000001a.txt", "h"]
        {
            assert_eq!(paper_named(name), None, "{name}");
        }
    }

    #[test]
    fn each_file_is_sealed_as_itself() {
        let dir = Path::new("/d");
        let (first, later) = (Sheet::first(HoldId(2)), Sheet::numbered(RequestId(2), 9));
        assert_ne!(Sheet::first(PaperOf::Request(RequestId(2))).bound_to().1, later.bound_to().1);
        assert_eq!(first.path(dir), dir.join("h00000002"));
        assert_eq!(later.path(dir), dir.join("00000002-0000000000000009"));
    }
}
