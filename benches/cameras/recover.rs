//! All cameras go at once and come back at once, as after a switch that restarts.

use crate::Ground;
use crate::clinic::{Clinic, wait_for_all};
use crate::film::Film;
use crate::lost::read_back;
use crate::pairs::CAMERAS;
use crate::report::{Bound, Row};
use crate::served::Served;
use anyhow::Result;
use std::time::{Duration, Instant};

/// So long that the pauses between tries have grown to their longest.
const OUTAGE: Duration = Duration::from_secs(75);
/// At most so many, in half a second.
const UNTIL_CUT_FRAMES: u32 = 8;
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(10);

/// # Errors
/// When they do not come back.
pub fn recover(ground: &Ground) -> Result<Vec<Row>> {
    let film = Film::read(&ground.film_2)?;
    let mut served = Served::start(&ground.film_2, CAMERAS)?;
    let clinic = Clinic::new(&ground.scratch, &served)?;
    let (mut daemon, _) = clinic.record()?;
    std::thread::sleep(BEFORE);
    let mut sessions = served.sessions()?;
    served.stop()?;
    std::thread::sleep(OUTAGE);
    served.start_again()?;
    let back = Instant::now();
    let all = wait_for_all(&mut daemon, CAMERAS, back)?;
    let recover_s = all.saturating_duration_since(back).as_secs_f64();
    std::thread::sleep(AFTER);
    daemon.stop()?;
    // Between that question and the cut more frames went out.
    sessions.iter_mut().for_each(|session| session.end += UNTIL_CUT_FRAMES);
    sessions.extend(served.sessions()?);
    let read = read_back(&clinic.site, &clinic.dir.path().join("read"), &film, &sessions)?;
    eprintln!("cameras: after an outage of {OUTAGE:?} all were back in {recover_s:.1} s; {read:?}");
    Ok(vec![
        Row::new("recover_97_s", recover_s, "s", Bound::AtMost(15.0)),
        Row::new("recover_97_gops_lost", read.lost_gops as f64, "GOPs", Bound::AtMost(0.0)),
    ])
}
