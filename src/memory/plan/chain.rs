//! Which parts of a chain to recompute.
//!
//! A chain is divided into parts. A part that is kept is one unit, whose tape stays from the
//! forward to the backward pass. A part that is recomputed is one unit or several: it keeps nothing
//! but the value that it reads, and has the tapes of all its units again when the backward pass
//! comes to it.
//! With `held` bytes kept in front of it, such a part of units `i..k` needs at most
//!
//! `held + max over u in i..k of (tape[i] + ... + tape[u] + work[u])`
//!
//! and leaves the bytes of its output to `held`, which the part behind it reads. A part that is
//! kept needs the same for its one unit, and leaves its tape, which its output belongs to.
//!
//! The least that can be held in front of a unit while nothing needs more than a bound decides
//! whether the bound is possible: whatever follows needs less where less is held. That makes
//! [`Chain::fewest`] exact. [`Chain::cheapest`] keeps for each place all pairs of held bytes and
//! costs of which none is worse in both.

use std::ops::Range;

/// A unit of a chain. Its tape is what a chain of kept units holds more behind it than in front of
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// Bytes that its tape holds.
    pub tape: usize,
    /// Most bytes that either pass needs beside tapes.
    pub work: usize,
    /// Bytes of what it makes.
    pub output: usize,
    /// The cost of computing it again.
    pub cost: u64,
}

/// Consecutive units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Their numbers.
    pub units: Range<usize>,
    /// Whether they are computed again.
    pub recomputed: bool,
}

/// Units, and what is needed behind all of them beside what they hold.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub units: Vec<Unit>,
    pub top: usize,
}

/// Most pairs of bytes and costs in front of a unit. Networks have fewer or nearly equal ones.
const MOST: usize = 128;

/// A way to a place in the chain.
#[derive(Debug, Clone, Copy)]
struct Way {
    held: usize,
    cost: u64,
    /// The place before, the way to it among those kept, and whether what lies between is
    /// recomputed.
    before: (usize, usize, bool),
}

impl Chain {
    /// Every unit as a kept part.
    pub fn kept(&self) -> Vec<Part> {
        (0..self.units.len()).map(|i| Part { units: i..i + 1, recomputed: false }).collect()
    }

    /// The most bytes that parts need.
    pub fn peak(&self, parts: &[Part]) -> usize {
        let (mut held, mut peak) = (0, 0);
        for Part { units, recomputed } in parts {
            let mut tapes = held;
            for unit in &self.units[units.clone()] {
                tapes += unit.tape;
                peak = peak.max(tapes + unit.work);
            }
            held = match recomputed {
                true => held + self.units[units.end - 1].output,
                false => tapes,
            };
        }
        peak.max(held + self.top)
    }

    /// What the recomputation costs.
    pub fn cost(&self, parts: &[Part]) -> u64 {
        let again = parts.iter().filter(|part| part.recomputed);
        again.flat_map(|part| &self.units[part.units.clone()]).map(|unit| unit.cost).sum()
    }

    /// The parts with the fewest bytes at the peak, of several such those with the least cost.
    pub fn fewest(&self) -> Vec<Part> {
        let kept = self.kept();
        // Possible, and not possible.
        let (mut high, mut low) = (self.peak(&kept), 0);
        if self.is_possible(low) {
            high = low;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.is_possible(middle) {
                true => high = middle,
                false => low = middle,
            }
        }
        self.cheapest(high).unwrap_or(kept)
    }

    /// Whether some parts need no more bytes than so many.
    fn is_possible(&self, bound: usize) -> bool {
        // The least that is held at each place; none that cannot be reached.
        let mut least: Vec<Option<usize>> = vec![Some(0)];
        for end in 1..=self.units.len() {
            let mut best: Option<usize> = None;
            self.ending(end, bound, |start, room, adds, _, _| {
                let held = least[start].filter(|&held| held <= room).map(|held| held + adds);
                best = [best, held].into_iter().flatten().min();
            });
            least.push(best);
        }
        let last = least.last().copied().flatten();
        last.is_some_and(|held| held + self.top <= bound)
    }

    /// Tells all parts that end at a place and need no more than a bound: where each begins, the
    /// most that may be held there, what it adds to that, its cost, and whether it is recomputed.
    fn ending(
        &self,
        end: usize,
        bound: usize,
        mut tell: impl FnMut(usize, usize, usize, u64, bool),
    ) {
        let last = self.units[end - 1];
        let (mut need, mut cost) = (0, 0);
        for start in (0..end).rev() {
            let unit = self.units[start];
            need = unit.tape + unit.work.max(need);
            cost += unit.cost;
            let Some(room) = bound.checked_sub(need) else { return };
            if start + 1 == end {
                tell(start, room, last.tape, 0, false);
            }
            tell(start, room, last.output, cost, true);
        }
    }

    /// The parts with the least cost among those that need no more bytes than so many; of several
    /// such those that hold the fewest at the end. None if nothing is possible.
    pub fn cheapest(&self, bound: usize) -> Option<Vec<Part>> {
        let mut ways = vec![vec![Way { held: 0, cost: 0, before: (0, 0, false) }]];
        for end in 1..=self.units.len() {
            let mut found = Vec::new();
            self.ending(end, bound, |start, room, adds, cost, recomputed| {
                for (i, way) in ways[start].iter().enumerate().filter(|(_, w)| w.held <= room) {
                    let (held, cost) = (way.held + adds, way.cost + cost);
                    found.push(Way { held, cost, before: (start, i, recomputed) });
                }
            });
            ways.push(thinned(found));
        }
        let ends = ways.last()?.iter().enumerate();
        let possible = ends.filter(|(_, way)| way.held + self.top <= bound);
        let (mut number, _) = possible.min_by_key(|(_, way)| (way.cost, way.held))?;
        let (mut parts, mut end) = (Vec::new(), self.units.len());
        while end > 0 {
            let (start, before, recomputed) = ways[end][number].before;
            parts.push(Part { units: start..end, recomputed });
            (end, number) = (start, before);
        }
        parts.reverse();
        Some(parts)
    }
}

/// Those of which none is worse than another in both, in the order of held bytes. Of too many,
/// every second one goes but for the first, which holds the fewest bytes, and the last.
fn thinned(mut ways: Vec<Way>) -> Vec<Way> {
    ways.sort_by_key(|way| (way.held, way.cost));
    let mut best: Vec<Way> = Vec::new();
    for way in ways {
        if best.last().is_none_or(|last| way.cost < last.cost) {
            best.push(way);
        }
    }
    while best.len() > MOST {
        let last = best.len() - 1;
        best = best
            .into_iter()
            .enumerate()
            .filter_map(|(i, way)| (i % 2 == 0 || i == last).then_some(way))
            .collect();
    }
    best
}

#[cfg(test)]
mod tests;
