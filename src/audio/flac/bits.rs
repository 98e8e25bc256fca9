//! Numbers of any width in the bytes of a FLAC frame.

/// The error of a number that reaches beyond the last byte.
pub(super) const CUT: &str = "it ends before its last sample";

/// Reads bits, the most significant one of a byte first.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bytes of which `word` holds a bit, or held one.
    loaded: usize,
    /// The next bits, from the top. Those behind the `left` ones are zeros or the ones that follow
    /// in the file: loading them again changes nothing.
    word: u64,
    /// Bits of `word` that count, 63 at most.
    left: u32,
}

impl<'a> Bits<'a> {
    /// A reader at the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, loaded: 0, word: 0, left: 0 }
    }

    /// An unsigned number of at most 56 bits.
    ///
    /// # Errors
    /// [`CUT`].
    pub fn unsigned(&mut self, width: u32) -> Result<u64, &'static str> {
        if width == 0 {
            return Ok(0);
        }
        if self.left < width {
            self.load();
        }
        if self.left < width {
            return Err(CUT);
        }
        let value = self.word >> (u64::BITS - width);
        self.skip(width);
        Ok(value)
    }

    /// A number of at most 56 bits in two's complement.
    ///
    /// # Errors
    /// [`CUT`].
    pub fn signed(&mut self, width: u32) -> Result<i64, &'static str> {
        if width == 0 {
            return Ok(0);
        }
        let above = u64::BITS - width;
        Ok(((self.unsigned(width)? << above) as i64) >> above)
    }

    /// Counts the zeros before the next 1, and reads that 1, too.
    ///
    /// # Errors
    /// [`CUT`].
    pub fn zeros(&mut self) -> Result<u64, &'static str> {
        let mut count = 0;
        loop {
            self.load();
            if self.left == 0 {
                return Err(CUT);
            }
            let zeros = self.word.leading_zeros().min(self.left);
            count += u64::from(zeros);
            if zeros < self.left {
                self.skip(zeros + 1);
                return Ok(count);
            }
            self.skip(zeros);
        }
    }

    /// A number in Rice's code: the high part as a count of zeros before a 1, then the `low` low
    /// bits, 30 at most. Even numbers stand for 0, 1, 2, ..., odd ones for -1, -2, -3, ...
    ///
    /// It is fastest after [`Bits::load`], as long as loaded bits are left.
    ///
    /// # Errors
    /// [`CUT`]; a number of more than 32 bits.
    #[inline(always)]
    pub fn rice(&mut self, low: u32) -> Result<i64, &'static str> {
        let zeros = self.word.leading_zeros();
        let width = zeros + 1 + low;
        // With more low bits than 26, a code of 63 bits may stand for a number of more than 32.
        let folded = if width <= self.left && low <= 26 {
            let word = self.word << zeros;
            self.word = word << low << 1;
            self.left -= width;
            // The 1 before the low bits counts as one more zero: it is taken off again.
            (u64::from(zeros).wrapping_sub(1) << low).wrapping_add(word >> (63 - low))
        } else {
            let (rest, folded) = self.long_rice(low)?;
            *self = rest;
            folded
        };
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    /// The number of [`Bits::rice`], still folded, wherever it ends. It takes the reader by value,
    /// so that the caller's may stay in registers.
    #[cold]
    #[inline(never)]
    fn long_rice(mut self, low: u32) -> Result<(Self, u64), &'static str> {
        let high = self.zeros()?;
        if high >> (32 - low) != 0 {
            return Err("a residual has more than 32 bits");
        }
        let folded = (high << low) | self.unsigned(low)?;
        Ok((self, folded))
    }

    /// Bytes read so far. A byte that is read in part counts.
    pub fn bytes_read(&self) -> usize {
        self.loaded - (self.left / 8) as usize
    }

    /// Loads up to 56 bits at least, as far as there are any.
    #[inline(always)]
    pub fn load(&mut self) {
        if let Some(next) = self.bytes.get(self.loaded..).and_then(|b| b.first_chunk::<8>()) {
            // Whole bytes count, so that 56 to 63 bits are left.
            self.word |= u64::from_be_bytes(*next) >> self.left;
            self.loaded += (63 - self.left) as usize / 8;
            self.left |= 56;
            return;
        }
        while self.left < 56
            && let Some(&byte) = self.bytes.get(self.loaded)
        {
            self.word |= u64::from(byte) << (56 - self.left);
            self.left += 8;
            self.loaded += 1;
        }
    }

    #[inline(always)]
    fn skip(&mut self, count: u32) {
        self.word <<= count;
        self.left -= count;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Numbers in Rice's code, with others between them, are those of a reader of single bits.
        #[test]
        fn numbers_in_rices_code(
            bytes in prop::collection::vec(
                prop_oneof![Just(0u8), any::<u8>(), any::<u8>(), Just(0xff)], 0..60
            ),
            widths in prop::collection::vec((0u32..31, 0u32..57, any::<bool>()), 0..40),
        ) {
            let bit = |i: usize| (i < 8 * bytes.len()).then(|| bytes[i / 8] >> (7 - i % 8) & 1);
            let number = |at: usize, width: usize| {
                (at..at + width).try_fold(0u64, |value, i| Some((value << 1) | u64::from(bit(i)?)))
            };
            let (mut bits, mut at) = (Bits::new(&bytes), 0);
            for (low, other, loads) in widths {
                if loads {
                    bits.load();
                }
                let Some(zeros) = (at..).map_while(bit).position(|b| b == 1) else {
                    prop_assert_eq!(bits.rice(low), Err(CUT));
                    return Ok(());
                };
                if zeros as u64 >> (32 - low) != 0 {
                    prop_assert_eq!(bits.rice(low), Err("a residual has more than 32 bits"));
                    return Ok(());
                }
                at += zeros + 1;
                let Some(lowest) = number(at, low as usize) else {
                    prop_assert_eq!(bits.rice(low), Err(CUT));
                    return Ok(());
                };
                at += low as usize;
                let folded = (((zeros as u64) << low) | lowest) as i64;
                let wanted = if folded % 2 == 0 { folded / 2 } else { -(folded / 2) - 1 };
                prop_assert_eq!(bits.rice(low), Ok(wanted));
                prop_assert_eq!(bits.bytes_read(), at.div_ceil(8));
                match number(at, other as usize) {
                    Some(wanted) => prop_assert_eq!(bits.unsigned(other), Ok(wanted)),
                    None => {
                        prop_assert_eq!(bits.unsigned(other), Err(CUT));
                        return Ok(());
                    }
                }
                at += other as usize;
                prop_assert_eq!(bits.bytes_read(), at.div_ceil(8));
            }
        }
    }

    #[test]
    fn numbers_of_every_width() {
        let bytes: Vec<u8> = (0..40u8).map(|i| i.wrapping_mul(97).wrapping_add(13)).collect();
        let bit = |i: usize| u64::from(bytes[i / 8] >> (7 - i % 8) & 1);
        let mut bits = Bits::new(&bytes);
        let mut at = 0;
        for width in (0..=56).chain([33, 1, 17]) {
            if at + width > 8 * bytes.len() {
                bits = Bits::new(&bytes);
                at = 0;
            }
            let wanted = (at..at + width).fold(0u64, |value, i| (value << 1) | bit(i));
            assert_eq!(bits.unsigned(width as u32), Ok(wanted), "{width} bits at {at}");
            at += width;
            assert_eq!(bits.bytes_read(), at.div_ceil(8));
        }
        let mut bits = Bits::new(&[0b1110_0111, 0x80, 0, 0, 0]);
        assert_eq!((bits.signed(4), bits.signed(4), bits.signed(0)), (Ok(-2), Ok(7), Ok(0)));
        assert_eq!(bits.signed(32), Ok(i64::from(i32::MIN)));
        assert_eq!(bits.unsigned(1), Err(CUT));
    }

    #[test]
    fn zeros_before_a_one() {
        let mut bytes = vec![0; 21];
        bytes[0] = 0b0010_0001;
        bytes[20] = 0b0000_0100;
        let mut bits = Bits::new(&bytes);
        assert_eq!((bits.zeros(), bits.zeros(), bits.zeros()), (Ok(2), Ok(4), Ok(19 * 8 + 5)));
        assert_eq!(bits.unsigned(2), Ok(0));
        assert_eq!((bits.zeros(), bits.bytes_read()), (Err(CUT), 21));
        let mut all = Bits::new(&[0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((all.zeros(), all.zeros()), (Ok(63), Err(CUT)));
    }
}
