//! Kaldi's utt2dur: the seconds of utterances.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;

/// Reads `utterance seconds` a line.
///
/// # Errors
/// A file that cannot be read; a line without exactly two fields; seconds that are no positive
/// number; an utterance in two lines.
pub(super) fn read_durations(path: &Path) -> Result<HashMap<String, f64>> {
    let text = fs::read_to_string(path)?;
    let mut seconds = HashMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        let bad = |message: String| Error::line(path, line, message);
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let (id, value) = match fields[..] {
            [] => continue,
            [id, value] => (id, value),
            _ => {
                return Err(bad(format!("{} field(s); wanted `utterance seconds`", fields.len())));
            }
        };
        let value = value.parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0);
        let value = value.ok_or_else(|| bad(format!("`{}` is no time in seconds", fields[1])))?;
        if seconds.insert(id.to_owned(), value).is_some() {
            return Err(bad(format!("utterance `{id}` again")));
        }
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_and_bad_lines_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("utt2dur");
        std::fs::write(&path, "a 1.5\n\nb\t2\n").unwrap();
        let found = read_durations(&path).unwrap();
        assert_eq!((found.len(), found["a"], found["b"]), (2, 1.5, 2.0));
        for (text, wanted) in [
            ("a 1\nb\n", ":2: 1 field(s)"),
            ("a 1 2\n", ":1: 3 field(s)"),
            ("a x\n", ":1: `x` is no time"),
            ("a 0\n", ":1: `0` is no time"),
            ("a nan\n", ":1: `nan` is no time"),
            ("a 1\na 2\n", ":2: utterance `a` again"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_durations(&path).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
