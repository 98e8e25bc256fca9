//! A function in pieces on the ledger; see [`Fork`](crate::backend::reversible::Fork).

use super::ledger::Buffer;
use super::play::Player;
use crate::nn::graph::{Function, Graph, Op, Value};
use crate::nn::{Combine, Map};

/// The pieces of a block with a projection, in the order of the graph's nodes.
pub(super) struct Pieces {
    /// Convolution, normalisation and ReLU, one after the other.
    main: Vec<Function>,
    /// The convolution of the last piece.
    convolution: Function,
    /// The same with its normalisation: what has parameters.
    last: Function,
    /// The projection.
    other: Function,
}

impl Pieces {
    /// Those of a function of a reversible body; none for one that is differentiated as a whole.
    pub fn of(graph: &Graph, f: &Function) -> Option<Self> {
        let (start, nodes) = (f.nodes.start, &graph.nodes[f.nodes.clone()]);
        let (&[input], n) = (&f.inputs[..], nodes.len()) else { return None };
        // Pairs of nodes; then the projection, sum and ReLU.
        if n < 8 || !n.is_multiple_of(2) {
            return None;
        }
        let is_block = nodes[n - 1].op == Op::Map(Map::Relu)
            && nodes[n - 2].op == Op::Combine(Combine::Add)
            && matches!(nodes[n - 3].op, Op::Norm { relu: false, .. })
            && matches!(nodes[n - 4].op, Op::Conv2d(_))
            && nodes[n - 4].inputs == [input];
        let piece = |from: usize, upto: usize| Function {
            inputs: nodes[from].inputs.clone(),
            nodes: start + from..start + upto,
            outputs: vec![Value(start + upto)],
        };
        is_block.then(|| Self {
            main: (0..n - 6).step_by(2).map(|i| piece(i, i + 2)).collect(),
            convolution: piece(n - 6, n - 5),
            last: piece(n - 6, n - 4),
            other: piece(n - 4, n - 2),
        })
    }

    /// Those that run once more, without a tape, for the inputs of others.
    pub fn repeated(&self) -> impl Iterator<Item = &Function> {
        self.main.iter().chain([&self.other])
    }
}

impl Player<'_> {
    /// The way back through pieces, as `Fork::pull` takes it, from the gradient `dy` of the output:
    /// the gradient of the input `x`, if it is wanted.
    pub fn pull_pieces(
        &mut self,
        pieces: &Pieces,
        x: Buffer,
        dy: Buffer,
        wanted: bool,
    ) -> Vec<Buffer> {
        let mut kept = vec![self.ledger.share(x)];
        for piece in &pieces.main {
            let input = self.ledger.share(kept[kept.len() - 1]);
            kept.extend(self.forward(piece, vec![input], false).0);
        }
        let middle: Vec<Buffer> = kept.pop().into_iter().collect();
        let input = self.ledger.share(x);
        let (side, _) = self.forward(&pieces.other, vec![input], false);
        let before = self.ledger.gradients();
        let (y, tape) = self.forward(&pieces.convolution, middle, true);
        let bytes = self.bytes(pieces.last.outputs[0]);
        // Normalisation, sum and ReLU are one operation, whose output takes the projection's place.
        let output = side[0];
        let dsum = match self.machine.is_gpu() {
            true => {
                let dsum = self.ledger.in_place(&[dy], bytes);
                self.ledger.release(output);
                dsum
            }
            false => self.ledger.in_place(&[output, dy], bytes),
        };
        let normed = &self.graph.nodes[pieces.convolution.nodes.end];
        self.ledger.gradient(4 * self.graph.node_parameters(normed));
        // The gradient of the sum is that of the projection, too.
        let dnorm = self.ledger.new_buffer(bytes);
        self.ledger.release_all(y);
        let mut d = self.backward(&pieces.convolution, tape, vec![dnorm], true);
        self.released(&pieces.last, before, true);
        let input = self.ledger.share(x);
        let aside = self.through(&pieces.other, input, vec![dsum], wanted);
        for (i, piece) in pieces.main.iter().enumerate().rev() {
            let input = kept.pop().expect("an input of each piece");
            d = self.through(piece, input, d, wanted || i > 0);
        }
        match (&d[..], &aside[..]) {
            (&[main], &[other]) => {
                let bytes = self.bytes(pieces.other.inputs[0]);
                vec![self.ledger.in_place(&[main, other], bytes)]
            }
            _ => Vec::new(),
        }
    }

    /// Runs a piece again on an input that is given away, and takes it back.
    pub fn through(
        &mut self,
        piece: &Function,
        input: Buffer,
        dy: Vec<Buffer>,
        wanted: bool,
    ) -> Vec<Buffer> {
        let (out, tape) = self.forward(piece, vec![input], true);
        self.ledger.release_all(out);
        let before = self.ledger.gradients();
        let dx = self.backward(piece, tape, dy, wanted);
        self.released(piece, before, true);
        dx
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::graph::Step;
    use crate::zoo::Architecture;

    /// How many functions of a network's body come in pieces.
    fn forks(name: &str) -> usize {
        let graph = Architecture::named(name).unwrap().graph(200).unwrap();
        let in_pieces = |step: &Step| match step {
            Step::Keep(f) => Pieces::of(&graph, f).is_some(),
            Step::Couple(..) | Step::Squeeze | Step::Halves(_) => false,
        };
        graph.steps.iter().filter(|(_, step)| in_pieces(step)).count()
    }

    #[test]
    fn transitions_of_bottlenecks_come_in_pieces() {
        assert_eq!(forks("rev1-resnet50"), 4);
        for name in ["rev1-resnet18", "rev1-df-resnet56", "rev2-resnet50", "rev2-df-resnet56"] {
            assert_eq!(forks(name), 0, "{name}");
        }
    }

    #[test]
    fn pieces_are_the_nodes_of_the_block() {
        let graph = Architecture::named("rev1-resnet50").unwrap().graph(200).unwrap();
        for (_, step) in &graph.steps {
            let Step::Keep(f) = step else { continue };
            let Some(pieces) = Pieces::of(&graph, f) else { continue };
            assert_eq!(pieces.main.len(), 2);
            assert_eq!(pieces.main[0].inputs, f.inputs);
            assert_eq!(pieces.other.inputs, f.inputs);
            assert_eq!(pieces.main[1].inputs, pieces.main[0].outputs);
            assert_eq!(pieces.last.inputs, pieces.main[1].outputs);
            let sum = &graph.nodes[f.nodes.end - 2];
            assert_eq!(sum.inputs, [pieces.last.outputs[0], pieces.other.outputs[0]]);
        }
    }
}
