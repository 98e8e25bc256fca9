//! Every option that changes what a step takes, beside each other: bytes and work by arithmetic.

use std::ops::Range;

use super::machine::Machine;
use super::pieces::Pieces;
use super::series::Series;
use super::{Breakdown, Setting, account_on, human, plan};
use crate::backend::BackendKind;
use crate::backend::reversible::Execution;
use crate::error::Result;
use crate::losses::{HeadConfig, speakers_at_once};
use crate::nn::graph::Function;
use crate::train::{OptimizerConfig, Weights};
use crate::zoo::ReversibleType;

/// A step with some options.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The step.
    pub setting: Setting,
    /// Its account.
    pub account: Breakdown,
    /// Multiplications of convolutions and matrix products, for one crop. Products of a backward
    /// pass count twice: one gives the gradient of the weights, one that of the input. What is
    /// computed again counts again.
    pub multiplications: usize,
}

/// The step of the ordinary network without options, then those of each combination: checkpointed
/// with the fewest bytes, reversible types, 8-bit states, gradients released, and where these go
/// with them, weights in 24 bits.
///
/// # Errors
/// An impossible setting.
pub fn options(setting: &Setting, kind: BackendKind) -> Result<Vec<Choice>> {
    let base = setting.baseline()?;
    let ordinary = [None, Some(Execution::Checkpointed)];
    let mut kinds = ordinary.map(|execution| (base.arch.clone(), execution)).to_vec();
    let types = [ReversibleType::Partial, ReversibleType::Full];
    let reversible = types.into_iter().filter_map(|of| base.arch.of_type(Some(of)));
    kinds.extend(reversible.map(|arch| (arch, None)));
    let optimizers: Vec<OptimizerConfig> = OptimizerConfig::NAMES
        .into_iter()
        .map(OptimizerConfig::named)
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .filter(|other| other.name() == base.optimizer.name() || is_twin(other, &base.optimizer))
        .collect();
    let mut choices = Vec::new();
    for (arch, execution) in &kinds {
        let takes_packed = arch.reversible_type().is_some() && !Machine::of(kind).is_gpu();
        let held = [(false, Weights::F32), (true, Weights::F32), (true, Weights::Bf16Plus8)];
        let held = if takes_packed { &held[..] } else { &held[..2] };
        for optimizer in &optimizers {
            for &(release_gradients, weights) in held {
                let setting = Setting {
                    arch: arch.clone(),
                    execution: *execution,
                    optimizer: optimizer.clone(),
                    release_gradients,
                    weights,
                    ..base.clone()
                };
                let account = account_on(&setting, kind)?;
                let multiplications = multiplications(&setting, kind)?;
                choices.push(Choice { setting, account, multiplications });
            }
        }
    }
    Ok(choices)
}

/// Whether both have the same states, if in other bits.
fn is_twin(a: &OptimizerConfig, b: &OptimizerConfig) -> bool {
    a.whole().is_some() && a.whole() == b.whole()
}

/// See [`Choice::multiplications`].
fn multiplications(setting: &Setting, kind: BackendKind) -> Result<usize> {
    let graph = setting.arch.graph(setting.frames)?;
    let within = |nodes: &Range<usize>| -> usize {
        graph.nodes[nodes.clone()].iter().map(|node| graph.node_macs(node)).sum()
    };
    let of = |f: &Function| within(&f.nodes);
    let mut all = 3 * of(&graph.tail);
    for f in graph.steps.iter().flat_map(|(_, step)| step.functions()) {
        all += 3 * of(f);
        if setting.is_reversible() {
            // Once more for the tape, and what has pieces once more for the inputs of these.
            let pieces = Pieces::of(&graph, f);
            let series = Series::of(&graph, f);
            let repeated = pieces.iter().flat_map(Pieces::repeated);
            let repeated = repeated.chain(series.iter().flat_map(Series::repeated));
            all += of(f) + repeated.map(of).sum::<usize>();
        }
    }
    if setting.execution == Some(Execution::Checkpointed) {
        let spans = plan(setting, kind)?.spans;
        for span in spans.iter().filter(|span| span.recomputed) {
            // Each piece runs once on its tape, and once for every piece behind it.
            let pieces = span.pieces();
            let pieces = pieces.iter().rev().zip(1_usize..);
            all += pieces.map(|(f, times)| times * of(f)).sum::<usize>();
        }
    }
    let (dim, speakers) = (setting.arch.embedding_dim, setting.speakers);
    let parts = speakers_at_once(&HeadConfig::default(), setting.batch, dim, speakers);
    Ok(all + if parts.is_some() { 4 } else { 3 } * dim * speakers)
}

