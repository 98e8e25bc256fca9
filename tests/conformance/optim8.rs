//! 8-bit optimizer states: codec and steps on every backend, and a state that goes from one to the next.

use burn::optim::{Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor, TensorData};
use revox::backend::optim8::{self, AdamStates, AdamStep, Blocks, CodeMap, Codec, Rounding, SgdStep};
use revox::optim::{Adam8bitConfig, Decay, OptimizerState, Sgd8bitConfig, StateRounding, States};

use crate::{devices, distance, numbers, values};

/// Values of many sizes, and a block of zeros.
fn wide(count: usize, signed: bool) -> Vec<f32> {
    let scale = |i: usize| if (512..768).contains(&i) { 0.0 } else { 10f32.powi(-((i % 9) as i32)) };
    let values = numbers(count).into_iter().enumerate().map(|(i, x)| x * scale(i));
    values.map(|x| if signed { x } else { x.abs() }).collect()
}

#[test]
fn codes_agree_with_the_scalar_twin() {
    let rules = [Rounding::Nearest, Rounding::SignPreserving, Rounding::AboveZero];
    for (backend, device) in devices() {
        for (map, rounding) in [CodeMap::Signed, CodeMap::Unsigned].into_iter().flat_map(|m| rules.map(|r| (m, r))) {
            for (block, count) in [(256, 1), (256, 4999), (2048, 4999)] {
                let codec = Codec { map, rounding, block };
                let x = wide(count, map == CodeMap::Signed);
                let (codes, absmax) = codec.quantize(&x);
                let tensor = Tensor::<1>::from_data(TensorData::new(x.clone(), [count]), &device);
                let blocks = Blocks::quantize(tensor, codec);
                let what = format!("{map:?} {rounding:?}, {count} in blocks of {block} on {backend}");
                assert_eq!(values(blocks.absmax.to_data()), absmax, "{what}");
                let words = blocks.words.to_data().try_to_vec::<u32>().unwrap();
                let ours: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).take(count).collect();
                for i in 0..count {
                    // A GPU's division may be off by its last bits: a value on a bound may have the code next to it.
                    let bound = f64::from(map.bounds()[usize::from(ours[i].min(codes[i]).min(254))]);
                    let off = f64::from(x[i] / absmax[i / block]) / bound - 1.0;
                    let near = ours[i].abs_diff(codes[i]) == 1 && off.abs() < 1e-6;
                    assert!(ours[i] == codes[i] || near, "{what}: value {i}, {}: {} for {}", x[i], ours[i], codes[i]);
                }
                let back = values(blocks.dequantize(codec, [count]).into_data());
                assert!(distance(&back, &codec.dequantize(&ours, &absmax)) < 1e-6, "{what}");
            }
        }
    }
}

/// Steps on a parameter, with the state taken through a record onto the next device in between.
fn journey<O: Optimizer<State<2> = OptimizerState>>(optimizer: &O, route: &[&Device]) -> Vec<f32> {
    let shape = [50, 100];
    let on = |x: Vec<f32>, device: &Device| Tensor::<2>::from_data(TensorData::new(x, shape), device);
    let (mut p, mut state) = (wide(5000, true), None);
    for (step, device) in route.iter().enumerate() {
        let gradient: Vec<f32> =
            wide(5000, true).iter().enumerate().map(|(i, x)| x * ((i * (step + 3)) as f32).sin()).collect();
        let (next, left) = optimizer.step(0.1, on(p, device), on(gradient, device), state);
        p = values(next.into_data());
        let mut sink = StateSink::default();
        left.unwrap().state_flatten("p", &mut sink);
        let mut source = StateSource::new(sink.scalars.into_iter().collect());
        sink.tensors.into_iter().for_each(|(name, data)| source.insert_tensor(name, data));
        state = OptimizerState::state_unflatten("p", &mut source, route[(step + 1) % route.len()]);
    }
    p
}

