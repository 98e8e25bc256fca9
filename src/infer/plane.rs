//! How values lie in memory.

use super::kernels::Scale;

/// Zeros in front of a value's first element, in values; a multiple of a cache line.
pub(crate) const GUARD: usize = 64;
/// Readable values behind a value's last element.
pub(crate) const TAIL: usize = 64;

/// What a value's numbers are in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// Values of f32.
    Floats,
    /// Bytes of this scale, in words of four: word `g` of a position has the bytes of the channels
    /// from `4 g` on, little endian. Channels that are not there are zeros, and so are guards and
    /// what is behind rows.
    Bytes(Scale),
}

impl Form {
    /// The plane of a value of this size, with so many zeros behind each row. That of bytes counts
    /// words.
    pub fn plane(self, size: &[usize], pad: usize) -> Plane {
        match (self, size) {
            (Self::Bytes(_), [channels, rest @ ..]) => {
                Plane::of(&[&[channels.div_ceil(4)][..], rest].concat(), pad)
            }
            _ => Plane::of(size, pad),
        }
    }
}

/// How a value lies in memory: rows one after another, each followed by zeros. Element `w` of row
/// `r` is `x[GUARD + r * pitch + w]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Plane {
    /// All axes but the last.
    pub rows: usize,
    /// The last axis.
    pub width: usize,
    /// Elements from one row to the next: the width and the zeros behind it.
    pub pitch: usize,
}

impl Plane {
    /// The plane of a value of this size, with so many zeros behind each row. A value of one axis
    /// is a single row without zeros.
    pub fn of(size: &[usize], pad: usize) -> Self {
        let (width, rows) = match size {
            [] => (1, 1),
            [rows @ .., width] => (*width, rows.iter().product()),
        };
        let pad = if size.len() < 2 { 0 } else { pad };
        Self { rows, width, pitch: width + pad }
    }

    /// Zeros behind each row.
    pub fn pad(self) -> usize {
        self.pitch - self.width
    }

    /// Elements from the first to the end of the last row's zeros.
    pub fn len(self) -> usize {
        self.rows * self.pitch
    }

    /// Elements of a buffer that holds it: `GUARD + len + TAIL`.
    pub fn buffer(self) -> usize {
        GUARD + self.len() + TAIL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_a_quarter_of_the_rows() {
        let bytes = Form::Bytes(Scale::of([0.0, 1.0]));
        assert_eq!(bytes.plane(&[8, 5, 30], 2), Plane::of(&[2, 5, 30], 2));
        assert_eq!(bytes.plane(&[9, 30], 1), Plane::of(&[3, 30], 1));
        assert_eq!(bytes.plane(&[9], 1), Plane::of(&[3], 1));
        assert_eq!(Form::Floats.plane(&[9, 30], 1), Plane::of(&[9, 30], 1));
    }
}
