//! How values lie in memory.

/// Zeros in front of a value's first element, in values; a multiple of a cache line.
pub(crate) const GUARD: usize = 64;
/// Readable values behind a value's last element.
pub(crate) const TAIL: usize = 64;

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
