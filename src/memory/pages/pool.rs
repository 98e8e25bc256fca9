//! Where tensors lie in pages: the first free place that is large enough.

use std::collections::HashMap;

use super::ALIGNMENT;

/// Pages of one size.
pub(super) struct Pool {
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
    /// A buffer with its number.
    Used(usize),
}

impl Pool {
    pub fn new(size: usize) -> Self {
        Self { size, pages: Vec::new(), places: HashMap::new() }
    }

    /// How many pages there are.
    pub fn count(&self) -> usize {
        self.pages.len()
    }

    /// Finds a place for a tensor.
    pub fn take(&mut self, buffer: usize, bytes: usize) {
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
        slices[slice] = Slice { bytes, state: State::Used(buffer) };
        if left > 0 {
            slices.insert(slice + 1, Slice { bytes: left, state: State::Free });
        }
        self.places.insert(buffer, page);
    }

    /// Frees a buffer's place, if it is in this pool.
    pub fn give(&mut self, buffer: usize) {
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
