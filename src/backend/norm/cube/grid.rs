//! How many cubes visit a tensor, and what each of them takes.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::walk::WalkLaunch;
use crate::backend::gpu::{self, MOST_CUBES, UNITS};

/// Cubes that keep a large GPU busy.
const BUSY: usize = 1024;
/// Partial results of a channel at most. Every cube of the second launch reads all of its
/// channel's.
const MOST_PARTS: usize = 64;

/// A tensor `[batch, channels, ...]` in vectors.
pub(super) struct Layout {
    batch: usize,
    pub(super) channels: usize,
    /// Vectors of one channel of one utterance.
    inner: usize,
    /// Values of a vector.
    pub(super) width: usize,
}

impl Layout {
    pub(super) fn of(x: &CubeTensor) -> Self {
        let shape = x.shape();
        let (batch, channels) = (shape[0], shape[1]);
        let values = shape.num_elements() / (batch * channels);
        let width = gpu::width(x, values);
        Self { batch, channels, inner: values / width, width }
    }

    /// How many values a channel has.
    pub(super) fn count(&self) -> usize {
        self.batch * self.inner * self.width
    }

    fn vectors(&self) -> usize {
        self.batch * self.inner
    }

    /// Parts for a launch that leaves a result for each of them.
    pub(super) fn reduction(&self) -> Grid {
        let enough = BUSY.div_ceil(self.channels).clamp(1, MOST_PARTS);
        self.grid(enough.min(self.vectors().div_ceil(4 * UNITS as usize)))
    }

    /// Parts for a launch that writes a tensor.
    pub(super) fn sweep(&self) -> Grid {
        let units = UNITS as usize;
        let enough = BUSY.div_ceil(self.channels).min(self.vectors().div_ceil(2 * units));
        self.grid(enough.max(self.vectors().div_ceil(16 * units)).min(MOST_CUBES / 2))
    }

    /// At most twice as many parts as wanted, because each has whole utterances or a share of one.
    fn grid(&self, wanted: usize) -> Grid {
        let lanes = self.inner.next_power_of_two().min(UNITS as usize);
        let (rows, span) = if wanted <= self.batch {
            (self.batch.div_ceil(wanted), self.inner)
        } else {
            let span = self.inner.div_ceil(wanted.div_ceil(self.batch));
            (1, span.next_multiple_of(lanes))
        };
        let spans = self.inner.div_ceil(span);
        Grid {
            batch: self.batch as u32,
            channels: self.channels as u32,
            inner: self.inner as u32,
            rows: rows as u32,
            span: span as u32,
            spans: spans as u32,
            lanes: lanes as u32,
            parts: (self.batch.div_ceil(rows) * spans) as u32,
        }
    }
}

/// The parts of each channel.
pub(super) struct Grid {
    batch: u32,
    channels: u32,
    inner: u32,
    rows: u32,
    span: u32,
    spans: u32,
    lanes: u32,
    pub(super) parts: u32,
}

impl Grid {
    pub(super) fn cubes(&self) -> CubeCount {
        CubeCount::Static(self.parts, self.channels, 1)
    }

    pub(super) fn walk(&self) -> WalkLaunch {
        WalkLaunch::new(
            self.batch,
            self.channels,
            self.inner,
            self.rows,
            self.span,
            self.spans,
            self.lanes,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value belongs to one part, and partial results fit a cube.
    #[test]
    fn parts_cover_a_channel_on_wgpu() {
        for (batch, channels, inner) in
            [(1, 1, 1), (6, 5, 1), (128, 32, 4000), (128, 256, 125), (2, 32, 400), (63, 3, 9000)]
        {
            let layout = Layout { batch, channels, inner, width: 1 };
            for (grid, most) in [(layout.reduction(), 2 * MOST_PARTS), (layout.sweep(), MOST_CUBES)]
            {
                assert!(grid.parts as usize <= most && grid.lanes.is_power_of_two());
                assert!(grid.rows > 0 && grid.span > 0 && grid.lanes <= UNITS);
                let (rows, span) = (grid.rows as usize, grid.span as usize);
                assert_eq!(grid.parts as usize, batch.div_ceil(rows) * inner.div_ceil(span));
                assert_eq!(grid.spans as usize, inner.div_ceil(span));
            }
        }
    }
}
