//! What is done regularly, and fails.

use super::super::status::FailingWork;
use super::super::*;
use crate::clock::ManualClock;
use crate::domain::Utc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn work_that_fails_is_an_alarm_until_it_succeeds() {
    let (hands, failing, stop) =
        (ManualClock::standing(Utc::from_micros(0)), FailingWork::default(), CancellationToken::new());
    let disk_works = Arc::new(AtomicBool::new(false));
    let works = Arc::clone(&disk_works);
    let act = move || if works.load(Ordering::SeqCst) { Ok(()) } else { Err("its disk fails".to_owned()) };
    let pause = Duration::from_secs(60);
    let work =
        tokio::spawn(every(hands.clock(), pause, stop.clone(), failing.clone(), "keeping the clock".to_owned(), act));
    for (works, alarms) in [(false, vec!["keeping the clock fails: its disk fails".to_owned()]), (true, vec![])] {
        disk_works.store(works, Ordering::SeqCst);
        while failing.alarms() != alarms {
            hands.advance(pause);
            tokio::task::yield_now().await;
        }
    }
    stop.cancel();
    work.await.unwrap();
}
