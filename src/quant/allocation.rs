//! Bits by layer: one choice for each layer, with the least summed cost of all whose bytes fit a
//! budget. This is the multiple-choice knapsack problem, solved exactly.
//!
//! Dynamic programming adds one layer after another to a list of partial choices. It drops a
//! partial choice that another one beats in both bytes and cost (dominance), and one that cannot
//! lead to a better whole than the best known (branch and bound): a linear relaxation of the layers
//! left bounds their cost from below.

use crate::error::{Error, Result};

/// One of the choices of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Bits. The solver does not read them.
    pub bits: usize,
    /// Bytes that the layer takes.
    pub bytes: usize,
    /// Cost of the choice, whatever it measures.
    pub cost: f64,
}

/// A choice for each layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocation {
    /// The choice of each layer.
    pub choices: Vec<Choice>,
    /// Sum of their bytes.
    pub bytes: usize,
    /// Sum of their costs.
    pub cost: f64,
}

impl Allocation {
    fn of(choices: Vec<Choice>) -> Self {
        let (bytes, cost) =
            (choices.iter().map(|c| c.bytes).sum(), choices.iter().map(|c| c.cost).sum());
        Self { choices, bytes, cost }
    }
}

/// A layer's choices that no other beats in both bytes and cost, smallest first.
fn frontier(choices: &[Choice]) -> Vec<Choice> {
    let mut sorted = choices.to_vec();
    sorted.sort_by(|a, b| a.bytes.cmp(&b.bytes).then(a.cost.total_cmp(&b.cost)));
    let mut kept: Vec<Choice> = Vec::new();
    for choice in sorted {
        if kept.last().is_none_or(|last| choice.cost < last.cost) {
            kept.push(choice);
        }
    }
    kept
}

/// A step from one choice of a layer to a larger one.
#[derive(Debug, Clone, Copy)]
struct Raise {
    layer: usize,
    to: Choice,
    bytes: usize,
    gain: f64,
}

/// The raises along the convex hull of each layer's frontier, sorted by gain per byte, largest
/// first. The raises of one layer stay in order, since a hull's slopes fall.
fn raises(layers: &[Vec<Choice>]) -> Vec<Raise> {
    let mut all = Vec::new();
    for (layer, choices) in layers.iter().enumerate() {
        let mut at = 0;
        while at + 1 < choices.len() {
            let slope = |i: &usize| {
                (choices[at].cost - choices[*i].cost)
                    / (choices[*i].bytes - choices[at].bytes) as f64
            };
            let next = (at + 1..choices.len())
                .max_by(|a, b| slope(a).total_cmp(&slope(b)))
                .expect("not the last");
            let (from, to) = (choices[at], choices[next]);
            all.push(Raise { layer, to, bytes: to.bytes - from.bytes, gain: from.cost - to.cost });
            at = next;
        }
    }
    let rate = |r: &Raise| r.gain / r.bytes as f64;
    all.sort_by(|a, b| rate(b).total_cmp(&rate(a)));
    all
}

/// The linear relaxation of some layers: their smallest choices, then raises in order.
struct Relaxation {
    /// Bytes and cost of the smallest choices.
    least: Choice,
    /// Bytes and gain of the first 0, 1, 2, ... raises together.
    sums: Vec<(usize, f64)>,
}

impl Relaxation {
    fn new(layers: &[Vec<Choice>]) -> Self {
        let least = Choice {
            bits: 0,
            bytes: layers.iter().map(|l| l[0].bytes).sum(),
            cost: layers.iter().map(|l| l[0].cost).sum(),
        };
        let mut sums = vec![(0, 0.0)];
        for raise in raises(layers) {
            let (bytes, gain) = *sums.last().expect("starts with one");
            sums.push((bytes + raise.bytes, gain + raise.gain));
        }
        Self { least, sums }
    }

    /// Bounds on the least cost with so many bytes: from below with a part of the next raise, from
    /// above without it. `None` if even the smallest choices do not fit.
    fn bounds(&self, bytes: usize) -> Option<(f64, f64)> {
        let room = bytes.checked_sub(self.least.bytes)?;
        let fit = self.sums.partition_point(|s| s.0 <= room) - 1;
        let (used, gain) = self.sums[fit];
        let upper = self.least.cost - gain;
        let part = self
            .sums
            .get(fit + 1)
            .map_or(0.0, |next| (room - used) as f64 / (next.0 - used) as f64 * (next.1 - gain));
        Some((upper - part, upper))
    }
}

/// A partial choice: its bytes, its cost, the index of the partial choice that it extends, the
/// index of the last layer's choice.
type State = (usize, f64, u32, u32);

/// The allocation behind a partial choice over all layers.
fn unwind(layers: &[Vec<Choice>], lists: &[Vec<State>], mut at: usize) -> Allocation {
    let mut choices = Vec::new();
    for (list, layer) in lists.iter().zip(layers).rev() {
        let (_, _, parent, choice) = list[at];
        choices.push(layer[choice as usize]);
        at = parent as usize;
    }
    choices.reverse();
    Allocation::of(choices)
}

/// Every layer's frontier, and the smallest and largest sum of their bytes.
fn prepare(layers: &[Vec<Choice>]) -> Result<(Vec<Vec<Choice>>, [usize; 2])> {
    if let Some(i) =
        layers.iter().position(|l| l.is_empty() || l.iter().any(|c| !c.cost.is_finite()))
    {
        return Err(Error::Invalid(format!(
            "layer {i} has no choice, or one whose cost is not finite"
        )));
    }
    let frontiers: Vec<Vec<Choice>> = layers.iter().map(|l| frontier(l)).collect();
    let sum = |pick: fn(&Vec<Choice>) -> usize| frontiers.iter().map(pick).sum();
    let range = [sum(|l| l[0].bytes), sum(|l| l[l.len() - 1].bytes)];
    Ok((frontiers, range))
}

