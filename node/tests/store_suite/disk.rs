//! A disk in memory that can lose power, tear writes, run full, fail, and lie about what it has synced.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Database, StorageBackend};

use crate::world::Random;

/// What a power loss tears apart.
const SECTOR: usize = 512;

#[derive(Debug)]
enum Pending {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// What the disk does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Power fails before the operation of this number from now on.
    Power(u64),
    /// There is no room beyond so many bytes.
    Full(usize),
    /// Syncing fails from the sync of this number from now on.
    Sync(u64),
    /// Writing fails from the write of this number from now on.
    Write(u64),
}

#[derive(Debug, Default)]
struct State {
    synced: Vec<u8>,
    seen: Vec<u8>,
    pending: Vec<Pending>,
    /// Counts power losses; a handle from before one is dead.
    life: u64,
    fault: Option<Fault>,
    lies: bool,
}

/// The disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

/// One plugging in of the disk.
#[derive(Debug)]
struct Plugged {
    disk: Disk,
    life: u64,
}

impl Disk {
    /// Makes a disk that says it has synced and has not.
    pub fn lying() -> Self {
        let disk = Self::default();
        disk.state().lies = true;
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("disk")
    }

    pub fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    pub fn len(&self) -> usize {
        self.state().seen.len()
    }

    /// Opens the database that is on the disk.
    pub fn open(&self) -> Result<Database, redb::DatabaseError> {
        let life = self.state().life;
        redb::Builder::new().set_cache_size(1 << 20).create_with_backend(Plugged { disk: self.clone(), life })
    }

    /// Cuts the power: of what was not synced, any part may be there, in any order, torn at sectors.
    pub fn crash(&self, random: &mut Random) {
        let mut state = self.state();
        state.life += 1;
        state.fault = None;
        let pending = std::mem::take(&mut state.pending);
        let survives = *random.pick(&[0, 10, 50, 90, 100]);
        let mut image = state.synced.clone();
        let mut writes: Vec<(usize, Vec<u8>)> = Vec::new();
        for operation in pending {
            match operation {
                Pending::Write { at, bytes } => writes.push((at, bytes)),
                // Lengths are journalled by file systems: they are lost, not reordered.
                Pending::Length(length) => {
                    land(&mut image, std::mem::take(&mut writes), survives, random);
                    if random.percent(survives) {
                        image.resize(length, 0);
                    }
                }
            }
        }
        land(&mut image, writes, survives, random);
        (state.seen, state.synced) = (image.clone(), image);
    }
}

/// Lets some of the writes reach the image.
fn land(image: &mut Vec<u8>, mut writes: Vec<(usize, Vec<u8>)>, survives: u64, random: &mut Random) {
    random.shuffle(&mut writes);
    for (at, bytes) in writes {
        let torn = random.percent(20);
        for (index, sector) in bytes.chunks(SECTOR).enumerate() {
            let lands = if torn { random.percent(50) } else { index > 0 || random.percent(survives) };
            if !torn && !lands {
                break;
            }
            if lands {
                put(image, at + index * SECTOR, sector);
            }
        }
    }
}

fn put(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[at..end].copy_from_slice(bytes);
}

impl State {
    /// Counts an operation, which may be the one before which power fails.
    fn spend(&mut self, life: u64) -> io::Result<()> {
        if let Some(Fault::Power(left)) = &mut self.fault {
            if *left == 0 {
                self.life += 1;
            } else {
                *left -= 1;
            }
        }
        if self.life == life { Ok(()) } else { Err(io::Error::other("the power is off")) }
    }

    fn room(&self, end: usize) -> io::Result<()> {
        match self.fault {
            Some(Fault::Full(size)) if end > size => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Some(_) | None => Ok(()),
        }
    }
}

fn range(offset: u64, length: usize) -> Range<usize> {
    let start = usize::try_from(offset).expect("offset");
    start..start + length
}

fn counted(left: &mut u64) -> io::Result<()> {
    if *left == 0 {
        return Err(io::Error::other("input/output error"));
    }
    *left -= 1;
    Ok(())
}

impl StorageBackend for Plugged {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.disk.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let state = self.disk.state();
        let found = state.seen.get(range(offset, out.len())).ok_or(io::ErrorKind::UnexpectedEof).map_err(io::Error::from)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut state = self.disk.state();
        state.spend(self.life)?;
        let length = usize::try_from(len).expect("length");
        state.room(length)?;
        state.seen.resize(length, 0);
        state.pending.push(Pending::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut state = self.disk.state();
        state.spend(self.life)?;
        if let Some(Fault::Sync(left)) = &mut state.fault {
            counted(left)?;
        }
        if state.lies {
            return Ok(());
        }
        for operation in std::mem::take(&mut state.pending) {
            match operation {
                Pending::Write { at, bytes } => put(&mut state.synced, at, &bytes),
                Pending::Length(length) => state.synced.resize(length, 0),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut state = self.disk.state();
        state.spend(self.life)?;
        if let Some(Fault::Write(left)) = &mut state.fault {
            counted(left)?;
        }
        let range = range(offset, data.len());
        state.room(range.end)?;
        put(&mut state.seen, range.start, data);
        state.pending.push(Pending::Write { at: range.start, bytes: data.to_vec() });
        Ok(())
    }
}
