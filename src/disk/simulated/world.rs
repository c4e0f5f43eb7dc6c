//! What stands on a simulated device, what is only in memory above it, and what a power cut leaves of both.

use super::super::{BLOCK_BYTES, PhysicalRange};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a device writes as a whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

type Block = [u8; BLOCK_BYTES];
type Inode = usize;

/// What becomes of what was written and not flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerCut {
    /// All of it is lost.
    Lost,
    /// All of it is kept, as after `kill -9`.
    Kept,
    /// Names are kept, contents are lost: a file that was renamed before its flush is empty.
    Names,
    /// Contents are kept, names are lost.
    Contents,
    /// All of it is kept but what was written to one file: the number counts those that have something to lose.
    AllBut(usize),
    /// Names are kept, and of contents those of one file.
    Only(usize),
    /// Names and sizes are kept, and of blocks every other sector: the even ones of even blocks and the odd ones of odd blocks, or the
    /// others.
    Torn(usize),
    /// A random part of it is kept, in any order, blocks torn at sectors.
    Mixed(u64),
}

/// What a file system does with blocks when they are flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Habit {
    /// It leaves them where they were reserved.
    #[default]
    Stays,
    /// It writes them elsewhere, as copy on write does.
    Moves,
    /// It compresses them.
    Encodes,
}

/// A file's bytes. A block that is not there is zeros.
#[derive(Clone, Debug, Default)]
struct Content {
    length: u64,
    blocks: BTreeMap<u64, Arc<Block>>,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    /// On the device.
    durable: Content,
    /// As a reader sees it.
    current: Content,
    /// What blocks were since the last flush, oldest first. The device may hold any of them, sector by sector.
    pending: BTreeMap<u64, Vec<Arc<Block>>>,
    pending_lengths: Vec<u64>,
    /// Where blocks stand on the device.
    physical: Placement,
    /// No name leads here any more: `syncfs` passes it over.
    is_unlinked: bool,
    is_encoded: bool,
    /// A flush failed: readers still see what it was to cover, the device never will.
    has_lost: bool,
}

/// Where a file's blocks stand, in runs: the number of the first, where that one stands, and how many follow each other.
#[derive(Clone, Debug, Default)]
struct Placement(BTreeMap<u64, (u64, u64)>);

impl Placement {
    /// The number of the first block of the run that holds a block.
    fn run_of(&self, number: u64) -> Option<u64> {
        let (first, (_, blocks)) = self.0.range(..=number).next_back()?;
        (number - first < *blocks).then_some(*first)
    }

    fn has(&self, number: u64) -> bool {
        self.run_of(number).is_some()
    }

    /// Places a block that stands nowhere yet.
    fn put(&mut self, number: u64, physical: u64) {
        if let Some((first, (at, blocks))) = self.0.range_mut(..=number).next_back()
            && first + *blocks == number
            && *at + *blocks * BLOCK_BYTES as u64 == physical
        {
            *blocks += 1;
        } else {
            self.0.insert(number, (physical, 1));
        }
    }

    fn take(&mut self, number: u64) {
        let Some(first) = self.run_of(number) else { return };
        let (at, blocks) = self.0[&first];
        self.cut(first, number - first);
        if number + 1 < first + blocks {
            let behind = number + 1 - first;
            self.0.insert(number + 1, (at + behind * BLOCK_BYTES as u64, blocks - behind));
        }
    }

    /// Leaves a run so many blocks.
    fn cut(&mut self, first: u64, left: u64) {
        match self.0.get_mut(&first) {
            Some((_, blocks)) if left > 0 => *blocks = left,
            _ => drop(self.0.remove(&first)),
        }
    }

