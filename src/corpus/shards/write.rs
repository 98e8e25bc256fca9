//! Writes tar files.

use std::io::{self, Write};

use super::header::{BLOCK, of_file};

/// A tar file in the making.
pub(super) struct Writer<'a> {
    out: &'a mut dyn Write,
    at: u64,
}

impl<'a> Writer<'a> {
    /// An empty tar file.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, at: 0 }
    }

    /// Adds a file. Returns the place of its content.
    ///
    /// # Errors
    /// A write that failed.
    pub fn add(&mut self, name: &str, content: &[u8]) -> io::Result<u64> {
        let length = content.len() as u64;
        self.put(&of_file(name, length))?;
        let place = self.at;
        self.put(content)?;
        let padding = length.next_multiple_of(BLOCK) - length;
        self.put(&[0; BLOCK as usize][..padding as usize])?;
        Ok(place)
    }

    /// Ends the tar file. Returns its length in bytes.
    ///
    /// # Errors
    /// A write that failed.
    pub fn finish(mut self) -> io::Result<u64> {
        self.put(&[0; 2 * BLOCK as usize])?;
        Ok(self.at)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}
