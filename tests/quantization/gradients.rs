//! Gradients through quantizers are those of the quantized weights, in every kind of network.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::TensorData;
use revox::backend::reversible::Execution;
use revox::nn::{Mode, PoolingKind, assign_named, collect_named, gradients_named};
use revox::quant::Method;
use revox::quant::config::Update;
use revox::zoo::Network;

use crate::{config, input, model, quantizer};

const NETWORKS: [(&str, PoolingKind); 5] = [
    ("resnet10", PoolingKind::Astp),
    ("resnet50", PoolingKind::Tstp),
    ("df-resnet32", PoolingKind::Tstp),
    ("rev1-resnet10", PoolingKind::Tstp),
    ("rev2-df-resnet32", PoolingKind::Tstp),
];

type Gradients = HashMap<String, Vec<f32>>;

/// A loss of a network's embeddings in training mode, and its gradients by name.
fn step(network: &Network) -> (f64, Gradients) {
    let network = network.clone().train();
    let y = network.forward(input(3, 20, "step").autodiff(), Mode::Replay);
    let weights = input(1, 3, "loss").reshape([3, 16]).slice([0..3, 0..8]);
    let loss = (y * burn::tensor::Tensor::from_inner(weights)).sum();
    let gradients = loss.backward();
    let named = gradients_named(&network, &gradients).into_iter();
    let named = named.map(|(name, data)| (name, data.iter::<f32>().collect())).collect();
    (loss.into_scalar::<f64>(), named)
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let largest = b.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0.0f32, |m, (x, y)| m.max((x - y).abs())) / largest
}

/// The same network without a quantizer, with the quantized values as its weights.
fn dense(network: &Network, quantizer: &revox::quant::Quantizer) -> Network {
    let books = quantizer.encoded(network).unwrap().into_iter();
    let values = books.map(|(name, book, codes)| {
        (name.clone(), TensorData::new(book.decode(&codes), quantizer.plan()[&name].shape.clone()))
    });
    assign_named(network.clone().materialize(), values.collect())
}

/// The straight-through estimator: the gradient of a latent weight is that of its quantized value,
/// in ordinary and in reversible networks.
#[test]
fn latent_weights_have_the_gradients_of_their_values() {
    for (name, pooling) in NETWORKS {
        let plain = model(name, pooling).network;
        for config in [
            config(|c| c.bits = 3),
            config(|c| (c.method, c.per_channel, c.offset) = (Method::BinaryAdaptive, true, true)),
            config(|c| c.update = Update::FrozenMean),
        ] {
            let quantizer = quantizer(&plain, &config);
            let network = quantizer.attach(plain.clone()).unwrap();
            let (loss, wanted) = step(&dense(&network, &quantizer));
            for name_of in quantizer.plan().keys() {
                assert!(wanted.contains_key(name_of), "{name}: {name_of} has no gradient");
            }
            let executions: &[Option<Execution>] = match name.starts_with("rev") {
                true => &[Some(Execution::Reversible), Some(Execution::Taped)],
                false => &[None],
            };
            for execution in executions {
                let network = match execution {
                    Some(e) => network.clone().with_execution(*e).unwrap(),
                    None => network.clone(),
                };
                let (ours, gradients) = step(&network);
                assert!(
                    (ours - loss).abs() < 1e-5 * loss.abs().max(1.0),
                    "{name}: loss {ours}, {loss}"
                );
                assert_eq!(gradients.len(), wanted.len(), "{name}: {config:?}");
                for (parameter, gradient) in &gradients {
                    let d = distance(gradient, &wanted[parameter]);
                    assert!(d < 1e-4, "{name} {execution:?}, {parameter}: {d:e} off");
                }
            }
        }
    }
}

