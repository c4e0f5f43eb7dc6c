//! Files that nobody else may read, and files that could be anything.

use super::error::{ConfigError, Fault, KeyFileError, KeyFileFault, PasswordFault};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// A configuration file of more than this many bytes is a mistake.
const TEXT_LIMIT_BYTES: u64 = 64 * 1024;
const PASSWORD_LIMIT_BYTES: u64 = 1024;
const KEY_LIMIT_BYTES: u64 = 4096;

/// Refuses a site directory that anybody but the running user could look into.
///
/// # Errors
/// [`Fault::NotPrivate`] when group or others have any right to it, [`Fault::NotOwned`] when it is another user's.
pub fn check_private(dir: &Path) -> Result<(), ConfigError> {
    let refuse = |fault| Err(ConfigError { file: dir.to_path_buf(), place: None, field: None, fault });
    let meta = match std::fs::metadata(dir) {
        Ok(meta) => meta,
        Err(e) => return refuse(Fault::Unreadable(e.to_string())),
    };
    let mode = meta.mode() & 0o7777;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return refuse(Fault::NotOwned { owner: meta.uid() });
    }
    if mode & 0o077 != 0 {
        return refuse(Fault::NotPrivate { mode });
    }
    Ok(())
}

/// Opens without waiting: a FIFO put in the place of a file must not stop the daemon.
fn open_at_once(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// A configuration file's text.
pub(super) fn read_text(path: &Path) -> Result<String, Fault> {
    let unreadable = |e: io::Error| Fault::Unreadable(e.to_string());
    let file = open_at_once(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(Fault::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(TEXT_LIMIT_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > TEXT_LIMIT_BYTES {
        return Err(Fault::TooLarge { limit_bytes: TEXT_LIMIT_BYTES });
    }
    String::from_utf8(bytes).map_err(|_| Fault::NotUtf8)
}

/// Who put a password's file where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Given {
    /// A person: it is the running user's own.
    ByFile,
    /// The service manager. It is its own, or the running user's; an access list for that user shows as a right of the group
    /// (systemd.exec(5), acl(5)). The directory is out of others' reach.
    ByService,
}

/// A camera's password: one line, in a file that its owner alone can reach.
pub(super) fn read_password(path: &Path, given: Given) -> Result<Zeroizing<String>, PasswordFault> {
    let unreadable = |e: io::Error| PasswordFault::Unreadable(e.to_string());
    let mut file = open_at_once(path).map_err(unreadable)?;
    // The open file is asked, not the path: what is checked is what is read.
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(PasswordFault::NotAFile);
    }
    let (roots, others) = match given {
        Given::ByFile => (false, 0o177),
        Given::ByService => (true, 0o137),
    };
    if meta.uid() != rustix::process::geteuid().as_raw() && !(roots && meta.uid() == 0) {
        return Err(PasswordFault::NotOwned { owner: meta.uid() });
    }
    let mode = meta.mode() & 0o777;
    if mode & others != 0 {
        return Err(PasswordFault::NotPrivate { mode });
    }
    let too_much = PasswordFault::NotOneLine { limit_bytes: PASSWORD_LIMIT_BYTES };
    // All of the room is taken at once: growing would leave copies behind that nobody wipes.
    let room = usize::try_from(PASSWORD_LIMIT_BYTES + 1).map_err(|_| too_much.clone())?;
    let mut bytes = Zeroizing::new(vec![0; room]);
    let length = fill(&mut file, &mut bytes).map_err(unreadable)?;
    if length == room {
        return Err(too_much);
    }
    let text = std::str::from_utf8(&bytes[..length]).map_err(|_| too_much.clone())?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(PasswordFault::Empty);
    }
    if line.chars().any(char::is_control) {
        return Err(too_much);
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// A file that holds a private key as text: the running user's own, and nobody else's to reach.
///
/// # Errors
/// [`KeyFileError`], which names the file and what to do, and repeats nothing of what is in it.
pub fn read_key_file(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let refused = |fault| KeyFileError { file: path.to_path_buf(), fault };
    let unreadable = |e: io::Error| refused(KeyFileFault::Unreadable(e.to_string()));
    let mut file = open_at_once(path).map_err(unreadable)?;
    // The open file is asked, not the path: what is checked is what is read.
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(refused(KeyFileFault::NotAFile));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(refused(KeyFileFault::NotOwned { owner: meta.uid() }));
    }
    let mode = meta.mode() & 0o777;
    if mode & 0o177 != 0 {
        return Err(refused(KeyFileFault::NotPrivate { mode }));
    }
    let room = usize::try_from(KEY_LIMIT_BYTES + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(vec![0; room]);
    let length = fill(&mut file, &mut bytes).map_err(unreadable)?;
    match std::str::from_utf8(&bytes[..length]) {
        Ok(text) if length < room => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(refused(KeyFileFault::NotText { limit_bytes: KEY_LIMIT_BYTES })),
    }
}

/// Reads until the end of the file or of `buffer`; returns how many bytes that was.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(got) => length += got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_site_that_others_can_reach_is_refused_and_told_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o700, 0o500] {
            set_mode(dir.path(), mode);
            assert_eq!(check_private(dir.path()), Ok(()), "{mode:o}");
        }
        for mode in [0o750, 0o710, 0o705, 0o701, 0o702, 0o770, 0o755] {
            set_mode(dir.path(), mode);
            let error = check_private(dir.path()).unwrap_err();
            assert_eq!(error.fault, Fault::NotPrivate { mode });
            assert!(error.to_string().contains("chmod 700"), "{error}");
            assert!(error.to_string().starts_with(&dir.path().display().to_string()), "{error}");
        }
        set_mode(dir.path(), 0o700);
    }

    #[test]
    fn a_key_file_that_others_can_reach_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "secret").unwrap();
        let fault = || read_key_file(&path).map(|text| text.to_string()).map_err(|e| e.fault);
        for mode in [0o644, 0o640, 0o604, 0o700, 0o620] {
            set_mode(&path, mode);
            assert_eq!(fault(), Err(KeyFileFault::NotPrivate { mode }), "{mode:o}");
        }
        for mode in [0o600, 0o400] {
            set_mode(&path, mode);
            assert_eq!(fault().unwrap(), "secret");
        }
        set_mode(&path, 0o600);
        for content in [vec![b'a'; 4097], b"\xff".to_vec()] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(fault(), Err(KeyFileFault::NotText { limit_bytes: 4096 }));
        }
        let told = read_key_file(dir.path()).unwrap_err();
        assert!(matches!(told.fault, KeyFileFault::NotAFile | KeyFileFault::Unreadable(_)), "{told}");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            assert_eq!(fault(), Err(KeyFileFault::NotOwned { owner: 12_345 }));
        }
    }

    #[test]
    fn a_site_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let me = rustix::process::geteuid();
        if me.is_root() {
            std::os::unix::fs::chown(dir.path(), Some(1), None).unwrap();
            assert_eq!(check_private(dir.path()).unwrap_err().fault, Fault::NotOwned { owner: 1 });
        } else {
            assert_eq!(check_private(Path::new("/")).unwrap_err().fault, Fault::NotOwned { owner: 0 });
        }
    }

    #[test]
    fn a_password_is_read_from_a_file_of_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        for (content, wanted) in [("sesame\n", "sesame"), ("sesame", "sesame"), ("a b\r\n", "a b"), (" x ", " x ")] {
            std::fs::write(&path, content).unwrap();
            for mode in [0o600, 0o400] {
                set_mode(&path, mode);
                assert_eq!(read_password(&path, Given::ByFile).unwrap().as_str(), wanted);
            }
            for mode in [0o640, 0o604, 0o644, 0o700, 0o620, 0o666] {
                set_mode(&path, mode);
                let refused = read_password(&path, Given::ByFile).unwrap_err();
                assert_eq!(refused, PasswordFault::NotPrivate { mode });
                assert!(refused.to_string().contains("chmod 600"));
            }
            set_mode(&path, 0o600);
        }
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(1), None).unwrap();
            assert_eq!(read_password(&path, Given::ByFile).unwrap_err(), PasswordFault::NotOwned { owner: 1 });
        }
    }

    #[test]
    fn a_password_file_that_holds_no_single_line_is_refused_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "").unwrap();
        set_mode(&path, 0o600);
        let long = "s".repeat(2000);
        let cases: [(&[u8], bool); 5] =
            [(b"", true), (b"\n", true), (b"sesame\nopen", false), (b"ses\xffame", false), (long.as_bytes(), false)];
        for (content, empty) in cases {
            std::fs::write(&path, content).unwrap();
            let refused = read_password(&path, Given::ByFile).unwrap_err();
            assert_eq!(refused == PasswordFault::Empty, empty);
            assert!(!refused.to_string().contains("ses"), "{refused}");
        }
        assert!(matches!(read_password(&dir.path().join("none"), Given::ByFile), Err(PasswordFault::Unreadable(_))));
        assert_eq!(read_password(dir.path(), Given::ByFile).unwrap_err(), PasswordFault::NotAFile);
    }

    #[test]
    fn a_fifo_or_a_huge_file_in_the_place_of_a_text_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(read_text(&fifo), Err(Fault::NotAFile));
        assert_eq!(read_password(&fifo, Given::ByFile).unwrap_err(), PasswordFault::NotAFile);
        assert!(matches!(read_text(dir.path()), Err(Fault::NotAFile | Fault::Unreadable(_))));
        let huge = dir.path().join("huge");
        std::fs::write(&huge, vec![b'#'; usize::try_from(TEXT_LIMIT_BYTES).unwrap() + 1]).unwrap();
        assert_eq!(read_text(&huge), Err(Fault::TooLarge { limit_bytes: TEXT_LIMIT_BYTES }));
        std::fs::write(&huge, b"\xff").unwrap();
        assert_eq!(read_text(&huge), Err(Fault::NotUtf8));
    }
}
