//! What was decoded and is kept.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Values that threads share, until there is no room left. None makes way for another one: draws
/// are uniform, so those kept are as likely to be drawn as those drawn last.
pub(super) struct Kept<T> {
    places: Vec<OnceLock<T>>,
    /// Bytes that may still be taken.
    left: AtomicUsize,
}

impl<T> Kept<T> {
    /// Room of so many bytes for the values of so many places.
    pub fn new(places: usize, bytes: usize) -> Self {
        Self {
            places: (0..places).map(|_| OnceLock::new()).collect(),
            left: AtomicUsize::new(bytes),
        }
    }

    /// The value of a place, if it is kept.
    pub fn get(&self, place: usize) -> Option<&T> {
        self.places[place].get()
    }

    /// Whether so many bytes are left. Another thread may take them.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.left.load(Ordering::Relaxed) >= bytes
    }

    /// Keeps a value of so many bytes, unless there is no room.
    pub fn keep(&self, place: usize, value: T, bytes: usize) {
        let taken = |left: usize| left.checked_sub(bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
            && self.places[place].set(value).is_err()
        {
            // Another thread was first.
            self.left.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_while_there_is_room() {
        let kept = Kept::new(4, 100);
        assert!(kept.get(0).is_none() && kept.has_room(100) && !kept.has_room(101));
        kept.keep(0, "a", 60);
        kept.keep(1, "b", 60);
        kept.keep(2, "c", 40);
        kept.keep(3, "d", 0);
        assert_eq!(
            [0, 1, 2, 3].map(|i| kept.get(i).copied()),
            [Some("a"), None, Some("c"), Some("d")]
        );
        // The first one stays, and takes its room once.
        let kept = Kept::new(1, 100);
        kept.keep(0, "a", 60);
        kept.keep(0, "b", 40);
        assert_eq!((kept.get(0), kept.has_room(40)), (Some(&"a"), true));
    }
}