    /// Forgets all blocks from `number` on.
    fn truncate(&mut self, number: u64) {
        self.0.retain(|first, _| *first < number);
        if let Some((first, (_, blocks))) = self.0.iter_mut().next_back() {
            *blocks = (*blocks).min(number - first);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Entry {
    File(Inode),
    Dir,
}

/// A change of names that no flush covered yet. Each happens whole or not at all, as in a journal.
#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, Inode),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
    MakeDir(PathBuf),
    RemoveDir(PathBuf),
}

impl NameChange {
    fn paths(&self) -> [&Path; 2] {
        match self {
            NameChange::Link(path, _)
            | NameChange::Unlink(path)
            | NameChange::MakeDir(path)
            | NameChange::RemoveDir(path) => [path, path],
            NameChange::Rename(from, to) => [from, to],
        }
    }

    /// Whether this one can only have happened after `earlier`.
    fn follows(&self, earlier: &NameChange) -> bool {
        let is_dir = matches!(earlier, NameChange::MakeDir(_) | NameChange::RemoveDir(_));
        let goes = matches!(self, NameChange::RemoveDir(_));
        earlier.paths().into_iter().any(|before| {
            self.paths().into_iter().any(|path| {
                path == before || (is_dir && path.starts_with(before)) || (goes && before.starts_with(path))
            })
        })
    }

    fn is_in(&self, dir: &Path) -> bool {
        self.paths().into_iter().any(|path| path.parent() == Some(dir))
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Entry>) {
        match self {
            NameChange::Link(path, inode) => {
                names.insert(path.clone(), Entry::File(*inode));
            }
            NameChange::Unlink(path) | NameChange::RemoveDir(path) => {
                names.remove(path);
            }
            NameChange::Rename(from, to) => {
                if let Some(entry) = names.remove(from) {
                    names.insert(to.clone(), entry);
                }
            }
            NameChange::MakeDir(path) => {
                names.insert(path.clone(), Entry::Dir);
            }
        }
    }
}

/// Everything below one root; directories named as mounts are file systems of their own.
#[derive(Clone, Debug)]
pub struct World {
    files: Vec<Arc<FileState>>,
    durable_names: BTreeMap<PathBuf, Entry>,
    names: BTreeMap<PathBuf, Entry>,
    pending_names: Vec<Arc<NameChange>>,
    mounts: Vec<PathBuf>,
    next_physical: u64,
    pub habit: Habit,
    /// Blocks of the device that belong to no file any more and still hold what they held.
    residue: Vec<Arc<Block>>,
}

/// Small, seeded, good enough to choose by (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % limit.max(1) as u64).unwrap()
    }
}

fn not_found() -> io::Error {
    io::Error::from_raw_os_error(2)
}

impl Content {
    fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(&number)
    }

    /// Cuts what stands behind the end: it would read as zeros, were the file made longer again.
    fn cut(&mut self) -> Vec<Arc<Block>> {
        let size = BLOCK_BYTES as u64;
        let whole = self.length.div_ceil(size);
        let behind: Vec<Arc<Block>> = self.blocks.split_off(&whole).into_values().collect();
        let inside = usize::try_from(self.length % size).unwrap();
        if inside > 0
            && let Some(last) = self.blocks.get_mut(&(whole - 1))
            && last[inside..].iter().any(|byte| *byte != 0)
        {
            Arc::make_mut(last)[inside..].fill(0);
        }
        behind
    }
}

impl World {
    pub fn new(mounts: &[&Path]) -> Self {
        let mut world = Self {
            files: Vec::new(),
            durable_names: BTreeMap::new(),
            names: BTreeMap::new(),
            pending_names: Vec::new(),
            mounts: mounts.iter().map(|path| path.to_path_buf()).collect(),
            next_physical: 1 << 20,
            habit: Habit::Stays,
            residue: Vec::new(),
        };
        let roots: Vec<PathBuf> = mounts.iter().flat_map(|mount| mount.ancestors().map(Path::to_path_buf)).collect();
        for root in roots {
            world.names.insert(root.clone(), Entry::Dir);
            world.durable_names.insert(root, Entry::Dir);
        }
        world
    }