/// The choices as a table in Markdown, compared with the first.
pub fn options_table(choices: &[Choice]) -> String {
    let mut text = String::from(
        "| network | optimizer | gradients | weights | peak | times less | multiplications |\n\
         |---|---|---|---|---:|---:|---:|\n",
    );
    let Some(first) = choices.first() else { return text };
    for Choice { setting, account, multiplications } in choices {
        let gradients = if setting.release_gradients { "released" } else { "kept" };
        let less = first.account.peak as f64 / account.peak as f64;
        let work = *multiplications as f64 / first.multiplications as f64;
        text += &format!(
            "| {} | `{}` | {gradients} | {} | {} | {less:.1} | {work:.2} |\n",
            setting.name(),
            setting.optimizer.name(),
            setting.weights.name(),
            human(account.peak),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::Architecture;

    fn setting(name: &str, optimizer: &str) -> Setting {
        Setting {
            batch: 8,
            ..Setting::new(
                Architecture::named(name).unwrap(),
                OptimizerConfig::named(optimizer).unwrap(),
            )
        }
    }

    /// Whatever the step that was asked for, the ordinary one is the first.
    #[test]
    fn every_combination_has_a_row() {
        for asked in [setting("resnet50", "sgd"), setting("rev2-resnet50", "sgd8bit")] {
            let choices = options(&asked, BackendKind::Flex).unwrap();
            // Two ways of the ordinary network, and two types with weights in 24 bits.
            assert_eq!(choices.len(), 2 * 2 * 2 + 2 * 2 * 3);
            assert_eq!(choices[0].setting, asked.baseline().unwrap());
            for (i, choice) in choices.iter().enumerate() {
                assert!(choices[..i].iter().all(|other| other.setting != choice.setting));
            }
            let text = options_table(&choices);
            assert_eq!(text.lines().count(), 2 + choices.len(), "{text}");
            assert!(text.contains("| resnet50 | `sgd` | kept | f32 |"), "{text}");
            assert!(text.contains("| 1.0 | 1.00 |"), "{text}");
        }
        // ECAPA-TDNN has no reversible types.
        let choices = options(&setting("ecapa-tdnn-512", "adamw"), BackendKind::Flex).unwrap();
        assert_eq!(choices.len(), 2 * 2 * 2);
        let gpu = options(&setting("resnet50", "sgd"), BackendKind::Wgpu).unwrap();
        assert_eq!(gpu.len(), 4 * 2 * 2);
        assert!(options_table(&[]).starts_with("| network |"));
    }

    /// A reversible step computes everything but its last layers once more: four passes instead of
    /// three. What has pieces is computed a fifth time, but for the last piece; of the functions of
    /// the first stage, the first convolution.
    #[test]
    fn recomputation_is_a_third_more() {
        let work = |s: &Setting| multiplications(s, BackendKind::Flex).unwrap();
        for (name, most) in [("rev2-resnet50", 1.35), ("rev1-resnet50", 5.0 / 3.0)] {
            let reversible = setting(name, "sgd");
            let taped = Setting { execution: Some(Execution::Taped), ..reversible.clone() };
            let [more, all] = [&reversible, &taped].map(|s| work(s) as f64);
            assert!(more > 1.25 * all && more <= most * all, "{name}: {}", more / all);
        }
        let graph = Architecture::named("resnet50").unwrap().graph(200).unwrap();
        let ordinary = work(&setting("resnet50", "sgd"));
        assert_eq!(ordinary, 3 * (graph.macs() + 256 * 5994));
    }
}
