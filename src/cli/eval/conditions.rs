//! Files of conditions: what is known of utterances or speakers, a column for each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs;

/// More different values than this are no conditions.
const MOST: usize = 50;

/// First words of a line that names the columns.
const HEADS: [&str; 8] =
    ["id", "key", "name", "spk", "speaker", "utt", "utterance", "utterance_id"];

/// `[NAME=]FILE[:COLUMN]`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct By {
    /// What the condition is called.
    name: Option<String>,
    pub file: PathBuf,
    column: Option<String>,
}

/// Reads the option's value. A file whose own name has these signs is taken as it is.
pub(super) fn by(text: &str) -> Result<By, String> {
    let plain = |text: &str| !text.is_empty() && !text.contains(['/', '\\']);
    let exists = |file: &str| Path::new(file).exists();
    let (name, rest) = match text.split_once('=') {
        Some((name, rest)) if plain(name) && !exists(text) => (Some(name.to_owned()), rest),
        _ => (None, text),
    };
    let (file, column) = match rest.rsplit_once(':') {
        Some((file, column)) if plain(column) && !file.is_empty() && !exists(rest) => {
            (file, Some(column.to_owned()))
        }
        _ => (rest, None),
    };
    if file.is_empty() {
        return Err("a file is missing".into());
    }
    Ok(By { name, file: file.into(), column })
}

/// Bounds of numbers, which rise.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins(pub Vec<f64>);

/// Reads bounds with commas between them.
pub(super) fn bins(text: &str) -> Result<Bins, String> {
    let wanted = "numbers that rise are wanted, as in 2,4,8";
    let bound = |word: &str| word.trim().parse::<f64>().ok().filter(|bound| bound.is_finite());
    let bounds: Option<Vec<f64>> = text.split(',').map(bound).collect();
    bounds.filter(|bounds| bounds.is_sorted_by(|a, b| a < b)).map(Bins).ok_or_else(|| wanted.into())
}

/// A column of conditions.
#[derive(Debug, PartialEq)]
pub(super) struct Listed {
    pub name: String,
    /// The different conditions, in their order.
    pub levels: Vec<String>,
    /// The condition of each key, by its number in `levels`.
    pub of_key: Vec<u32>,
    /// Whether numbers were sorted into bins.
    pub is_binned: bool,
}

/// The columns of a file that are wanted.
pub(super) struct Table {
    pub path: PathBuf,
    /// Utterances or speakers, in the order of their lines.
    pub keys: Vec<String>,
    pub columns: Vec<Listed>,
}

impl Table {
    /// Reads a file: `key value [value...]` a line, perhaps after a line of names. `bins` are the
    /// bounds of numbers.
    pub(super) fn read(by: &By, bins: &[f64]) -> Result<Self> {
        let path = &by.file;
        let text = fs::read_to_string(path)?;
        let fields = |(i, line): (usize, &str)| {
            (i + 1, line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<String>>())
        };
        let mut lines = text.lines().enumerate().map(fields).filter(|l| !l.1.is_empty()).peekable();
        let head = lines.next_if(|l| is_head(&l.1)).map(|l| names(l.1));
        let mut width = head.as_ref().map(Vec::len);
        let (mut seen, mut rows): (HashMap<String, usize>, Vec<Vec<String>>) = Default::default();
        let mut keys = Vec::new();
        for (line, mut fields) in lines {
            let bad = |message: String| Error::line(path, line, message);
            let values = fields.split_off(1);
            let wanted = *width.get_or_insert(values.len());
            if values.is_empty() {
                return Err(bad("1 field; wanted `utterance value`".into()));
            }
            if values.len() != wanted {
                return Err(bad(format!("{} values; wanted {wanted}", values.len())));
            }
            let key = fields.remove(0);
            if let Some(first) = seen.insert(key.clone(), line) {
                return Err(bad(format!("`{key}` again; it is already in line {first}")));
            }
            keys.push(key);
            rows.push(values);
        }
        if keys.is_empty() {
            return Err(Error::file(path, "holds no conditions"));
        }
        let mut columns = Vec::new();
        for (place, name) in wanted(by, head, rows[0].len())? {
            let values: Vec<&str> = rows.iter().map(|row| row[place].as_str()).collect();
            columns.push(Listed::of(path, name, &values, bins)?);
        }
        Ok(Self { path: path.clone(), keys, columns })
    }
}

fn is_head(fields: &[String]) -> bool {
    let first = fields[0].to_ascii_lowercase();
    first.starts_with('#') || HEADS.contains(&first.as_str())
}

/// The names of the value columns in a line of names, which may begin with `#`.
fn names(mut fields: Vec<String>) -> Vec<String> {
    let key = if fields[0] == "#" { 2 } else { 1 };
    fields.split_off(key.min(fields.len()))
}

/// The places of the wanted columns among `width`, and what each is called.
fn wanted(by: &By, head: Option<Vec<String>>, width: usize) -> Result<Vec<(usize, String)>> {
    let stem = by.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = |place: usize| match &head {
        Some(names) => names[place].clone(),
        None if width == 1 => stem.clone(),
        None => format!("{stem}:{}", place + 1),
    };
    let Some(column) = &by.column else {
        return match &by.name {
            None => Ok((0..width).map(|place| (place, name(place))).collect()),
            Some(own) if width == 1 => Ok(vec![(0, own.clone())]),
            Some(own) => Err(Error::file(
                &by.file,
                format!("has {width} columns; `{own}` can be one of them: {own}=FILE:COLUMN"),
            )),
        };
    };
    let by_name = head.iter().flatten().position(|name| name == column);
    let by_number = column.parse::<usize>().ok().filter(|n| (1..=width).contains(n)).map(|n| n - 1);
    let Some(place) = by_name.or(by_number) else {
        let known = head.as_ref().map_or(String::new(), |names| format!(" ({})", names.join(", ")));
        let message = format!("has no column `{column}`; it has 1 to {width}{known}");
        return Err(Error::file(&by.file, message));
    };
    Ok(vec![(place, by.name.clone().unwrap_or_else(|| name(place)))])
}