/// Gradients agree with differences of the loss between changed values.
#[test]
fn gradients_are_differences_of_the_loss() {
    for name in ["resnet10", "rev1-resnet10", "rev2-df-resnet32"] {
        let plain = model(name, PoolingKind::Tstp).network;
        let quantizer = quantizer(&plain, &config(|c| c.bits = 2));
        let network = quantizer.attach(plain).unwrap();
        let (_, gradients) = step(&network);
        let dense = dense(&network, &quantizer);
        let all: HashMap<String, TensorData> = collect_named(&dense).into_iter().collect();
        assert!(quantizer.plan().len() > 8, "{name}: {} tensors", quantizer.plan().len());
        for name_of in quantizer.plan().keys() {
            let data = &all[name_of];
            let weights: Vec<f32> = data.iter::<f32>().collect();
            // Along the gradient, the slope is the gradient's length. The tolerance is 2 %: the
            // loss is computed in f32, and a rectifier's bend lies within some differences.
            let gradient = &gradients[name_of];
            let length = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
            let h = 2e-3 / length.max(1e-6);
            let at = |side: f64| {
                let moved = weights
                    .iter()
                    .zip(gradient)
                    .map(|(w, g)| (f64::from(*w) + side * h * f64::from(*g) / length) as f32);
                let data = TensorData::new(moved.collect::<Vec<_>>(), data.shape().to_vec());
                step(&assign_named(dense.clone(), [(name_of.clone(), data)].into())).0
            };
            let slope = (at(1.0) - at(-1.0)) / (2.0 * h);
            assert!(
                (slope / length - 1.0).abs() < 0.02,
                "{name}, {name_of}: slope {slope}, gradient {length}"
            );
        }
    }
}

#[test]
fn trained_centroids_have_the_sum_of_their_members_gradients() {
    let plain = model("resnet10", PoolingKind::Tstp).network;
    let quantizer =
        quantizer(&plain, &config(|c| (c.bits, c.update) = (2, Update::FrozenGradient)));
    let network = quantizer.attach(plain).unwrap();
    let (_, gradients) = step(&network);
    let (_, wanted) = step(&dense(&network, &quantizer));
    let encoded = quantizer.encoded(&network).unwrap();
    assert_eq!(encoded.len(), 13);
    for (name, book, codes) in encoded {
        let mut sums = vec![0.0f32; book.values().len()];
        codes.iter().zip(&wanted[&name]).for_each(|(&c, g)| sums[usize::from(c)] += g);
        let d = distance(&gradients[&format!("{name}.quantizer.codebook")], &sums);
        assert!(d < 1e-4, "{name}: {d:e}");
        assert!(
            !gradients.contains_key(&name),
            "{name}: a latent weight has a gradient, though nothing uses it"
        );
    }
}

#[test]
fn clipping_stops_gradients_of_far_weights_only() {
    let plain = model("resnet10", PoolingKind::Tstp).network;
    let of = |clip: Option<f32>| {
        let quantizer =
            quantizer(&plain, &config(|c| (c.method, c.clip) = (Method::BinaryStatic, clip)));
        let network = quantizer.attach(plain.clone()).unwrap();
        (step(&network).1, quantizer.encoded(&network).unwrap())
    };
    let ((all, books), (clipped, _)) = (of(None), of(Some(1.5)));
    let latent: HashMap<String, TensorData> = collect_named(&plain).into_iter().collect();
    let mut stopped = 0;
    for (name, book, _) in books {
        let limit = 1.5 * book.values()[0];
        for ((w, g), c) in latent[&name].iter::<f32>().zip(&all[&name]).zip(&clipped[&name]) {
            assert_eq!(*c, if w.abs() <= limit { *g } else { 0.0 }, "{name}");
            stopped += usize::from(w.abs() > limit);
        }
    }
    assert!(stopped > 100, "only {stopped} weights are far");
}

