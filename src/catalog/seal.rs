//! The note that a clean stop leaves beside the index's folder: what the folder was, byte for byte, and for which
//! manifests it stands.
//!
//! sled checks less than it seems: with one byte of its log changed it either panics, or opens without what stood
//! behind, its newest entries still there. So it is never opened on a folder that is not the one that was closed.

use super::CatalogError;
use crate::crypto::RunningDigest;
use crate::disk::{Disk, RealDisk, parent, read_file, replace_file};
use crate::domain::Digest;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const LONGEST_BYTES: u64 = 1024;
/// How entries are laid out: an index of another layout is thrown away.
const LAYOUT: &str = "layout-2";
const PIECE_BYTES: usize = 1 << 20;

/// What a clean stop says of the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seal {
    pub manifests: Digest,
    pub folder: Digest,
}

fn place(folder: &Path) -> PathBuf {
    folder.with_extension("seal")
}

fn on(path: &Path) -> impl Fn(io::Error) -> CatalogError {
    move |source| CatalogError::Folder { path: path.to_path_buf(), source }
}

impl Seal {
    fn to_text(self) -> String {
        format!("{LAYOUT} {} {}\n", self.manifests, self.folder)
    }

    /// Puts it beside the folder.
    ///
    /// # Errors
    /// [`CatalogError::Folder`]; there is none then, or the whole of it.
    pub fn leave(self, folder: &Path) -> Result<(), CatalogError> {
        let path = place(folder);
        replace_file(&RealDisk, &path, self.to_text().as_bytes()).map_err(on(&path))
    }

    /// What it says. One that is not readable says nothing.
    ///
    /// # Errors
    /// [`CatalogError::Folder`].
    pub fn read(folder: &Path) -> Result<Option<Self>, CatalogError> {
        let path = place(folder);
        match read_file(&RealDisk, &path, LONGEST_BYTES) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
            Err(e) => Err(on(&path)(e)),
        }
    }

    /// Takes it away, so that it serves once: whatever happens to the folder from now on, no seal speaks for it.
    ///
    /// # Errors
    /// [`CatalogError::Folder`].
    pub fn take(folder: &Path) -> Result<Option<Self>, CatalogError> {
        let path = place(folder);
        let told = Self::read(folder).unwrap_or_default();
        match RealDisk.remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            removed => removed.and_then(|()| (&RealDisk as &dyn Disk).sync_dir(&parent(&path)?)).map_err(on(&path))?,
        }
        Ok(told)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.strip_suffix('\n')?;
        let (manifests, folder) = text.strip_prefix(LAYOUT)?.strip_prefix(' ')?.split_once(' ')?;
        Some(Self { manifests: digest(manifests)?, folder: digest(folder)? })
    }
}

fn digest(hex_digits: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex_digits, &mut bytes).ok()?;
    Some(Digest(bytes))
}

/// A digest over the names and bytes of all files in a folder.
///
/// # Errors
/// [`CatalogError::Folder`].
pub(super) fn digest_of(folder: &Path) -> Result<Digest, CatalogError> {
    let mut running = RunningDigest::new();
    let mut piece = vec![0; PIECE_BYTES];
    for file in files_below(folder)? {
        let failed = on(&file);
        let mut opened = fs::File::open(&file).map_err(&failed)?;
        let length = opened.metadata().map_err(&failed)?.len();
        // Named from the folder on: a site may be moved.
        let name = file.strip_prefix(folder).unwrap_or(&file);
        running.update(format!("{} {length}\n", name.display()).as_bytes());
        loop {
            match opened.read(&mut piece).map_err(&failed)? {
                0 => break,
                got => running.update(&piece[..got]),
            }
        }
    }
    Ok(running.so_far())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(on(folder))? {
        let path = entry.map_err(on(folder))?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Copies a folder to a place where there is nothing.
///
/// # Errors
/// [`CatalogError::Folder`].
pub(super) fn copy(folder: &Path, to: &Path) -> Result<(), CatalogError> {
    for file in files_below(folder)? {
        let place = to.join(file.strip_prefix(folder).unwrap_or(&file));
        let made = parent(&place).and_then(|dir| RealDisk.create_dir(&dir));
        made.and_then(|()| fs::copy(&file, &place)).map_err(on(&place))?;
    }
    Ok(())
}

/// Takes the folder away, whatever it is; tells whether there was one.
///
/// # Errors
/// [`CatalogError::Folder`].
pub(super) fn throw_away(folder: &Path) -> Result<bool, CatalogError> {
    let taken = match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(folder),
        Ok(_) => fs::remove_file(folder),
        Err(e) => Err(e),
    };
    match taken {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(on(folder)(e)),
    }
}
