//! What must hold of a site after a power cut, whenever it came.

use super::super::Built;
use super::play::{CAMERAS, Fate, Ground, Promises, RETENTION, START, THEATRE, Trace, at, camera, picture, span};
use crate::access::{Password, Reinstated, SiteFiles};
use crate::clock::ManualClock;
use crate::crypto::{PrivateKey, StreamOpener};
use crate::disk::{Access, Disk, Operation, OperationKind, PowerCut, SharedDisk, SimulatedDisk};
use crate::domain::{DestructionTrigger, HeldFor, Overwrite, Utc};
use crate::ledger::{Act, Row};
use crate::segment::{FragmentFacts, SlotFile, SlotPurpose};
use crate::vault::{
    Availability, CameraRecorder, Holds, LastKnown, LiveSegment, Look, TrustedClock, VaultError, inspect,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DESTROYED_BEYOND_BYTES: usize = 64 << 10;

type Told = Result<(), String>;

fn must(holds: bool, what: impl FnOnce() -> String) -> Told {
    if holds { Ok(()) } else { Err(what()) }
}

/// Starts the site on a disk as a power cut left it, and holds it against everything that was promised.
pub fn check(ground: &Ground, disk: &SimulatedDisk, promises: &Promises, recovery: &PrivateKey) -> Told {
    let all_gone = |traces: &[Trace], when: &str| {
        let left = traces.iter().find(|trace| disk.device_holds(&trace.bytes, trace.offset));
        left.map_or(Ok(()), |left| Err(format!("V5, E3: {} is on the device {when}", left.what)))
    };
    all_gone(&promises.gone, "after it was said to be gone")?;
    trusted_time(ground, disk, promises)?;
    holds_file(ground, disk, promises)?;
    let hands = ManualClock::standing(promises.now);
    let before = disk.operations();
    let built = ground.start(disk, &hands)?;
    is_quick(ground, &disk.log()[before..], promises)?;
    let mut checked = Checked { ground, disk, promises, recovery, built };
    checked.segments(false)?;
    checked.built.vault.catch_up(&|| false).map_err(|e| format!("what the cut left is not made good: {e}"))?;
    checked.is_sound("after the start")?;
    checked.day_keys()?;
    checked.admitted()?;
    checked.rows()?;
    checked.holds()?;
    checked.grants()?;
    checked.viewings()?;
    checked.persons()?;
    checked.texts_of_holds()?;
    checked.confirmed_days()?;
    checked.people()?;
    checked.papers()?;
    checked.way_back()?;
    checked.operations()?;
    checked.gaps()?;
    if !checked.built.vault.due(promises.now).is_empty() || !promises.going.is_empty() {
        for _ in 0..3 {
            checked.built.eraser.round().map_err(|e| format!("erasing does not go on: {e}"))?;
            checked.built.access.end_old_month().map_err(|e| format!("the ledger's month does not end: {e:?}"))?;
        }
        checked.segments(true)?;
        all_gone(&promises.going, "though its time is over")?;
        checked.receipts()?;
        checked.is_sound("after erasing")?;
    }
    let told = checked.goes_on();
    drop(checked.built);
    told
}

/// What a start need not do: after a clean stop it looks through no directory of segments, and manifests that were summed
/// up are not read behind their header.
fn is_quick(ground: &Ground, operations: &[Operation], promises: &Promises) -> Told {
    let count = |kind, sub: &str| {
        let below = ground.volume().join(sub);
        operations.iter().filter(|operation| operation.kind == kind && operation.path.starts_with(&below)).count()
    };
    let listed = count(OperationKind::List, "rolling") + count(OperationKind::List, "held");
    must(!promises.is_clean || listed == 0, || "it looks through directories after a clean stop".into())?;
    let reads = count(OperationKind::Read, "manifests");
    must(!promises.is_summed || reads <= 1, || format!("a manifest that was summed up is read {reads} times"))
}

/// The holds' own file holds them: the ledger, from which they could be placed again, may be damaged.
fn holds_file(ground: &Ground, disk: &SimulatedDisk, promises: &Promises) -> Told {
    let shared: SharedDisk = Arc::new(disk.clone());
    let holds = Holds::open(shared, ground.state().join("holds")).map_err(|e| e.to_string())?;
    let is_there = |of: &HeldFor| holds.list().iter().any(|hold| hold.of == *of);
    must(promises.holds.iter().all(is_there), || "V7: a hold is not in its file".into())
}

/// The anchor does not go back behind what was written down of it, wherever the wall clock stands.
fn trusted_time(ground: &Ground, disk: &SimulatedDisk, promises: &Promises) -> Told {
    let fork: SharedDisk = Arc::new(disk.after(PowerCut::Kept));
    let clock = ManualClock::standing(Utc::from_micros(0)).clock();
    let path = ground.state().join("clock");
    // Until it is written for the first time there is only the site's making; from then on the file alone must do.
    let is_there = fork.open(&path, Access::Read).is_ok();
    let known = (!is_there).then_some(LastKnown { at: START, has_run: false, confirmed: None });
    let told = TrustedClock::start(clock, fork, path, Duration::ZERO, || false, known);
    let trusted = told.map_err(|e| format!("the clock's state: {e}"))?.trusted();
    must(trusted >= promises.trusted, || format!("E1: the trusted time is {trusted}, and was {}", promises.trusted))
}

struct Checked<'a> {
    ground: &'a Ground,
    disk: &'a SimulatedDisk,
    promises: &'a Promises,
    recovery: &'a PrivateKey,
    built: Built,
}

