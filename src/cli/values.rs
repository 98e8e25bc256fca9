//! Values of options: numbers in a range, sizes, names of architectures.

use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command};

use crate::audio::FbankConfig;
pub(super) use crate::bytes::counted;
use crate::error::{Error, Remedy};
use crate::fs;
use crate::nn::PoolingKind;
use crate::zoo;

/// An error in how options are put together. The program ends with exit code 2.
pub(super) fn misuse(message: impl Into<String>) -> Error {
    Error::invalid(message).with(Remedy::OtherArguments)
}

/// A number of the command line; `wanted` says which ones there are.
pub(super) fn within(text: &str, range: RangeInclusive<f64>, wanted: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if range.contains(&value) { Ok(value) } else { Err(wanted.into()) }
}

/// A whole number from `LEAST` on.
pub(super) fn at_least<const LEAST: usize>(text: &str) -> Result<usize, String> {
    let count: usize = text.parse().map_err(|_| format!("`{text}` is not a whole number"))?;
    if count >= LEAST { Ok(count) } else { Err(format!("{LEAST} or more are wanted")) }
}

/// A path that `check` does not refuse.
pub(super) fn path<E>(check: fn(&Path) -> Result<(), E>) -> impl TypedValueParser<Value = PathBuf>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    PathBufValueParser::new().try_map(move |path: PathBuf| check(&path).map(|()| path))
}

/// Refuses a drawing under a name that promises another format than SVG.
pub(super) fn svg(path: &Path) -> Result<(), String> {
    match ends_in(path, "svg") || fs::is_stdout(path) {
        true => Ok(()),
        false => Err("the drawing is SVG; give a name that ends in .svg".into()),
    }
}

/// Whether a path has this ending, in small letters or capitals.
pub(super) fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending))
}

/// Units of a size by name, without regard to capitals.
type Units = [(&'static str, f64)];

const BYTES: &Units =
    &[("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("KiB", 1024.0), ("MiB", 1024.0 * 1024.0)];
const MEMORY: &Units = &[
    ("M", 1e6),
    ("MB", 1e6),
    ("MiB", 1024.0 * 1024.0),
    ("G", 1e9),
    ("GB", 1e9),
    ("GiB", 1024.0 * 1024.0 * 1024.0),
    ("TB", 1e12),
];
const COUNTS: &Units = &[("K", 1e3), ("M", 1e6), ("G", 1e9)];

/// Bytes: `4096`, `1.9MB`, `2 MiB`.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let bytes = size(text, BYTES)?;
    match (1.0..1e12).contains(&bytes) {
        true => Ok(bytes as usize),
        false => Err("a size of at least a byte is wanted".into()),
    }
}

/// A card's memory: `11GiB`, `24 GB`.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    let bytes = size(text, MEMORY)?;
    if text.trim().parse::<f64>().is_ok() {
        return Err("the unit is missing: `11GiB`, `24GB`".into());
    }
    match (1e6..1e15).contains(&bytes) {
        true => Ok(bytes as u64),
        false => Err("1MB to 1000TB are possible".into()),
    }
}

/// A number of values: `50300000`, `50.3M`.
pub(super) fn count(text: &str) -> Result<usize, String> {
    let count = size(text, COUNTS)?;
    match (1.0..1e10).contains(&count) {
        true => Ok(count.round() as usize),
        false => Err("1 to 10G".into()),
    }
}

/// A number of mel filters that a front-end can have.
pub(super) fn mels(text: &str) -> Result<usize, String> {
    let count: usize = text.parse().map_err(|_| format!("`{text}` is not a whole number"))?;
    let range = FbankConfig::MELS;
    match range.contains(&(count as f64)) {
        true => Ok(count),
        false => Err(format!("{} to {} are possible", range.start(), range.end())),
    }
}

/// A pooling's name in model files and recipes.
pub(super) fn pooling_name(kind: PoolingKind) -> &'static str {
    kind.name()
}

/// A pooling by its name, in small letters or capitals.
pub(super) fn pooling(text: &str) -> Result<PoolingKind, String> {
    let found = PoolingKind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| PoolingKind::ALL.map(PoolingKind::name).join(", "))
}

/// A number with one of the units behind it, or with none.
fn size(text: &str, units: &Units) -> Result<f64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if number.trim().is_empty() {
        return Err(format!("a number is missing in `{text}`"));
    }
    let unit = &text[number.len()..];
    let known = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let factor = match known {
        Some(&(_, factor)) => factor,
        None if unit.is_empty() => 1.0,
        None => {
            let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
            return Err(format!("`{unit}` is none of {}", names.join(", ")));
        }
    };
    Ok(number.trim().parse::<f64>().map_err(|e| format!("`{number}`: {e}"))? * factor)
}

