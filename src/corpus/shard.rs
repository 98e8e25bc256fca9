//! Division of a list among processes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One of equal parts of a list, for several processes or machines. The tar files of
/// [`shards`](super::shards) are something else.
///
/// Shard 3 of 16 has the entries 3, 19, 35, ... of the list, counted from 1. Lists are often sorted
/// by speaker, source or length, so neighbours go to different shards, and all shards take about as
/// long. As text, and in JSON, it is `3/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    /// From 0, and less than `count`.
    index: usize,
    count: usize,
}

impl Shard {
    /// The shard of `3/16`: the third of sixteen.
    ///
    /// # Errors
    /// Anything but two numbers, of which the first is 1 to the second.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "`{text}` is no shard: I/N is wanted, such as 3/16, I from 1 to N"
            ))
        };
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let number = |digits: &str| digits.parse::<usize>().map_err(|_| wrong());
        let (index, count) = (number(index)?, number(count)?);
        match (1..=count).contains(&index) {
            true => Ok(Self { index: index - 1, count }),
            false => Err(wrong()),
        }
    }

    /// The shard of a rank, from 0, among `size` ranks.
    ///
    /// # Panics
    /// If there is no such rank.
    pub fn of(rank: usize, size: usize) -> Self {
        assert!(rank < size, "rank {rank} of {size}");
        Self { index: rank, count: size }
    }

    /// Its number among the shards, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many shards there are.
    pub fn count(self) -> usize {
        self.count
    }

    /// Whether the entry at a place of the list, from 0, is the shard's.
    pub fn has(self, place: usize) -> bool {
        place % self.count == self.index
    }

    /// The places, from 0, of the shard's entries in a list of this length.
    pub fn indices(self, length: usize) -> impl ExactSizeIterator<Item = usize> {
        (self.index..length).step_by(self.count)
    }

    /// Leaves the shard's entries of a list.
    pub fn keep<T>(self, list: &mut Vec<T>) {
        let mut places = 0..;
        list.retain(|_| places.next().is_some_and(|place| self.has(place)));
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every entry is in one shard, shards differ by one entry at most, and a rank's shard is
        /// that of its text.
        #[test]
        fn shards_divide_a_list(length in 0usize..500, count in 1usize..40) {
            let shards: Vec<Shard> = (0..count).map(|rank| Shard::of(rank, count)).collect();
            let mut found: Vec<usize> = shards.iter().flat_map(|s| s.indices(length)).collect();
            found.sort_unstable();
            prop_assert!(found.into_iter().eq(0..length));
            for shard in &shards {
                let own: Vec<usize> = shard.indices(length).collect();
                prop_assert_eq!(own.len(), shard.indices(length).len());
                prop_assert!((length / count..=length.div_ceil(count)).contains(&own.len()));
                let mut list: Vec<usize> = (0..length).collect();
                shard.keep(&mut list);
                prop_assert_eq!(&list, &own);
                prop_assert!(own.iter().all(|&place| shard.has(place)));
                prop_assert_eq!(Shard::parse(&shard.to_string()).unwrap(), *shard);
                let json = serde_json::to_string(shard).unwrap();
                prop_assert_eq!(serde_json::from_str::<Shard>(&json).unwrap(), *shard);
            }
        }
    }

    #[test]
    fn shards_are_counted_from_one() {
        let shard = Shard::parse("3/16").unwrap();
        assert_eq!((shard.index(), shard.count(), shard.to_string()), (2, 16, "3/16".into()));
        assert_eq!(shard.indices(40).collect::<Vec<_>>(), [2, 18, 34]);
        for bad in ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1 / 4", "1/"] {
            let error = Shard::parse(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}` is no shard")), "{error}");
        }
        assert!(serde_json::from_str::<Shard>("\"5/4\"").is_err());
    }
}
