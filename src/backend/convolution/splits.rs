//! How the weights' gradient is divided on GPUs. The numbers depend on sizes alone, so a step gives
//! the same bits on every GPU and the account of memory knows them.

/// Cubes that keep a large GPU busy.
const CUBES: usize = 1024;
/// Positions that are worth a part of their own.
const POSITIONS: usize = 256;
/// Bytes of all parts at most.
const BYTES: usize = 32 << 20;

/// Parts of a sum over positions, each for tiles of `rows` output channels by `columns` weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splits {
    /// Parts.
    pub count: usize,
    /// Output channels of a tile.
    pub rows: usize,
    /// Weights of an output channel in a tile.
    pub columns: usize,
    /// Positions of a part.
    pub chunk: usize,
}

impl Splits {
    /// Those for an input `[batch, input, mels, frames]` and an output gradient `[batch, output,
    /// mels', frames']` of a dense convolution with a kernel of this size. Grouped ones are not
    /// divided.
    pub fn of(x: [usize; 4], dy: [usize; 4], kernel: [usize; 2]) -> Self {
        let ([_, input, ..], [batch, output, mels, frames]) = (x, dy);
        let width = input * kernel[0] * kernel[1];
        let rows = if output > 32 { 64 } else { 32 };
        let columns = match width {
            ..=16 => 16,
            17..=64 => 64,
            _ => 128,
        };
        let tiles = output.div_ceil(rows) * width.div_ceil(columns);
        let positions = batch * mels * frames;
        let most = (BYTES / (4 * output * width)).min(positions / POSITIONS).max(1);
        let chunk =
            positions.div_ceil(CUBES.div_ceil(tiles).min(most)).next_multiple_of(16).max(16);
        Self { count: positions.div_ceil(chunk).max(1), rows, columns, chunk }
    }

    /// Bytes of the parts of an f32 gradient; none if it is written directly.
    pub fn bytes(&self, weights: usize) -> usize {
        if self.count == 1 { 0 } else { 4 * self.count * weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_positions_and_stay_small() {
        for (x, dy, kernel) in [
            ([128, 1, 80, 200], [128, 32, 80, 200], [3, 3]),
            ([128, 32, 80, 200], [128, 32, 80, 200], [3, 3]),
            ([128, 256, 10, 25], [128, 256, 10, 25], [3, 3]),
            ([2, 16, 9, 7], [2, 8, 5, 4], [1, 1]),
            ([1, 1, 1, 1], [1, 1, 1, 1], [1, 1]),
            ([128, 512, 1, 200], [128, 512, 1, 200], [1, 5]),
        ] {
            let splits = Splits::of(x, dy, kernel);
            let positions = dy[0] * dy[2] * dy[3];
            assert!(splits.count * splits.chunk >= positions, "{splits:?}");
            assert!((splits.count - 1) * splits.chunk < positions, "{splits:?}");
            assert!(splits.bytes(dy[1] * x[1] * kernel[0] * kernel[1]) <= BYTES, "{splits:?}");
        }
    }
}
