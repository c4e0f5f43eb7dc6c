//! What is wrong with a camera that is recorded all the same, in words for who mounted it.

use super::SourceEvent;
use super::timing::Reanchored;
use crate::domain::Utc;
use std::time::Duration;

/// Key frames further apart than this: footage is cut at them, and viewing begins at one.
const KEY_FRAMES_FAR_APART: Duration = Duration::from_secs(10);
/// A camera's clock may be set; one that jumps this often in a session is not right.
const JUMPS_TOLD_OF: u32 = 3;

/// What a session showed of its camera so far.
#[derive(Debug, Default)]
pub(super) struct Advice {
    newest: Option<Utc>,
    key_frame: Option<Utc>,
    farthest_apart: Duration,
    lost_packets: u32,
    jumps: u32,
}

impl Advice {
    pub fn see(&mut self, event: &SourceEvent) {
        match event {
            SourceEvent::Frame(frame) => {
                self.newest = Some(frame.filmed_at);
                if frame.sync
                    && let Some(before) = self.key_frame.replace(frame.filmed_at)
                {
                    // The newest distance alone: who sets the interval right is told so at once.
                    self.farthest_apart = frame.filmed_at.since(before);
                }
            }
            SourceEvent::Reanchored(Reanchored::CameraClockJumped { .. }) => self.jumps = self.jumps.saturating_add(1),
            // What was between was filmed by another clock, coded otherwise, or dropped: no distance is known.
            SourceEvent::Reanchored(Reanchored::WallClockStepped { .. }) | SourceEvent::Dropped { .. } => {
                self.key_frame = None;
            }
            SourceEvent::Lost { packets } => self.lost_packets = self.lost_packets.saturating_add(*packets),
            SourceEvent::Parameters(_) | SourceEvent::Told(_) => {}
        }
    }

    /// What is to be done about it; `None` where all is well.
    pub fn text(&self) -> Option<String> {
        let mut told = Vec::new();
        let waits = self.newest.zip(self.key_frame).map_or(Duration::ZERO, |(newest, key)| newest.since(key));
        let apart = self.farthest_apart.max(waits);
        if apart > KEY_FRAMES_FAR_APART {
            // In few steps, so that it is not another text, and another line in the log, with each frame.
            let apart_s = [1_800, 300, 60, 30].into_iter().find(|step| *step <= apart.as_secs()).unwrap_or(10);
            told.push(format!(
                "its key frames are {apart_s} s or more apart; set its key frame interval to some seconds"
            ));
        }
        if self.jumps >= JUMPS_TOLD_OF {
            told.push(format!(
                "its clock jumped {} times while it was watched; let it ask one time server only, or update its firmware",
                self.jumps
            ));
        }
        if self.lost_packets > 0 {
            told.push("packets are lost on the way; check its cable and switch, and record it over TCP".to_owned());
        }
        (!told.is_empty()).then(|| told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Frame;
    use bytes::Bytes;

    fn frame(second: i64, sync: bool) -> SourceEvent {
        let filmed_at = Utc::from_micros(second * 1_000_000);
        SourceEvent::Frame(Frame { filmed_at, pts_90k: second * 90_000, sync, data: Bytes::from_static(b"x") })
    }

    #[test]
    fn a_good_camera_is_let_alone_and_a_bad_one_is_told_what_to_do() {
        let mut advice = Advice::default();
        (0..100).for_each(|second| advice.see(&frame(second, second % 10 == 0)));
        assert_eq!(advice.text(), None);
        (100..165).for_each(|second| advice.see(&frame(second, second == 100)));
        let told = advice.text().unwrap();
        assert!(told.starts_with("its key frames are 60 s or more apart; set its key frame interval"), "{told}");
        advice.see(&frame(165, true));
        assert!(advice.text().is_some(), "the next one was as far away");
        (166..170).for_each(|second| advice.see(&frame(second, true)));
        assert_eq!(advice.text(), None);

        for _ in 0..3 {
            advice.see(&SourceEvent::Reanchored(Reanchored::CameraClockJumped { by_micros: 1 }));
        }
        advice.see(&SourceEvent::Lost { packets: 7 });
        let told = advice.text().unwrap();
        assert!(told.contains("its clock jumped 3 times") && told.contains("packets are lost"), "{told}");
    }
}
