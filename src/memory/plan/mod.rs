//! Which spans of an ordinary network to recompute in the backward pass (`train.execution =
//! "checkpointed"`): those with which a step needs the fewest bytes, or the cheapest ones that fit
//! a budget.
//!
//! The network is a chain of units between its [cuts](Graph::cuts). `units` takes their bytes from
//! the account, `chain` finds the parts, and the account of the whole step has the last word.

mod chain;
mod units;

use std::sync::Arc;

use self::chain::{Chain, Kind, Part};
use super::account::account_in;
use super::way::Way;
use super::{Setting, human};
use crate::backend::BackendKind;
use crate::bytes::{counted, human_at_least};
use crate::error::{Error, Result};
use crate::nn::graph::{Graph, Span};

/// How often a plan is made again with what its account taught.
const TRIALS: usize = 8;

/// What is recomputed, and what that saves.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The network's spans up to the pooled statistics.
    pub spans: Arc<[Span]>,
    /// Bytes of a step by the account, as [`account_on`](super::account_on) has them; on GPUs in
    /// pages.
    pub bytes: usize,
    /// Bytes of a step that keeps everything.
    pub ordinary: usize,
    /// Multiplications and values made that are computed again, against the network's own.
    pub again: f64,
    /// For each stage: its name, spans that are recomputed, and units that are kept.
    pub stages: Vec<(String, usize, usize)>,
}

impl Plan {
    /// The plan for people: one line about the whole, one for each stage.
    pub fn lines(&self) -> Vec<String> {
        let recomputed = self.spans.iter().filter(|span| span.recomputed).count();
        let whole = match recomputed {
            0 => format!("plan: nothing is recomputed, {}", human(self.bytes)),
            _ => format!(
                "plan: {} recomputed, {:.0} % of the network; {} instead of {}",
                counted(recomputed, "span"),
                100.0 * self.again,
                human(self.bytes),
                human(self.ordinary)
            ),
        };
        let width = self.stages.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let stage = |(name, recomputed, kept): &(String, usize, usize)| {
            let told = match (recomputed, kept) {
                (0, _) => "kept".to_owned(),
                (n, 0) => format!("{n} recomputed"),
                (n, kept) => format!("{n} recomputed, {kept} kept"),
            };
            format!("  {name:<width$}  {told}")
        };
        std::iter::once(whole).chain(self.stages.iter().map(stage)).collect()
    }
}

/// The plan of a step: with the fewest bytes, or the cheapest within the setting's budget.
///
/// # Errors
/// An impossible setting, a reversible network, and a budget that nothing fits: the smallest one
/// that something fits is named.
pub fn plan(setting: &Setting, kind: BackendKind) -> Result<Plan> {
    setting.check()?;
    if setting.arch.reversible_type().is_some() {
        return Err(Error::invalid("a reversible network recomputes its activations already"));
    }
    let planner = Planner::new(setting, kind, setting.arch.graph(setting.frames)?);
    let kept = planner.made(planner.chain.kept());
    let Some(budget) = setting.budget else { return Ok(planner.fewest(kept).plan) };
    let budget = usize::try_from(budget).unwrap_or(usize::MAX);
    if kept.plan.bytes <= budget {
        return Ok(kept.plan);
    }
    let fewest = planner.fewest(kept);
    if fewest.plan.bytes > budget {
        return Err(Error::Invalid(too_little(setting, budget, fewest.plan.bytes)));
    }
    Ok(planner.within(budget, fewest).plan)
}

/// Says what the least is that a step takes, and what takes less.
fn too_little(setting: &Setting, budget: usize, least: usize) -> String {
    let Setting { arch, batch, frames, optimizer, release_gradients, .. } = setting;
    let mut less = Vec::new();
    // Released gradients do not go with turns.
    match release_gradients {
        true => less.push("smaller batches (train.batch_size)"),
        false => less.extend([
            "train.release_gradients = true",
            "smaller batches (train.batch_size, train.accumulate)",
        ]),
    }
    if optimizer.whole() == Some(optimizer.name()) {
        less.push("optimizers with 8-bit states");
    }
    format!(
        "train.memory = {}: a step of {}, {batch} crops of {frames} frames, takes {} at least if \
         it is checkpointed; {} and reversible networks take less",
        human(budget),
        arch.name,
        human_at_least(least as u64),
        less.join(", ")
    )
}

