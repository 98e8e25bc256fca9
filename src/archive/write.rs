//! Arrays in an archive's bytes.

use std::io::{self, Write};

use super::array::View;
use super::binary::BINARY;
use crate::bytes::from_f32;

/// So many values become bytes at a time.
const CHUNK: usize = 2048;

/// A writer that knows how many bytes were written.
pub(super) struct Counting<'a> {
    out: &'a mut dyn Write,
    pub count: u64,
}

impl<'a> Counting<'a> {
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, count: 0 }
    }

    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.count += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// Writes an array.
pub(super) fn array(out: &mut Counting, view: &View, text: bool) -> io::Result<()> {
    match text {
        true => as_text(out, view),
        false => as_binary(out, view),
    }
}

fn as_binary(out: &mut Counting, view: &View) -> io::Result<()> {
    out.bytes(BINARY)?;
    let values = match *view {
        View::Vector(values) => {
            out.text("FV ")?;
            size(out, values.len())?;
            values
        }
        View::Matrix { values, columns } => {
            out.text("FM ")?;
            size(out, values.len().checked_div(columns).unwrap_or(0))?;
            size(out, if values.is_empty() { 0 } else { columns })?;
            values
        }
    };
    values.chunks(CHUNK).try_for_each(|chunk| out.bytes(&from_f32(chunk)))
}

/// A size behind its own number of bytes.
fn size(out: &mut Counting, size: usize) -> io::Result<()> {
    let size = i32::try_from(size).map_err(|_| {
        io::Error::other(format!("an array of {size} rows or columns; archives allow {}", i32::MAX))
    })?;
    out.bytes(&[4])?;
    out.bytes(&size.to_le_bytes())
}

fn as_text(out: &mut Counting, view: &View) -> io::Result<()> {
    match *view {
        View::Vector(values) => {
            out.text(" [ ")?;
            row(out, values)?;
        }
        View::Matrix { values, columns } => {
            out.text(" [")?;
            for values in values.chunks(columns.max(1)) {
                out.text("\n  ")?;
                row(out, values)?;
            }
            if values.is_empty() {
                out.text("\n ")?;
            }
        }
    }
    out.text("]\n")
}

/// The shortest digits that give the same values again.
fn row(out: &mut Counting, values: &[f32]) -> io::Result<()> {
    values.iter().try_for_each(|x| out.text(&format!("{x:?} ")))
}