impl Listed {
    fn of(path: &Path, name: String, values: &[&str], bins: &[f64]) -> Result<Self> {
        let number = |v: &&str| v.parse::<f64>().ok().filter(|x| !x.is_nan());
        let numbers: Option<Vec<f64>> = values.iter().map(number).collect();
        if let (Some(numbers), false) = (numbers, bins.is_empty()) {
            let bin = |x: f64| bins.partition_point(|bound| *bound <= x) as u32;
            let of_key = numbers.into_iter().map(bin).collect();
            return Ok(Self { name, levels: bin_names(bins), of_key, is_binned: true });
        }
        let mut levels: Vec<&str> = values.to_vec();
        levels.sort_unstable();
        levels.dedup();
        if levels.len() > MOST {
            let message = format!(
                "column `{name}` has {} different values, conditions are at most {MOST}; \
                 `--bins` sorts numbers",
                levels.len()
            );
            return Err(Error::file(path, message));
        }
        let place = |value: &&str| levels.partition_point(|level| level < value) as u32;
        let of_key = values.iter().map(place).collect();
        let levels = levels.iter().map(|level| (*level).to_owned()).collect();
        Ok(Self { name, levels, of_key, is_binned: false })
    }
}

/// `<2`, `2..4`, `>=4`.
fn bin_names(bins: &[f64]) -> Vec<String> {
    let (first, last) = (bins[0], bins[bins.len() - 1]);
    let between = bins.windows(2).map(|b| format!("{}..{}", b[0], b[1]));
    let ends = (format!("<{first}"), format!(">={last}"));
    std::iter::once(ends.0).chain(between).chain([ends.1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, column: Option<&str>, bins: &[f64]) -> Result<Table> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("about.txt");
        std::fs::write(&file, text).unwrap();
        Table::read(&By { name: None, file, column: column.map(str::to_owned) }, bins)
    }

    #[test]
    fn the_option_has_three_parts() {
        let of = |name: Option<&str>, file: &str, column: Option<&str>| By {
            name: name.map(str::to_owned),
            file: file.into(),
            column: column.map(str::to_owned),
        };
        for (text, wanted) in [
            ("a/spk2gender", of(None, "a/spk2gender", None)),
            ("gender=a/b", of(Some("gender"), "a/b", None)),
            ("x=a/b:2", of(Some("x"), "a/b", Some("2"))),
            ("about:device", of(None, "about", Some("device"))),
            ("a:b/c", of(None, "a:b/c", None)),
            ("a/x=y", of(None, "a/x=y", None)),
        ] {
            assert_eq!(by(text), Ok(wanted), "{text}");
        }
        assert!(by("").is_err() && by("x=").is_err());
    }

    #[test]
    fn columns_have_names_or_numbers() {
        let plain = read("a f phone\nb m desk\n\nc f desk\n", None, &[]).unwrap();
        assert_eq!(plain.keys, ["a", "b", "c"]);
        assert_eq!((plain.columns[0].name.as_str(), plain.columns.len()), ("about:1", 2));
        assert_eq!(
            (&plain.columns[0].levels[..], &plain.columns[0].of_key[..]),
            (&["f".to_owned(), "m".to_owned()][..], &[0, 1, 0][..])
        );
        let headed = "# utt sex device\na f phone\n";
        for column in ["device", "2"] {
            let found = read(headed, Some(column), &[]).unwrap();
            assert_eq!((found.columns[0].name.as_str(), found.columns.len()), ("device", 1));
        }
        assert_eq!(read("a f\n", None, &[]).unwrap().columns[0].name, "about");
    }

    #[test]
    fn numbers_are_sorted_into_bins() {
        let found = read("utt seconds sex\na 1.5 f\nb 2 m\nc 7 f\n", None, &[2.0, 4.0]).unwrap();
        assert_eq!(found.columns[0].levels, ["<2", "2..4", ">=4"]);
        assert_eq!(found.columns[0].of_key, [0, 1, 2]);
        assert_eq!([0, 1].map(|i| found.columns[i].is_binned), [true, false]);
    }

    #[test]
    fn bounds_rise() {
        assert_eq!(bins("2, 4.5,8"), Ok(Bins(vec![2.0, 4.5, 8.0])));
        assert_eq!(bins("-1"), Ok(Bins(vec![-1.0])));
        for bad in ["", "2,", "4,2", "2,2", "inf", "1,nan", "two"] {
            assert!(bins(bad).unwrap_err().contains("numbers that rise"), "{bad}");
        }
    }

    #[test]
    fn bad_files_are_named() {
        let many: String = (0..60).map(|i| format!("u{i} {i}\n")).collect();
        for (text, column, wanted) in [
            ("a f\nb\n", None, "about.txt:2: 1 field"),
            ("a f\nb m x\n", None, "about.txt:2: 2 values; wanted 1"),
            ("a f\n\na m\n", None, "about.txt:3: `a` again; it is already in line 1"),
            ("utt sex\n", None, "about.txt: holds no conditions"),
            ("utt sex\na f\n", Some("age"), "has no column `age`; it has 1 to 1 (sex)"),
            ("a f\n", Some("2"), "has no column `2`; it has 1 to 1"),
            (many.as_str(), None, "60 different values"),
        ] {
            let error = read(text, column, &[]).err().unwrap().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