/// A network's chain.
struct Planner<'s> {
    setting: &'s Setting,
    kind: BackendKind,
    graph: Graph,
    /// Where units end, as numbers of values.
    cuts: Vec<usize>,
    chain: Chain,
    ordinary: usize,
}

/// A plan with its parts.
struct Made {
    parts: Vec<Part>,
    plan: Plan,
}

/// The nodes of parts, whose units end at cuts.
fn spans(cuts: &[usize], parts: &[Part]) -> Vec<Span> {
    let start = |unit: usize| unit.checked_sub(1).map_or(0, |before| cuts[before]);
    let span = |Part { units, kind }: &Part| {
        let inner = if *kind == Kind::Apart { &cuts[units.start..units.end - 1] } else { &[] };
        Span {
            nodes: start(units.start)..cuts[units.end - 1],
            recomputed: *kind != Kind::Kept,
            cuts: inner.to_vec(),
        }
    };
    parts.iter().map(span).collect()
}

impl<'s> Planner<'s> {
    fn new(setting: &'s Setting, kind: BackendKind, graph: Graph) -> Self {
        let cuts = graph.cuts();
        let ordinary =
            account_in(setting, kind, &graph, vec![Way::Kept; graph.steps.len()]).needed();
        let each: Vec<Part> =
            (0..cuts.len()).map(|i| Part { units: i..i + 1, kind: Kind::Kept }).collect();
        let divided = graph.clone().in_spans(&spans(&cuts, &each));
        let chain = units::chain(setting, kind, &divided);
        Self { setting, kind, graph, cuts, chain, ordinary }
    }

    /// The plan of parts, with its account.
    fn made(&self, parts: Vec<Part>) -> Made {
        let spans = spans(&self.cuts, &parts);
        let graph = self.graph.clone().in_spans(&spans);
        let ways = spans.iter().map(Way::of).collect();
        let bytes = account_in(self.setting, self.kind, &graph, ways).needed();
        let all: u64 = self.chain.units.iter().map(|unit| unit.cost).sum();
        let mut stages: Vec<(String, usize, usize)> = Vec::new();
        for ((name, _), span) in graph.steps.iter().zip(&spans) {
            let place = stages.iter().position(|(known, ..)| known == name).unwrap_or_else(|| {
                stages.push((name.clone(), 0, 0));
                stages.len() - 1
            });
            match span.recomputed {
                true => stages[place].1 += 1,
                false => stages[place].2 += 1,
            }
        }
        let plan = Plan {
            spans: spans.into(),
            bytes,
            ordinary: self.ordinary,
            again: self.chain.cost(&parts) as f64 / all.max(1) as f64,
            stages,
        };
        Made { parts, plan }
    }

    /// The plan with the fewest bytes of those that compute the network once more at most. It may
    /// be the one that keeps everything, which is given.
    fn fewest(&self, kept: Made) -> Made {
        let fewest = self.made(self.chain.fewest());
        if fewest.plan.bytes < kept.plan.bytes { fewest } else { kept }
    }

    /// The cheapest plan within a budget, which another plan fits. The account tells how far the
    /// chain's figures are off.
    fn within(&self, budget: usize, fitting: Made) -> Made {
        // Weights and optimizer states, which are no part of the chain, and its error.
        let mut off = fitting.plan.bytes as i64 - self.chain.peak(&fitting.parts) as i64;
        for _ in 0..TRIALS {
            let Ok(bound) = usize::try_from(budget as i64 - off) else { break };
            let Some(parts) = self.chain.cheapest(bound) else { break };
            let made = self.made(parts);
            if made.plan.bytes > budget {
                off += (made.plan.bytes - budget) as i64;
            } else if made.plan.again < fitting.plan.again {
                return made;
            } else {
                break;
            }
        }
        fitting
    }
}

#[cfg(test)]
mod tests;
