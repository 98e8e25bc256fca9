//! Rayon's API on one thread: a page's worker has no other. Rayon itself would be a sixth of the
//! program, to find that out.
//!
//! It has what revox uses, and the neighbours of that. Iterators are a type of their own, [`Par`],
//! and not those of the standard library, whose methods of the same names mean other things:
//! `reduce`, for one, takes no identity there. So what is missing here does not compile; it never
//! means something else. Results are those of Rayon with one thread.

#![deny(missing_docs)]

use std::cmp::Ordering;
use std::iter::{self, Sum};
use std::slice::{Chunks, ChunksExact, ChunksExactMut, ChunksMut, Windows};

/// The traits that have to be in scope.
pub mod prelude {
    pub use crate::{
        IntoParallelIterator, IntoParallelRefIterator, IntoParallelRefMutIterator, ParallelExtend,
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

/// Runs `a`, then `b`.
pub fn join<A, B>(a: impl FnOnce() -> A, b: impl FnOnce() -> B) -> (A, B) {
    (a(), b())
}

/// A parallel iterator, on one thread: in order.
pub struct Par<I>(I);

/// Each is Rayon's method of this name.
#[allow(missing_docs)]
impl<I: Iterator> Par<I> {
    pub fn map<R>(self, each: impl Fn(I::Item) -> R) -> Par<impl Iterator<Item = R>> {
        Par(self.0.map(each))
    }

    /// The value is made once, as Rayon makes it for each thread's share.
    pub fn map_init<T, R>(
        self,
        init: impl Fn() -> T,
        each: impl Fn(&mut T, I::Item) -> R,
    ) -> Par<impl Iterator<Item = R>> {
        let mut value = init();
        Par(self.0.map(move |item| each(&mut value, item)))
    }

    pub fn filter(self, is_kept: impl Fn(&I::Item) -> bool) -> Par<impl Iterator<Item = I::Item>> {
        Par(self.0.filter(is_kept))
    }

    pub fn filter_map<R>(
        self,
        each: impl Fn(I::Item) -> Option<R>,
    ) -> Par<impl Iterator<Item = R>> {
        Par(self.0.filter_map(each))
    }

    pub fn flat_map_iter<R: IntoIterator>(
        self,
        each: impl Fn(I::Item) -> R,
    ) -> Par<impl Iterator<Item = R::Item>> {
        Par(self.0.flat_map(each))
    }

    pub fn enumerate(self) -> Par<iter::Enumerate<I>> {
        Par(self.0.enumerate())
    }

    pub fn zip<Z: IntoParallelIterator>(self, other: Z) -> Par<iter::Zip<I, Z::Iter>> {
        Par(self.0.zip(other.into_par_iter().0))
    }

    /// Itself: nothing is cut into tasks.
    pub fn with_min_len(self, _least: usize) -> Self {
        self
    }

    pub fn for_each(self, each: impl Fn(I::Item)) {
        self.0.for_each(each);
    }

    /// The value is made once, as [`map_init`](Self::map_init) makes it.
    pub fn for_each_init<T>(self, init: impl Fn() -> T, each: impl Fn(&mut T, I::Item)) {
        let mut value = init();
        self.0.for_each(|item| each(&mut value, item));
    }

    pub fn try_for_each<E>(mut self, each: impl Fn(I::Item) -> Result<(), E>) -> Result<(), E> {
        self.0.try_for_each(each)
    }

    pub fn reduce(
        self,
        identity: impl Fn() -> I::Item,
        both: impl Fn(I::Item, I::Item) -> I::Item,
    ) -> I::Item {
        self.0.fold(identity(), both)
    }

    pub fn sum<S: Sum<I::Item>>(self) -> S {
        self.0.sum()
    }

    pub fn count(self) -> usize {
        self.0.count()
    }

    pub fn min(self) -> Option<I::Item>
    where
        I::Item: Ord,
    {
        self.0.min()
    }

    pub fn max(self) -> Option<I::Item>
    where
        I::Item: Ord,
    {
        self.0.max()
    }

    pub fn any(mut self, is_so: impl Fn(I::Item) -> bool) -> bool {
        self.0.any(is_so)
    }

    pub fn all(mut self, is_so: impl Fn(I::Item) -> bool) -> bool {
        self.0.all(is_so)
    }

    pub fn collect<C: FromIterator<I::Item>>(self) -> C {
        self.0.collect()
    }

    pub fn unzip<A, B, C, D>(self) -> (C, D)
    where
        I: Iterator<Item = (A, B)>,
        C: Default + Extend<A>,
        D: Default + Extend<B>,
    {
        self.0.unzip()
    }
}

#[allow(missing_docs)]
impl<'a, T: 'a, I: Iterator<Item = &'a T>> Par<I> {
    pub fn copied(self) -> Par<iter::Copied<I>>
    where
        T: Copy,
    {
        Par(self.0.copied())
    }

    pub fn cloned(self) -> Par<iter::Cloned<I>>
    where
        T: Clone,
    {
        Par(self.0.cloned())
    }
}

/// What becomes a parallel iterator.
pub trait IntoParallelIterator {
    /// What it goes through.
    type Iter: Iterator;
    /// The iterator.
    fn into_par_iter(self) -> Par<Self::Iter>;
}

impl<I: IntoIterator> IntoParallelIterator for I {
    type Iter = I::IntoIter;

