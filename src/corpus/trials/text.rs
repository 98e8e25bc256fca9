//! Text files that are read block by block, more than once if necessary.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs;

/// Bytes of a file that are in memory at a time.
const BLOCK: usize = 8 << 20;
/// Fewest bytes in memory, even if the file seems to be smaller.
const SMALL: usize = 1 << 12;

/// A list of any length.
///
/// Each pass reads the file anew. A pipe, which can be read only once, is held in memory.
pub struct Text {
    path: PathBuf,
    held: Option<Vec<u8>>,
    size: usize,
    pub(super) block: usize,
}

impl Text {
    /// Opens a file, and reads it if it is a pipe. `-` is standard input.
    ///
    /// # Errors
    /// A file that does not exist; a pipe that cannot be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let is_file = !fs::is_stdin(&path);
        let about = || std::fs::metadata(&path).map_err(|e| Error::io(&path, "read", e));
        let about = is_file.then(about).transpose()?.filter(std::fs::Metadata::is_file);
        let (held, size) = match about {
            Some(about) => (None, usize::try_from(about.len()).unwrap_or(usize::MAX)),
            None => {
                let held = fs::read(&path)?;
                let size = held.len();
                (Some(held), size)
            }
        };
        Ok(Self { path, held, size, block: BLOCK })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Calls `look` with one block of whole lines after the other, until it breaks. A byte order
    /// mark is left out.
    ///
    /// # Errors
    /// Those of `look`; a file in UTF-16; a file that cannot be read.
    pub(super) fn blocks(
        &self,
        look: &mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let unreadable = |e| Error::io(&self.path, "read", e);
        let mut source: Box<dyn Read + '_> = match &self.held {
            Some(bytes) => Box::new(bytes.as_slice()),
            None => Box::new(File::open(&self.path).map_err(unreadable)?),
        };
        let mut buffer = vec![0; self.size.saturating_add(1).max(SMALL).min(self.block)];
        let (mut filled, mut begun) = (0, false);
        loop {
            let mut ended = false;
            while filled < buffer.len() && !ended {
                match source.read(&mut buffer[filled..]) {
                    Ok(0) => ended = true,
                    Ok(n) => filled += n,
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(unreadable(e)),
                }
            }
            if !begun {
                let mark = fs::byte_order_mark(&self.path, &buffer[..filled])?;
                buffer.copy_within(mark..filled, 0);
                filled -= mark;
                begun = true;
            }
            let end = match ended {
                true => filled,
                false => buffer[..filled].iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1),
            };
            if end > 0 && look(&buffer[..end])?.is_break() || ended {
                return Ok(());
            }
            if end == 0 {
                // The line is longer than the buffer.
                buffer.resize(2 * buffer.len(), 0);
            }
            buffer.copy_within(end..filled, 0);
            filled -= end;
        }
    }

    /// Number of lines, with blank ones, plus one if the last one ends in a line break.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn count_lines(&self) -> Result<usize> {
        let mut count = 1;
        self.blocks(&mut |block| {
            count += newlines(block);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }

    /// The line (from 1) of an entry (from 0). Every line that is not blank is an entry.
    ///
    /// # Errors
    /// A file that cannot be read, or that has fewer entries.
    pub fn line_of(&self, entry: usize) -> Result<usize> {
        let (mut line, mut left, mut found) = (0, entry, false);
        self.blocks(&mut |block| {
            for text in block.split_inclusive(|&b| b == b'\n') {
                line += 1;
                if !text.iter().all(u8::is_ascii_whitespace) {
                    if left == 0 {
                        found = true;
                        return Ok(ControlFlow::Break(()));
                    }
                    left -= 1;
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if found { Ok(line) } else { Err(self.changed()) }
    }

    /// The error of a second pass that does not find what the first one found.
    pub(crate) fn changed(&self) -> Error {
        Error::file(&self.path, "has changed while it was read")
    }
}

/// Number of line breaks.
pub(super) fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], block: usize) -> (Text, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("t"), bytes).unwrap();
        (Text { block, ..Text::open(dir.path().join("t")).unwrap() }, dir)
    }

    fn blocks(text: &Text) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        text.blocks(&mut |block| {
            all.push(block.to_vec());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        all
    }

    #[test]
    fn blocks_hold_whole_lines() {
        let bytes = b"a b\nccc\n\nlong enough for two buffers\nd";
        for size in [1, 2, 3, 5, 8, 9, 100] {
            let all = blocks(&text(bytes, size).0);
            assert_eq!(all.concat(), bytes, "{size}");
            assert!(all[..all.len() - 1].iter().all(|b| b.ends_with(b"\n")), "{size}: {all:?}");
        }
        assert_eq!(blocks(&text(bytes, 5).0)[..2], [b"a b\n".to_vec(), b"ccc\n\n".to_vec()]);
        assert!(blocks(&text(b"", 8).0).is_empty());
        assert_eq!(text(bytes, 4).0.count_lines().unwrap(), 5);
    }

    #[test]
    fn a_byte_order_mark_is_left_out_and_utf_16_is_an_error() {
        for size in [3, 4, 5, 64] {
            assert_eq!(
                blocks(&text(b"\xef\xbb\xbfa\nb\xef\xbb\xbf\n", size).0).concat(),
                b"a\nb\xef\xbb\xbf\n"
            );
            let (wide, _dir) = text(b"\xff\xfea\0", size);
            let error = wide.blocks(&mut |_| panic!("no text")).unwrap_err().to_string();
            assert!(error.ends_with("is UTF-16 text; save it as UTF-8"), "{error}");
        }
        assert!(blocks(&text(b"\xef\xbb\xbf", 64).0).is_empty());
    }

    #[test]
    fn lines_are_found_by_their_entries() {
        for size in [2, 7, 100] {
            let (text, _dir) = text(b"\na\n \t\r\n\nb\nc", size);
            assert_eq!([0, 1, 2].map(|entry| text.line_of(entry).unwrap()), [2, 5, 6]);
            assert!(text.line_of(3).unwrap_err().to_string().contains("has changed"));
        }
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let error = Text::open("no/such").err().unwrap().to_string();
        assert!(error.starts_with("no/such: cannot read: "), "{error}");
        let dir = tempfile::tempdir().unwrap();
        assert!(Text::open(dir.path()).err().unwrap().to_string().contains("cannot read"));
    }

    #[test]
    #[cfg(unix)]
    fn a_pipe_is_read_once_and_seen_twice() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = {
            let pipe = pipe.clone();
            std::thread::spawn(move || std::fs::write(pipe, "a b\n\nc d\n").unwrap())
        };
        let text = Text::open(&pipe).unwrap();
        writer.join().unwrap();
        assert_eq!(text.size(), 9);
        assert_eq!(blocks(&text).concat(), b"a b\n\nc d\n");
        assert_eq!(text.line_of(1).unwrap(), 3);
    }
}