/// Bytes of the smallest and of the largest allocation.
///
/// # Errors
/// A layer without a choice, or with a cost that is not finite.
pub fn range(layers: &[Vec<Choice>]) -> Result<[usize; 2]> {
    prepare(layers).map(|p| p.1)
}

/// The allocation of least cost with at most `budget` bytes.
///
/// # Errors
/// A budget below the bytes of the smallest choices; a layer without a choice, or with a cost that
/// is not finite.
pub fn allocate(layers: &[Vec<Choice>], budget: usize) -> Result<Allocation> {
    let (layers, [least, most]) = prepare(layers)?;
    if budget < least {
        return Err(Error::Invalid(format!(
            "{budget} bytes cannot be reached: the choices give {least} to {most}"
        )));
    }
    let rest: Vec<Relaxation> = (0..=layers.len()).map(|i| Relaxation::new(&layers[i..])).collect();
    let mut best = rest[0].bounds(budget).expect("the smallest choices fit").1;
    // Sums of the same costs in another order differ in their last digits.
    let slack = 1e-11 * rest[0].least.cost.abs();
    let mut lists: Vec<Vec<State>> = Vec::with_capacity(layers.len());
    let mut states: Vec<State> = vec![(0, 0.0, 0, 0)];
    for (layer, rest) in layers.iter().zip(&rest[1..]) {
        let mut grown: Vec<(State, f64)> = Vec::with_capacity(states.len() * layer.len());
        for (parent, state) in states.iter().enumerate() {
            for (i, choice) in layer.iter().enumerate() {
                let (bytes, cost) = (state.0 + choice.bytes, state.1 + choice.cost);
                let Some((lower, upper)) =
                    budget.checked_sub(bytes).and_then(|room| rest.bounds(room))
                else {
                    continue;
                };
                best = best.min(cost + upper);
                grown.push(((bytes, cost, parent as u32, i as u32), cost + lower));
            }
        }
        grown.retain(|(_, lower)| *lower <= best + slack);
        grown.sort_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut list: Vec<State> = Vec::new();
        for (state, _) in grown {
            if list.last().is_none_or(|last| state.1 < last.1) {
                list.push(state);
            }
        }
        lists.push(list.clone());
        states = list;
    }
    // Costs fall along the list: its last entry is the cheapest.
    Ok(unwind(&layers, &lists, states.len() - 1))
}

/// The allocation of least cost with `low` to `high` bytes, if there is one. It is exact for `high`
/// below 65536. Beyond, bytes are counted in units of a 32768th of `high`, and of partial choices
/// with as many units only the cheapest is kept.
///
/// # Errors
/// A layer without a choice, or with a cost that is not finite.
pub fn allocate_between(
    layers: &[Vec<Choice>],
    low: usize,
    high: usize,
) -> Result<Option<Allocation>> {
    let (layers, _) = prepare(layers)?;
    let grain = (high >> 15).max(1);
    let sums = |pick: fn(&Vec<Choice>) -> usize| -> Vec<usize> {
        (1..=layers.len()).map(|i| layers[i..].iter().map(pick).sum()).collect()
    };
    let (least, most) = (sums(|l| l[0].bytes), sums(|l| l[l.len() - 1].bytes));
    let mut lists: Vec<Vec<State>> = Vec::with_capacity(layers.len());
    let mut states: Vec<State> = vec![(0, 0.0, 0, 0)];
    for (i, layer) in layers.iter().enumerate() {
        let mut grown: Vec<State> = Vec::with_capacity(states.len() * layer.len());
        for (parent, state) in states.iter().enumerate() {
            for (c, choice) in layer.iter().enumerate() {
                let (bytes, cost) = (state.0 + choice.bytes, state.1 + choice.cost);
                if bytes + least[i] <= high && bytes + most[i] >= low {
                    grown.push((bytes, cost, parent as u32, c as u32));
                }
            }
        }
        grown.sort_by(|a, b| (a.0 / grain).cmp(&(b.0 / grain)).then(a.1.total_cmp(&b.1)));
        grown.dedup_by_key(|state| state.0 / grain);
        lists.push(grown.clone());
        states = grown;
    }
    let inside = |&(_, state): &(usize, &State)| (low..=high).contains(&state.0);
    let best = states.iter().enumerate().filter(inside).min_by(|a, b| a.1.1.total_cmp(&b.1.1));
    Ok(best.map(|(at, _)| unwind(&layers, &lists, at)))
}

/// The allocations that minimise cost plus bytes times a price, for some price, from the smallest
/// to the largest. Each has the least cost of all allocations with as many bytes.
///
/// # Errors
/// A layer without a choice, or with a cost that is not finite.
pub fn pareto(layers: &[Vec<Choice>]) -> Result<Vec<Allocation>> {
    let (layers, _) = prepare(layers)?;
    let mut choices: Vec<Choice> = layers.iter().map(|l| l[0]).collect();
    let mut all = vec![Allocation::of(choices.clone())];
    for raise in raises(&layers) {
        choices[raise.layer] = raise.to;
        all.push(Allocation::of(choices.clone()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
