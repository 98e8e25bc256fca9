//! Bytes as a recipe has them: with a unit.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units, from the largest to the smallest of each kind.
const UNITS: [(&str, u64); 6] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("B", 1),
];
/// The fewest bytes, and the most.
const RANGE: std::ops::RangeInclusive<f64> = 1e6..=1e15;

/// Bytes of memory, from 1 MB to 1000 TB. As text: `11GB`, `10.5 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(pub u64);

impl FromStr for Budget {
    type Err = String;

    /// Reads the text; an error lists the accepted forms.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let bytes = unit.and_then(|(_, bytes)| {
            let number: f64 = number.trim().parse().ok()?;
            Some(number * *bytes as f64)
        });
        match bytes.filter(|bytes| RANGE.contains(bytes)) {
            Some(bytes) => Ok(Self(bytes as u64)),
            None => {
                Err("must be 1MB to 1000TB with a unit, as in \"11GB\" or \"10.5GiB\"".to_owned())
            }
        }
    }
}

impl fmt::Display for Budget {
    /// In the largest unit of which it is a multiple.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        let (name, bytes) = unit.unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / bytes)
    }
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl Visitor<'_> for Words {
            type Value = Budget;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes with a unit, as in \"11GB\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Budget, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_and_written() {
        for (text, bytes, written) in [
            ("11GB", 11_000_000_000, "11GB"),
            ("11 gb", 11_000_000_000, "11GB"),
            ("10.5GiB", 11_274_289_152, "10752MiB"),
            ("24GiB", 25_769_803_776, "24GiB"),
            ("1.5MB", 1_500_000, "1500000B"),
            ("1500000B", 1_500_000, "1500000B"),
            ("1TB", 1_000_000_000_000, "1TB"),
            ("1024GB", 1_024_000_000_000, "1024GB"),
        ] {
            let read: Budget = text.parse().unwrap();
            assert_eq!((read.0, read.to_string().as_str()), (bytes, written), "{text}");
            assert_eq!(written.parse(), Ok(read));
        }
        for bad in ["", "11", "GB", "11 apples", "-1GB", "0GB", "nanGB", "infTB", "1e9GB", "1 G B"]
        {
            let error = bad.parse::<Budget>().unwrap_err();
            assert!(error.contains("11GB"), "{bad}: {error}");
        }
    }
}
