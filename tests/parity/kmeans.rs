//! Optimal k-means on a line, fixture f7.

use revox::quant::kmeans::{centroids, inertia};

use crate::shared::{Tensors, json};
use crate::shared_or_skip;

#[test]
fn inertia_is_the_optimum() {
    let t = Tensors::open(shared_or_skip!("fixtures/f7_kmeans/kmeans.safetensors"));
    let cases = json(shared_or_skip!("fixtures/f7_kmeans/kmeans.json"));
    let mut checked = 0;
    for (vector, case) in cases.as_object().unwrap() {
        if !t.has(&format!("{vector}/weights")) {
            continue;
        }
        let weights = t.f32(&format!("{vector}/weights"));
        for (k, wanted) in case["k"].as_object().unwrap() {
            let k: usize = k.parse().unwrap();
            let ours = centroids(&weights, k).unwrap();
            let best = wanted["inertia"].as_f64().unwrap();
            let ratio = inertia(&weights, &ours) / best.max(1e-12);
            eprintln!("{vector}, k = {k}: {ratio:.7} of the optimum {best:.4e}");
            assert_eq!(
                ours.len() as u64,
                wanted["effective_k"].as_u64().unwrap(),
                "{vector}, k = {k}"
            );
            // Centroids are f32: the reference with rounded ones is at most as much off.
            let allowed = if k <= 16 { 1.0001 } else { 1.01 };
            assert!(
                ratio <= allowed || best < 1e-9 && inertia(&weights, &ours) < 1e-9,
                "{vector}, k = {k}: {ratio}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 40, "only {checked} cases");
}
