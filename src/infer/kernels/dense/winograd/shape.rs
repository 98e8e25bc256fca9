//! Where positions lie: in parts, in transformed input, and in rows.

use std::ops::Range;

use super::KINDS;

/// Bytes of a part's transformed input, about: what stays in a core's second cache, beside weights.
const CACHED: usize = 384 << 10;
/// Tiles of a part at least. The weights of a block are fetched, and those of codes made, once for
/// each part: with fewer tiles that would count.
const LEAST: usize = 4;
/// Tiles whose sums are computed kind by kind: the weights of a kind stay in the first cache
/// meanwhile.
const TOGETHER: usize = 4;
/// Values in front of a part's positions, of which the last is the one before the first position;
/// so the first position begins on a cache line. The largest vector has as many.
const LEAD: usize = 16;

/// Pairs of rows, as one run of positions. It depends on sizes alone, not on threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Channels of the input, rows and frames of input and output.
    pub size: [usize; 3],
    /// Positions from a pair of rows to the next one, and from a row to the next one.
    pub pitch: usize,
    /// Positions of all pairs, up to the last pad.
    total: usize,
    /// Positions of a part, but for the last one.
    part: usize,
    /// Positions whose sums are computed kind by kind.
    pub together: usize,
}

/// Places in a pair of rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub pair: usize,
    /// Frames, and pads behind them.
    pub places: Range<usize>,
    /// The position of the first place.
    pub at: usize,
}

impl Shape {
    /// The shape of an input `[channels, rows, frames]` whose rows are followed by `pad` zeros, for
    /// tiles of so many positions.
    pub fn of(size: [usize; 3], pad: usize, tile: usize) -> Self {
        let [channels, mels, frames] = size;
        let pitch = frames + pad;
        let total = (mels.div_ceil(2) * pitch).saturating_sub(pad);
        let goal = (CACHED / (channels * KINDS * size_of::<f32>()).max(1)).max(LEAST * tile);
        // One tile more than the goal is no part of its own.
        let parts = total.saturating_sub(tile).div_ceil(goal).max(1);
        let part = total.div_ceil(parts).next_multiple_of(tile).min(total);
        Self { size, pitch, total, part, together: TOGETHER * tile }
    }

    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.total.div_ceil(self.part.max(1))
    }

    /// The positions of a part.
    pub fn part(&self, part: usize) -> Range<usize> {
        let start = part * self.part;
        start..(start + self.part).min(self.total)
    }

    /// The same, with the last pad of all.
    pub fn own(&self, part: usize) -> Range<usize> {
        let Range { start, end } = self.part(part);
        let all = self.size[1].div_ceil(2) * self.pitch;
        start..if end == self.total { all } else { end }
    }

    /// Values from one transformed row of a part to the next: the positions in whole vectors, what
    /// is in front, and room behind for one more position and what whole vectors write beyond it.
    pub fn plane(&self) -> usize {
        LEAD + self.part.next_multiple_of(LEAD) + LEAD
    }

    /// Values of a part's transformed input: channel by channel, the four kinds.
    pub fn input(&self) -> usize {
        self.size[0] * KINDS * self.plane()
    }

    /// Where the input of a position lies in its plane, in a part that begins at `start`. The
    /// position before the first has a place as well.
    pub fn place(&self, position: usize, start: usize) -> usize {
        LEAD + position - start
    }

    /// Values of the sums of a block of outputs, with what whole vectors read beyond them.
    pub fn sums(&self, outputs: usize) -> usize {
        KINDS * outputs * self.together + LEAD
    }

    /// A run of positions, pair by pair.
    pub fn pieces(&self, run: Range<usize>) -> impl Iterator<Item = Piece> + use<> {
        let pitch = self.pitch;
        (run.start / pitch..run.end.div_ceil(pitch)).map(move |pair| {
            let first = pair * pitch;
            let at = run.start.max(first);
            Piece { pair, places: at - first..run.end.min(first + pitch) - first, at }
        })
    }

    /// Rows of a pair: the last one of an odd number of rows has one.
    pub fn rows(&self, pair: usize) -> usize {
        (self.size[1] - 2 * pair).min(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole_run_and_fit_the_cache() {
        for (size, pad, count) in [
            ([32, 80, 298], 1, 16),
            ([64, 40, 149], 1, 8),
            ([128, 20, 75], 1, 4),
            ([256, 10, 38], 1, 1),
            ([16, 1, 1], 1, 1),
            ([16, 5, 2000], 3, 4),
        ] {
            let shape = Shape::of(size, pad, 48);
            assert_eq!(shape.parts(), count, "{size:?}");
            let mut next = 0;
            for part in 0..count {
                let own = shape.own(part);
                assert_eq!(own.start, next);
                assert!(shape.part(part).len() <= own.len() && !shape.part(part).is_empty());
                next = own.end;
            }
            assert_eq!(next, size[1].div_ceil(2) * (size[2] + pad));
            let bytes = 4 * shape.input();
            assert!(bytes < CACHED * 5 / 4 || shape.part <= (LEAST + 1) * 48, "{size:?}: {bytes}");
        }
    }

    #[test]
    fn pieces_are_cut_where_pairs_end() {
        let shape = Shape::of([16, 5, 9], 1, 48);
        let found: Vec<Piece> = shape.pieces(7..22).collect();
        let piece = |pair, places, at| Piece { pair, places, at };
        assert_eq!(found, [piece(0, 7..10, 7), piece(1, 0..10, 10), piece(2, 0..2, 20)]);
        assert_eq!([0, 1, 2].map(|pair| shape.rows(pair)), [2, 2, 1]);
    }
}
