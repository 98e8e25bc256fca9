//! The units of a network and their bytes, by the account's own arithmetic: the step with all units
//! kept, played on the ledger.

use super::chain::{Chain, Unit};
use crate::backend::BackendKind;
use crate::memory::Setting;
use crate::memory::account::player;
use crate::memory::head::Head;
use crate::memory::ledger::Use;
use crate::memory::machine::Machine;
use crate::nn::graph::{Function, Graph, Step, Value};

/// The chain of a network whose steps are its units.
pub(super) fn chain(setting: &Setting, kind: BackendKind, graph: &Graph) -> Chain {
    let functions: Vec<&Function> = graph
        .steps
        .iter()
        .filter_map(|(_, step)| match step {
            Step::Keep(f) => Some(f),
            Step::Couple(..) | Step::Squeeze | Step::Halves(_) => None,
        })
        .collect();
    let mut player = player(setting, kind, graph, Vec::new());
    // Gradients stay, as those of kept units do. Where some are released, the account tells.
    player.release = None;
    let image = player.bytes(Value(0));
    let mut streams = vec![player.ledger.new_lasting(image)];
    let (mut units, mut tapes) = (Vec::new(), Vec::new());
    for f in &functions {
        let before = player.ledger.now.activations;
        player.ledger.peak = Use::default();
        let (out, tape) = player.forward(f, streams, true);
        streams = out;
        tapes.push(tape);
        let behind = player.ledger.now.activations;
        let cost = graph.nodes[f.nodes.clone()].iter().map(|node| {
            let made: usize = node.size.iter().product();
            (graph.node_macs(node) + made) as u64
        });
        units.push(Unit {
            tape: behind.saturating_sub(before),
            work: player.ledger.peak.total().saturating_sub(behind),
            output: player.bytes(f.outputs[0]),
            cost: cost.sum(),
        });
    }
    let machine = Machine::of(kind);
    let head = Head::of(setting.batch, setting.speakers, setting.arch.embedding_dim, machine);
    let held = player.ledger.now.activations;
    player.ledger.peak = Use::default();
    let (mut dy, _) = player.top(streams, head);
    let top = player.ledger.peak.total().saturating_sub(held);
    let mut held = image + units.iter().map(|unit: &Unit| unit.tape).sum::<usize>();
    for (i, (f, tape)) in functions.iter().zip(tapes).enumerate().rev() {
        // Gradients of what is behind are there while the unit is computed again.
        let again = units[i].work + player.ledger.now.gradients;
        player.ledger.peak = Use::default();
        dy = player.backward(f, tape, dy, i > 0);
        units[i].work = again.max(player.ledger.peak.total().saturating_sub(held));
        held -= units[i].tape;
    }
    Chain { units, top }
}
