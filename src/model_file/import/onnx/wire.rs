//! Fields of protobuf messages, read in place: ranges of the file, never copies.

use std::ops::Range;

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// A number of 1 to 10 bytes.
    Number(u64),
    /// Text, a message, or packed numbers.
    Bytes(Range<usize>),
    /// A number of 4 or 8 bytes.
    Fixed(Range<usize>),
}

/// A message, read field by field.
struct Message<'a> {
    content: &'a [u8],
    at: usize,
}

impl<'a> Message<'a> {
    /// The message that lies in these bytes of the content.
    fn new(content: &'a [u8], range: Range<usize>) -> Self {
        let end = range.end.min(content.len());
        Self { content: &content[..end], at: range.start.min(end) }
    }

    /// The next field with its number; nothing at the end.
    ///
    /// # Errors
    /// A field that is cut off, or of a kind that protobuf no longer has.
    fn field(&mut self) -> Result<Option<(u64, Field)>, String> {
        if self.is_read() {
            return Ok(None);
        }
        let start = self.at;
        let key = self.number()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => Field::Fixed(self.take(8)?),
            2 => {
                let length = self.number()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed(self.take(4)?),
            kind => return Err(format!("byte {start} begins a field of kind {kind}")),
        };
        match key >> 3 {
            0 => Err(format!("byte {start} begins a field without number")),
            number => Ok(Some((number, field))),
        }
    }

    /// A number in groups of 7 bits, the lowest first.
    fn number(&mut self) -> Result<u64, String> {
        let start = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.content.get(self.at).ok_or_else(|| cut(start))?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(format!("byte {start} begins a number of more than 64 bits"))
    }

    fn take(&mut self, length: u64) -> Result<Range<usize>, String> {
        let start = self.at;
        if length > (self.content.len() - start) as u64 {
            return Err(cut(start));
        }
        self.at += length as usize;
        Ok(start..self.at)
    }

    /// Whether all was read.
    fn is_read(&self) -> bool {
        self.at == self.content.len()
    }
}

fn cut(at: usize) -> String {
    format!("cut off within the field at byte {at}")
}

/// Calls `each` with every field of a message.
///
/// # Errors
/// A damaged message; those of `each`.
pub(super) fn fields(
    content: &[u8],
    range: Range<usize>,
    mut each: impl FnMut(u64, Field) -> Result<(), String>,
) -> Result<(), String> {
    let mut message = Message::new(content, range);
    while let Some((number, field)) = message.field()? {
        each(number, field)?;
    }
    Ok(())
}

/// Calls `each` with every one of a field's packed numbers.
///
/// # Errors
/// Damaged numbers; those of `each`.
pub(super) fn packed(
    content: &[u8],
    range: Range<usize>,
    mut each: impl FnMut(u64) -> Result<(), String>,
) -> Result<(), String> {
    let mut message = Message::new(content, range);
    while !message.is_read() {
        each(message.number()?)?;
    }
    Ok(())
}

/// A field's text.
///
/// # Errors
/// Bytes that are not UTF-8.
pub(super) fn text(content: &[u8], range: Range<usize>) -> Result<String, String> {
    let start = range.start;
    std::str::from_utf8(&content[range])
        .map(str::to_owned)
        .map_err(|_| format!("the text at byte {start} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u64, Field)>, String> {
        let mut all = Vec::new();
        fields(bytes, 0..bytes.len(), |number, field| {
            all.push((number, field));
            Ok(())
        })?;
        Ok(all)
    }

    /// The examples of protobuf's own description of its encoding.
    #[test]
    fn fields_are_told_apart() {
        let bytes = b"\x08\x96\x01\x12\x07testing\x1d\0\0\x80\x3f\x21\0\0\0\0\0\0\xf0\x3f";
        let wanted = [
            (1, Field::Number(150)),
            (2, Field::Bytes(5..12)),
            (3, Field::Fixed(13..17)),
            (4, Field::Fixed(18..26)),
        ];
        assert_eq!(all(bytes).unwrap(), wanted);
        let most = [&[8][..], &[0xff; 9], &[1]].concat();
        assert_eq!(all(&most).unwrap(), [(1, Field::Number(u64::MAX))]);
    }

    #[test]
    fn damaged_fields_are_refused() {
        for (bytes, wanted) in [
            (&b"\x08"[..], "cut off"),
            (b"\x08\x96", "cut off"),
            (b"\x12\x07test", "cut off"),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "cut off"),
            (b"\x1d\0\0", "cut off"),
            (b"\x0b", "kind 3"),
            (b"\x00\x01", "without number"),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "64 bits"),
        ] {
            let error = all(bytes).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
