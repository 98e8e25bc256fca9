//! How often something is done: after some time, or after some steps.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The shortest time.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest time, 30 days.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Most steps.
const MOST_STEPS: usize = 1_000_000_000;
/// Most digits of a time. More digits could only overflow.
const MOST_DIGITS: usize = 12;

/// An interval. As text: `15min`, `90s`, `2h`, `500 steps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// A time, from a second to 30 days.
    Time(Duration),
    /// A number of steps, from 1 to 10^9.
    Steps(usize),
}

impl FromStr for Every {
    type Err = String;

    /// Reads the text; an error lists the accepted forms.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix("steps").or_else(|| text.strip_suffix("step"));
        let every = match number {
            Some(number) => steps(number.trim()).map(Self::Steps),
            None => time(text).map(Self::Time),
        };
        every.ok_or_else(|| {
            format!(
                "must be 1s to 30days, as in \"15min\", or 1 to {MOST_STEPS} steps, as in \
                 \"500 steps\""
            )
        })
    }
}

fn steps(number: &str) -> Option<usize> {
    number.parse().ok().filter(|n| (1..=MOST_STEPS).contains(n))
}

fn time(text: &str) -> Option<Duration> {
    if text.chars().filter(char::is_ascii_digit).count() > MOST_DIGITS {
        return None;
    }
    humantime::parse_duration(text).ok().filter(|time| (SHORTEST..=LONGEST).contains(time))
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => write!(f, "{}", humantime::format_duration(*time)),
            Self::Steps(steps) => write!(f, "{steps} steps"),
        }
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl Visitor<'_> for Words {
            type Value = Every;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"15min\" or steps such as \"500 steps\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Every, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Words)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::train::Recipe;

    const SMALL: &str = "[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"resnet18\"\n";

    fn recipe(line: &str) -> crate::error::Result<Recipe> {
        Recipe::parse(&format!("{SMALL}[train]\n{line}\n"), Path::new("r.toml"), &[])
    }

    #[test]
    fn times_and_steps_are_read_and_written() {
        let seconds = |n| Every::Time(Duration::from_secs(n));
        for (text, every, written) in [
            ("15min", seconds(900), "15m"),
            ("90s", seconds(90), "1m 30s"),
            ("2h", seconds(7200), "2h"),
            ("1h 30min", seconds(5400), "1h 30m"),
            ("30days", seconds(2_592_000), "30days"),
            ("1500ms", Every::Time(Duration::from_millis(1500)), "1s 500ms"),
            ("500 steps", Every::Steps(500), "500 steps"),
            ("1 step", Every::Steps(1), "1 steps"),
            ("1000000000steps", Every::Steps(1_000_000_000), "1000000000 steps"),
        ] {
            let read = recipe(&format!("checkpoint_every = \"{text}\"")).unwrap();
            assert_eq!(read.train.checkpoint_every, every, "{text}");
            assert_eq!(every.to_string(), written);
            assert_eq!(written.parse::<Every>(), Ok(every));
            assert_eq!(Recipe::parse(&read.to_toml(), Path::new("again.toml"), &[]).unwrap(), read);
        }
        let default = recipe("").unwrap().train;
        assert_eq!((default.checkpoint_every, default.keep), (seconds(900), 2));
        let set = ["train.checkpoint_every=500 steps".to_owned(), "train.keep=5".to_owned()];
        let train = Recipe::parse(SMALL, Path::new("r.toml"), &set).unwrap().train;
        assert_eq!((train.checkpoint_every, train.keep), (Every::Steps(500), 5));
    }

    #[test]
    fn anything_else_is_an_error_at_its_line() {
        let fails = |value: &str, wanted: &str| {
            let error =
                recipe(&format!("epochs = 3\ncheckpoint_every = {value}")).unwrap_err().to_string();
            assert!(error.starts_with("r.toml:8: ") && error.contains(wanted), "{error}");
            assert!(error.contains("train.checkpoint_every"), "{error}");
        };
        for text in [
            "",
            "often",
            "15",
            "0",
            "0s",
            "999ms",
            "31days",
            "-1min",
            "15 min utes",
            "0 steps",
            "-1 steps",
            "1.5 steps",
            "steps",
            "1000000001 steps",
            "99999999999999999999 steps",
            "99999999999999999999s",
            "18446744073709551615s 1000ms",
        ] {
            fails(
                &format!("\"{text}\""),
                &format!("train.checkpoint_every = \"{text}\": must be 1s to 30days"),
            );
        }
        fails("500", "500");
        fails("true", "a time such as");
        let error = recipe("keep = 0").unwrap_err().to_string();
        assert_eq!(error, "r.toml:7: train.keep = 0: must be 1 to 1000");
        let change = ["train.checkpoint_every=1ms".to_owned()];
        let error = Recipe::parse(SMALL, Path::new("r.toml"), &change).unwrap_err().to_string();
        assert!(
            error.starts_with("r.toml: with override: train.checkpoint_every = \"1ms\": must be"),
            "{error}"
        );
    }
}
