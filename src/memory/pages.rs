//! The pages of CubeCL's allocator, by arithmetic.
//!
//! CubeCL reserves memory in pages of one size and cuts tensors out of them. The size follows the
//! largest tensor: one MiB more, in whole MiB. Small tensors have pages of their own. A tensor
//! takes the first free place that is large enough; neighbouring free places become one; a page is
//! kept once it is reserved. Source: `dynamic/adaptive.rs`, `dynamic/arena.rs` and `memory_pool` of
//! cubecl-server 0.11.3, in their default configuration.

use std::collections::HashMap;

const MIB: usize = 1 << 20;
/// The largest tensor that counts as small.
const SMALL: usize = 64 << 10;
/// A page for small tensors.
const SMALL_PAGE: usize = 8 * MIB;
/// The smallest page for others.
const SMALLEST: usize = 2 * MIB;
/// Every tensor begins at a multiple of so many bytes (CUDA's; other backends have 256 or less).
const ALIGNMENT: usize = 512;

/// A change of the memory in use. Buffers are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A buffer is made.
    Take { buffer: usize, bytes: usize },
    /// A buffer is not used any more.
    Give { buffer: usize },
}

/// The most bytes in pages while these events happen, one after another, beside tensors that stay.
pub(super) fn reserved(resident: &[usize], events: &[Event]) -> usize {
    let taken = events.iter().filter_map(|event| match event {
        Event::Take { bytes, .. } => Some(*bytes),
        Event::Give { .. } => None,
    });
    let largest = taken.chain(resident.iter().copied()).max().unwrap_or(0);
    let mut pools = [Pool::new(SMALL_PAGE), Pool::new(page(largest))];
    let pool = |bytes: usize| usize::from(bytes > SMALL);
    for &bytes in resident {
        pools[pool(bytes)].take(None, bytes);
    }
    for &event in events {
        match event {
            Event::Take { buffer, bytes } => pools[pool(bytes)].take(Some(buffer), bytes),
            Event::Give { buffer } => pools.iter_mut().for_each(|pool| pool.give(buffer)),
        }
    }
    pools.iter().map(|pool| pool.size * pool.pages.len()).sum()
}

/// The size of pages that serve tensors of so many bytes and smaller ones.
fn page(largest: usize) -> usize {
    match largest.next_multiple_of(ALIGNMENT) <= SMALLEST {
        true => SMALLEST,
        false => (largest + MIB).next_multiple_of(MIB),
    }
}

/// Pages of one size.
struct Pool {
    size: usize,
    pages: Vec<Vec<Slice>>,
    /// The page of each buffer that can be given back.
    places: HashMap<usize, usize>,
}

/// A part of a page.
struct Slice {
    bytes: usize,
    state: State,
}

/// Who uses a slice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// A tensor that stays.
    Kept,
    /// A buffer with its number.
    Used(usize),
}

impl Pool {
    fn new(size: usize) -> Self {
        Self { size, pages: Vec::new(), places: HashMap::new() }
    }

    /// Finds a place for a tensor; one without a number stays for good.
    fn take(&mut self, buffer: Option<usize>, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        let fits = |slice: &Slice| slice.state == State::Free && slice.bytes >= bytes;
        let found = self
            .pages
            .iter()
            .enumerate()
            .find_map(|(page, slices)| slices.iter().position(fits).map(|slice| (page, slice)));
        let (page, slice) = found.unwrap_or_else(|| {
            self.pages.push(vec![Slice { bytes: self.size, state: State::Free }]);
            (self.pages.len() - 1, 0)
        });
        let slices = &mut self.pages[page];
        let left = slices[slice].bytes - bytes;
        slices[slice] = Slice { bytes, state: buffer.map_or(State::Kept, State::Used) };
        if left > 0 {
            slices.insert(slice + 1, Slice { bytes: left, state: State::Free });
        }
        if let Some(buffer) = buffer {
            self.places.insert(buffer, page);
        }
    }

    /// Frees a buffer's place, if it is in this pool.
    fn give(&mut self, buffer: usize) {
        let Some(page) = self.places.remove(&buffer) else { return };
        let slices = &mut self.pages[page];
        let used = |slice: &Slice| slice.state == State::Used(buffer);
        let place = slices.iter().position(used).expect("the page that took it");
        slices[place].state = State::Free;
        for left in [place, place.wrapping_sub(1)] {
            let free = |at: usize| slices.get(at).is_some_and(|s| s.state == State::Free);
            if left < slices.len() && free(left) && free(left + 1) {
                let bytes = slices.remove(left + 1).bytes;
                slices[left].bytes += bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(buffer: usize, mib: usize) -> Event {
        Event::Take { buffer, bytes: mib * MIB }
    }

    fn give(buffer: usize) -> Event {
        Event::Give { buffer }
    }

    #[test]
    fn pages_follow_the_largest_tensor() {
        assert_eq!(reserved(&[], &[]), 0);
        assert_eq!(reserved(&[], &[take(0, 1)]), 2 * MIB);
        assert_eq!(reserved(&[], &[take(0, 2)]), 2 * MIB);
        assert_eq!(reserved(&[], &[take(0, 10)]), 11 * MIB);
        // A byte more than a page of two MiB holds.
        assert_eq!(reserved(&[2 * MIB + 1], &[]), 4 * MIB);
        // Small tensors do not share pages with others.
        assert_eq!(reserved(&[100, SMALL], &[take(0, 10)]), 19 * MIB);
    }

    #[test]
    fn free_neighbours_become_one_place() {
        let mut events = vec![take(0, 4), take(1, 4), take(2, 11)];
        assert_eq!(reserved(&[], &events), 24 * MIB);
        events.extend([give(0), give(1), take(3, 12)]);
        assert_eq!(reserved(&[], &events), 26 * MIB, "a page of 13 MiB was free as a whole");
        // The other way round too, and between two free places.
        let events = [
            take(0, 4),
            take(1, 4),
            take(2, 4),
            give(2),
            give(0),
            give(1),
            take(3, 12),
            give(3),
            take(4, 12),
        ];
        assert_eq!(reserved(&[], &events), 13 * MIB);
    }

    #[test]
    fn a_tensor_in_use_divides_its_page() {
        let events = [take(0, 2), take(1, 1), take(2, 2), give(0), give(2), take(3, 4)];
        assert_eq!(reserved(&[], &events), 10 * MIB, "4 MiB are free in two places, not in one");
        let events = [take(0, 2), take(1, 1), take(2, 2), give(0), give(2), give(1), take(3, 4)];
        assert_eq!(reserved(&[], &events), 5 * MIB);
        assert_eq!(reserved(&[MIB; 4], &events), 10 * MIB, "what stays has a page before");
        assert_eq!(reserved(&[], &[take(0, 6), give(0), take(1, 6), give(1)]), 7 * MIB);
    }
}
