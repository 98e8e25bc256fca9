//! Trial lists: `label enroll test` (VoxCeleb) or `enroll test label` (Kaldi) a line, labels 1/0 or target/nontarget.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;
use crate::scoring::parse_label;

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Enrollment utterance, as the list names it.
    pub enroll: String,
    /// Test utterance, as the list names it.
    pub test: String,
    /// True for the same speaker, if the list says.
    pub target: Option<bool>,
    /// Line, from 1.
    pub line: usize,
}

/// Reads a trial list; the label may come first, last or not at all.
pub fn read_trials(path: impl AsRef<Path>) -> Result<Vec<Trial>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path)?;
    let mut trials = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (target, enroll, test) = match fields[..] {
            [] => continue,
            [a, b] if parse_label(a).is_none() => (None, a, b),
            [a, b, c] => match (parse_label(a), parse_label(c)) {
                // Ids may be `0` or `1`; a label in words settles it.
                (Some(_), Some(label)) if c.len() > 1 => (Some(label), a, b),
                (Some(label), _) => (Some(label), b, c),
                (None, Some(label)) => (Some(label), a, b),
                (None, None) => {
                    let message = format!("neither `{a}` nor `{c}` is a label (1 or target, 0 or nontarget)");
                    return Err(Error::line(path, i + 1, message));
                }
            },
            _ => {
                let message = format!("{} field(s); wanted `label enroll test`", fields.len());
                return Err(Error::line(path, i + 1, message));
            }
        };
        trials.push(Trial { enroll: enroll.to_owned(), test: test.to_owned(), target, line: i + 1 });
    }
    if trials.is_empty() {
        return Err(Error::file(path, "holds no trials"));
    }
    Ok(trials)
}

/// Writes a list in VoxCeleb's form (atomically). Every trial must have a label.
pub fn write_trials(path: impl AsRef<Path>, trials: &[Trial]) -> Result<()> {
    let mut text = String::new();
    for t in trials {
        let label =
            t.target.ok_or_else(|| Error::file(&path, format!("trial {} {} has no label", t.enroll, t.test)))?;
        text += &format!("{} {} {}\n", u8::from(label), t.enroll, t.test);
    }
    fs::write_bytes(path, text.as_bytes())
}

/// Places of both sides of each trial. A side is found by its name among `names`, or, when it is a path, by the path's stem.
/// `names` gives the place of an id or of a listed path. An unknown side is an error at its line.
pub fn resolve(list: &Path, trials: &[Trial], names: &HashMap<&str, usize>) -> Result<Vec<(usize, usize)>> {
    let find = |word: &str, line: usize| {
        names
            .get(word)
            .or_else(|| Path::new(word).file_stem().and_then(|s| s.to_str()).and_then(|s| names.get(s)))
            .copied()
            .ok_or_else(|| Error::line(list, line, format!("unknown utterance `{word}`")))
    };
    trials.iter().map(|t| Ok((find(&t.enroll, t.line)?, find(&t.test, t.line)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Trial>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trials");
        std::fs::write(&path, text).unwrap();
        read_trials(path)
    }

    #[test]
    fn both_forms_are_read() {
        let a = read("1 x/a.wav y/b.wav\n0 x/a.wav z/c.wav\n").unwrap();
        let b = read("x/a.wav y/b.wav target\nx/a.wav z/c.wav nontarget\n").unwrap();
        assert_eq!(a, b);
        assert_eq!(a[1].target, Some(false));
        let numbered = read("1 0 target\n0 1 nontarget\n").unwrap();
        assert_eq!((numbered[0].enroll.as_str(), numbered[0].target), ("1", Some(true)));
        assert_eq!((numbered[1].test.as_str(), numbered[1].target), ("1", Some(false)));
        assert_eq!(read("a b\n").unwrap()[0].target, None);
    }

    #[test]
    fn bad_lines_and_unknown_utterances_are_named() {
        for (text, wanted) in [
            ("1 a b\n1 a\n", ":2: 2 field(s)"),
            ("a b c\n", ":1: neither"),
            ("1 a b c\n", ":1: 4 field(s)"),
            ("", "no trials"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let trials = read("1 p/a.wav b\n0 a c\n").unwrap();
        let names = HashMap::from([("a", 0), ("b", 1)]);
        let error = resolve(Path::new("t"), &trials, &names).unwrap_err().to_string();
        assert_eq!(error, "t:2: unknown utterance `c`");
        assert_eq!(resolve(Path::new("t"), &trials[..1], &names).unwrap(), [(0, 1)]);
    }
}
