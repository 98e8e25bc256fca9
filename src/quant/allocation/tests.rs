//! Allocations against all combinations.

use proptest::prelude::*;

use super::*;
use crate::rng::Stream;

fn layers() -> impl Strategy<Value = Vec<Vec<Choice>>> {
    let choice =
        (1usize..40, 0f64..10.0).prop_map(|(bytes, cost)| Choice { bits: bytes, bytes, cost });
    prop::collection::vec(prop::collection::vec(choice, 1..5), 1..6)
}

/// Every combination of choices.
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
                prop_assert!(ours.bytes <= budget, "{ours:?}");
                prop_assert!((ours.cost - best).abs() < 1e-9, "{ours:?}, best {best}");
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
                prop_assert!(inside(&&ours), "{ours:?}");
                prop_assert!((ours.cost - best).abs() < 1e-9, "{ours:?}, best {best}");
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
            if let Some(smaller) = i.checked_sub(1).map(|i| &list[i]) {
                prop_assert!(point.bytes > smaller.bytes && point.cost < smaller.cost);
            }
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
    let mut stream = Stream::new(7, "layers", &[]);
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
        assert!(ours.bytes <= budget && lower <= ours.cost + 1e-9 && ours.cost <= upper, "{part}");
    }
}