    fn mount_of(&self, path: &Path) -> Option<&PathBuf> {
        self.mounts.iter().filter(|mount| path.starts_with(mount)).max_by_key(|mount| mount.as_os_str().len())
    }

    fn dir_must_be(&self, dir: &Path) -> io::Result<()> {
        match self.names.get(dir) {
            Some(Entry::Dir) => Ok(()),
            _ => Err(not_found()),
        }
    }

    fn rename_entry(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(Arc::new(change));
    }

    fn unlinked(&mut self, path: &Path) {
        if let Some(Entry::File(inode)) = self.names.get(path) {
            let inode = *inode;
            Arc::make_mut(&mut self.files[inode]).is_unlinked = true;
        }
    }

    pub fn create(&mut self, path: &Path) -> io::Result<Inode> {
        self.dir_must_be(path.parent().ok_or_else(not_found)?)?;
        if self.names.contains_key(path) {
            return Err(io::Error::from_raw_os_error(17));
        }
        let inode = self.files.len();
        self.files.push(Arc::default());
        self.rename_entry(NameChange::Link(path.to_path_buf(), inode));
        Ok(inode)
    }

    pub fn find(&self, path: &Path) -> io::Result<Inode> {
        match self.names.get(path) {
            Some(Entry::File(inode)) => Ok(*inode),
            Some(Entry::Dir) => Err(io::Error::from_raw_os_error(21)),
            None => Err(not_found()),
        }
    }

    pub fn create_dir(&mut self, path: &Path) {
        let missing: Vec<PathBuf> =
            path.ancestors().take_while(|dir| !self.names.contains_key(*dir)).map(Path::to_path_buf).collect();
        missing.into_iter().rev().for_each(|dir| self.rename_entry(NameChange::MakeDir(dir)));
    }

    pub fn list(&self, dir: &Path, dirs: bool) -> io::Result<Vec<String>> {
        self.dir_must_be(dir)?;
        let below = self.names.range(dir.to_path_buf()..).take_while(|(path, _)| path.starts_with(dir));
        let wanted = below.filter(|(path, entry)| path.parent() == Some(dir) && (**entry == Entry::Dir) == dirs);
        Ok(wanted.map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.find(from)?;
        self.dir_must_be(to.parent().ok_or_else(not_found)?)?;
        self.unlinked(to);
        self.rename_entry(NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.unlinked(path);
        self.rename_entry(NameChange::Unlink(path.to_path_buf()));
        Ok(())
    }

    pub fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        self.dir_must_be(path)?;
        if self.names.keys().any(|name| name.parent() == Some(path)) {
            return Err(io::Error::from_raw_os_error(39));
        }
        self.rename_entry(NameChange::RemoveDir(path.to_path_buf()));
        Ok(())
    }

    fn file(&mut self, inode: Inode) -> &mut FileState {
        Arc::make_mut(&mut self.files[inode])
    }

    pub fn length(&self, inode: Inode) -> u64 {
        self.files[inode].current.length
    }

    fn grow(&mut self, inode: Inode, length: u64) {
        let file = self.file(inode);
        if length > file.current.length {
            file.current.length = length;
            file.pending_lengths.push(length);
        }
    }

    pub fn write(&mut self, inode: Inode, bytes: &[u8], offset: u64) {
        const ZEROS: Block = [0; BLOCK_BYTES];
        let mut done = 0;
        // Long writes are of one pattern.
        let mut last: Option<Arc<Block>> = None;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (number, inside) = (at / BLOCK_BYTES as u64, usize::try_from(at % BLOCK_BYTES as u64).unwrap());
            let part = &bytes[done..bytes.len().min(done + BLOCK_BYTES - inside)];
            done += part.len();
            self.place(inode, number);
            let file = self.file(inode);
            let was = file.current.block(number);
            let is_known =
                was.is_some() || file.durable.blocks.contains_key(&number) || file.pending.contains_key(&number);
            if !is_known && part == &ZEROS[..part.len()] {
                continue;
            }
            let block = match &last {
                Some(last) if part == &last[..] => Arc::clone(last),
                _ => {
                    let mut block = was.map_or(ZEROS, |was| **was);
                    block[inside..inside + part.len()].copy_from_slice(part);
                    Arc::new(block)
                }
            };
            last = Some(Arc::clone(&block));
            file.current.blocks.insert(number, Arc::clone(&block));
            file.pending.entry(number).or_default().push(block);
        }
        self.grow(inode, offset + bytes.len() as u64);
    }

