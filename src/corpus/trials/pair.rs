//! Two words and a label in eight bytes.

/// Numbers of words are below this.
pub(super) const LIMIT: u32 = 1 << 31;

/// A trial as the numbers of its words, or of its speakers, and its label, if known.
///
/// Pairs are ordered by their numbers, then by their labels: none, nontarget, target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair(u64);

impl Pair {
    /// A pair of numbers below 2^31.
    pub fn new(enroll: u32, test: u32, label: Option<bool>) -> Self {
        debug_assert!(enroll < LIMIT && test < LIMIT, "{enroll} {test}");
        Self(u64::from(enroll) << 33 | u64::from(test) << 2 | label.map_or(0, code))
    }

    /// The number of the enrollment side.
    pub fn enroll(self) -> u32 {
        (self.0 >> 33) as u32
    }

    /// The number of the test side.
    pub fn test(self) -> u32 {
        (self.0 >> 2) as u32 % LIMIT
    }

    /// Both numbers as one.
    pub fn numbers(self) -> u64 {
        self.0 >> 2
    }

    /// True for a target trial, if the label is known.
    pub fn label(self) -> Option<bool> {
        (self.0 & 2 != 0).then_some(self.0 & 1 != 0)
    }

    /// Whether this is a target trial. A trial without a label is not.
    pub fn is_target(self) -> bool {
        self.0 & 1 != 0
    }

    /// The same numbers with a label.
    pub fn labelled(self, target: bool) -> Self {
        Self((self.0 & !3) | code(target))
    }
}

fn code(target: bool) -> u64 {
    2 + u64::from(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_what_they_are_made_of() {
        let (most, labels) = (LIMIT - 1, [None, Some(false), Some(true)]);
        for (enroll, test) in [(0, 0), (most, 0), (0, most), (most, most), (5, 7)] {
            let pairs = labels.map(|label| Pair::new(enroll, test, label));
            assert!(pairs.iter().all(|p| (p.enroll(), p.test()) == (enroll, test)), "{pairs:?}");
            assert_eq!(pairs.map(Pair::label), labels);
            assert_eq!(pairs.map(Pair::is_target), [false, false, true]);
            assert!(pairs.is_sorted() && pairs.iter().all(|p| p.numbers() == pairs[0].numbers()));
            assert_eq!([pairs[0].labelled(true), pairs[2].labelled(false)], [pairs[2], pairs[1]]);
        }
        assert!(Pair::new(1, 0, None) > Pair::new(0, most, Some(true)));
        assert_eq!(size_of::<Pair>(), 8);
    }
}
