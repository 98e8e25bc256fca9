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
        // They lie in five bytes at most.
        let rest = self.bytes.get(self.at / 8..)?;
        let word = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut last = [0; 8];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            last
        });
        let bits = u64::from_be_bytes(word) << (self.at % 8);
        self.at += width;
        // No bits are no shift.
        Some(bits.checked_shr(u64::BITS - width as u32).unwrap_or(0) as u32)
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_their_bits_in_order(
            bytes in prop::collection::vec(any::<u8>(), 0..20),
            widths in prop::collection::vec(0usize..33, 1..20),
        ) {
            let bit = |at: usize| u32::from((bytes[at / 8] >> (7 - at % 8)) & 1);
            let (mut bits, mut at) = (Bits::new(&bytes), 0);
            for width in widths {
                let is_there = at + width <= 8 * bytes.len();
                let wanted = is_there.then(|| (at..at + width).fold(0, |x, i| (x << 1) | bit(i)));
                prop_assert_eq!(bits.take(width), wanted);
                at += if is_there { width } else { 0 };
            }
        }
    }

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
