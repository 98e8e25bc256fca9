//! Where a network can be cut: behind values that are all that later operations read of earlier
//! ones.

use std::ops::Range;

use super::{Combine, Function, Graph, Map, Op, Step, Value};

/// Consecutive nodes between two cuts, up to the pooled statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The nodes. They read the value `nodes.start` and what they make themselves; others read the
    /// value `nodes.end` of what they make.
    pub nodes: Range<usize>,
    /// Whether the backward pass computes them again from the value that they read. Else a tape
    /// keeps what it needs of them.
    pub recomputed: bool,
    /// The numbers of values in between, in order, at which the backward pass takes a recomputed
    /// span apart. Then it has what a tape needs of one piece at a time, and computes the input of
    /// each piece from the value that the span reads.
    pub cuts: Vec<usize>,
}

impl Span {
    /// A span in one piece.
    pub fn new(nodes: Range<usize>, recomputed: bool) -> Self {
        Self { nodes, recomputed, cuts: Vec::new() }
    }

    /// Where its pieces begin and end, in forward order.
    pub fn ends(&self) -> Vec<usize> {
        let ends = std::iter::once(self.nodes.start).chain(self.cuts.iter().copied());
        ends.chain([self.nodes.end]).collect()
    }

    /// Its pieces, in forward order; itself if it is not taken apart.
    pub fn pieces(&self) -> Vec<Function> {
        self.ends().windows(2).map(|ends| function(ends[0]..ends[1])).collect()
    }
}

/// Nodes between two cuts.
fn function(nodes: Range<usize>) -> Function {
    let (inputs, outputs) = (vec![Value(nodes.start)], vec![Value(nodes.end)]);
    Function { inputs, nodes, outputs }
}

impl Graph {
    /// The numbers of the values up to the pooled statistics behind which the network can be cut,
    /// in order: whatever is made later reads nothing else of what was made until then. The last
    /// one is that of the pooled statistics.
    ///
    /// What is computed as one operation is not cut. Nor is there a cut behind a value that is read
    /// more than twice, or in front of learned sums of earlier values: three gradients have more
    /// than one sum, and which one it is depends on the tape.
    pub fn cuts(&self) -> Vec<usize> {
        // The number of the value that the last reader makes.
        let (mut last, mut reads) = (vec![0; self.nodes.len() + 1], vec![0; self.nodes.len() + 1]);
        for (made, node) in (1..).zip(&self.nodes) {
            for v in &node.inputs {
                last[v.0] = made;
                reads[v.0] += 1;
            }
        }
        last[self.output.0] = self.nodes.len() + 1;
        let end = self.tail.nodes.start;
        let sums = self.nodes[..end].iter().rposition(|node| node.op == Op::Mix).unwrap_or(0);
        let mut reach = last[0];
        let mut cuts = Vec::new();
        for (value, &reader) in last.iter().enumerate().take(end + 1).skip(1) {
            let fits = reads[value] <= 2 && value > sums && self.is_own(value);
            if reach <= value && (value == end || fits) {
                cuts.push(value);
            }
            reach = reach.max(reader);
        }
        cuts
    }

    /// Whether a value has memory of its own, and no ReLU that belongs to its operation follows.
    fn is_own(&self, value: usize) -> bool {
        let next = self.nodes.get(value).map(|node| &node.op);
        match &self.nodes[value - 1].op {
            Op::Combine(Combine::Add) => next != Some(&Op::Map(Map::Relu)),
            // Views, or other orders in memory.
            Op::Channels(_) | Op::Swap | Op::Spread | Op::Trim(_) | Op::Repeat(_) => false,
            Op::Copy | Op::Reshape(_) | Op::Half(_) => false,
            _ => true,
        }
    }

    /// The same network, whose steps are these spans instead of one for all nodes up to the pooled
    /// statistics. Spans are named by the stage of their first node.
    #[must_use]
    pub fn in_spans(self, spans: &[Span]) -> Self {
        let step = |span: &Span| {
            let stage = self.nodes[span.nodes.start].stage.to_string();
            (stage, Step::Keep(function(span.nodes.clone())))
        };
        let steps = spans.iter().map(step).collect();
        Self { steps, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::{Architecture, names};

    fn graph(name: &str) -> Graph {
        Architecture::named(name).unwrap().graph(200).unwrap()
    }

    /// By definition: every pair of a node behind a cut and a value in front of it.
    #[test]
    fn nothing_passes_by_a_cut() {
        let mut most = 0;
        for name in names().filter(|name| !name.starts_with("rev")) {
            let graph = graph(&name);
            let cuts = graph.cuts();
            assert_eq!(cuts.last(), Some(&graph.tail.nodes.start), "{name}");
            assert!(cuts.is_sorted_by(|a, b| a < b), "{name}");
            for &cut in &cuts {
                let behind = graph.nodes[cut..].iter().flat_map(|node| &node.inputs);
                let in_front = behind.filter(|v| v.0 <= cut);
                assert!(in_front.into_iter().all(|v| v.0 == cut), "{name}: {cut}");
            }
            most = most.max(cuts.len());
        }
        assert!(most > 90, "{most}");
    }

    /// A cut for each block and for each operation of the stem; dense layers have one each.
    #[test]
    fn chains_are_cut_between_their_blocks() {
        for (name, least) in [("resnet34", 16), ("df-resnet56", 17), ("campplus", 52), ("tdnn", 15)]
        {
            let found = graph(name).cuts().len();
            assert!(found >= least && found < 3 * least, "{name}: {found}");
        }
    }

    #[test]
    fn spans_become_steps() {
        let graph = graph("resnet18");
        let cuts = graph.cuts();
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let spans: Vec<Span> =
            starts.zip(&cuts).map(|(start, &end)| Span::new(start..end, true)).collect();
        let cut = graph.clone().in_spans(&spans);
        assert_eq!(cut.steps.len(), cuts.len());
        assert_eq!((&cut.nodes, &cut.tail), (&graph.nodes, &graph.tail));
        assert_eq!(
            (cut.steps[0].0.as_str(), cut.steps.last().unwrap().0.as_str()),
            ("stem", "pooling")
        );
    }
}
