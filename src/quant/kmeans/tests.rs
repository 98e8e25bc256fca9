//! k-means against brute force.

use proptest::prelude::*;

use super::*;
use crate::rng::Stream;

#[test]
fn few_values_are_their_own_centroids() {
    assert_eq!(centroids(&[0.5, -1.0, 0.5], 4).unwrap(), [-1.0, 0.5]);
    assert_eq!(centroids(&[0.25; 9], 16).unwrap(), [0.25]);
    assert_eq!(centroids(&[0.0, 1.0, 10.0], 1).unwrap(), [11.0 / 3.0]);
    assert_eq!(inertia(&[0.5, -1.0, 0.5], &[-1.0, 0.5]), 0.0);
}

#[test]
fn what_has_no_means_is_refused() {
    let refused = |weights: &[f32], k: usize, wanted: &str| {
        let error = centroids(weights, k).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refused(&[], 2, "no weights");
    refused(&[1.0, f32::NAN], 2, "number 1 is NaN");
    refused(&[f32::INFINITY], 2, "number 0 is inf");
    refused(&[1.0], 0, "0 centroids");
    assert!(refine(&[f32::NAN], &[0.0], 1).is_err());
}

/// The other values have the centroids that they would have by themselves.
#[test]
fn outliers_take_a_centroid_each_and_no_more() {
    let mut stream = Stream::new(3, "outliers", &[]);
    for count in [288, EXACT + 1000] {
        let others: Vec<f32> = (0..count).map(|_| 0.2 * stream.normal() as f32).collect();
        for outliers in [&[1e30][..], &[-1e30], &[-3e38, 3e38], &[-1e30, -3e7, 2e20]] {
            let ours = centroids(&[&others[..], outliers].concat(), 16).unwrap();
            assert!(outliers.iter().all(|o| ours.contains(o)), "{outliers:?}: {ours:?}");
            let alone = centroids(&others, 16 - outliers.len()).unwrap();
            let (ours, wanted) = (inertia(&others, &ours), inertia(&others, &alone));
            assert!(ours <= 1.0001 * wanted, "{count} beside {outliers:?}: {ours}, {wanted}");
        }
    }
}

#[test]
fn values_of_any_size_are_kept_where_there_are_few() {
    let values = [-3e38, -1e-30, f32::from_bits(1), 1e-20, 1.0, 1.0f32.next_up(), 1e30];
    for count in [1, 5, 2000] {
        let ours = centroids(&values.repeat(count), 8).unwrap();
        assert_eq!(ours, values, "{count} of each");
    }
}

/// The best of all ways to cut the sorted list.
fn brute_force(sorted: &[f32], k: usize) -> f64 {
    let one = |run: &[f32]| {
        let mean = run.iter().map(|&x| f64::from(x)).sum::<f64>() / run.len() as f64;
        run.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>()
    };
    match k {
        1 => one(sorted),
        _ => (1..sorted.len())
            .map(|i| brute_force(&sorted[..i], k - 1) + one(&sorted[i..]))
            .fold(one(sorted), f64::min),
    }
}

proptest! {
    #[test]
    fn no_other_cut_is_better(
        mut weights in prop::collection::vec(-1f32..1.0, 1..9),
        k in 1usize..5,
    ) {
        let ours = centroids(&weights, k).unwrap();
        prop_assert!(ours.is_sorted_by(|a, b| a < b) && ours.len() <= k);
        weights.sort_by(f32::total_cmp);
        let (ours, best) = (inertia(&weights, &ours), brute_force(&weights, k));
        prop_assert!(ours <= best + 1e-9, "{ours} against {best}");
    }

    #[test]
    fn refining_never_makes_it_worse(weights in prop::collection::vec(-1f32..1.0, 4..60)) {
        let start = [-0.9f32, -0.1, 0.0, 0.7];
        let refined = refine(&weights, &start, 3).unwrap();
        prop_assert!(inertia(&weights, &refined) <= inertia(&weights, &start) + 1e-9);
    }
}
