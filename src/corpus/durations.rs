//! Seconds of speech by utterance, as Kaldi's utt2dur has them.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;

/// Reads a list with `utterance seconds` a line, in the order of its lines.
///
/// # Errors
/// A file that cannot be read; a line of other fields; seconds that are no number from 0 on; an
/// utterance in two lines; an empty list.
pub fn read_utt2dur(path: &Path) -> Result<Vec<(String, f64)>> {
    let text = fs::read_to_string(path)?;
    let (mut found, mut lines) = (Vec::new(), HashMap::new());
    for (i, line) in text.lines().enumerate() {
        let bad = |m: String| Error::line(path, i + 1, m);
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (id, seconds) = match *fields.as_slice() {
            [] => continue,
            [id, seconds] => (id, seconds),
            _ => {
                return Err(bad(format!("{} fields; wanted `utterance seconds`", fields.len())));
            }
        };
        let value = seconds.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
        let value = value.ok_or_else(|| bad(format!("`{seconds}` is no number of seconds")))?;
        if let Some(first) = lines.insert(id, i + 1) {
            return Err(bad(format!("utterance `{id}` again; it is already in line {first}")));
        }
        found.push((id.to_owned(), value));
    }
    if found.is_empty() {
        return Err(Error::file(path, "holds no durations"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("utt2dur");
        std::fs::write(&path, "b 2.5\n\na 0\n").unwrap();
        assert_eq!(read_utt2dur(&path).unwrap(), [("b".to_owned(), 2.5), ("a".to_owned(), 0.0)]);
        for (text, wanted) in [
            ("a 1\nb\n", ":2: 1 fields"),
            ("a x\n", ":1: `x` is no number of seconds"),
            ("a -1\n", ":1: `-1`"),
            ("a inf\n", ":1: `inf`"),
            ("a 1\na 1\n", ":2: utterance `a` again; it is already in line 1"),
            ("\n", "holds no durations"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_utt2dur(&path).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
