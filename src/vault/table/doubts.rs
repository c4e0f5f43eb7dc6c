//! What a table tells of when its segments were filmed.

use super::{CLOCK_KEPT_EVERY, ManifestSum, SegmentRow, SegmentTable};
use crate::domain::{CameraNumber, Correction, Dating, Doubt, GapCause, Mark, Retention, Span, Utc};

impl SegmentTable {
    fn marked(&self, place: u16) -> Option<(Mark, Option<Correction>)> {
        usize::from(place).checked_sub(1).and_then(|place| self.doubts.get(place)).copied()
    }

    /// The mark that a segment bears, and what corrects it.
    pub fn mark(&self, row: &SegmentRow) -> Option<(Mark, Option<Correction>)> {
        self.marked(row.doubt)
    }

    /// The doubt that a segment was dated in.
    pub fn doubt(&self, row: &SegmentRow) -> Option<Doubt> {
        self.marked(row.doubt).map(|(mark, _)| mark.doubt)
    }

    /// The doubt of a segment, where this was not told how it ended.
    pub fn untold(&self, row: &SegmentRow) -> Option<Doubt> {
        self.marked(row.doubt).filter(|(_, correction)| correction.is_none()).map(|(mark, _)| mark.doubt)
    }

    /// What is known of when a segment was filmed.
    pub fn dating(&self, row: &SegmentRow) -> Dating {
        let marked = self.marked(row.doubt);
        marked.map_or_else(Dating::default, |(mark, correction)| Dating::marked(mark.is_known, correction))
    }

    /// Whether anything that bears a doubt's name is shown as in doubt.
    pub fn is_known(&self, doubt: Doubt) -> bool {
        self.doubts.iter().any(|(mark, _)| mark.doubt == doubt && mark.is_known)
    }

    /// A segment's span as it is shown.
    pub fn shown(&self, row: &SegmentRow) -> Option<Span> {
        row.span_at_least().map(|said| self.dating(row).shown(said))
    }

    /// When a segment must go, unless it is held.
    pub fn expiry(&self, row: &SegmentRow, retention: Retention) -> Option<Utc> {
        row.span_at_least().map(|said| self.dating(row).correction.expiry(retention, said))
    }

    /// Gaps as they are shown. One that was recorded in a doubt and began before it is as long as is known by now.
    pub fn gaps(&self) -> impl Iterator<Item = (CameraNumber, Span, GapCause)> {
        self.gaps.iter().map(|gap| {
            let shown = self.marked(gap.doubt).and_then(|(mark, correction)| {
                let correction = correction?;
                let to = correction.shown(gap.span.to());
                let before = mark.doubt.0.saturating_add(CLOCK_KEPT_EVERY);
                let from = if gap.span.from() < before { gap.span.from() } else { correction.shown(gap.span.from()) };
                Span::new(from, to).ok()
            });
            (gap.camera, shown.unwrap_or(gap.span), gap.cause)
        })
    }

    pub(super) fn place_of(&mut self, mark: Mark) -> Option<u16> {
        let known = self.doubts.iter().position(|(known, _)| *known == mark);
        let place = known.unwrap_or_else(|| {
            let corrected = self.doubts.iter().find(|(known, _)| known.doubt == mark.doubt);
            self.doubts.push((mark, corrected.and_then(|(_, correction)| *correction)));
            self.doubts.len() - 1
        });
        u16::try_from(place + 1).ok()
    }
}

impl ManifestSum {
    pub fn correction(&self, doubt: Option<Doubt>) -> Correction {
        doubt.and_then(|doubt| self.doubts.get(&doubt).copied().flatten()).unwrap_or_default()
    }

    /// How far the corrections move the earliest expiry of a segment here: of a day whose footage was all filmed later,
    /// nothing is due when its name would say so.
    pub fn moves_expiry(&self, retention: Retention) -> i64 {
        let undoubted = self.has_undoubted.then_some(0);
        let doubted = self.doubts.values().map(|known| known.unwrap_or_default().for_expiry(retention));
        doubted.chain(undoubted).min().unwrap_or(0)
    }

    /// How far the corrections move the latest.
    pub fn most_moves_expiry(&self, retention: Retention) -> i64 {
        let doubted = self.doubts.values().map(|known| known.unwrap_or_default().for_expiry(retention));
        doubted.fold(0, i64::max)
    }

    /// All of the time in which what says `said` can have been filmed.
    pub fn possible(&self, said: Span) -> Span {
        let corrected = self.doubts.values().flatten();
        corrected
            .fold(said, |whole, known| whole.hull(said.moved(known.least_micros)).hull(said.moved(known.most_micros)))
    }

    /// How much earlier, and how much later, than its day something here is shown, at most.
    pub fn moves_shown(&self) -> (i64, i64) {
        let moves = self.doubts.values().flatten().map(|correction| correction.least_micros);
        moves.fold((0, 0), |(least, most), by| (least.min(by), most.max(by)))
    }
}
