//! Which frames of the input a value is made of.

use crate::nn::Map;
use crate::nn::graph::{Graph, Node, Op};

/// Frame `i` of a value is made of the input's frames from `i * stride - left` to `i * stride +
/// right`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    pub stride: usize,
    pub left: usize,
    pub right: usize,
}

impl Sight {
    /// That of the input itself.
    const INPUT: Self = Self { stride: 1, left: 0, right: 0 };

    /// Behind a layer over so many frames.
    fn through(
        self,
        kernel: usize,
        stride: usize,
        padding: usize,
        dilation: usize,
    ) -> Option<Self> {
        let right = (kernel.checked_sub(1)? * dilation).checked_sub(padding)?;
        Some(Self {
            stride: self.stride * stride,
            left: self.left + padding * self.stride,
            right: self.right + right * self.stride,
        })
    }

    /// Of both values.
    fn and(self, other: Self) -> Option<Self> {
        let Self { stride, left, right } = other;
        (self.stride == stride).then_some(Self {
            stride,
            left: self.left.max(left),
            right: self.right.max(right),
        })
    }

    /// Of what a node makes, if it makes each frame of the frames around it alone.
    fn behind(node: &Node, of: &[Option<Self>]) -> Option<Self> {
        let mut sights = node.inputs.iter().map(|value| of[value.0]);
        let first = sights.next()??;
        match &node.op {
            Op::Conv2d(config) => {
                let [kernel, stride, padding] =
                    [config.kernel, config.stride, config.padding].map(|axes| axes[1]);
                first.through(kernel, stride, padding, config.dilation)
            }
            Op::Norm { .. } | Op::Copy => Some(first),
            Op::Map(f) => (*f != Map::Softmax).then_some(first),
            Op::Combine(_) => first.and(sights.next()??),
            _ => None,
        }
    }
}

/// The sight of each value of a graph. None for values that see all frames.
pub(super) fn sights(graph: &Graph) -> Vec<Option<Sight>> {
    let mut all = vec![Some(Sight::INPUT)];
    for node in &graph.nodes {
        let is_image = node.size.len() == 3;
        let sight = Sight::behind(node, &all).filter(|_| is_image);
        all.push(sight);
    }
    all
}

#[cfg(all(test, feature = "burn"))]
mod tests {
    use super::*;
    use crate::zoo::Architecture;

    fn at_the_end_of(name: &str, stage: &str) -> Sight {
        let graph = Architecture::named(name).unwrap().graph(200).unwrap();
        let last = graph.nodes.iter().rposition(|node| node.stage.to_string() == stage).unwrap();
        sights(&graph)[last + 1].unwrap()
    }

    /// A ResNet's stem sees one frame beside its own. Each 3x3 convolution behind it sees one more,
    /// in frames of its input.
    #[test]
    fn each_convolution_sees_one_frame_more() {
        let sight = |stage| at_the_end_of("resnet34", stage);
        assert_eq!(sight("stem"), Sight { stride: 1, left: 1, right: 1 });
        assert_eq!(sight("stage 1"), Sight { stride: 1, left: 7, right: 7 });
        // One more by the convolution with the stride, then 7 that see two each.
        assert_eq!(sight("stage 2"), Sight { stride: 2, left: 7 + 1 + 14, right: 7 + 1 + 14 });
    }

    /// Gates are of means over all frames, and streams are not values of their own.
    #[test]
    fn what_sees_all_frames_has_no_sight() {
        for name in ["ecapa-tdnn-512", "simam-resnet34", "rev2-resnet34"] {
            let graph = Architecture::named(name).unwrap().graph(200).unwrap();
            let sights = sights(&graph);
            assert!(sights[0].is_some() && sights[graph.output.0].is_none(), "{name}");
        }
    }
}
