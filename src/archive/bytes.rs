//! Walks through the bytes of a file. It never goes beyond their end.

/// A place in the bytes of a file. Errors say what is wrong, and at which byte.
pub(super) struct Bytes<'a> {
    all: &'a [u8],
    /// The place, at most the number of bytes.
    pub at: usize,
}

impl<'a> Bytes<'a> {
    /// Starts at byte `at`, or at the end if that is nearer.
    pub fn new(all: &'a [u8], at: usize) -> Self {
        Self { all, at: at.min(all.len()) }
    }

    /// The bytes from the place on.
    pub fn rest(&self) -> &'a [u8] {
        &self.all[self.at..]
    }

    /// The next byte.
    pub fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// The next `count` values of `size` bytes each; `what` they are appears in the error.
    pub fn take(&mut self, count: usize, size: usize, what: &str) -> Result<&'a [u8], String> {
        let rest = self.rest();
        match count.checked_mul(size).and_then(|bytes| rest.get(..bytes)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => Err(self.wrong(&format!(
                "{what} of {count} values of {size} bytes, but {} bytes are left",
                rest.len()
            ))),
        }
    }

    /// The next four bytes.
    pub fn four(&mut self, what: &str) -> Result<[u8; 4], String> {
        self.take(1, 4, what).map(|b| [b[0], b[1], b[2], b[3]])
    }

    /// Takes bytes as long as they are `wanted`.
    pub fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// A message with the place.
    pub fn wrong(&self, message: &str) -> String {
        format!("byte {}: {message}", self.at)
    }
}

/// At most 40 characters of a text that may be long, or no text.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(160)]);
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() || bytes.len() > 160 { format!("{short}...") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_beyond_the_end() {
        let mut bytes = Bytes::new(b"abcdef", 1);
        assert_eq!(bytes.take(2, 1, "x").unwrap(), b"bc");
        for (count, size) in [(4, 1), (1, 4), (usize::MAX, 2), (usize::MAX / 2, 4)] {
            let error = bytes.take(count, size, "a vector").unwrap_err();
            assert!(error.starts_with("byte 3: a vector of "), "{error}");
            assert!(error.ends_with("but 3 bytes are left"), "{error}");
        }
        assert_eq!(bytes.take_while(|b| b < b'f'), b"de");
        assert_eq!((bytes.peek(), bytes.at), (Some(b'f'), 5));
        assert_eq!(Bytes::new(b"a", 9).peek(), None);
    }

    #[test]
    fn long_words_are_shown_in_part() {
        assert_eq!(shown(b"a key"), "a key");
        assert_eq!(shown(&[b'x'; 1000]), format!("{}...", "x".repeat(40)));
        assert_eq!(shown("\u{fc}".repeat(41).as_bytes()), format!("{}...", "\u{fc}".repeat(40)));
    }
}
