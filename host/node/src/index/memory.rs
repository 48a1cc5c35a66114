//! Which corpora are in memory: those used last, within a bound over all plugins.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use meshhost_core::id::PluginName;
use tokio::sync::RwLock;

use super::rows::Rows;

/// A corpus of a plugin, by its number.
pub(super) type Place = (PluginName, i64);
/// The rows of one corpus, which many may scan and one may change. The right to either is waited for
/// before a thread is: a thread that scans takes up other work meanwhile, and must not wait there.
pub(super) type Shared = Arc<RwLock<Rows>>;

/// What is in memory. Rows that leave are freed when the last search in them ends.
#[derive(Debug)]
pub(super) struct Memory {
    bytes_max: u64,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    held: HashMap<Place, Held>,
    /// Of what is held and of what is being read.
    bytes: u64,
    uses: u64,
}

#[derive(Debug)]
struct Held {
    rows: Shared,
    bytes: u64,
    used: u64,
}

/// Room for a corpus that is being read; given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.memory.shelf().bytes -= self.bytes;
    }
}

impl Memory {
    /// Holds at most `bytes_max`.
    pub(super) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, shelf: Mutex::default() })
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of a corpus, when they are here; counts as a use.
    pub(super) fn get(&self, place: &Place) -> Option<Shared> {
        let mut shelf = self.shelf();
        shelf.uses += 1;
        let uses = shelf.uses;
        let held = shelf.held.get_mut(place)?;
        held.used = uses;
        Some(Arc::clone(&held.rows))
    }

    /// Makes room for a corpus of `bytes`; `None` when all the memory there is does not hold it
    /// beside what is being read.
    pub(super) fn room(self: &Arc<Self>, bytes: u64) -> Option<Room> {
        let mut shelf = self.shelf();
        let held: u64 = shelf.held.values().map(|held| held.bytes).sum();
        if shelf.bytes.saturating_sub(held).saturating_add(bytes) > self.bytes_max {
            return None;
        }
        shelf.shrink_to(self.bytes_max - bytes);
        shelf.bytes += bytes;
        Some(Room { memory: Arc::clone(self), bytes })
    }

    /// Keeps what was read into a room.
    pub(super) fn keep(&self, place: Place, room: Room, rows: Rows) -> Shared {
        let rows_bytes = rows.bytes();
        let rows = Arc::new(RwLock::new(rows));
        drop(room);
        let mut shelf = self.shelf();
        shelf.uses += 1;
        let held = Held { rows: Arc::clone(&rows), bytes: rows_bytes, used: shelf.uses };
        shelf.forget(&place);
        shelf.bytes += held.bytes;
        shelf.held.insert(place, held);
        shelf.shrink_to(self.bytes_max);
        rows
    }

    /// Counts a corpus anew after a change.
    pub(super) fn resized(&self, place: &Place, bytes: u64) {
        let mut shelf = self.shelf();
        if let Some(held) = shelf.held.get_mut(place) {
            let before = std::mem::replace(&mut held.bytes, bytes);
            shelf.bytes = shelf.bytes - before + bytes;
            shelf.shrink_to(self.bytes_max);
        }
    }

    /// Lets a corpus go.
    pub(super) fn forget(&self, place: &Place) {
        self.shelf().forget(place);
    }

    /// Lets all corpora of a plugin go.
    pub(super) fn forget_all(&self, plugin: &PluginName) {
        let mut shelf = self.shelf();
        let places: Vec<Place> =
            shelf.held.keys().filter(|(owner, _)| owner == plugin).cloned().collect();
        places.iter().for_each(|place| shelf.forget(place));
    }
}

impl Shelf {
    fn forget(&mut self, place: &Place) {
        if let Some(held) = self.held.remove(place) {
            self.bytes -= held.bytes;
        }
    }

    /// Lets those go that were used longest ago.
    fn shrink_to(&mut self, bytes: u64) {
        while self.bytes > bytes {
            let oldest = self.held.iter().min_by_key(|(_, held)| held.used);
            let Some(place) = oldest.map(|(place, _)| place.clone()) else { return };
            self.forget(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rows::DocumentFacts, *};

    fn place(number: i64) -> Place {
        ("plugin".parse().unwrap(), number)
    }

    /// Rows of that many bytes.
    fn rows(bytes: usize) -> Rows {
        let mut rows = Rows::new(1);
        let key = "k".repeat(bytes - 96).into();
        rows.add_document(0, DocumentFacts { key, attributes: Box::default() });
        assert_eq!(rows.bytes(), bytes as u64);
        rows
    }

    fn keep(memory: &Arc<Memory>, number: i64, bytes: usize) -> bool {
        let room = memory.room(bytes as u64);
        room.map(|room| memory.keep(place(number), room, rows(bytes))).is_some()
    }

    fn there(memory: &Memory) -> Vec<i64> {
        let mut there: Vec<i64> = memory.shelf().held.keys().map(|place| place.1).collect();
        there.sort_unstable();
        there
    }

    #[test]
    fn the_corpora_used_longest_ago_leave() {
        let memory = Memory::new(1_000);
        for number in [1, 2, 3] {
            assert!(keep(&memory, number, 300));
        }
        assert!(memory.get(&place(1)).is_some());
        assert!(keep(&memory, 4, 300));
        assert_eq!(there(&memory), [1, 3, 4]);
        memory.resized(&place(4), 650);
        assert_eq!(there(&memory), [1, 4]);
        memory.resized(&place(4), 1_001);
        assert_eq!((there(&memory), memory.shelf().bytes), (vec![], 0));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_room_is_given_back() {
        let memory = Memory::new(1_000);
        assert!(!keep(&memory, 1, 1_001));
        let reading = memory.room(600).unwrap();
        assert!(memory.room(500).is_none(), "what is being read cannot leave");
        assert!(keep(&memory, 1, 400));
        drop(reading);
        assert!(keep(&memory, 2, 600));
        memory.forget(&place(1));
        memory.forget(&place(1));
        assert_eq!((there(&memory), memory.shelf().bytes), (vec![2], 600));
        assert!(keep(&memory, 2, 900));
        assert_eq!((there(&memory), memory.shelf().bytes), (vec![2], 900));
    }
}