impl Checked<'_> {
    fn is_sound(&self, when: &str) -> Told {
        let disk: SharedDisk = Arc::new(self.disk.clone());
        let site = SiteFiles::open(Arc::clone(&disk), &self.ground.state()).map_err(|e| e.to_string())?.site();
        let mut rows = Vec::new();
        self.built.ledger.rows(|row| rows.push(row)).map_err(|e| e.to_string())?;
        let newest = rows.iter().rev().find_map(|row| match &row.act {
            Act::Checkpoint(checkpoint) => Some(checkpoint.manifests.clone()),
            _ => None,
        });
        let heads: Vec<_> = newest.unwrap_or_default().into_iter().map(|one| (one.manifest, one.head)).collect();
        let nothing = BTreeMap::new();
        let now = Some(self.promises.now);
        let closed = self.built.ledger.closed_manifests();
        let look = Look { deep: true, heads: &heads, closed: Some(&closed), now, ..Look::at(&disk, site, &nothing) };
        let told = inspect(&self.ground.volume(), &look);
        let told = told.map_err(|e| format!("verify: {e}"))?;
        must(told.faults.is_empty(), || format!("verify {when}: {:?}", told.faults))
    }

    /// V8: no day key stands there that no manifest names.
    fn day_keys(&self) -> Told {
        let dir = self.ground.volume().join("keys");
        let files = self.disk.files().into_iter().filter(|path| path.starts_with(&dir)).count();
        let named = self.built.vault.day_key_count();
        must(files <= named, || format!("V4: {files} day keys are there, and {named} are named"))
    }

    /// R1: who was admitted has a slot in every day key.
    fn admitted(&self) -> Told {
        let Some(admitted) = self.promises.admitted else { return Ok(()) };
        let dir = self.ground.volume().join("keys");
        for path in self.disk.files().into_iter().filter(|path| path.starts_with(&dir)) {
            let file = SlotFile::open_to_read(self.disk, &path, SlotPurpose::DayKey).map_err(|e| e.to_string())?;
            let found = file.find(&admitted.0).map_err(|e| e.to_string())?;
            must(found.is_some(), || format!("R1: {} is not sealed to who was admitted", path.display()))?;
        }
        Ok(())
    }

    /// What is recorded from here on opens, too.
    fn goes_on(&self) -> Told {
        let now = self.promises.now;
        let start = u64::try_from((now.micros() - START.micros()) / 1_000_000).unwrap() + 60;
        let cameras: std::collections::BTreeSet<u16> = self.promises.segments.keys().map(|(of, _)| *of).collect();
        for of in cameras {
            let what = |e: &dyn std::fmt::Display| format!("V13: what camera {of} records after the start: {e}");
            let vault = &self.built.vault;
            let mut recorder = CameraRecorder::new(Arc::clone(vault), camera(of), RETENTION);
            recorder.begin(at(start), b"init").map_err(|e| what(&e))?;
            let facts = FragmentFacts { first_pts_90k: 0, duration_90k: 90_000, frames: 10, sync: true };
            recorder.append(facts, &picture(of, start, 0)).map_err(|e| what(&e))?;
            vault.commit().map_err(|e| what(&e))?;
            let live = vault.live_segments(camera(of), span(start, start + 1), now).map_err(|e| what(&e))?;
            must(live.len() == 1, || what(&"it is not there"))?;
            self.opened(of, start, &live[0]).map_err(|e| what(&e))?;
        }
        Ok(())
    }

    fn rows(&self) -> Told {
        let mut rows: Vec<Row> = Vec::new();
        self.built.ledger.rows(|row| rows.push(row)).map_err(|e| e.to_string())?;
        must(self.built.ledger.is_writable(), || "the ledger is damaged".into())?;
        // Of a month that was erased its root alone is told.
        let ended = rows.iter().filter_map(|row| match &row.act {
            Act::LedgerMonthEnding(root) => Some(root.last),
            _ => None,
        });
        let erased_to = ended.rev().find(|last| rows[0].sequence == last + 1).unwrap_or(0);
        let wanted: Vec<&Row> = self.promises.rows.iter().filter(|row| row.sequence > erased_to).collect();
        must(rows.len() >= wanted.len() && rows.iter().zip(&wanted).all(|(row, wanted)| row == *wanted), || {
            format!("L1: {} rows were answered, {} are there", self.promises.rows.len(), rows.len())
        })
    }

    fn holds(&self) -> Told {
        let holds = self.built.holds.lock().unwrap();
        let is_lost = |of: &&_| !holds.list().iter().any(|hold| hold.of == **of);
        match self.promises.holds.iter().find(is_lost) {
            Some(of) => Err(format!("V7: the hold of {of} is lost")),
            None => Ok(()),
        }
    }

    fn grants(&self) -> Told {
        for (grant, digest) in &self.promises.grants {
            let path = self.ground.state().join("grants").join(format!("{:08x}", grant.0));
            let used = SlotFile::open_to_read(self.disk, &path, SlotPurpose::Grant).and_then(|file| file.used());
            let used = used.map_err(|e| format!("A4: grant {grant}: {e}"))?;
            let mut running = crate::crypto::RunningDigest::new();
            for slot in &used {
                running.update(&slot.owner);
                running.update(&slot.sealed.encapsulated);
                running.update(&slot.sealed.ciphertext);
            }
            must(running.so_far() == *digest, || format!("A4: slots of grant {grant} are lost"))?;
        }
        Ok(())
    }

    /// W2: a viewing that was begun counts, also one that the cut broke off, and no other does.
    fn viewings(&self) -> Told {
        let access = &self.built.access;
        for (grant, (most, least)) in &self.promises.viewings {
            let told = access.sign_in("viewer", "viewer-password", HERE);
            let (token, _) = told.map_err(|e| format!("the viewer cannot sign in: {e}"))?;
            let viewer = access.caller(&token, HERE).map_err(|e| e.to_string())?;
            let mut begun = 0;
            while begun <= *most && access.begin_viewing(&viewer, *grant, true).is_ok() {
                access.end_viewing(&viewer, *grant).map_err(|e| format!("W2: a viewing does not end: {e}"))?;
                begun += 1;
            }
            must((*least..=*most).contains(&begun), || {
                format!("W2: of grant {grant} there are {begun} viewings, {least} to {most} are left")
            })?;
        }
        Ok(())
    }

    fn persons(&self) -> Told {
        let Some(last) = self.promises.persons.last() else { return Ok(()) };
        let access = &self.built.access;
        let told = access.sign_in("desk", "desk-password", HERE).and_then(|(token, _)| {
            let desk = access.caller(&token, HERE)?;
            access.request(&desk, *last)
        });
        let told = told.map_err(|e| format!("what request {last} holds of persons: {e}"))?;
        must(told.person.is_some(), || format!("request {last} holds nothing of persons"))
    }

    /// U1, U2: everybody signs in with the password that they have, and nobody with another; what is left of somebody who
    /// left goes.
    fn people(&self) -> Told {
        if self.promises.passwords.is_empty() {
            return Ok(());
        }
        let access = &self.built.access;
        access.end_what_is_over().map_err(|e| format!("what is over does not end: {e}"))?;
        let alarms = access.duties().alarms;
        let left = alarms.iter().find(|alarm| alarm.starts_with("slots of"));
        must(left.is_none(), || format!("U2: {left:?}"))?;
        for (name, passwords) in &self.promises.passwords {
            let told: Vec<_> = passwords.iter().map(|password| access.sign_in(name, password, HERE).err()).collect();
            must(told.iter().any(Option::is_none), || format!("U1: {name} cannot sign in: {told:?}"))?;
        }
        for (name, password) in &self.promises.refused {
            must(access.sign_in(name, password, HERE).is_err(), || format!("U3: {name} signs in with {password}"))?;
        }
        Ok(())
    }

    /// S1 to S3: what is over goes, and no name that leads to it is left.
    fn papers(&self) -> Told {
        let access = &self.built.access;
        for (request, trace) in &self.promises.ending {
            access.end_what_is_over().map_err(|e| format!("S1: what is over does not end: {e}"))?;
            let told = access.sign_in("desk", "desk-password", HERE).and_then(|(token, _)| {
                let desk = access.caller(&token, HERE)?;
                access.request(&desk, *request)
            });
            let told = told.map_err(|e| format!("S1: request {request}: {e}"))?;
            must(told.persons_erased.is_some(), || format!("S1: persons of request {request} do not end"))?;
            must(!self.disk.device_holds(&trace.bytes, trace.offset), || {
                format!("S1: {} is on the device", trace.what)
            })?;
            let dir = self.ground.state().join("requests");
            let left = self.disk.files().into_iter().find(|path| path.starts_with(&dir));
            must(left.is_none(), || format!("S3: {left:?} is there still"))?;
        }
        Ok(())
    }

    /// An officer who was being reinstated is one in the end, by asking again.
    fn way_back(&self) -> Told {
        let Some(wanted) = &self.promises.on_the_way_back else { return Ok(()) };
        let access = &self.built.access;
        let chosen = ["tiny blue trains at dawn", "tiny red trains at noon"];
        for _ in 0..2 {
            let told = access.reinstate(self.recovery, wanted);
            match told.map_err(|e| format!("the way back ends: {e}"))? {
                Reinstated::CodeGiven { code, .. } => access
                    .choose_password(&wanted.name, code.expose(), &Password::new(chosen[1].into()), HERE)
                    .map_err(|e| format!("the code of the way back opens nothing: {e}"))?,
                Reinstated::Sealed { round, .. } => {
                    must(round.is_complete(), || format!("not everything was sealed: {round:?}"))?;
                    let signs_in = chosen.iter().any(|password| access.sign_in(&wanted.name, password, HERE).is_ok());
                    must(signs_in, || "who was reinstated cannot sign in".into())?;
                    return self.is_sound("after an officer was reinstated");
                }
            }
        }
        Err("the way back has no end".into())
    }

    fn confirmed_days(&self) -> Told {
        let duties = self.built.access.duties();
        must(self.promises.confirmed.is_empty() || duties.days_unconfirmed == 0, || {
            format!("L17: a day that was confirmed waits again: {duties:?}")
        })
    }

    /// O3: what was begun is under way, what was ended is not, and of each it can be read who asked.
    fn operations(&self) -> Told {
        let access = &self.built.access;
        if self.promises.operations.is_empty() && !access.operates(camera(THEATRE)) {
            return Ok(());
        }
        let told = access.sign_in("desk", "desk-password", HERE).and_then(|(token, _)| {
            let desk = access.caller(&token, HERE)?;
            access.operations(&desk, &access.operation_numbers(&desk)?)
        });
        let told = told.map_err(|e| format!("operations: {e}"))?;
        for (operation, is_under_way) in &self.promises.operations {
            let known = told.iter().find(|known| known.operation == *operation);
            let known = known.ok_or_else(|| format!("O3: operation {operation} is lost"))?;
            let is_as_promised = is_under_way.is_none_or(|is_under_way| known.ended.is_none() == is_under_way);
            must(is_as_promised, || format!("O3: operation {operation} is another: {known:?}"))?;
        }
        let nameless = told.iter().find(|known| known.name.is_none());
        must(nameless.is_none(), || format!("O1: who asked is lost: {nameless:?}"))?;
        let under_way = told.iter().any(|known| known.ended.is_none());
        must(access.operates(camera(THEATRE)) == under_way, || "O3: filmed, or not, against the ledger".into())
    }

    fn texts_of_holds(&self) -> Told {
        let access = &self.built.access;
        for of in &self.promises.holds {
            let HeldFor::Hold(hold) = *of else { continue };
            let told = access.sign_in("officer", "officer-password", HERE).and_then(|(token, _)| {
                let officer = access.caller(&token, HERE)?;
                access.hold(&officer, hold)
            });
            let told = told.map_err(|e| format!("hold {hold}: {e}"))?;
            must(told.text.is_some(), || format!("the text of hold {hold} is lost"))?;
        }
        Ok(())
    }

    fn gaps(&self) -> Told {
        for (of, gap, _) in self.promises.gaps.iter().filter(|(_, _, is_committed)| *is_committed) {
            let told =
                self.built.vault.availability(camera(*of), *gap, self.promises.now).map_err(|e| e.to_string())?;
            let is_there = told.iter().any(|piece| matches!(piece, Availability::Gap { span, .. } if span == gap));
            must(is_there, || format!("V1: a gap of camera {of} is lost"))?;
        }
        Ok(())
    }

    fn segments(&mut self, erased: bool) -> Told {
        let now = self.promises.now;
        let (vault, known) = (&self.built.vault, &self.promises.segments);
        let mut seen = std::collections::BTreeSet::new();
        for of in 1..=CAMERAS {
            let live = vault.live_segments(camera(of), span(0, 40 * 86_400), now).map_err(|e| e.to_string())?;
            for live in live {
                let start = u64::try_from((live.span.from().micros() - START.micros()) / 1_000_000).unwrap();
                let Some(recorded) = known.get(&(of, start)) else {
                    return Err(format!("camera {of} from {start} was never recorded, and is there"));
                };
                if recorded.fate == Fate::Condemned {
                    return Err(format!("P1: camera {of} from {start} was condemned, and is there"));
                }
                if erased && recorded.fate == Fate::Due {
                    return Err(format!("P1: camera {of} from {start} is there after its time"));
                }
                let found = match self.opened(of, start, &live) {
                    // On its way out: set apart, released, and its key overwritten a moment before the record of it.
                    Err(_) if recorded.fate != Fate::Kept && !erased => continue,
                    found => found?,
                };
                must(recorded.tried.contains(&found), || {
                    format!("V3: camera {of} from {start} has {found} fragments, commits came at {:?}", recorded.tried)
                })?;
                must(found >= recorded.committed, || {
                    format!("V1: camera {of} from {start} has {found} of {} fragments", recorded.committed)
                })?;
                seen.insert((of, start));
            }
        }
        for ((of, start), recorded) in known {
            let is_held = self.is_held_back(*of, *start, recorded.appended);
            let must_be_there = recorded.fate == Fate::Kept && recorded.committed > 0 && (!is_held || erased);
            must(!must_be_there || seen.contains(&(*of, *start)), || {
                format!("V1: camera {of} from {start}, with {} fragments committed, is lost", recorded.committed)
            })?;
            let Some(id) = recorded.id else { continue };
            let whole = span(*start, start + u64::from(recorded.appended.max(1)));
            let told = vault.find(camera(*of), whole, id, now);
            // What is condemned is told to be gone from then on; its key goes in the next round.
            let has_gone = |trigger: DestructionTrigger| erased || !trigger.condemns();
            if matches!(told, Err(VaultError::Destroyed { trigger, .. }) if has_gone(trigger)) {
                let key = recorded.key.as_ref().unwrap();
                // What was never committed may have lost its name before its blocks: they are nobody's then, and only its
                // day key's end destroys it.
                let had_a_name = recorded.committed > 0;
                must(!had_a_name || !self.disk.device_holds(&key.bytes, key.offset), || {
                    format!("V5: {} is on the device, and recorded as destroyed", key.what)
                })?;
                let content = recorded.content.as_ref().unwrap();
                must(!erased || !had_a_name || !self.disk.device_holds(&content.bytes, content.offset), || {
                    format!("P1: {} is on the device, and recorded as erased", content.what)
                })?;
            }
        }
        Ok(())
    }

    /// Held, its period over, and not set apart yet: it is refused until the next round.
    fn is_held_back(&self, of: u16, start: u64, seconds: u32) -> bool {
        let whole = span(start, start + u64::from(seconds.max(1)));
        let is_over = self.promises.segments[&(of, start)].retention.expiry(whole) <= self.promises.now;
        is_over && self.built.holds.lock().unwrap().covers(camera(of), whole)
    }

    /// Opens a segment with the recovery key; how many fragments it has.
    fn opened(&self, of: u16, start: u64, live: &LiveSegment) -> Result<u32, String> {
        let (vault, now) = (&self.built.vault, self.promises.now);
        let what =
            |e: &dyn std::fmt::Display| format!("V1: camera {of} from {start} is visible and does not open: {e}");
        let keys = vault.open_keys(&[*live], self.recovery, now).map_err(|e| what(&e))?;
        let reader = vault.read(live, now).map_err(|e| what(&e))?;
        let opener = StreamOpener::new(&keys[0].1).map_err(|e| what(&e))?;
        let init = reader.open_init(&opener).map_err(|e| what(&e))?;
        must(init == b"init", || what(&"its init segment differs"))?;
        let fragments = reader.fragments().map_err(|e| what(&e))?;
        for (number, fragment) in (0..).zip(&fragments) {
            let bytes = reader.open_fragment(&opener, fragment).map_err(|e| what(&e))?;
            must(bytes == picture(of, start, number), || what(&"its pictures differ"))?;
        }
        let (_, end) = reader.digest().map_err(|e| what(&e))?;
        self.is_blank_beyond(live, end).map_err(|e| what(&e))?;
        Ok(u32::try_from(fragments.len()).unwrap())
    }

    fn is_blank_beyond(&self, live: &LiveSegment, end: u64) -> Told {
        let name = live.segment.to_string();
        let path = self.disk.files().into_iter().find(|path| path.ends_with(&name)).ok_or("it has no file")?;
        let mut beyond = vec![0xFF; DESTROYED_BEYOND_BYTES];
        let file = self.disk.open(&path, Access::Read).map_err(|e| e.to_string())?;
        let got = file.read_at(&mut beyond, end).map_err(|e| e.to_string())?;
        must(beyond[..got] == vec![0; got], || "V3: what stands beyond its end was not overwritten".into())
    }

    /// Every segment that was destroyed has its receipt, and none that is there has one.
    fn receipts(&self) -> Told {
        let mut receipts = Vec::new();
        let each = |row: Row| {
            if let Act::FootageDestroyed(receipt) = row.act {
                receipts.push(receipt);
            }
        };
        self.built.ledger.rows(each).map_err(|e| e.to_string())?;
        // Those of an hour that is not gone whole stand in the manifests.
        receipts.extend(self.built.vault.unreceipted().map_err(|e| e.to_string())?);
        for ((of, start), recorded) in &self.promises.segments {
            let from = super::play::at(*start);
            let is_named = receipts.iter().any(|receipt| {
                receipt.camera == camera(*of) && receipt.span.from() <= from && from < receipt.span.to()
            });
            // One that cannot be told any more what became of it would say so.
            let is_known = |receipt: &&crate::ledger::DestructionReceipt| receipt.overwrite != Overwrite::NothingThere;
            let unknown = receipts.iter().find(|receipt| receipt.camera == camera(*of) && !is_known(receipt));
            must(unknown.is_none() || recorded.committed == 0, || {
                format!("E4: what was destroyed of camera {of} is said to have been gone: {unknown:?}")
            })?;
            must(is_named || recorded.fate != Fate::Due || recorded.committed == 0, || {
                format!("E4: camera {of} from {start} was destroyed without a receipt")
            })?;
            let is_early = receipts.iter().any(|receipt| {
                receipt.camera == camera(*of)
                    && receipt.trigger.condemns()
                    && receipt.span.from() <= from
                    && from < receipt.span.to()
            });
            must(is_early || recorded.fate != Fate::Condemned, || {
                format!("E4: camera {of} from {start} was destroyed early, and no receipt says so")
            })?;
        }
        Ok(())
    }
}
