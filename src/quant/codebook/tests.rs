//! Codebooks of every scheme.

use proptest::prelude::*;

use super::*;
use crate::quant::Scheme;

fn binary(scheme: Scheme, per_channel: bool, offset: bool) -> TensorScheme {
    TensorScheme { scheme, bits: 1, per_channel, offset }
}

#[test]
fn what_cannot_be_quantized_is_refused() {
    let refused = |scheme, weights: &[f32], wanted: &str| {
        let error = Codebook::fit(scheme, weights, &[weights.len()]).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refused(
        TensorScheme::kmeans(2),
        &[1.0, 2.0, 3.0],
        "3 weights are fewer than the 4 values of 2 bits",
    );
    refused(TensorScheme::kmeans(1), &[0.5, f32::NAN], "weight 1 is NaN");
    refused(binary(Scheme::BinaryAdaptive, false, true), &[1.0, f32::INFINITY], "weight 1 is inf");
}

#[test]
fn binary_values_are_means_of_magnitudes() {
    let weights = [1.0, -3.0, 2.0, 6.0];
    let fit = |per_channel, offset| {
        Codebook::fit(binary(Scheme::BinaryStatic, per_channel, offset), &weights, &[2, 2])
            .unwrap()
            .table()
    };
    assert_eq!(fit(false, false), [-3.0, 3.0]);
    assert_eq!(fit(true, false), [-2.0, 2.0, -4.0, 4.0]);
    assert_eq!(fit(false, true), [-1.0, 4.0]); // 1.5 -+ 2.5
    assert_eq!(fit(true, true), [-3.0, 1.0, 2.0, 6.0]);
}

#[test]
fn static_scales_stay_and_adaptive_ones_follow() {
    for (scheme, wanted) in
        [(Scheme::BinaryStatic, [-1.5, 1.5]), (Scheme::BinaryAdaptive, [-4.0, 4.0])]
    {
        let book = Codebook::fit(binary(scheme, false, false), &[1.0, -2.0], &[2]).unwrap();
        assert_eq!(book.follow(&[3.0, -5.0], 1).unwrap().table(), wanted);
    }
}

/// Every scheme with every choice.
fn schemes() -> Vec<TensorScheme> {
    let choices = [(false, false), (true, false), (false, true), (true, true)];
    let of_two = [Scheme::BinaryStatic, Scheme::BinaryAdaptive]
        .into_iter()
        .flat_map(|s| choices.map(|(per_channel, offset)| binary(s, per_channel, offset)));
    (1..=3).map(TensorScheme::kmeans).chain(of_two).collect()
}

/// The values that a book, and the same book read from a file, give to weights.
fn kept(book: &Codebook, weights: &[f32], shape: &[usize]) -> Vec<f32> {
    let values = book.decode(&book.encode(weights));
    let stored = Codebook::stored(book.scheme(), book.values().to_vec(), shape).unwrap();
    assert_eq!(stored.decode(&stored.encode(weights)), values);
    values
}

#[test]
fn a_layer_of_one_value_is_kept_exactly() {
    for value in [0.0, -0.0, 0.5, -1e30, f32::MAX, f32::from_bits(1), -f32::from_bits(7)] {
        for scheme in schemes() {
            let (weights, shape) = ([value; 12], [3, 4]);
            let book = Codebook::fit(scheme, &weights, &shape).unwrap();
            assert_eq!(kept(&book, &weights, &shape), weights, "{scheme:?}");
            assert_eq!(book.error(&weights), 0.0);
            let followed = book.follow(&weights, 3).unwrap();
            assert_eq!(followed, book, "{scheme:?}: {value}");
        }
    }
    // A table's zeros have no sign, wherever they are computed.
    let book = Codebook::fit(TensorScheme::kmeans(2), &[-0.0, 0.0, -0.0, 0.0], &[4]).unwrap();
    assert!(book.table().iter().all(|v| v.to_bits() == 0));
    assert_eq!((book.values(), book.entries()), (&[0.0][..], 1));
}

/// A channel that is all zero beside others.
#[test]
fn a_channel_of_one_value_is_kept_exactly() {
    let weights = [0.0, 0.0, 0.0, 0.0, 1.0, -3.0, 2.0, 6.0];
    let with_scales: Vec<_> = schemes().into_iter().filter(|s| s.per_channel).collect();
    assert_eq!(with_scales.len(), 4);
    for scheme in with_scales {
        let book = Codebook::fit(scheme, &weights, &[2, 4]).unwrap();
        assert_eq!(kept(&book, &weights, &[2, 4])[..4], [0.0; 4], "{scheme:?}");
    }
}

#[test]
fn only_centroids_are_means_of_members() {
    let weights = [1.0, -2.0, 3.0, 4.0];
    let book = Codebook::fit(binary(Scheme::BinaryStatic, false, false), &weights, &[4]).unwrap();
    assert!(book.means(&weights, &[0, 1, 1, 1]).unwrap_err().to_string().contains("k-means"));
}

/// A codebook of one value follows a layer that comes to life.
#[test]
fn a_codebook_grows_with_the_weights() {
    let dead = Codebook::fit(TensorScheme::kmeans(2), &[0.0; 8], &[8]).unwrap();
    let alive = [0.1, 0.1, -0.2, 0.3, 0.1, -0.2, 0.3, 0.3];
    let book = dead.follow(&alive, 1).unwrap();
    assert_eq!(book.values(), [-0.2, 0.1, 0.3]);
    assert_eq!(book.decode(&book.encode(&alive)), alive);
    let more = [0.1, 0.2, -0.2, 0.3, 0.5, -0.4, 0.35, 0.6];
    let book = book.follow(&more, 1).unwrap();
    assert_eq!(book, Codebook::fit(TensorScheme::kmeans(2), &more, &[8]).unwrap());
    assert_eq!(book.values().len(), 4);
}

#[test]
fn weights_that_are_not_finite_are_never_followed() {
    for scheme in schemes() {
        let book =
            Codebook::fit(scheme, &[1.0, -2.0, 3.0, 4.0, 0.5, 0.25, 7.0, 8.0], &[2, 4]).unwrap();
        let bad = [1.0, -2.0, 3.0, f32::INFINITY, 0.5, 0.25, 7.0, 8.0];
        for error in [book.follow(&bad, 1).unwrap_err(), book.means(&bad, &[0; 8]).unwrap_err()] {
            assert_eq!(error.to_string(), "weight 3 is inf");
        }
    }
}

/// Distance of a value from its nearest neighbour among others.
fn distance(value: f32, others: &[f32]) -> f32 {
    others.iter().map(|c| (c - value).abs()).fold(f32::INFINITY, f32::min)
}

proptest! {
    #[test]
    fn values_are_the_nearest_ones(
        mut weights in prop::collection::vec(-1f32..1.0, 8..60),
        bits in 1usize..=3,
    ) {
        weights[0] += 3.0;
        let (scheme, shape) = (TensorScheme::kmeans(bits), [weights.len()]);
        let book = Codebook::fit(scheme, &weights, &shape).unwrap();
        let codes = book.encode(&weights);
        for (w, v) in weights.iter().zip(book.decode(&codes)) {
            prop_assert!((v - w).abs() <= distance(*w, book.values()) + 1e-6);
        }
        let followed = book.follow(&weights, 3).unwrap();
        prop_assert!(followed.error(&weights) <= book.error(&weights) + 1e-6);
        let means = book.means(&weights, &codes).unwrap();
        prop_assert!(means.error(&weights) <= book.error(&weights) + 1e-6);
        let stored = Codebook::stored(scheme, book.values().to_vec(), &shape).unwrap();
        prop_assert_eq!(stored, book);
    }
}
