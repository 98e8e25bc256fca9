//! Tiles of a gathered product, and their product by single units: each sums a patch of a tile in
//! f32. Planes on tensor cores ([`cores`](super::cores)) multiply the same tiles.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::cores::{EDGE, Factor, PLANE, Patch};
use crate::backend::gpu::UNITS;

/// Columns of a unit's patch; they lie a patch's width apart, so neighbours write neighbours.
pub(super) const ALONG: u32 = 8;

/// What a cube computes at a time, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Channels that are written.
    pub rows: u32,
    /// Positions that are written.
    pub columns: u32,
    /// Channels of one tap that are in shared memory at a time.
    pub depth: u32,
    /// Values from one line of the weights to the next. Lines lie along channels that are read for
    /// tensor cores, and along those that are written for units.
    pub left_pitch: u32,
    /// Values from one channel of what is gathered to the next.
    pub right_pitch: u32,
    /// Planes beside each other on tensor cores; 0 where units multiply.
    pub planes: u32,
    /// What a plane multiplies.
    pub patch: Patch,
}

impl Tile {
    /// The one for so many channels that are written; by units without a factor.
    pub fn of(channels: usize, factor: Option<Factor>) -> Self {
        match factor {
            Some(factor) => Self::of_planes(channels, factor),
            None => Self::of_units(channels),
        }
    }

    /// At most 16 KiB of shared memory, as every WebGPU device has.
    fn of_units(channels: usize) -> Self {
        let (rows, columns) = match channels {
            ..=32 => (32, 256),
            33..=64 => (64, 256),
            _ => (128, 128),
        };
        // Lines begin at multiples of 4 values, and a unit reads 4 at once.
        let left_pitch = rows + 4;
        Self {
            rows,
            columns,
            depth: 8,
            left_pitch,
            right_pitch: columns,
            planes: 0,
            patch: Patch::default(),
        }
    }

    fn of_planes(channels: usize, factor: Factor) -> Self {
        let [below, beside] = match channels {
            ..=32 => [1, 8],
            33..=64 => [2, 4],
            _ => [4, 2],
        };
        let (rows, columns) = (below * 2 * EDGE, beside * 2 * EDGE);
        let (left_pitch, right_pitch) = (factor.depth + factor.pad, columns + factor.pad);
        let patch = Patch {
            down: 2,
            along: 2,
            depth: factor.depth,
            inner: factor.inner,
            left_pitch,
            right_pitch,
            transposed: false,
        };
        let depth = factor.depth;
        Self { rows, columns, depth, left_pitch, right_pitch, planes: beside, patch }
    }

    /// Whether units multiply.
    pub fn is_by_units(&self) -> bool {
        self.planes == 0
    }

    /// Values of the left tile in shared memory.
    pub fn left(&self) -> usize {
        let lines = if self.is_by_units() { self.depth } else { self.rows };
        (lines * self.left_pitch) as usize
    }

    /// And of the right one.
    pub fn right(&self) -> usize {
        (self.depth * self.right_pitch) as usize
    }

    /// Units beside each other.
    pub fn across(&self) -> u32 {
        self.columns / ALONG
    }

    /// Rows of a unit's patch.
    pub fn down(&self) -> u32 {
        self.rows * self.columns / UNITS / ALONG
    }

    /// Sums of a unit. On tensor cores planes have them.
    pub fn sums(&self) -> u32 {
        if self.is_by_units() { self.down() * ALONG } else { 1 }
    }
}

/// A unit's sums, all zero.
#[cube]
pub(super) fn zeros(#[comptime] tile: Tile) -> Array<f32> {
    let mut sums = Array::<f32>::new(comptime![tile.sums() as usize]);
    #[unroll]
    for i in 0..comptime![tile.sums()] {
        sums[i as usize] = 0.0f32;
    }
    sums
}

/// The row and the first column of a unit's patch.
#[cube]
pub(super) fn of_unit(#[comptime] tile: Tile) -> (u32, u32) {
    let across = comptime![tile.across()];
    (UNIT_POS_X / across * comptime![tile.down()], UNIT_POS_X % across)
}

/// The row and the first column of a plane's patch.
#[cube]
pub(super) fn of_plane(#[comptime] tile: Tile) -> (u32, u32) {
    let plane = UNIT_POS_X / PLANE;
    let row = plane / tile.planes * comptime![tile.patch.down * EDGE];
    let column = plane % tile.planes * comptime![tile.patch.along * EDGE];
    (row, column)
}

/// Adds the products of so many channels to a unit's sums.
#[cube]
pub(super) fn multiply<L: Numeric>(
    left: &[L],
    right: &[L],
    sums: &mut Array<f32>,
    steps: u32,
    #[comptime] tile: Tile,
) {
    let down = comptime![tile.down()];
    let across = comptime![tile.across()];
    let (row, column) = of_unit(tile);
    for k in 0..steps {
        let mut a = Array::<f32>::new(comptime![down as usize]);
        #[unroll]
        for i in 0..down {
            a[i as usize] = f32::cast_from(left[(k * tile.left_pitch + row + i) as usize]);
        }
        #[unroll]
        for j in 0..ALONG {
            let at = k * tile.right_pitch + column + j * across;
            let b = f32::cast_from(right[at as usize]);
            #[unroll]
            for i in 0..down {
                sums[comptime![(i * ALONG + j) as usize]] += a[i as usize] * b;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_cover_their_tile_within_the_shared_memory_of_any_device() {
        for channels in [1, 16, 32, 33, 64, 65, 128, 512] {
            let tile = Tile::of(channels, None);
            assert_eq!(tile.down() * ALONG * UNITS, tile.rows * tile.columns, "{tile:?}");
            assert_eq!(UNITS / tile.across() * tile.down(), tile.rows, "{tile:?}");
            assert!(4 * (tile.left() + tile.right()) <= 16 << 10, "{tile:?}");
            // Every unit loads as many values as every other.
            let loads = [tile.depth * tile.rows, tile.depth * tile.columns];
            assert!(loads.iter().all(|n| n.is_multiple_of(UNITS)), "{tile:?}");
        }
    }
}