/// A name of an architecture. Completions offer those of the zoo. Other names pass: the library
/// refuses them with a better message.
#[derive(Debug, Clone)]
pub(super) struct ArchitectureName;

impl TypedValueParser for ArchitectureName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(zoo::names().map(PossibleValue::new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_their_units() {
        assert_eq!(bytes("1.9MB"), Ok(1_900_000));
        assert_eq!(bytes("850 kB"), Ok(850_000));
        assert_eq!((bytes("2MiB"), bytes("2mib")), (Ok(2 << 20), Ok(2 << 20)));
        assert_eq!((bytes("4096"), bytes("4096b")), (Ok(4096), Ok(4096)));
        for bad in ["", "MB", "-1MB", "1.9GB", "1.9M", "nanMB", "0", "1é"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_are_read_with_their_units() {
        assert_eq!(count("6.63M"), Ok(6_630_000));
        assert_eq!((count("17"), count("2k"), count("1G")), (Ok(17), Ok(2000), Ok(1_000_000_000)));
        assert_eq!(count("1e6"), Ok(1_000_000));
        for bad in ["", "M", "5MM", "5kB", "-1", "0", "nan", "1e12"] {
            assert!(count(bad).is_err(), "{bad}");
        }
        assert!(count("5MM").unwrap_err().contains("`MM` is none of K, M, G"));
        assert_eq!(count("x").unwrap_err(), "a number is missing in `x`");
    }

    #[test]
    fn whole_numbers_have_a_least_one() {
        assert_eq!((at_least::<1>("1"), at_least::<2>("300")), (Ok(1), Ok(300)));
        assert_eq!(at_least::<2>("1").unwrap_err(), "2 or more are wanted");
        for bad in ["", "-1", "1.5", "many"] {
            assert!(at_least::<1>(bad).unwrap_err().contains("is not a whole number"), "{bad}");
        }
    }

    #[test]
    fn paths_are_checked_by_the_parser() {
        let command = Command::new("revox");
        let parse = |name: &str| path(svg).parse_ref(&command, None, OsStr::new(name));
        for name in ["a.svg", "b/a.SVG", "-"] {
            assert_eq!(parse(name).unwrap(), PathBuf::from(name));
        }
        for name in ["a.png", "svg", ".svg"] {
            let error = parse(name).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("the drawing is SVG"), "{error}");
        }
    }

    #[test]
    fn mels_are_those_of_a_front_end() {
        assert_eq!((mels("3"), mels("1024")), (Ok(3), Ok(1024)));
        for bad in ["2", "1025", "-1", "many"] {
            assert!(mels(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn poolings_are_named_as_in_recipes() {
        for kind in PoolingKind::ALL {
            assert_eq!(pooling(pooling_name(kind)), Ok(kind));
            assert_eq!(serde_json::json!(kind), pooling_name(kind));
        }
        assert_eq!(pooling("astp-global"), Ok(PoolingKind::AstpGlobal));
        assert!(pooling("XI").unwrap_err().contains("TSTP, TAP, TSDP, ASTP, ASTP-GLOBAL"));
    }

    #[test]
    fn one_thing_is_singular() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "file")), ["0 files", "1 file", "2 files"]);
    }

    #[test]
    fn every_network_is_offered_and_every_name_is_taken() {
        let names: Vec<String> = ArchitectureName
            .possible_values()
            .into_iter()
            .flatten()
            .map(|value| value.get_name().to_owned())
            .collect();
        assert!(names.contains(&"resnet34".to_owned()), "{names:?}");
        assert!(names.contains(&"rev2-df-resnet110".to_owned()), "{names:?}");
        let command = Command::new("revox");
        let taken = ArchitectureName.parse_ref(&command, None, OsStr::new("resnet11"));
        assert_eq!(taken.unwrap(), "resnet11");
    }

    #[test]
    fn a_card_has_a_unit() {
        assert_eq!(memory("11GiB"), Ok(11 << 30));
        assert_eq!([memory("24GB"), memory("24 G")], [Ok(24_000_000_000), Ok(24_000_000_000)]);
        for (text, wanted) in [
            ("11", "the unit is missing"),
            ("0GB", "1MB to 1000TB"),
            ("99999TB", "1MB to 1000TB"),
            ("11EB", "`EB` is none of"),
            ("GB", "a number is missing"),
        ] {
            let error = memory(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
