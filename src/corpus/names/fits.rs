//! How many places fit a name: one, or several.

use std::collections::HashMap;

use crate::error::Result;

/// The places that fit a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fits {
    One(usize),
    Several(usize, usize),
}

impl Fits {
    /// All of these places, if there are any.
    pub fn all(mut places: impl Iterator<Item = usize>) -> Option<Self> {
        let first = Self::One(places.next()?);
        Some(places.fold(first, Self::and))
    }

    fn and(self, other: usize) -> Self {
        match self {
            Self::One(place) if place != other => Self::Several(place, other),
            same => same,
        }
    }
}

/// Adds a place that fits a name.
pub(super) fn insert<'a>(map: &mut HashMap<&'a str, Fits>, name: &'a str, place: usize) {
    map.entry(name).and_modify(|fits| *fits = fits.and(place)).or_insert(Fits::One(place));
}

/// The only place that fits, if any does. The error is two that do.
pub(super) fn one(fits: Option<Fits>) -> Result<Option<usize>, (usize, usize)> {
    match fits {
        None => Ok(None),
        Some(Fits::One(place)) => Ok(Some(place)),
        Some(Fits::Several(a, b)) => Err((a, b)),
    }
}
