//! The bytes of a file, and of a part of it.

use std::cell::Cell;

/// A whole file.
///
/// In a sound file no two structures share bytes, so that all blocks together are no longer than
/// the file. [`block`](Self::block) refuses more. This bounds time and memory whatever sizes,
/// addresses and circles a file claims.
pub(super) struct File<'a> {
    bytes: &'a [u8],
    left: Cell<usize>,
}

impl<'a> File<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, left: Cell::new(bytes.len()) }
    }

    /// `count` bytes at an address, which no other block may hold.
    pub fn block(&self, address: u64, count: u64) -> Result<Cursor<'a>, String> {
        let block = self.peek(address, count)?;
        let left = self.left.get().checked_sub(block.0.len()).ok_or("its parts overlap")?;
        self.left.set(left);
        Ok(block)
    }

    /// `count` bytes at an address, to find out how long the block there is.
    pub fn peek(&self, address: u64, count: u64) -> Result<Cursor<'a>, String> {
        let place = |n: u64| usize::try_from(n).ok();
        let range = place(address).zip(address.checked_add(count).and_then(place));
        let bytes = range.and_then(|(begin, end)| self.bytes.get(begin..end));
        bytes
            .map(Cursor)
            .ok_or_else(|| format!("{count} bytes at {address} are not within the file"))
    }

    /// Refuses a file that is to be longer than it is.
    pub fn check_end(&self, end: u64) -> Result<(), String> {
        match end <= self.bytes.len() as u64 {
            true => Ok(()),
            false => Err(format!("of its {end} bytes there are {}", self.bytes.len())),
        }
    }
}

/// What is left of a part of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let split = usize::try_from(count).ok().and_then(|count| self.0.split_at_checked(count));
        let (taken, rest) = split.ok_or("a part of it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn skip(&mut self, count: u64) -> Result<(), String> {
        self.take(count).map(|_| ())
    }

    /// A number of at most 8 bytes.
    pub fn number(&mut self, width: u64) -> Result<u64, String> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte)))
    }

    /// `count` numbers of `width` bytes each.
    pub fn numbers(&mut self, count: u64, width: u64) -> Result<Vec<u64>, String> {
        (0..count).map(|_| self.number(width)).collect()
    }

    /// The four letters that a structure begins with.
    pub fn signature(&mut self, wanted: &str) -> Result<(), String> {
        match self.take(4)? == wanted.as_bytes() {
            true => Ok(()),
            false => Err(format!("`{wanted}` is missing")),
        }
    }
}
