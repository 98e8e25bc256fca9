//! Lists of arrays: `key file`, `key file:offset` or `key file:offset[first:last]` a line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ark;
use super::array::Array;
use super::rows::Rows;
use crate::corpus::locate;
use crate::error::{Error, Result};
use crate::fs::{self, Mapped};

/// Most files that are open at a time. A list of a large corpus names some ten or hundred archives.
const OPEN: usize = 64;

/// A line of a list, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub key: &'a str,
    pub file: &'a str,
    offset: usize,
    rows: Option<Rows>,
}

impl<'a> Line<'a> {
    /// Takes a line apart.
    pub fn parse(line: &'a str) -> Result<Self, String> {
        let line = line.trim();
        let Some((key, rest)) = line.split_once(|c: char| c.is_ascii_whitespace()) else {
            return Err("one field; wanted `key file:offset`".into());
        };
        let mut place = rest.trim();
        if place.ends_with('|') || place.starts_with('|') {
            return Err("a command in place of a file; write its output to an archive first".into());
        }
        let mut rows = None;
        if let Some((before, range)) = place.strip_suffix(']').and_then(|p| p.rsplit_once('[')) {
            rows = Some(Rows::parse(range)?);
            place = before.trim_end();
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (file, offset) = match place.rsplit_once(':') {
            Some((file, offset)) if digits(offset) => {
                let offset = offset
                    .parse::<usize>()
                    .map_err(|_| format!("the offset {offset} is too large"))?;
                (file, offset)
            }
            _ => (place, 0),
        };
        match file.is_empty() {
            true => Err("no file; wanted `key file:offset`".into()),
            false => Ok(Self { key, file, offset, rows }),
        }
    }
}

/// The files that a list names. Some of them stay open.
#[derive(Default)]
pub(super) struct Files {
    open: HashMap<String, (Arc<Path>, Arc<Mapped>)>,
}

impl Files {
    /// The array that a line of `list` names.
    ///
    /// # Errors
    /// A file that cannot be read or has no array there. Errors do not name the line.
    pub fn array(&mut self, list: &Path, line: &Line) -> Result<Array> {
        let (path, bytes) = self.open(list, line.file)?;
        let array = ark::array(&bytes, line.offset).map(|(array, _)| array);
        let array = array.and_then(|array| match line.rows {
            Some(rows) => rows.of(array),
            None => Ok(array),
        });
        array.map_err(|e| Error::file(&*path, e))
    }

    fn open(&mut self, list: &Path, file: &str) -> Result<(Arc<Path>, Arc<Mapped>)> {
        if let Some((path, bytes)) = self.open.get(file) {
            return Ok((Arc::clone(path), Arc::clone(bytes)));
        }
        let path: PathBuf = locate(list, file);
        let bytes = Arc::new(fs::map(&path)?);
        let path: Arc<Path> = path.into();
        if self.open.len() >= OPEN {
            self.open.clear();
        }
        self.open.insert(file.to_owned(), (Arc::clone(&path), Arc::clone(&bytes)));
        Ok((path, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let line = |text| Line::parse(text).unwrap();
        let wanted = |file, offset, range: Option<&str>| Line {
            key: "u1",
            file,
            offset,
            rows: range.map(|range| Rows::parse(range).unwrap()),
        };
        assert_eq!(line("u1 a.ark:17"), wanted("a.ark", 17, None));
        assert_eq!(line(" u1\t a b.ark:0 \r"), wanted("a b.ark", 0, None));
        assert_eq!(line("u1 C:\\x.ark"), wanted("C:\\x.ark", 0, None));
        assert_eq!(line("u1 a:1.ark"), wanted("a:1.ark", 0, None));
        assert_eq!(line("u1 a.ark:5[2:9]"), wanted("a.ark", 5, Some("2:9")));
        assert_eq!(line("u1 a.ark[2:9]"), wanted("a.ark", 0, Some("2:9")));
        for (text, wanted) in [
            ("u1", "one field"),
            ("u1 :5", "no file"),
            ("u1 a.ark:99999999999999999999", "too large"),
            ("u1 copy-feats a.ark - |", "a command"),
            ("u1 a.ark:5[1]", "no range of rows"),
            ("u1 a.ark:5[0:1,0:1]", "asks for columns"),
        ] {
            let error = Line::parse(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
