//! Pieces one after the other on the ledger; see
//! [`Pieces::Series`](crate::backend::reversible::Pieces::Series).

use std::iter::repeat_n;

use super::ledger::Buffer;
use super::play::Player;
use crate::nn::Stage;
use crate::nn::graph::{Function, Graph, Node, Op, Value};

/// The pieces of F or G of the first reversible stage.
pub(super) struct Series(Vec<Piece>);

/// Normalisation, and the convolution of what it makes.
struct Piece {
    norm: Function,
    convolution: Function,
    both: Function,
}

impl Series {
    /// Those of a function of a reversible body; none for one that is differentiated as a whole.
    pub fn of(graph: &Graph, f: &Function) -> Option<Self> {
        let nodes = &graph.nodes[f.nodes.clone()];
        let is_piece = |pair: &[Node]| match pair {
            [norm, convolution] => {
                matches!(norm.op, Op::Norm { relu: true, .. })
                    && matches!(convolution.op, Op::Conv2d(_))
            }
            _ => false,
        };
        let is_first = nodes.first()?.stage == Stage::numbered("stage", 1);
        let part = |from: usize, upto: usize| Function {
            inputs: graph.nodes[from].inputs.clone(),
            nodes: from..upto,
            outputs: vec![Value(upto)],
        };
        let piece = |at: usize| Piece {
            norm: part(at, at + 1),
            convolution: part(at + 1, at + 2),
            both: part(at, at + 2),
        };
        (is_first && nodes.chunks(2).all(is_piece))
            .then(|| Self(f.nodes.clone().step_by(2).map(piece).collect()))
    }

    /// Those that run more often than in a tape of the whole, each as many times as it is in this
    /// list.
    pub fn repeated(&self) -> impl Iterator<Item = &Function> {
        // The last one runs once. Another one runs for each piece behind it, and not on its tape.
        let behind = (0..self.0.len()).rev();
        let more = self.0.iter().zip(behind);
        more.flat_map(|(piece, behind)| repeat_n(&piece.both, behind.saturating_sub(1)))
    }
}

impl Player<'_> {
    /// The way back through the pieces of `f`, as `series::pull` takes it: the gradient of its
    /// input, the stream that `to` is not. The stream `to` becomes what it was before.
    pub fn pull_series(
        &mut self,
        Series(pieces): &Series,
        f: &Function,
        y: &mut [Buffer],
        to: usize,
        dy: Buffer,
    ) -> Buffer {
        let mut d = self.ledger.share(dy);
        for (i, piece) in pieces.iter().enumerate().rev() {
            let mut input = self.ledger.share(y[1 - to]);
            for before in &pieces[..i] {
                input = self.forward(&before.both, vec![input], false).0[0];
            }
            let (normed, tape) = self.forward(&piece.norm, vec![input], true);
            // Of the others nobody wants the output.
            let kept = if i + 1 == pieces.len() {
                let (out, kept) = self.forward(&piece.convolution, normed, true);
                y[to] = self.sum(y[to], out[0], f);
                kept
            } else {
                vec![normed]
            };
            let before = self.ledger.gradients();
            let dnormed = self.backward(&piece.convolution, kept, vec![d], true);
            d = self.backward(&piece.norm, tape, dnormed, true)[0];
            self.released(&piece.both, before, true);
        }
        d
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Setting, account};
    use crate::nn::graph::Step;
    use crate::train::{OptimizerConfig, Weights};
    use crate::zoo::Architecture;

    /// The functions of a network's body that come in series, with their graph.
    fn found(arch: &Architecture) -> (Graph, Vec<(Function, Series)>) {
        let graph = arch.graph(200).unwrap();
        let functions = graph.steps.iter().flat_map(|(_, step)| match step {
            Step::Couple(f, g) => vec![f.clone(), g.clone()],
            Step::Keep(_) | Step::Squeeze | Step::Halves(_) => vec![],
        });
        let in_series = |f: Function| Series::of(&graph, &f).map(|series| (f, series));
        let all = functions.filter_map(in_series).collect();
        (graph, all)
    }

    #[test]
    fn the_first_stage_comes_in_series() {
        let named = |name: &str| Architecture::named(name).unwrap();
        // Functions, of which a block has two, and their convolutions.
        for (name, functions, convolutions) in [
            ("rev1-df-resnet56", 4, 3),
            ("rev2-df-resnet56", 4, 3),
            ("rev1-gemini-df-resnet60", 4, 3),
            ("rev1-resnet34", 4, 2),
            ("rev1-resnet50", 2, 3),
            ("rev2-resnet50", 4, 3),
        ] {
            let (graph, all) = found(&named(name));
            assert_eq!(all.len(), functions, "{name}");
            for (f, series) in &all {
                let Series(pieces) = series;
                assert_eq!((pieces.len(), &pieces[0].both.inputs), (convolutions, &f.inputs));
                assert_eq!(pieces[convolutions - 1].both.outputs, f.outputs);
                for pair in pieces.windows(2) {
                    assert_eq!(pair[0].both.outputs, pair[1].norm.inputs);
                }
                for piece in pieces {
                    assert_eq!(piece.norm.outputs, piece.convolution.inputs);
                    let node = &graph.nodes[piece.convolution.nodes.start];
                    assert!(matches!(node.op, Op::Conv2d(_)));
                }
                // Of three convolutions the first one runs once more.
                let repeated: Vec<_> = series.repeated().map(|f| f.nodes.clone()).collect();
                let mut first = vec![];
                if convolutions == 3 {
                    first.push(f.nodes.start..f.nodes.start + 2);
                }
                assert_eq!(repeated, first, "{name}");
            }
        }
        assert!(found(&named("df-resnet56")).1.is_empty());
        let mut other = named("rev1-df-resnet56");
        other.reversible.order = Some(crate::nn::Order::PostActivation);
        assert!(found(&other).1.is_empty());
    }

    /// Three wide activations at a time instead of four, and no narrow one beside them: of the
    /// streams' size (32 channels) there are 16 and the image, where there were 22.
    #[test]
    fn fewer_wide_activations_are_there_at_a_time() {
        let setting = Setting {
            release_gradients: true,
            ..Setting::new(
                Architecture::named("rev1-df-resnet56").unwrap(),
                OptimizerConfig::named("sgd8bit").unwrap(),
            )
        };
        let account = account(&setting).unwrap();
        let image = 4 * setting.batch * 80 * 200;
        assert_eq!(account.at_peak.activations, (16 * 32 + 1) * image, "{account:?}");
        assert!(account.peak < 4 << 30, "{account:?}");
    }

    /// Where the batch is small, and weights are half of all.
    #[test]
    fn a_deep_network_trains_in_230_mib() {
        let setting = Setting {
            batch: 8,
            release_gradients: true,
            weights: Weights::Bf16Plus8,
            ..Setting::new(
                Architecture::named("rev2-resnet293").unwrap(),
                OptimizerConfig::named("sgd8bit").unwrap(),
            )
        };
        let account = account(&setting).unwrap();
        assert!(account.peak <= 230 << 20, "{account:?}");
    }
}