fn check<O: Optimizer<State<2> = OptimizerState>>(optimizer: &O, what: &str) {
    let devices = devices();
    let first = &devices[0].1;
    let start = wide(5000, true);
    let moved = |p: &[f32]| p.iter().zip(&start).map(|(a, b)| a - b).collect::<Vec<f32>>();
    let wanted = moved(&journey(optimizer, &[first; 4]));
    for (backend, device) in &devices {
        let d = distance(&moved(&journey(optimizer, &[device; 4])), &wanted);
        assert!(d < 1e-3, "{what} on {backend}: {d}");
        let d = distance(&moved(&journey(optimizer, &[first, device, device, first])), &wanted);
        assert!(d < 1e-3, "{what} from one backend to {backend} and back: {d}");
    }
}

#[test]
fn steps_agree() {
    for block_size in [64, 256, 2048] {
        let states = States { block_size, ..States::default() };
        let sgd = Sgd8bitConfig { nesterov: true, weight_decay: 0.01, states: states.clone(), ..Default::default() };
        check(&sgd.init().unwrap(), &format!("SGD, blocks of {block_size}"));
        let adam = Adam8bitConfig { weight_decay: 0.01, states, ..Default::default() };
        check(&adam.init().unwrap(), &format!("AdamW, blocks of {block_size}"));
    }
    let states = States { rounding: StateRounding::SignPreserving, ..States::default() };
    let sgd = Sgd8bitConfig { dampening: 0.1, states: states.clone(), ..Default::default() };
    check(&sgd.init().unwrap(), "SGD with dampening, signs kept");
    let adam = Adam8bitConfig { weight_decay: 0.01, decay: Decay::Coupled, guard: false, states, ..Default::default() };
    check(&adam.init().unwrap(), "Adam without guard, signs kept");
}

/// Block sizes that the kernels do not take: the plain body, in operations of the backend, and beside it a size they take.
#[test]
fn plain_and_fused_bodies_agree() {
    for block in [100, 256] {
        let mut first: Option<[Vec<f32>; 2]> = None;
        for (backend, device) in devices() {
            let tensor = |x: Vec<f32>| Tensor::<1>::from_data(TensorData::new(x, [3001]), &device);
            let states = AdamStates { block, rounding: [Rounding::SignPreserving, Rounding::AboveZero] };
            let zeros = || states.codecs().map(|codec| Blocks::zeros(3001, codec, &device));
            let adam = AdamStep {
                rate: 0.1,
                first: [0.9, 0.1],
                second: [0.99, 0.01],
                epsilon: 1e-8,
                coupled: 0.01,
                shrink: 0.99,
            };
            let sgd = SgdStep { rate: 0.1, momentum: 0.9, fresh: 1.0, weight_decay: 0.01, nesterov: true };
            let (mut p, mut moments) = (tensor(wide(3001, true)), zeros());
            let (mut q, [mut momentum, _]) = (tensor(wide(3001, true)), zeros());
            for seed in 1..4 {
                let g = || {
                    tensor(wide(3001, true).iter().enumerate().map(|(i, x)| x * ((i * seed) as f32).cos()).collect())
                };
                (p, moments) = optim8::adam_step(p, g(), moments, states, adam);
                (q, momentum) = optim8::sgd_step(q, g(), momentum, states.codecs()[0], sgd);
            }
            let ours = [values(p.into_data()), values(q.into_data())];
            let wanted = first.get_or_insert_with(|| ours.clone());
            for (ours, wanted) in ours.iter().zip(wanted.iter()) {
                let d = distance(ours, wanted);
                assert!(d < 1e-3, "blocks of {block} on {backend}: {d}");
            }
        }
    }
}

#[test]
fn gradients_that_are_not_finite_are_seen() {
    let optimizer = Sgd8bitConfig::default().init().unwrap();
    for (backend, device) in devices() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut gradient = numbers(5000);
            gradient[4321] = bad;
            let tensor = |x: Vec<f32>| Tensor::<1>::from_data(TensorData::new(x, [5000]), &device);
            let (p, state) = optimizer.step(0.1, tensor(numbers(5000)), tensor(gradient), None);
            assert!(state.is_none() && values(p.into_data()) == numbers(5000), "{bad} on {backend}");
        }
    }
}
