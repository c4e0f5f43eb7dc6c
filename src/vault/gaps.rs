//! Gaps as they were recorded, and what they say together.

use crate::domain::{GapCause, Span};

/// Each moment with one cause, by start. A gap is recorded when it ends, or as it grows; after a power cut, or a stop while
/// nothing was filmed, the next one begins at the newest footage again, and tells of the whole as of one. Of two that
/// overlap the one that ends earlier was recorded earlier, by who knew better. What follows on each other with one cause is
/// one gap.
pub(super) fn told_once(mut gaps: Vec<(Span, GapCause)>) -> Vec<(Span, GapCause)> {
    gaps.sort_by_key(|(span, _)| (span.to(), std::cmp::Reverse(span.from())));
    // By start, without overlaps.
    let mut told: Vec<(Span, GapCause)> = Vec::with_capacity(gaps.len());
    for (gap, cause) in gaps {
        // None so far ends after it.
        let overlapping = told.split_off(told.partition_point(|(known, _)| known.to() <= gap.from()));
        let mut from = gap.from();
        for (known, of) in overlapping {
            told.extend(Span::new(from, known.from()).ok().map(|piece| (piece, cause)));
            told.push((known, of));
            from = from.max(known.to());
        }
        told.extend(Span::new(from, gap.to()).ok().map(|piece| (piece, cause)));
    }
    let mut joined: Vec<(Span, GapCause)> = Vec::with_capacity(told.len());
    for (span, cause) in told {
        match joined.last_mut() {
            Some((before, of)) if *of == cause && before.to() == span.from() => *before = before.hull(span),
            _ => joined.push((span, cause)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Utc;
    use GapCause::{NoOperation, NotRunning, Stalled};

    fn span(from: i64, to: i64) -> Span {
        Span::new(Utc::from_micros(from), Utc::from_micros(to)).unwrap()
    }

    #[test]
    fn who_knew_better_is_believed_and_what_follows_on_each_other_is_one() {
        let gaps = vec![
            // As it grew, then a power cut, and what the next start said of the whole.
            (span(0, 10), NoOperation),
            (span(10, 20), NoOperation),
            (span(0, 35), NotRunning),
            (span(35, 40), NoOperation),
            // Another one, with footage in between, of which two manifests tell.
            (span(50, 60), Stalled),
            (span(50, 60), Stalled),
        ];
        let wanted = [
            (span(0, 20), NoOperation),
            (span(20, 35), NotRunning),
            (span(35, 40), NoOperation),
            (span(50, 60), Stalled),
        ];
        assert_eq!(told_once(gaps.clone()), wanted);
        assert_eq!(told_once(gaps.into_iter().rev().collect()), wanted, "in whatever order they are found");
        // One that begins before another and ends after it.
        let around = told_once(vec![(span(3, 5), Stalled), (span(0, 9), NotRunning)]);
        assert_eq!(around, [(span(0, 3), NotRunning), (span(3, 5), Stalled), (span(5, 9), NotRunning)]);
        assert_eq!(told_once(Vec::new()), []);
    }
}
