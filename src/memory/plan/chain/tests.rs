use proptest::prelude::*;

use super::*;

/// Every way to divide so many units into parts.
fn all(units: usize) -> Vec<Vec<Part>> {
    let mut found: Vec<Vec<Vec<Part>>> = vec![vec![vec![]]];
    for end in 1..=units {
        let mut here = Vec::new();
        // Places in front of this one.
        for (start, ways) in found.iter().enumerate() {
            let choices = match start + 1 == end {
                true => [Kind::Kept, Kind::Recomputed],
                false => [Kind::Recomputed, Kind::Apart],
            };
            for kind in choices {
                let part = Part { units: start..end, kind };
                here.extend(
                    ways.iter().map(|way| [&way[..], std::slice::from_ref(&part)].concat()),
                );
            }
        }
        found.push(here);
    }
    found.pop().unwrap()
}

/// The peak by playing both passes with a list of what is there.
fn played(chain: &Chain, parts: &[Part]) -> usize {
    let (mut there, mut peak) = (Vec::<usize>::new(), 0);
    for Part { units, kind } in parts {
        there.push(match kind {
            Kind::Kept => chain.units[units.start].tape,
            Kind::Recomputed | Kind::Apart => chain.units[units.end - 1].output,
        });
    }
    peak = peak.max(there.iter().sum::<usize>() + chain.top);
    for Part { units, kind } in parts.iter().rev() {
        there.pop();
        let held: usize = there.iter().sum();
        let units = &chain.units[units.clone()];
        let (mut now, mut input) = (held, 0);
        for unit in units {
            now = if *kind == Kind::Apart { held + input } else { now } + unit.tape;
            peak = peak.max(now + unit.work);
            input = unit.output;
        }
    }
    peak
}

fn chains(most: usize) -> impl Strategy<Value = Chain> {
    let unit = (0usize..40, 0usize..30, 0usize..20, 0u64..10)
        .prop_map(|(tape, work, output, cost)| Unit { tape, work, output, cost });
    (prop::collection::vec(unit, 1..=most), 0usize..40)
        .prop_map(|(units, top)| Chain { units, top })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_peak_is_that_of_both_passes(chain in chains(4)) {
        for parts in all(chain.units.len()) {
            prop_assert_eq!(chain.peak(&parts), played(&chain, &parts));
        }
    }

    /// Against all ways of dividing the chain.
    #[test]
    fn plans_are_the_best(chain in chains(7), part in 0f64..1.2) {
        let ways = all(chain.units.len());
        let once: u64 = chain.units.iter().map(|unit| unit.cost).sum();
        let quick = ways.iter().filter(|parts| chain.cost(parts) <= once);
        let least = quick.map(|parts| chain.peak(parts)).min().unwrap();
        let fewest = chain.fewest();
        prop_assert_eq!(chain.peak(&fewest), least);
        prop_assert!(chain.cost(&fewest) <= once);
        let most = chain.peak(&chain.kept());
        let bounds = [least, most, (part * most as f64) as usize];
        for bound in bounds {
            let possible = ways.iter().filter(|parts| chain.peak(parts) <= bound);
            let wanted = possible.map(|parts| chain.cost(parts)).min();
            let found = chain.cheapest(bound);
            prop_assert_eq!(found.as_ref().map(|parts| chain.cost(parts)), wanted);
            if let Some(parts) = found {
                prop_assert!(chain.peak(&parts) <= bound);
                // All units, in order.
                let units: Vec<usize> = parts.iter().flat_map(|part| part.units.clone()).collect();
                prop_assert_eq!(units, (0..chain.units.len()).collect::<Vec<_>>());
            }
        }
        prop_assert_eq!(chain.cost(&fewest), chain.cost(&chain.cheapest(least).unwrap()));
        prop_assert!(least == 0 || !chain.is_possible(least - 1));
    }
}

/// Three wide units: where two come apart, the input of the second one is not held beside the
/// third. For that the first one runs once more; narrow units are kept. That costs less than to
/// compute all once. Apart, all three would cost more.
#[test]
fn wide_units_are_taken_apart() {
    let unit = |tape: usize| Unit { tape, work: 10, output: tape / 4, cost: 1 };
    let units = [400, 400, 400, 40, 40].map(unit).to_vec();
    let chain = Chain { units, top: 0 };
    let parts = chain.fewest();
    let kinds: Vec<_> = parts.iter().map(|part| (part.units.clone(), part.kind)).collect();
    let kept = [3..4, 4..5].map(|units| (units, Kind::Kept));
    assert_eq!(kinds[..2], [(0..2, Kind::Apart), (2..3, Kind::Recomputed)]);
    assert_eq!(kinds[2..], kept);
    assert_eq!((chain.peak(&parts), chain.cost(&parts)), (510, 4));
}

/// What is kept grows by one value with each part, so the next part has one unit less: of 64 equal
/// units 11, 10, 9, ..., since 1 + 2 + ... + 11 are 66.
#[test]
fn parts_of_equal_units_become_shorter() {
    let unit = Unit { tape: 1000, work: 0, output: 1000, cost: 1 };
    let chain = Chain { units: vec![unit; 64], top: 0 };
    let parts = chain.fewest();
    assert_eq!(chain.peak(&parts), 11_000);
    let lengths: Vec<usize> = parts.iter().map(|part| part.units.len()).collect();
    assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
}

/// More ways than are kept: the plan still fits, and costs no more than recomputing everything.
#[test]
fn many_ways_are_thinned() {
    let unit = |i: usize| Unit {
        tape: 1000 + 37 * (i * i % 101),
        work: 13 * (i % 7),
        output: 300 + 11 * (i % 5),
        cost: 1000 + (i as u64 * 7919) % 997,
    };
    let chain = Chain { units: (0..60).map(unit).collect(), top: 10 };
    let [least, most] = [chain.peak(&chain.fewest()), chain.peak(&chain.kept())];
    let mut before = chain.cost(&chain.fewest());
    for bound in (least..=most).step_by((most - least) / 7) {
        let parts = chain.cheapest(bound).unwrap();
        assert!(chain.peak(&parts) <= bound);
        // With a few percent for what was thinned out.
        assert!(chain.cost(&parts) <= before + before / 20, "{bound}");
        before = chain.cost(&parts);
    }
    assert_eq!(chain.cost(&chain.cheapest(most).unwrap()), 0);
    assert!(chain.cheapest(least / 2).is_none());
}
