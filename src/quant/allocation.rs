//! Bits by layer: the choice of least summed cost whose bytes fit a budget, a multiple-choice
//! knapsack, solved exactly.
//!
//! Layers are added one after another to a list of partial choices, of which those are kept that no
//! other one beats in both bytes and cost, and that can still lead to a better whole than one
//! already known: a linear relaxation of the layers left bounds from below what they must cost.

use crate::error::{Error, Result};

/// What a layer may become.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Bits, for the reader of the result.
    pub bits: usize,
    /// Bytes.
    pub bytes: usize,
    /// Cost.
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

/// A layer's choices that none beats in bytes and cost, smallest first.
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

/// The raises along the convex hull of each layer's frontier, most gain a byte first. In this order
/// a layer's own come in order too.
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

/// The linear relaxation of some layers: their smallest choices, then raises by their rate.
struct Relaxation {
    least: Choice,
    /// Bytes and gain of the first raises.
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

    /// Least cost with so many bytes if choices could be mixed, and the cost without the mixed one;
    /// none if even the smallest do not fit.
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

/// A partial choice: bytes, cost, the partial choice it extends, the number of the layer's choice.
type State = (usize, f64, u32, u32);

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

/// Every layer's frontier; smallest and largest bytes they can sum to.
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

/// The smallest and the largest allocation there is.
///
/// # Errors
/// A layer without a choice.
pub fn range(layers: &[Vec<Choice>]) -> Result<[usize; 2]> {
    prepare(layers).map(|p| p.1)
}

/// The allocation of least cost with at most `budget` bytes.
///
/// # Errors
/// A budget below what the smallest choices need.
pub fn allocate(layers: &[Vec<Choice>], budget: usize) -> Result<Allocation> {
    let (layers, [least, most]) = prepare(layers)?;
    if budget < least {
        return Err(Error::Invalid(format!(
            "{budget} bytes cannot be reached: the choices give {least} to {most}"
        )));
    }
    let rest: Vec<Relaxation> = (0..=layers.len()).map(|i| Relaxation::new(&layers[i..])).collect();
    let mut best = rest[0].bounds(budget).expect("the smallest choices fit").1;
    // Sums in another order differ in their last digits.
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
    // On a frontier the last one is the cheapest.
    Ok(unwind(&layers, &lists, states.len() - 1))
}

/// The allocation of least cost with `low` to `high` bytes, if there is one. Partial choices whose
/// bytes differ by less than a 32768th of `high` count as equal, of which the cheapest is kept; no
/// two are equal where `high` is below that.
///
/// # Errors
/// A layer without a choice.
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

/// The allocations that are best for some price of a byte, from the smallest to the largest: each
/// has the least cost of all with as many bytes.
///
/// # Errors
/// A layer without a choice.
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layers() -> impl Strategy<Value = Vec<Vec<Choice>>> {
        let choice =
            (1usize..40, 0f64..10.0).prop_map(|(bytes, cost)| Choice { bits: bytes, bytes, cost });
        prop::collection::vec(prop::collection::vec(choice, 1..5), 1..6)
    }

    /// All combinations.
    fn all(layers: &[Vec<Choice>]) -> Vec<Allocation> {
        let mut lists = vec![Vec::new()];
        for layer in layers {
            lists = lists
                .iter()
                .flat_map(|l| layer.iter().map(move |&c| [l.clone(), vec![c]].concat()))
                .collect();
        }
        lists.into_iter().map(Allocation::of).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn nothing_that_fits_is_cheaper(layers in layers(), budget in 1usize..150) {
            let fits = |a: &&Allocation| a.bytes <= budget;
            let all = all(&layers);
            let best = all.iter().filter(fits).map(|a| a.cost).fold(f64::INFINITY, f64::min);
            match allocate(&layers, budget) {
                Ok(ours) => {
                    prop_assert!(ours.bytes <= budget && (ours.cost - best).abs() < 1e-9, "{ours:?}, best {best}");
                    prop_assert!(ours.choices.iter().zip(&layers).all(|(c, l)| l.contains(c)));
                }
                Err(_) => prop_assert!(best.is_infinite()),
            }
        }

        #[test]
        fn a_band_is_kept(layers in layers(), low in 1usize..100, width in 0usize..20) {
            let undominated: Vec<Vec<Choice>> = layers.iter().map(|l| frontier(l)).collect();
            let inside = |a: &&Allocation| (low..=low + width).contains(&a.bytes);
            let all = all(&undominated);
            let best = all.iter().filter(inside).map(|a| a.cost).fold(f64::INFINITY, f64::min);
            match allocate_between(&layers, low, low + width).unwrap() {
                Some(ours) => {
                    prop_assert!(inside(&&ours) && (ours.cost - best).abs() < 1e-9, "{ours:?}, best {best}");
                }
                None => prop_assert!(best.is_infinite()),
            }
        }

        #[test]
        fn the_pareto_list_is_optimal_everywhere(layers in layers()) {
            let list = pareto(&layers).unwrap();
            prop_assert_eq!([list[0].bytes, list[list.len() - 1].bytes], range(&layers).unwrap());
            for (i, point) in list.iter().enumerate() {
                let best = allocate(&layers, point.bytes).unwrap();
                prop_assert!((best.cost - point.cost).abs() < 1e-9, "{point:?}, best {best:?}");
                prop_assert!(i == 0 || point.bytes > list[i - 1].bytes && point.cost < list[i - 1].cost);
            }
        }
    }

    #[test]
    fn an_unreachable_budget_names_the_range() {
        let choice = |bytes, cost| Choice { bits: 1, bytes, cost };
        let layers = [vec![choice(10, 1.0), choice(20, 0.5)], vec![choice(5, 2.0)]];
        let error = allocate(&layers, 14).unwrap_err().to_string();
        assert!(error.contains("14 bytes cannot be reached: the choices give 15 to 25"), "{error}");
        assert!(allocate(&[vec![choice(1, f64::NAN)]], 10).is_err());
    }

    /// As many layers as DF-ResNet233 has, with sizes and costs of several decades.
    #[test]
    fn many_layers_are_solved_exactly() {
        let mut stream = crate::rng::Stream::new(7, "layers", &[]);
        let layers: Vec<Vec<Choice>> = (0..240)
            .map(|_| {
                let weights = 64 << stream.below(14);
                let scale = 10f64.powf(stream.between(-4.0, 0.0));
                let choice = |bits: usize| {
                    let bytes = weights * bits / 8 + (4 << bits);
                    Choice { bits, bytes, cost: scale * weights as f64 * 4f64.powi(-(bits as i32)) }
                };
                [1, 2, 3, 4, 8].map(choice).to_vec()
            })
            .collect();
        let [least, most] = range(&layers).unwrap();
        for part in [0.05, 0.3, 0.7, 0.95] {
            let budget = least + ((most - least) as f64 * part) as usize;
            let ours = allocate(&layers, budget).unwrap();
            let (lower, upper) =
                Relaxation::new(&layers.iter().map(|l| frontier(l)).collect::<Vec<_>>())
                    .bounds(budget)
                    .unwrap();
            assert!(
                ours.bytes <= budget && lower <= ours.cost + 1e-9 && ours.cost <= upper,
                "{part}"
            );
        }
    }
}
