//! Optimal k-means on a line, by dynamic programming and by Ckmeans.1d.dp.

use revox::quant::kmeans::{centroids, inertia};

use crate::shared::{Tensors, json, sets};

#[test]
fn inertia_is_the_optimum() {
    for (folder, wanted) in sets(("kmeans", 45), ("fixtures/f7_kmeans", 50)) {
        let t = Tensors::open(folder.join("kmeans.safetensors"));
        let cases = json(folder.join("kmeans.json"));
        let mut checked = 0;
        for name in t.names() {
            let Some(vector) = name.strip_suffix("/weights") else { continue };
            let weights = t.f32(&name);
            for (k, wanted) in cases[vector]["k"].as_object().unwrap() {
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
                // Below the optimum there is nothing.
                assert!(ratio >= 0.9999 || best < 1e-9, "{vector}, k = {k}: {ratio}");
                checked += 1;
            }
        }
        assert_eq!(checked, wanted, "{}", folder.display());
    }
}