    fn into_par_iter(self) -> Par<I::IntoIter> {
        Par(self.into_iter())
    }
}

impl<I: Iterator> IntoParallelIterator for Par<I> {
    type Iter = I;

    fn into_par_iter(self) -> Self {
        self
    }
}

/// What has a parallel iterator over references.
pub trait IntoParallelRefIterator<'a> {
    /// What it goes through.
    type Iter;
    /// The iterator.
    fn par_iter(&'a self) -> Par<Self::Iter>;
}

impl<'a, C: ?Sized + 'a> IntoParallelRefIterator<'a> for C
where
    &'a C: IntoIterator,
{
    type Iter = <&'a C as IntoIterator>::IntoIter;

    fn par_iter(&'a self) -> Par<Self::Iter> {
        Par(self.into_iter())
    }
}

/// What has a parallel iterator over references that change it.
pub trait IntoParallelRefMutIterator<'a> {
    /// What it goes through.
    type Iter;
    /// The iterator.
    fn par_iter_mut(&'a mut self) -> Par<Self::Iter>;
}

impl<'a, C: ?Sized + 'a> IntoParallelRefMutIterator<'a> for C
where
    &'a mut C: IntoIterator,
{
    type Iter = <&'a mut C as IntoIterator>::IntoIter;

    fn par_iter_mut(&'a mut self) -> Par<Self::Iter> {
        Par(self.into_iter())
    }
}

/// Collections that grow.
pub trait ParallelExtend<T>: Extend<T> {
    /// As `extend`.
    fn par_extend<I: IntoParallelIterator>(&mut self, items: I)
    where
        I::Iter: Iterator<Item = T>,
    {
        self.extend(items.into_par_iter().0);
    }
}

impl<T, C: Extend<T>> ParallelExtend<T> for C {}

/// Iterators over parts of slices, each as the slice's method without `par_`.
#[allow(missing_docs)]
pub trait ParallelSlice<T> {
    fn as_parallel_slice(&self) -> &[T];

    fn par_chunks(&self, size: usize) -> Par<Chunks<'_, T>> {
        Par(self.as_parallel_slice().chunks(size))
    }

    fn par_chunks_exact(&self, size: usize) -> Par<ChunksExact<'_, T>> {
        Par(self.as_parallel_slice().chunks_exact(size))
    }

    fn par_windows(&self, size: usize) -> Par<Windows<'_, T>> {
        Par(self.as_parallel_slice().windows(size))
    }
}

impl<T> ParallelSlice<T> for [T] {
    fn as_parallel_slice(&self) -> &[T] {
        self
    }
}

/// Iterators over parts of slices that change, and sorting, each as the slice's method without
/// `par_`.
#[allow(missing_docs)]
pub trait ParallelSliceMut<T> {
    fn as_parallel_slice_mut(&mut self) -> &mut [T];

    fn par_chunks_mut(&mut self, size: usize) -> Par<ChunksMut<'_, T>> {
        Par(self.as_parallel_slice_mut().chunks_mut(size))
    }

    fn par_chunks_exact_mut(&mut self, size: usize) -> Par<ChunksExactMut<'_, T>> {
        Par(self.as_parallel_slice_mut().chunks_exact_mut(size))
    }

    fn par_sort_unstable(&mut self)
    where
        T: Ord,
    {
        self.as_parallel_slice_mut().sort_unstable();
    }

    fn par_sort_unstable_by(&mut self, order: impl Fn(&T, &T) -> Ordering) {
        self.as_parallel_slice_mut().sort_unstable_by(order);
    }

    fn par_sort_unstable_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K) {
        self.as_parallel_slice_mut().sort_unstable_by_key(key);
    }
}

impl<T> ParallelSliceMut<T> for [T] {
    fn as_parallel_slice_mut(&mut self) -> &mut [T] {
        self
    }
}
