//! How a kernel moves.

use burn::backend::ops::ConvOptions;

/// How a kernel moves over mels and frames, and which channels it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Steps.
    pub stride: [usize; 2],
    /// Zeros on either side of the input.
    pub padding: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Groups of channels. An output channel sees the input channels of its own group.
    pub groups: usize,
}

impl Window {
    /// Dense, with padding that keeps the size of the input where `kernel` (mels and frames) is odd
    /// and the stride is 1.
    pub const fn same(kernel: [usize; 2], stride: [usize; 2]) -> Self {
        let padding = [kernel[0] / 2, kernel[1] / 2];
        Self { stride, padding, dilation: [1, 1], groups: 1 }
    }

    /// Mels and frames of the output. 0 where the kernel is longer than the padded input.
    pub fn output(self, input: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|i| {
            let padded = input[i] + 2 * self.padding[i];
            (padded + self.stride[i]).saturating_sub(self.reach(kernel)[i]) / self.stride[i]
        })
    }

    /// Mels and frames from the first tap to the last, both included.
    pub(super) fn reach(self, kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|i| self.dilation[i] * (kernel[i] - 1) + 1)
    }

    /// As Burn's own convolutions take it.
    pub(super) fn options(self) -> ConvOptions<2> {
        ConvOptions::new(self.stride, self.padding, self.dilation, self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_outputs() {
        let window = Window::same([3, 3], [2, 1]);
        assert_eq!(window.output([9, 21], [3, 3]), [5, 21]);
        let window = Window { dilation: [1, 4], padding: [0, 4], ..Window::same([1, 3], [1, 1]) };
        assert_eq!(window.output([1, 7], [1, 3]), [1, 7]);
        let unpadded = Window { padding: [0, 0], ..Window::same([2, 3], [2, 3]) };
        assert_eq!(unpadded.output([5, 9], [2, 3]), [2, 3]);
        assert_eq!(unpadded.output([1, 2], [2, 3]), [0, 0]);
    }
}
