//! Trial lists: `label enroll test` (VoxCeleb) or `enroll test label` (Kaldi) a line. Labels are 1
//! and 0, or words such as target and nontarget.
//!
//! Ids may look like labels. In a line with labels at both ends, a word is the label rather than a
//! number. Two words or two numbers leave it to the other lines of the list, if these all have the
//! label at one end. Otherwise equal labels are taken for VoxCeleb's form, and opposite ones are an
//! error.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::path::Path;

use super::Names;
use crate::error::{Error, Result};
use crate::fs;
use crate::scoring::{label_name, parse_label};

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

/// Where a line has its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    First,
    Last,
}

/// The labels at both ends of a line.
fn ends(first: &str, last: &str) -> (Option<bool>, Option<bool>) {
    (parse_label(first), parse_label(last))
}

fn is_number(label: &str) -> bool {
    matches!(label, "0" | "1")
}

/// The form of a line by itself; none if both ends could be the label, or neither.
fn form_of(first: &str, last: &str) -> Option<Form> {
    match ends(first, last) {
        (Some(_), None) => Some(Form::First),
        (None, Some(_)) => Some(Form::Last),
        (Some(_), Some(_)) => match (is_number(first), is_number(last)) {
            (true, false) => Some(Form::Last),
            (false, true) => Some(Form::First),
            _ => None,
        },
        (None, None) => None,
    }
}

/// The form of all lines that have one by themselves.
fn form_of_all(text: &str) -> Option<Form> {
    let mut all = None;
    for line in text.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[first, _, last] = fields.as_slice() else { continue };
        match (all, form_of(first, last)) {
            (None, form) => all = form,
            (Some(a), Some(b)) if a != b => return None,
            _ => {}
        }
    }
    all
}

/// Reads a trial list; the label may come first, last or not at all.
///
/// # Errors
/// The first bad line, and a trial that has two labels.
pub fn read_trials(path: impl AsRef<Path>) -> Result<Vec<Trial>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path)?;
    let usual = LazyCell::new(|| form_of_all(&text));
    let mut labels: HashMap<(&str, &str), (bool, usize)> = HashMap::new();
    let mut trials = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let bad = |message: String| Error::line(path, i + 1, message);
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (target, enroll, test) = match fields[..] {
            [] => continue,
            [a, b] if parse_label(a).is_none() && (parse_label(b).is_none() || is_number(b)) => (None, a, b),
            [a, b, c] => match (form_of(a, c).or_else(|| *usual), ends(a, c)) {
                (_, (None, None)) => {
                    return Err(bad(format!("neither `{a}` nor `{c}` is a label (1 or target, 0 or nontarget)")));
                }
                (Some(Form::Last), (_, label)) => (label, a, b),
                (None, (first, last)) if first != last => {
                    let message = format!("`{a}` and `{c}` could both be the label, and they contradict each other");
                    return Err(bad(message));
                }
                (_, (label, _)) => (label, b, c),
            },
            _ => return Err(bad(format!("{} field(s); wanted `label enroll test`", fields.len()))),
        };
        if let Some(label) = target
            && let Some((other, first)) = labels.insert((enroll, test), (label, i + 1))
            && other != label
        {
            let (now, then) = (label_name(label), label_name(other));
            return Err(bad(format!("trial {enroll} {test} is {now} here and {then} in line {first}")));
        }
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

/// Places of the two sides of a trial.
pub type Sides = (usize, usize);