    fn place(&mut self, inode: Inode, number: u64) {
        if !self.files[inode].physical.has(number) {
            let at = self.next_physical;
            self.next_physical += BLOCK_BYTES as u64;
            self.file(inode).physical.put(number, at);
        }
    }

    pub fn read(&self, inode: Inode, buffer: &mut [u8], offset: u64) -> usize {
        let content = &self.files[inode].current;
        let end = content.length.min(offset + buffer.len() as u64);
        let wanted = usize::try_from(end.saturating_sub(offset)).unwrap();
        let mut done = 0;
        while done < wanted {
            let at = offset + done as u64;
            let (number, inside) = (at / BLOCK_BYTES as u64, usize::try_from(at % BLOCK_BYTES as u64).unwrap());
            let part = (wanted - done).min(BLOCK_BYTES - inside);
            match content.block(number) {
                Some(block) => buffer[done..done + part].copy_from_slice(&block[inside..inside + part]),
                None => buffer[done..done + part].fill(0),
            }
            done += part;
        }
        wanted
    }

    pub fn allocate(&mut self, inode: Inode, length: u64) {
        (0..length.div_ceil(BLOCK_BYTES as u64)).for_each(|number| self.place(inode, number));
        self.grow(inode, length);
    }

    pub fn set_length(&mut self, inode: Inode, length: u64) {
        let file = self.file(inode);
        let shrinks = length < file.current.length;
        file.current.length = length;
        file.pending_lengths.push(length);
        if shrinks {
            file.current.cut();
            // Freed blocks keep on the device what they held there, and pages that were never written are dropped.
            let whole = length.div_ceil(BLOCK_BYTES as u64);
            file.pending.retain(|number, _| *number < whole);
            file.physical.truncate(whole);
            if let Some((number, block)) = file.current.blocks.last_key_value() {
                let (number, block) = (*number, Arc::clone(block));
                file.pending.entry(number).or_default().push(block);
            }
        }
    }

    /// `None` where the file system does not tell.
    pub fn extents(&self, inode: Inode) -> Option<Vec<PhysicalRange>> {
        if self.files[inode].is_encoded {
            return None;
        }
        let mut ranges: Vec<PhysicalRange> = Vec::new();
        for (physical, blocks) in self.files[inode].physical.0.values() {
            let length_bytes = blocks * BLOCK_BYTES as u64;
            match ranges.last_mut() {
                Some(last) if last.offset_bytes + last.length_bytes == *physical => {
                    last.length_bytes += length_bytes;
                }
                _ => ranges.push(PhysicalRange { offset_bytes: *physical, length_bytes }),
            }
        }
        Some(ranges)
    }

    /// `fdatasync`: content and size, not the name.
    pub fn flush_file(&mut self, inode: Inode) {
        if self.files[inode].pending.is_empty() && self.files[inode].pending_lengths.is_empty() {
            return;
        }
        if self.habit == Habit::Moves {
            for number in self.files[inode].pending.keys().copied().collect::<Vec<_>>() {
                self.file(inode).physical.take(number);
                self.place(inode, number);
            }
        }
        let encodes = self.habit == Habit::Encodes;
        let file = self.file(inode);
        file.is_encoded |= encodes;
        for (number, mut versions) in std::mem::take(&mut file.pending) {
            let newest = versions.pop().unwrap();
            file.durable.blocks.insert(number, newest);
        }
        file.pending_lengths.clear();
        file.durable.length = file.current.length;
        let behind = file.durable.cut();
        self.residue.extend(behind);
    }

