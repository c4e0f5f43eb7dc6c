//! What there is of a camera: to the fragment, with each cause, and without any key.

use super::*;

fn footage(from: Utc, to: Utc) -> Availability {
    Availability::Footage { span: Span::new(from, to).unwrap(), in_doubt: false }
}

#[test]
fn coverage_is_exact_to_the_fragment_and_each_gap_tells_its_cause() {
    let house = House::new();
    let vault = house.start();
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    recorder.begin(at(0), b"init").unwrap();
    (0..3).for_each(|number| append(&mut recorder, number));
    vault.commit().unwrap();
    // Nobody promised this one.
    append(&mut recorder, 3);
    drop(recorder);
    drop(vault);
    let vault = house.start();
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    assert_eq!(recorder.newest_end(), Some(at(3)));
    // It rests, for longer than a power cut lets it know; the start after it tells of the whole.
    recorder.record_gap(span(3, 6), GapCause::NoOperation).unwrap();
    recorder.record_gap(span(6, 8), GapCause::NoOperation).unwrap();
    recorder.record_gap(span(3, 10), GapCause::NotRunning).unwrap();
    recorder.begin(at(10), b"init").unwrap();
    let half = FragmentFacts { first_pts_90k: 0, duration_90k: 45_000, frames: 5, sync: true };
    recorder.append(half, &picture(0)).unwrap();
    recorder.finish().unwrap();
    recorder.record_gap(Span::new(at(10).saturating_add(HALF), at(12)).unwrap(), GapCause::Stalled).unwrap();
    vault.commit().unwrap();
    let wanted = [
        footage(at(0), at(3)),
        Availability::Gap { span: span(3, 8), cause: GapCause::NoOperation },
        Availability::Gap { span: span(8, 10), cause: GapCause::NotRunning },
        footage(at(10), at(10).saturating_add(HALF)),
        Availability::Gap { span: Span::new(at(10).saturating_add(HALF), at(12)).unwrap(), cause: GapCause::Stalled },
    ];
    let of = |vault: &Vault, asked| vault.availability(camera(1), asked, at(20)).unwrap();
    assert_eq!(of(&vault, span(0, 20)), wanted);
    // Whatever is asked for, of gaps what lies in it.
    let gap = |from, to, cause| Availability::Gap { span: span(from, to), cause };
    let no_operation = GapCause::NoOperation;
    assert_eq!(of(&vault, span(7, 9)), [gap(7, 8, no_operation), gap(8, 9, GapCause::NotRunning)]);
    assert_eq!(of(&vault, span(4, 5)), [gap(4, 5, no_operation)]);
    assert_eq!(of(&vault, span(8, 9)), [gap(8, 9, GapCause::NotRunning)]);
    assert_eq!(of(&vault, span(2, 4)), [wanted[0], gap(3, 4, no_operation)]);
    assert_eq!(of(&vault, span(11, 20)), [gap(11, 12, GapCause::Stalled)]);
    assert_eq!(of(&vault, span(12, 20)), []);
    drop(recorder);
    drop(vault);
    // Nobody signed in, and no key was ever opened here.
    assert_eq!(of(&house.start(), span(0, 20)), wanted);
}

const HALF: Duration = Duration::from_millis(500);