/// Places of both sides of each trial of `list`, found as [`Names`] says, with the note of
/// [`super::Resolved`].
///
/// # Errors
/// At its line: a side that is no utterance or could be several.
pub fn resolve(list: &Path, trials: &[Trial], names: &Names) -> Result<(Vec<Sides>, Option<String>)> {
    let words = trials.iter().flat_map(|t| [(t.enroll.as_str(), t.line), (t.test.as_str(), t.line)]);
    let resolved = names.resolve(list, words)?;
    Ok((resolved.places.chunks_exact(2).map(|sides| (sides[0], sides[1])).collect(), resolved.note))
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

    /// Label, enrollment and test of each line: `+ a b`.
    fn shown(text: &str) -> String {
        let sign = |t: &Trial| t.target.map_or("?", |label| if label { "+" } else { "-" });
        let trials = read(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        trials.iter().map(|t| format!("{} {} {}", sign(t), t.enroll, t.test)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn both_forms_are_read() {
        let a = read("1 x/a.wav y/b.wav\n0 x/a.wav z/c.wav\n").unwrap();
        let b = read("x/a.wav y/b.wav target\nx/a.wav z/c.wav nontarget\n").unwrap();
        assert_eq!(a, b);
        assert_eq!(shown("1 x/a.wav y/b.wav\r\n\r\nx\tz\timp \r\n"), "+ x/a.wav y/b.wav, - x z");
        assert_eq!(shown("TGT a b\na c Different\nsame a d\n"), "+ a b, - a c, + a d");
        assert_eq!(shown("a b\n2 1\n"), "? a b, ? 2 1");
    }

    #[test]
    fn ids_that_look_like_labels_are_ids() {
        // A word rather than a number, whatever it says.
        assert_eq!(shown("1 0 target\n0 1 nontarget\n1 5 nontarget\nimp 7 0\n"), "+ 1 0, - 0 1, - 1 5, - 7 0");
        // The other lines tell.
        assert_eq!(shown("1 5 0\n0 5 7\n"), "+ 5 0, - 5 7");
        assert_eq!(shown("1 5 0\n7 5 1\n"), "- 1 5, + 7 5");
        assert_eq!(shown("same a diff\nsame a b\n"), "+ a diff, + a b");
        // Nothing tells, and it does not matter.
        assert_eq!(shown("1 0 1\n0 5 0\n"), "+ 0 1, - 5 0");
        for (text, wanted) in [
            ("1 5 0\n", ":1: `1` and `0` could both be the label"),
            ("a b 1\n0 a c\n1 5 0\n", ":3: `1` and `0` could both"),
            ("a b target\ntarget b nontarget\nnontarget b a\n", ":2: `target` and `nontarget` could both"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn bad_lines_are_named() {
        for (text, wanted) in [
            ("1 a b\n1 a\n", ":2: 2 field(s)"),
            ("a b\na target\n", ":2: 2 field(s)"),
            ("a b c\n", ":1: neither"),
            ("1 a b c\n", ":1: 4 field(s)"),
            ("", "no trials"),
            ("1 a b\n0 a c\n\n0 a b\n", ":4: trial a b is nontarget here and target in line 1"),
            ("a b\n0 a b\na b target\n", ":3: trial a b is target here and nontarget in line 2"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        // A trial that stands twice is no contradiction, and neither are its sides exchanged.
        assert_eq!(shown("1 a b\n1 a b\n0 b a\n"), "+ a b, + a b, - b a");
    }

    #[test]
    fn sides_become_places() {
        let trials = read("1 p/a.wav b\n0 a c\n").unwrap();
        let names = Names::new("e", ["a", "b"]);
        let fails = |trials: &[Trial]| resolve(Path::new("t"), trials, &names).unwrap_err().to_string();
        assert!(fails(&trials[1..]).starts_with("t:2: unknown utterance `c`"));
        assert!(fails(&trials[..1]).starts_with("t:1: unknown utterance `p/a.wav`; `a` of e may be another"));
        let trials = read("1 a.wav b\n").unwrap();
        assert_eq!(resolve(Path::new("t"), &trials, &names).unwrap(), (vec![(0, 1)], None));
        let trials = read("1 p/a.wav p/b.wav\n0 p/b.wav p/a.wav\n").unwrap();
        let (places, note) = resolve(Path::new("t"), &trials, &names).unwrap();
        assert_eq!(places, [(0, 1), (1, 0)]);
        assert!(note.unwrap().contains("by last name"));
    }
}
