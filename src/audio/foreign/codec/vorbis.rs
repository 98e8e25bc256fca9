//! The books of codes in the setup of a Vorbis stream (Vorbis I, section 3). They say in few bytes
//! how large they are, and a decoder builds them before it decodes anything.

/// Most numbers in all books. Those of encoders have a few ten thousand.
const MOST: u64 = 1 << 22;

const DAMAGED: &str = "the books of Vorbis are damaged";

/// Checks that the books of a setup, behind its mark, have a usual size.
///
/// # Errors
/// Books that are damaged, or larger than those of any encoder.
pub(in crate::audio::foreign) fn check_books(setup: &[u8]) -> Result<(), &'static str> {
    let mut bits = Bits { bytes: setup, at: 0 };
    let mut numbers = 0;
    for _ in 0..=bits.take(8).ok_or(DAMAGED)? {
        numbers += book(&mut bits).ok_or(DAMAGED)?;
        if numbers > MOST {
            return Err("the books of Vorbis are larger than those of any encoder");
        }
    }
    Ok(())
}

/// Numbers that a decoder keeps of the next book.
fn book(bits: &mut Bits) -> Option<u64> {
    if bits.take(24)? != 0x0056_4342 {
        return None;
    }
    let (dimensions, entries) = (bits.take(16)?, bits.take(24)?);
    let vectors = u64::from(entries) * u64::from(dimensions);
    if dimensions == 0 || vectors > MOST {
        return (dimensions > 0).then_some(vectors);
    }
    lengths(bits, entries)?;
    let values = match bits.take(4)? {
        0 => return Some(entries.into()),
        1 => u64::from(root(entries, dimensions)),
        2 => vectors,
        _ => return None,
    };
    bits.skip(64)?;
    let width = u64::from(bits.take(4)?) + 1;
    bits.skip(1 + values * width)?;
    Some(vectors)
}

/// Reads the lengths of the codes of a book.
fn lengths(bits: &mut Bits, entries: u32) -> Option<()> {
    let is_ordered = bits.take(1)? == 1;
    if is_ordered {
        bits.skip(5)?;
        let mut entry = 0;
        while entry < entries {
            entry += bits.take(u32::BITS - (entries - entry).leading_zeros())?;
        }
        return (entry == entries).then_some(());
    }
    let is_sparse = bits.take(1)? == 1;
    for _ in 0..entries {
        if !is_sparse || bits.take(1)? == 1 {
            bits.skip(5)?;
        }
    }
    Some(())
}

/// The largest number whose power with this exponent is at most `value`.
fn root(value: u32, exponent: u32) -> u32 {
    let fits = |x: u32| x.checked_pow(exponent).is_some_and(|power| power <= value);
    let mut root = f64::from(value).powf(1.0 / f64::from(exponent)) as u32 + 1;
    while root > 0 && !fits(root) {
        root -= 1;
    }
    root
}

/// Reads bits, the least significant one of a byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl Bits<'_> {
    fn take(&mut self, width: u32) -> Option<u32> {
        let mut value = 0;
        for i in 0..width {
            let at = self.at + u64::from(i);
            let byte = self.bytes.get((at / 8) as usize)?;
            value |= u32::from((byte >> (at % 8)) & 1) << i;
        }
        self.at += u64::from(width);
        Some(value)
    }

    fn skip(&mut self, width: u64) -> Option<()> {
        self.at = self.at.checked_add(width)?;
        (self.at <= 8 * self.bytes.len() as u64).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs pairs of a number and its width.
    fn packed(fields: &[(u64, u32)]) -> Vec<u8> {
        let bits: Vec<u64> =
            fields.iter().flat_map(|(x, n)| (0..*n).map(move |i| (x >> i) & 1)).collect();
        let byte = |c: &[u64]| c.iter().enumerate().fold(0, |x, (i, b)| x | ((*b as u8) << i));
        bits.chunks(8).map(byte).collect()
    }

    /// A book with codes in order: all have the same length.
    fn ordered(dimensions: u64, entries: u64, lookup: u64) -> Vec<(u64, u32)> {
        let width = 64 - entries.leading_zeros();
        let mut book = vec![(0x56_4342, 24), (dimensions, 16), (entries, 24), (1, 1), (0, 5)];
        book.extend([(entries, width), (lookup, 4)]);
        if lookup > 0 {
            let values = match lookup {
                1 => u64::from(root(entries as u32, dimensions as u32)),
                _ => entries * dimensions,
            };
            book.extend([(0, 32), (0, 32), (2, 4), (0, 1)]);
            book.extend((0..values).map(|_| (5, 3)));
        }
        book
    }

    #[test]
    fn books_of_usual_size_pass() {
        let sparse = vec![
            (0x56_4342, 24),
            (2, 16),
            (3, 24),
            (0, 1),
            (1, 1),
            (1, 1),
            (4, 5),
            (0, 1),
            (1, 1),
            (4, 5),
            (0, 4),
        ];
        let books = [ordered(2, 100, 1), sparse, ordered(1, 5, 2), ordered(4, 1000, 0)];
        let setup = packed(&[vec![(3, 8)], books.concat()].concat());
        assert_eq!(check_books(&setup), Ok(()));
        for end in 0..setup.len() {
            assert_eq!(check_books(&setup[..end]), Err(DAMAGED), "{end}");
        }
        let mut bad = setup;
        bad[1] ^= 1;
        assert_eq!(check_books(&bad), Err(DAMAGED));
    }

    #[test]
    fn large_books_in_few_bytes_are_refused() {
        let one = ordered(32, 131_072, 1);
        let many = packed(&[vec![(255, 8)], one.repeat(256)].concat());
        assert!(many.len() < 10_000);
        assert!(check_books(&many).unwrap_err().contains("larger"));
        let huge = packed(&[vec![(0, 8)], ordered(65_535, 1 << 23, 0)].concat());
        assert!(check_books(&huge).unwrap_err().contains("larger"));
    }

    #[test]
    fn roots_are_exact() {
        for exponent in 1..9 {
            for value in (0..3000).chain([65_535, 131_072, 16_777_215]) {
                let found = root(value, exponent);
                assert!(u64::from(found).pow(exponent) <= value.into());
                assert!(u64::from(found + 1).pow(exponent) > value.into(), "{value} {exponent}");
            }
        }
    }
}
