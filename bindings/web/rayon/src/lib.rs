//! What revox uses of Rayon, on one thread: a page's worker has no other. Rayon itself would be a
//! sixth of the program, to find that out.
//!
//! Its iterators are those of the standard library.

#![deny(missing_docs)]

use std::iter::Map;
use std::slice::{Chunks, ChunksExactMut, ChunksMut, Iter, IterMut, Windows};

/// The traits that parallel iterators want in scope.
pub mod prelude {
    pub use crate::{
        IndexedParallelIterator, IntoParallelIterator, ParallelExtend, ParallelIterator,
        ParallelSlice, ParallelSliceMut,
    };
}

/// One: the caller's.
pub fn current_num_threads() -> usize {
    1
}

/// Runs `work` at once.
pub fn scope<T>(work: impl FnOnce(&()) -> T) -> T {
    work(&())
}

/// What becomes an iterator.
pub trait IntoParallelIterator: IntoIterator + Sized {
    /// The iterator.
    fn into_par_iter(self) -> Self::IntoIter {
        self.into_iter()
    }
}

impl<I: IntoIterator> IntoParallelIterator for I {}

/// What iterators of Rayon have beside those of the standard library.
pub trait ParallelIterator: Iterator + Sized {
    /// As `map`, with a value that is made once.
    fn map_init<T, R>(
        self,
        init: impl Fn() -> T,
        each: impl Fn(&mut T, Self::Item) -> R,
    ) -> Map<Self, impl FnMut(Self::Item) -> R> {
        let mut value = init();
        self.map(move |item| each(&mut value, item))
    }
}

impl<I: Iterator> ParallelIterator for I {}

/// What iterators of known length have.
pub trait IndexedParallelIterator: Iterator + Sized {
    /// Itself: nothing is cut into tasks.
    fn with_min_len(self, _least: usize) -> Self {
        self
    }
}

impl<I: Iterator> IndexedParallelIterator for I {}

/// Collections that grow.
pub trait ParallelExtend<T>: Extend<T> {
    /// As `extend`.
    fn par_extend(&mut self, items: impl IntoIterator<Item = T>) {
        self.extend(items);
    }
}

impl<T, C: Extend<T>> ParallelExtend<T> for C {}

/// An iterator with Rayon's own `reduce`.
pub struct Parts<I>(I);

impl<I: Iterator> Iterator for Parts<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }
}

impl<I: Iterator> Parts<I> {
    /// As `map`.
    pub fn map<R, F: FnMut(I::Item) -> R>(self, each: F) -> Parts<Map<I, F>> {
        Parts(self.0.map(each))
    }

    /// As `fold`, from what `identity` makes.
    pub fn reduce(
        self,
        identity: impl Fn() -> I::Item,
        both: impl Fn(I::Item, I::Item) -> I::Item,
    ) -> I::Item {
        self.0.fold(identity(), both)
    }
}

/// Iterators over slices.
pub trait ParallelSlice<T> {
    /// As `iter`.
    fn par_iter(&self) -> Iter<'_, T>;
    /// As `chunks`.
    fn par_chunks(&self, size: usize) -> Parts<Chunks<'_, T>>;
    /// As `windows`.
    fn par_windows(&self, size: usize) -> Windows<'_, T>;
}

impl<T> ParallelSlice<T> for [T] {
    fn par_iter(&self) -> Iter<'_, T> {
        self.iter()
    }

    fn par_chunks(&self, size: usize) -> Parts<Chunks<'_, T>> {
        Parts(self.chunks(size))
    }

    fn par_windows(&self, size: usize) -> Windows<'_, T> {
        self.windows(size)
    }
}

/// Iterators over slices that change them, and sorting.
pub trait ParallelSliceMut<T> {
    /// As `iter_mut`.
    fn par_iter_mut(&mut self) -> IterMut<'_, T>;
    /// As `chunks_mut`.
    fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T>;
    /// As `chunks_exact_mut`.
    fn par_chunks_exact_mut(&mut self, size: usize) -> ChunksExactMut<'_, T>;
    /// As `sort_unstable`.
    fn par_sort_unstable(&mut self)
    where
        T: Ord;
    /// As `sort_unstable_by`.
    fn par_sort_unstable_by(&mut self, order: impl Fn(&T, &T) -> std::cmp::Ordering);
    /// As `sort_unstable_by_key`.
    fn par_sort_unstable_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K);
}

impl<T> ParallelSliceMut<T> for [T] {
    fn par_iter_mut(&mut self) -> IterMut<'_, T> {
        self.iter_mut()
    }

    fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T> {
        self.chunks_mut(size)
    }

    fn par_chunks_exact_mut(&mut self, size: usize) -> ChunksExactMut<'_, T> {
        self.chunks_exact_mut(size)
    }

    fn par_sort_unstable(&mut self)
    where
        T: Ord,
    {
        self.sort_unstable();
    }

    fn par_sort_unstable_by(&mut self, order: impl Fn(&T, &T) -> std::cmp::Ordering) {
        self.sort_unstable_by(order);
    }

    fn par_sort_unstable_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K) {
        self.sort_unstable_by_key(key);
    }
}
