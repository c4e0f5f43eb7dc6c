//! What is written of persons: sealed, added to, and erased on its day.

use super::play::{DAY, Ground, Play, Played, Trace, span};
use crate::access::{Delivery, NewLetter};
use crate::disk::{Flush, read_file};
use crate::domain::{DeliveryWay, Language, LetterKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What the files that are sealed to the desk hold now.
fn sealed(play: &Play) -> Vec<Trace> {
    let dir = play.ground.state().join("requests");
    let files = play.disk.files().into_iter().filter(|path| path.starts_with(&dir));
    let trace = |path: std::path::PathBuf| Trace {
        what: format!("what stood in {}", path.display()),
        bytes: read_file(&play.disk, &path, 1 << 20).unwrap()[..200].to_vec(),
        offset: 0,
    };
    files.map(trace).collect()
}

pub fn persons_end(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 1);
    play.commit();
    play.advance(DAY / 1_000);
    let (desk, officer) = (play.sign_in("desk"), play.sign_in("officer"));
    let request = play.submit(&desk, 1, span(0, 1));
    play.identify(&desk, request);
    let grant = play.approve(&officer, request);
    play.begin();
    let access = Arc::clone(&play.built().access);
    let letter = NewLetter { kind: LetterKind::Grant, language: Language::Ko, camera_names: BTreeMap::new() };
    let printed = access.produce_letter(&desk, request, &letter).unwrap().number;
    let delivery = Delivery { way: DeliveryWay::Hand, at: None, proof: Some("김민수 received it".into()) };
    access.deliver_letter(&desk, request, printed, &delivery).unwrap();
    play.note_rows();
    play.close(&desk, request, grant);
    // The footage goes long before.
    play.advance(DAY + Duration::from_secs(60));
    play.round();
    play.round();
    let traces = sealed(&play);
    assert_eq!(traces.len(), 2, "the request's own, and the proof of delivery");
    // The day has come: from here on it may go, and goes with the next round.
    play.promises.persons.remove(&request);
    play.advance(DAY * 1_097);
    play.promises.ending = traces.iter().cloned().map(|trace| (request, trace)).collect();
    play.note();
    access.end_what_is_over().unwrap();
    play.promises.gone.extend(traces);
    play.note_rows();
    play.end()
}
