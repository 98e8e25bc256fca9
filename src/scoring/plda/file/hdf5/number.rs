//! How a number is stored.

use super::source::Cursor;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Unsigned,
    Signed,
    Float,
}

/// Size, order and meaning of a number's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    kind: Kind,
    /// Bytes: 1, 2, 4 or 8; 4 or 8 of floats.
    pub size: usize,
    is_big_endian: bool,
}

const INTEGER: u64 = 0;
const FLOAT: u64 = 1;
/// Named values. A boolean of h5py is one.
const ENUMERATION: u64 = 8;

impl Number {
    /// From a datatype message.
    pub fn read(mut body: Cursor) -> Result<Self, String> {
        let (mut class, mut bits, mut size) = head(&mut body)?;
        if class == ENUMERATION {
            let named = size;
            (class, bits, size) = head(&mut body)?;
            if class != INTEGER || size != named {
                return Err("named values that are no integers are not read".into());
            }
        }
        let unread = || format!("numbers of class {class} and {size} bytes are not read");
        let kind = match (class, size) {
            (INTEGER, 1 | 2 | 4 | 8) => {
                // The first bit, and how many there are.
                if [body.number(2)?, body.number(2)?] != [0, 8 * size] {
                    return Err(unread());
                }
                if bits & 8 != 0 { Kind::Signed } else { Kind::Unsigned }
            }
            (FLOAT, 4 | 8) => {
                // The first bit and how many there are; exponent and mantissa: first bit and how
                // many; what is added to the exponent.
                let wanted = match size {
                    4 => [0, 32, 23, 8, 0, 23, 127],
                    _ => [0, 64, 52, 11, 0, 52, 1023],
                };
                for (width, wanted) in [2, 2, 1, 1, 1, 1, 4].into_iter().zip(wanted) {
                    if body.number(width)? != wanted {
                        return Err(unread());
                    }
                }
                // The mantissa's first bit is implied, the sign is the last bit, and the order of
                // bytes is not the VAX's.
                if (bits >> 4) & 3 != 2 || (bits >> 8) != 8 * size - 1 || bits & 0x40 != 0 {
                    return Err(unread());
                }
                Kind::Float
            }
            _ => return Err(unread()),
        };
        Ok(Self { kind, size: size as usize, is_big_endian: bits & 1 != 0 })
    }

    pub fn is_float(self) -> bool {
        self.kind == Kind::Float
    }

    /// The value of [`size`](Self::size) bytes.
    pub fn value(self, bytes: &[u8]) -> f64 {
        let add = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        let bits = match self.is_big_endian {
            true => bytes.iter().fold(0, add),
            false => bytes.iter().rev().fold(0, add),
        };
        match (self.kind, self.size) {
            (Kind::Float, 4) => f64::from(f32::from_bits(bits as u32)),
            (Kind::Float, _) => f64::from_bits(bits),
            (Kind::Unsigned, _) => bits as f64,
            (Kind::Signed, size) => {
                let unused = u64::BITS as usize - 8 * size;
                (((bits << unused) as i64) >> unused) as f64
            }
        }
    }
}

/// Class, flags and bytes of a datatype.
fn head(body: &mut Cursor) -> Result<(u64, u64, u64), String> {
    Ok((body.number(1)? & 15, body.number(3)?, body.number(4)?))
}
