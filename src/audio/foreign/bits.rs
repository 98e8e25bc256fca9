//! Numbers of any width in bytes, the most significant bit of a byte first.

/// Reads bits.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl<'a> Bits<'a> {
    /// A reader at the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A reader at a bit.
    pub fn from(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// A number of at most 32 bits, if there are so many.
    pub fn take(&mut self, width: usize) -> Option<u32> {
        if self.at + width > 8 * self.bytes.len() {
            return None;
        }
        let mut value = 0u32;
        for at in self.at..self.at + width {
            value = (value << 1) | u32::from((self.bytes[at / 8] >> (7 - at % 8)) & 1);
        }
        self.at += width;
        Some(value)
    }

    /// Leaves out some bits, if there are so many.
    pub fn skip(&mut self, width: usize) -> Option<()> {
        self.at += width;
        (self.at <= 8 * self.bytes.len()).then_some(())
    }

    /// Goes to the next whole byte.
    pub fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_width_up_to_the_end() {
        let mut bits = Bits::new(&[0b1010_0110, 0xff, 0x01]);
        assert_eq!(bits.take(3), Some(5));
        assert_eq!(bits.take(6), Some(0b001101));
        bits.align();
        assert_eq!(bits.take(9), None);
        assert_eq!(bits.take(8), Some(1));
        assert_eq!((bits.take(0), bits.take(1), bits.skip(1)), (Some(0), None, None));
        assert_eq!(Bits::from(&[0x0f], 4).take(4), Some(15));
    }
}
