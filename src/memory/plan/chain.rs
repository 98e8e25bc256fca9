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
//! kept needs the same for its one unit, and leaves its tape, which its output belongs to. A part
//! that is taken apart has the tape of one unit at a time, and the unit's input beside it:
//!
//! `held + max over u in i..k of (output[u - 1] + tape[u] + work[u])`
//!
//! of which the first unit's input belongs to `held`. For that, each unit runs once for every unit
//! behind it in the part, and once for its own tape.
//!
//! [`Chain::cheapest`] keeps for each place all pairs of held bytes and costs of which none is
//! worse in both. [`Chain::fewest`] looks for the smallest bound within which that costs no more
//! than to compute all units again once: without that, what saves a byte could take any time.

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
    /// What becomes of them.
    pub kind: Kind,
}

/// What becomes of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its tape is kept.
    Kept,
    /// It is computed again, with all tapes at once.
    Recomputed,
    /// It is computed again, with one unit's tape at a time.
    Apart,
}

/// Units, and what is needed behind all of them beside what they hold.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub units: Vec<Unit>,
    pub top: usize,
}

/// Most pairs of bytes and costs in front of a unit. Networks have fewer or nearly equal ones.
const MOST: usize = 128;

/// Most units of a part that is taken apart. More of them are computed too often.
const MOST_APART: usize = 8;

/// [`Chain::fewest`] is exact up to this part of the bytes.
const GRAIN: usize = 1 << 10;

/// A way to a place in the chain.
#[derive(Debug, Clone, Copy)]
struct Way {
    held: usize,
    cost: u64,
    /// The place before, the way to it among those kept, and what becomes of what lies between.
    before: (usize, usize, Kind),
}

impl Chain {
    /// Every unit as a kept part.
    pub fn kept(&self) -> Vec<Part> {
        (0..self.units.len()).map(|i| Part { units: i..i + 1, kind: Kind::Kept }).collect()
    }

    /// The most bytes that parts need.
    pub fn peak(&self, parts: &[Part]) -> usize {
        let (mut held, mut peak) = (0, 0);
        for Part { units, kind } in parts {
            let mut tapes = held;
            for (i, unit) in units.clone().map(|i| (i, self.units[i])) {
                if *kind == Kind::Apart {
                    tapes = held + if i > units.start { self.units[i - 1].output } else { 0 };
                }
                tapes += unit.tape;
                peak = peak.max(tapes + unit.work);
            }
            held = match kind {
                Kind::Kept => tapes,
                Kind::Recomputed | Kind::Apart => held + self.units[units.end - 1].output,
            };
        }
        peak.max(held + self.top)
    }

    /// What the recomputation costs.
    pub fn cost(&self, parts: &[Part]) -> u64 {
        let of = |Part { units, kind }: &Part| -> u64 {
            let times = |i: usize| match kind {
                Kind::Kept => 0,
                Kind::Recomputed => 1,
                Kind::Apart => (units.end - i) as u64,
            };
            units.clone().map(|i| times(i) * self.units[i].cost).sum()
        };
        parts.iter().map(of).sum()
    }

    /// The parts with the fewest bytes at the peak that cost no more than all units do once, of
    /// several such those with the least cost.
    pub fn fewest(&self) -> Vec<Part> {
        let kept = self.kept();
        // Possible, and not possible.
        let (mut high, mut low) = (self.peak(&kept), 0);
        if self.is_possible(low) {
            high = low;
        }
        while high - low > (high / GRAIN).max(1) {
            let middle = low + (high - low) / 2;
            match self.is_possible(middle) {
                true => high = middle,
                false => low = middle,
            }
        }
        self.cheapest(high).unwrap_or(kept)
    }

    /// Whether some parts need no more bytes than so many, and cost no more than all units do once.
    fn is_possible(&self, bound: usize) -> bool {
        let once: u64 = self.units.iter().map(|unit| unit.cost).sum();
        self.cheapest(bound).is_some_and(|parts| self.cost(&parts) <= once)
    }

    /// Tells all parts that end at a place and need no more than a bound: where each begins, the
    /// most that may be held there, what it adds to that, its cost, and what becomes of it.
    fn ending(
        &self,
        end: usize,
        bound: usize,
        mut tell: impl FnMut(usize, usize, usize, u64, Kind),
    ) {
        let last = self.units[end - 1];
        let (mut need, mut cost) = (0, 0);
        // The same for what is taken apart: the most that a unit needs whose input is made again,
        // and the cost.
        let (mut most, mut costs) = (0, 0);
        for start in (0..end).rev() {
            let (unit, count) = (self.units[start], end - start);
            let alone = unit.tape + unit.work;
            need = unit.tape + unit.work.max(need);
            cost += unit.cost;
            costs += count as u64 * unit.cost;
            let room = bound.checked_sub(need);
            let apart = bound.checked_sub(most.max(alone)).filter(|_| count <= MOST_APART);
            if room.is_none() && apart.is_none() {
                return;
            }
            if let Some(room) = room {
                if count == 1 {
                    tell(start, room, last.tape, 0, Kind::Kept);
                }
                tell(start, room, last.output, cost, Kind::Recomputed);
            }
            if let Some(room) = apart.filter(|_| count > 1) {
                tell(start, room, last.output, costs, Kind::Apart);
            }
            if start > 0 {
                most = most.max(self.units[start - 1].output + alone);
            }
        }
    }

    /// The parts with the least cost among those that need no more bytes than so many; of several
    /// such those that hold the fewest at the end. None if nothing is possible.
    pub fn cheapest(&self, bound: usize) -> Option<Vec<Part>> {
        let mut ways = vec![vec![Way { held: 0, cost: 0, before: (0, 0, Kind::Kept) }]];
        for end in 1..=self.units.len() {
            let mut found = Vec::new();
            self.ending(end, bound, |start, room, adds, cost, kind| {
                for (i, way) in ways[start].iter().enumerate().filter(|(_, w)| w.held <= room) {
                    let (held, cost) = (way.held + adds, way.cost + cost);
                    found.push(Way { held, cost, before: (start, i, kind) });
                }
            });
            ways.push(thinned(found));
        }
        let ends = ways.last()?.iter().enumerate();
        let possible = ends.filter(|(_, way)| way.held + self.top <= bound);
        let (mut number, _) = possible.min_by_key(|(_, way)| (way.cost, way.held))?;
        let (mut parts, mut end) = (Vec::new(), self.units.len());
        while end > 0 {
            let (start, before, kind) = ways[end][number].before;
            parts.push(Part { units: start..end, kind });
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