    /// A flush that failed: pages are marked clean all the same, and another flush would say that all is well.
    pub fn lose_file(&mut self, inode: Inode) {
        let file = self.file(inode);
        file.pending.clear();
        file.pending_lengths.clear();
        file.has_lost = true;
    }

    pub fn files_below(&self, dir: &Path) -> Vec<Inode> {
        let mount = self.mount_of(dir).cloned();
        let here = self.names.iter().filter(|(path, _)| self.mount_of(path) == mount.as_ref());
        here.filter_map(|(_, entry)| if let Entry::File(inode) = entry { Some(*inode) } else { None }).collect()
    }

    /// `fsync` of a directory: the changes in it, and what had to come before them.
    pub fn flush_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.dir_must_be(dir)?;
        let wanted: Vec<bool> = self.pending_names.iter().map(|change| change.is_in(dir)).collect();
        self.flush_names(wanted);
        Ok(())
    }

    fn flush_names(&mut self, mut wanted: Vec<bool>) {
        for later in (0..wanted.len()).rev() {
            if wanted[later] {
                let change = Arc::clone(&self.pending_names[later]);
                for (is_wanted, earlier) in wanted[..later].iter_mut().zip(&self.pending_names) {
                    *is_wanted |= change.follows(earlier);
                }
            }
        }
        let mut left = Vec::new();
        for (change, is_wanted) in std::mem::take(&mut self.pending_names).into_iter().zip(wanted) {
            if is_wanted { change.apply(&mut self.durable_names) } else { left.push(change) }
        }
        self.pending_names = left;
    }

    /// `syncfs`.
    pub fn flush_file_system(&mut self, dir: &Path) -> io::Result<()> {
        self.dir_must_be(dir)?;
        self.files_below(dir).into_iter().for_each(|inode| self.flush_file(inode));
        let mount = self.mount_of(dir).cloned();
        let here = |change: &Arc<NameChange>| change.paths().iter().any(|path| self.mount_of(path) == mount.as_ref());
        let wanted = self.pending_names.iter().map(here).collect();
        self.flush_names(wanted);
        Ok(())
    }

    /// What the device holds after a power cut now.
    pub fn after(&self, cut: PowerCut) -> World {
        let mut dice = Dice::new(if let PowerCut::Mixed(seed) = cut { seed } else { 0 });
        let mut next = self.clone();
        next.names = match cut {
            PowerCut::Lost | PowerCut::Contents => self.durable_names.clone(),
            PowerCut::Kept | PowerCut::Names | PowerCut::AllBut(_) | PowerCut::Only(_) | PowerCut::Torn(_) => {
                self.names.clone()
            }
            PowerCut::Mixed(_) => self.mixed_names(&mut dice),
        };
        next.durable_names = next.names.clone();
        next.pending_names.clear();
        for (number, inode) in self.unflushed().into_iter().enumerate() {
            let state = &self.files[inode];
            let mut kept = match cut {
                PowerCut::Lost | PowerCut::Names => state.durable.clone(),
                PowerCut::AllBut(lost) if lost == number => state.durable.clone(),
                PowerCut::Only(kept) if kept != number => state.durable.clone(),
                PowerCut::Kept | PowerCut::Contents | PowerCut::AllBut(_) | PowerCut::Only(_) => {
                    let mut kept = state.durable.clone();
                    let newest = state.pending.iter().filter_map(|(number, all)| Some((*number, all.last()?.clone())));
                    kept.blocks.extend(newest);
                    kept.length = state.pending_lengths.last().copied().unwrap_or(kept.length);
                    kept
                }
                PowerCut::Torn(parity) => state.torn(parity),
                PowerCut::Mixed(_) => state.mixed(&mut dice),
            };
            next.residue.extend(kept.cut());
            let file = next.file(inode);
            (file.current, file.durable) = (kept.clone(), kept);
            file.pending.clear();
            file.pending_lengths.clear();
            file.has_lost = false;
        }
        next
    }

    /// The files that have something to lose.
    pub fn unflushed(&self) -> Vec<Inode> {
        let is_unflushed =
            |file: &FileState| file.has_lost || !file.pending.is_empty() || !file.pending_lengths.is_empty();
        (0..self.files.len()).filter(|inode| is_unflushed(&self.files[*inode])).collect()
    }

    fn mixed_names(&self, dice: &mut Dice) -> BTreeMap<PathBuf, Entry> {
        let mut names = self.durable_names.clone();
        let mut lost: Vec<&NameChange> = Vec::new();
        for change in &self.pending_names {
            if dice.below(2) == 0 || lost.iter().any(|earlier| change.follows(earlier)) {
                lost.push(change);
            } else {
                change.apply(&mut names);
            }
        }
        names
    }

    /// Whether the device holds `bytes` at `offset` in any block, of a file or of none.
    pub fn holds(&self, bytes: &[u8], offset: usize) -> bool {
        let of_files = self.files.iter().flat_map(|file| file.durable.blocks.values());
        of_files.chain(&self.residue).any(|block| &block[offset..offset + bytes.len()] == bytes)
    }

    /// Equal for worlds that hold the same, as long as what they were made from is there.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.names.hash(&mut hasher);
        for (inode, file) in self.files.iter().enumerate() {
            (inode, file.current.length).hash(&mut hasher);
            for (number, block) in &file.durable.blocks {
                (number, Arc::as_ptr(block).addr()).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    pub fn is_flushed(&self) -> bool {
        self.pending_names.is_empty() && self.unflushed().is_empty()
    }

    pub fn leads_to(&self, name: &str, inode: Inode) -> bool {
        self.names.iter().any(|(path, entry)| path.ends_with(name) && *entry == Entry::File(inode))
    }

    /// All files that have a name.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = self.names.iter().filter(|(_, entry)| matches!(entry, Entry::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }
}

impl FileState {
    fn torn(&self, parity: usize) -> Content {
        let mut kept = self.durable.clone();
        kept.length = self.pending_lengths.last().copied().unwrap_or(kept.length);
        for (number, versions) in &self.pending {
            let mut block: Block = self.durable.block(*number).map_or([0; BLOCK_BYTES], |block| **block);
            // Not the same ones of each block: what stands at the same place of all of them would be kept together.
            let first = (parity + usize::from(number % 2 == 1)) % 2;
            for sector in (first..BLOCK_BYTES / SECTOR_BYTES).step_by(2) {
                let part = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
                block[part.clone()].copy_from_slice(&versions[versions.len() - 1][part]);
            }
            kept.blocks.insert(*number, Arc::new(block));
        }
        kept
    }

    fn mixed(&self, dice: &mut Dice) -> Content {
        let mut kept = self.durable.clone();
        let lengths = self.pending_lengths.len();
        if let Some(chosen) = dice.below(lengths + 1).checked_sub(1) {
            kept.length = self.pending_lengths[chosen];
        }
        for (number, versions) in &self.pending {
            let old: Block = self.durable.block(*number).map_or([0; BLOCK_BYTES], |block| **block);
            let version = |chosen: usize| if chosen == 0 { &old } else { &*versions[chosen - 1] };
            let is_torn = dice.below(2) == 0;
            let whole = dice.below(versions.len() + 1);
            let mut block = *version(whole);
            if is_torn {
                for sector in (0..BLOCK_BYTES).step_by(SECTOR_BYTES) {
                    let part = sector..sector + SECTOR_BYTES;
                    block[part.clone()].copy_from_slice(&version(dice.below(versions.len() + 1))[part]);
                }
            }
            kept.blocks.insert(*number, Arc::new(block));
        }
        kept
    }
}
