//! Numbers of any width in the bytes of a FLAC frame.

/// The error of a number that reaches beyond the last byte.
pub(super) const CUT: &str = "it ends before its last sample";

/// Reads bits, the most significant one of a byte first.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bytes already moved to `word`.
    loaded: usize,
    /// The next bits, from the top, and zeros behind them.
    word: u64,
    /// Bits in `word`.
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
        self.load();
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

    /// Bytes read so far. A byte that is read in part counts.
    pub fn bytes_read(&self) -> usize {
        self.loaded - (self.left / 8) as usize
    }

    fn load(&mut self) {
        while self.left <= u64::BITS - 8
            && let Some(&byte) = self.bytes.get(self.loaded)
        {
            self.word |= u64::from(byte) << (u64::BITS - 8 - self.left);
            self.left += 8;
            self.loaded += 1;
        }
    }

    fn skip(&mut self, count: u32) {
        self.word = self.word.checked_shl(count).unwrap_or(0);
        self.left -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
