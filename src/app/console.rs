//! What somebody at the machine's console has done with the recovery key in hand: by the daemon that runs on the site,
//! over a socket that only its owner can open, or, where none does, by this process under the site's lock.

use super::{AppError, Built, Doors, state_dir};
use crate::access::{Access, ReinstateError, Reinstated, Reinstatement, SiteFiles};
use crate::clock::Clock;
use crate::config::Site;
use crate::crypto::{PrivateKey, Secret};
use crate::disk::SiteLock;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// The socket's name in the state directory.
pub(super) const CONSOLE_NAME: &str = "console.sock";
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
const QUESTION_LIMIT: Duration = Duration::from_secs(5);
const QUESTION_LIMIT_BYTES: u64 = 16 << 10;
const ANSWER_LIMIT_BYTES: u64 = 1 << 20;
const KEY_DIGITS: usize = 64;

/// What was done, as the console is told it. The code is shown there, this once.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ReinstateAnswer {
    CodeGiven { account: u32, code: String, until: crate::domain::Utc },
    Sealed { account: u32, day_keys: u64, faults: Vec<String> },
    Refused { why: String },
}

impl std::fmt::Debug for ReinstateAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Not the code.
            ReinstateAnswer::CodeGiven { account, until, .. } => write!(f, "CodeGiven({account}, until {until})"),
            ReinstateAnswer::Sealed { account, day_keys, .. } => write!(f, "Sealed({account}, {day_keys} day keys)"),
            ReinstateAnswer::Refused { why } => write!(f, "Refused({why})"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    name: String,
    reason: String,
    although: Option<String>,
}

impl From<Result<Reinstated, ReinstateError>> for ReinstateAnswer {
    fn from(told: Result<Reinstated, ReinstateError>) -> Self {
        match told {
            Ok(Reinstated::CodeGiven { account, code, until }) => {
                ReinstateAnswer::CodeGiven { account: account.0, code: code.expose().to_owned(), until }
            }
            Ok(Reinstated::Sealed { account, round }) => {
                let of_file = round.faults.iter().map(|fault| format!("{}: {}", fault.file, fault.what));
                let away = round.away.iter().map(|away| format!("{} is away: {}", away.dir.display(), away.why));
                let faults = of_file.chain(away).collect();
                ReinstateAnswer::Sealed { account: account.0, day_keys: round.changed, faults }
            }
            Err(e) => ReinstateAnswer::Refused { why: e.to_string() },
        }
    }
}

/// Has an officer reinstated, one step, on a site with or without a daemon.
///
/// # Errors
/// What the socket or the site's start says. A refusal is an answer.
pub async fn reinstate(
    site: Site,
    doors: Doors,
    recovery: PrivateKey,
    wanted: Reinstatement,
) -> Result<ReinstateAnswer, AppError> {
    let state = state_dir(&site);
    let on = |what: PathBuf| move |source| AppError::Disk { what: what.display().to_string(), source };
    let lock_path = state.join("lock");
    // Before the lock: where there is no site, none is made.
    let files = SiteFiles::open(Arc::clone(&doors.disk), &state)?;
    let Some(lock) = SiteLock::take(&lock_path).map_err(on(lock_path.clone()))? else {
        let console = state.join(CONSOLE_NAME);
        return ask(&console, &recovery, wanted).await.map_err(on(console));
    };
    let done = move || {
        let _lock = lock;
        let built = Built::new(&site, &doors, &files, &state)?;
        built.access.keep_time()?;
        let told = built.access.reinstate(&recovery, &wanted).into();
        built.access.checkpoint()?;
        built.vault.stop()?;
        Ok(told)
    };
    tokio::task::spawn_blocking(done).await?
}

async fn ask(console: &Path, recovery: &PrivateKey, wanted: Reinstatement) -> io::Result<ReinstateAnswer> {
    let Reinstatement { name, reason, although } = wanted;
    let words = serde_json::to_vec(&Words { name, reason, although })?;
    // Room for all of it at once: growing would leave copies behind.
    let mut question = Zeroizing::new(Vec::with_capacity(KEY_DIGITS + 1 + words.len()));
    question.resize(KEY_DIGITS, 0);
    hex::encode_to_slice(recovery.secret().expose(), &mut question).map_err(io::Error::other)?;
    question.push(b'\n');
    question.extend(words);
    let mut stream = UnixStream::connect(console).await?;
    stream.write_all(&question).await?;
    stream.shutdown().await?;
    let mut answer = Zeroizing::new(Vec::new());
    stream.take(ANSWER_LIMIT_BYTES).read_to_end(&mut answer).await?;
    Ok(serde_json::from_slice(&answer)?)
}

/// Does what it is asked over the socket, one at a time.
pub(super) async fn answer(access: Arc<Access>, clock: Clock, path: PathBuf, stop: CancellationToken) {
    // The site's lock is held: a socket that is there already is a left-over.
    if let Err(e) = std::fs::remove_file(&path)
        && e.kind() != io::ErrorKind::NotFound
    {
        tracing::error!(error = %e, "the console's socket cannot be made anew");
        return;
    }
    let listener = match UnixListener::bind(&path) {
        Ok(listener) => listener,
        Err(e) => {
            tracing::error!(error = %e, "there is no console socket: `custodian officers` wants the daemon stopped");
            return;
        }
    };
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(e) => {
                    tracing::warn!(error = %e, "the console's socket failed");
                    clock.sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        if let Err(e) = answer_one(&access, &clock, stream).await {
            tracing::warn!(error = %e, "somebody at the console asked for nothing that could be read, or went away");
        }
    }
}

async fn answer_one(access: &Arc<Access>, clock: &Clock, mut stream: UnixStream) -> io::Result<()> {
    let mut question = Zeroizing::new(Vec::with_capacity(usize::try_from(QUESTION_LIMIT_BYTES).unwrap_or(0)));
    let (mut from, mut to) = stream.split();
    let mut read = (&mut from).take(QUESTION_LIMIT_BYTES);
    clock.timeout(QUESTION_LIMIT, read.read_to_end(&mut question)).await.map_err(io::Error::other)??;
    let (recovery, wanted) = parse(&question)?;
    drop(question);
    let access = Arc::clone(access);
    let done = move || -> ReinstateAnswer {
        let told = access.reinstate(&recovery, &wanted);
        if let (Ok(_), Err(e)) = (&told, access.checkpoint()) {
            tracing::error!(error = ?e, "the checkpoint after an officer's way back could not be written");
        }
        told.into()
    };
    let told = tokio::task::spawn_blocking(done).await.map_err(io::Error::other)?;
    let text = Zeroizing::new(serde_json::to_vec(&told)?);
    to.write_all(&text).await?;
    to.shutdown().await
}

fn parse(question: &[u8]) -> io::Result<(PrivateKey, Reinstatement)> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let (digits, words) = question.split_at_checked(KEY_DIGITS).ok_or_else(wrong)?;
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *secret).map_err(|_| wrong())?;
    let secret = Secret::from_slice(&*secret).ok_or_else(wrong)?;
    let Words { name, reason, although } = serde_json::from_slice(words)?;
    Ok((PrivateKey::from_secret(secret), Reinstatement { name, reason, although }))
}