/// Before its stage, a layer uses its latent weights.
#[test]
fn layers_wait_for_their_stage() {
    let plain = model("resnet10", PoolingKind::Tstp).network;
    let config = config(|c| c.bits = 1);
    let mut plan = crate::plan(&plain, &config);
    let late = "layer3.0.conv1.weight";
    plan.get_mut(late).unwrap().stage = 1;
    let quantizer = revox::quant::Quantizer::new(plan, config);
    let network = quantizer.attach(plain.clone()).unwrap();
    let embed = |network: &Network| crate::bits(network.forward(input(2, 20, "embed"), Mode::Eval));
    let all = embed(&dense(&network, &quantizer));
    let original: HashMap<String, TensorData> = collect_named(&plain).into_iter().collect();
    let first = embed(&assign_named(
        dense(&network, &quantizer),
        [(late.to_owned(), original[late].clone())].into(),
    ));
    assert_ne!(all, first);
    assert_eq!(
        (quantizer.stages(), quantizer.stage(1, 4), quantizer.stage(2, 4), quantizer.stage(3, 4)),
        (2, 0, 0, 1)
    );
    assert_eq!(embed(&network), first);
    quantizer.set_stage(1);
    assert_eq!(embed(&network), all);
}

/// Codebooks follow weights that move: k-means by Lloyd's iterations, adaptive scales to the new
/// means. Static scales stay.
#[test]
fn codebooks_follow() {
    let plain = model("resnet10", PoolingKind::Tstp).network;
    let name = "layer2.0.conv2.weight".to_owned();
    let book = |quantizer: &revox::quant::Quantizer, network: &Network| {
        quantizer.encoded(network).unwrap().into_iter().find(|e| e.0 == name).unwrap().1
    };
    for method in [Method::KMeans, Method::BinaryStatic, Method::BinaryAdaptive] {
        let quantizer = quantizer(&plain, &config(|c| (c.method, c.refresh_every) = (method, 3)));
        assert_eq!([0, 1, 2, 5].map(|i| quantizer.is_due(i)), [false, false, true, true]);
        let network = quantizer.attach(plain.clone()).unwrap();
        let before = book(&quantizer, &network);
        let data = collect_named(&plain).into_iter().find(|(n, _)| *n == name).unwrap().1;
        let moved: Vec<f32> = data.iter::<f32>().map(|w| w * 3.0).collect();
        let network = assign_named(
            network,
            [(name.clone(), TensorData::new(moved.clone(), data.shape().to_vec()))].into(),
        );
        let network = quantizer.refresh(&network).unwrap().apply(network);
        let after = book(&quantizer, &network);
        if method == Method::BinaryStatic {
            assert_eq!(after, before);
        } else {
            assert!(after.error(&moved) < 0.9 * before.error(&moved), "{method:?}");
            assert_eq!(after, before.follow(&moved, 3).unwrap());
        }
    }
}

/// Codebooks and frozen codes are those of the weights at the beginning of their stage.
#[test]
fn a_stage_begins_with_the_weights_it_finds() {
    let plain = model("resnet10", PoolingKind::Tstp).network;
    let name = "layer2.0.conv2.weight".to_owned();
    let data = collect_named(&plain).into_iter().find(|(n, _)| *n == name).unwrap().1;
    let moved: Vec<f32> =
        data.iter::<f32>().enumerate().map(|(i, w)| w + 0.1 * (i % 7) as f32).collect();
    for update in [Update::Lloyd, Update::FrozenMean, Update::FrozenGradient] {
        let config = config(|c| (c.bits, c.update) = (2, update));
        let mut plan = crate::plan(&plain, &config);
        plan.get_mut(&name).unwrap().stage = 1;
        let scheme = plan[&name].scheme;
        let quantizer = revox::quant::Quantizer::new(plan, config);
        let network = quantizer.attach(plain.clone()).unwrap();
        let data = TensorData::new(moved.clone(), data.shape().to_vec());
        let network = assign_named(network, [(name.clone(), data)].into());
        let network = quantizer.refresh(&network).unwrap().apply(network);
        let network = quantizer.begin(&network, 1).unwrap().apply(network);
        let (_, book, codes) =
            quantizer.encoded(&network).unwrap().into_iter().find(|e| e.0 == name).unwrap();
        let wanted = revox::quant::Codebook::fit(scheme, &moved, &[moved.len()]).unwrap();
        assert_eq!(book, wanted, "{update:?}");
        assert_eq!(codes, wanted.encode(&moved), "{update:?}");
    }
}
