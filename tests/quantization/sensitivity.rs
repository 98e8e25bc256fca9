//! Hutchinson's traces on a network that is small enough for every second derivative.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::TensorData;
use revox::nn::{Mode, PoolingKind, assign_named, collect_named, gradients_named};
use revox::quant::SensitivityConfig;
use revox::quant::sensitivity::traces;
use revox::zoo::Network;

use crate::{input, model};

type Gradients = HashMap<String, Vec<f32>>;

fn gradients(network: &Network) -> revox::Result<Gradients> {
    let network = network.clone().train();
    let y = network.forward(input(4, 20, "loss").autodiff(), Mode::Eval);
    let found = (y.clone() * y).sum().backward();
    Ok(gradients_named(&network, &found)
        .into_iter()
        .map(|(n, d)| (n, d.iter::<f32>().collect()))
        .collect())
}

#[test]
fn traces_are_those_of_the_whole_hessian() {
    for name in ["resnet10", "rev1-resnet10"] {
        let network = model(name, PoolingKind::Tstp).network;
        let all: HashMap<String, TensorData> = collect_named(&network).into_iter().collect();
        // Behind the last rectifier the loss is smooth. In front of one, second differences depend
        // on their length, since every bend within it adds to them.
        let names = ["seg_1.weight".to_owned(), "seg_1.bias".to_owned()];
        let config = SensitivityConfig {
            probes: 80,
            tolerance: 0.0,
            epsilon: 0.003,
            ..SensitivityConfig::default()
        };
        let ours = traces(&network, &names, &config, 3, &mut gradients, &mut |_, _| ()).unwrap();
        assert_eq!(ours.len(), names.len());
        for (name_of, ours) in names.iter().zip(ours) {
            let weights: Vec<f32> = all[name_of].iter::<f32>().collect();
            let h = 1e-3f32;
            let exact = (0..weights.len()).map(|i| {
                let at = |side: f32| {
                    let mut moved = weights.clone();
                    moved[i] += side * h;
                    let data = TensorData::new(moved, all[name_of].shape().to_vec());
                    gradients(&assign_named(network.clone(), [(name_of.clone(), data)].into()))
                        .unwrap()[name_of][i]
                };
                f64::from(at(1.0) - at(-1.0)) / (2.0 * f64::from(h))
            });
            let exact = exact.sum::<f64>() / weights.len() as f64;
            eprintln!(
                "{name}, {name_of}: {:.4e} ± {:.1e}, exact {exact:.4e}",
                ours.mean, ours.error
            );
            assert!(
                (ours.mean - exact).abs() < 4.0 * ours.error + 0.01 * exact.abs(),
                "{name}, {name_of}"
            );
            assert!(
                ours.error < 0.15 * exact.abs(),
                "{name}, {name_of}: the estimate says nothing"
            );
        }
    }
}
