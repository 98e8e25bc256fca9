//! 8-bit optimizer states: codes, steps, fused kernels against plain operations, and gradients that
//! are not finite.

use burn::optim::Optimizer;
use burn::tensor::Device;

use super::{Findings, Subject, numbers, tensor, values};
use crate::backend::optim8::{AdamStep, Blocks, CodeMap, Codec, Rounding, SgdStep, Step};
use crate::error::Result;
use crate::optim::{
    Adam8bitConfig, AdamW8bitConfig, Gate, OptimizerState, Sgd8bitConfig, StateRounding, States,
};

/// Values of many magnitudes, and a block of zeros.
fn wide(count: usize, signed: bool) -> Vec<f32> {
    let scale =
        |i: usize| if (512..768).contains(&i) { 0.0 } else { 10f32.powi(-((i % 9) as i32)) };
    let values = numbers(count).into_iter().enumerate().map(|(i, x)| x * scale(i));
    values.map(|x| if signed { x } else { x.abs() }).collect()
}

/// Codes against the scalar twin.
pub(super) fn codes(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let rules = [Rounding::Nearest, Rounding::SignPreserving, Rounding::AboveZero];
    for (map, rounding) in
        [CodeMap::Signed, CodeMap::Unsigned].into_iter().flat_map(|m| rules.map(|r| (m, r)))
    {
        for (block, count) in [(256, 1), (256, 4999), (2048, 4999)] {
            let codec = Codec { map, rounding, block };
            let x = wide(count, map == CodeMap::Signed);
            let (codes, absmax) = codec.quantize(&x);
            let blocks = Blocks::quantize(tensor(x.clone(), [count], &subject.device), codec);
            let what = format!("{map:?} {rounding:?}, {count} in blocks of {block}");
            findings.same(format!("absmax, {what}"), &values(blocks.absmax.to_data()), &absmax);
            let words: Vec<u32> =
                blocks.words.to_data().convert::<u32>().try_to_vec().unwrap_or_default();
            let ours: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).take(count).collect();
            // A GPU's division may be wrong in its last bits, so a value on a bound may have the
            // code next to the right one.
            let wrong = |(i, (a, b)): (usize, (&u8, &u8))| {
                let bound = f64::from(map.bounds()[usize::from(*a.min(b).min(&254))]);
                let off = f64::from(x[i] / absmax[i / block]) / bound - 1.0;
                a != b && !(a.abs_diff(*b) == 1 && off.abs() < 1e-6)
            };
            let wrong = ours.iter().zip(&codes).enumerate().filter(|pair| wrong(*pair)).count()
                + count
                - ours.len();
            findings.note(format!("codes, {what}"), wrong as f64, 0.0);
            let back = values(blocks.dequantize(codec, [count]).into_data());
            findings.near(
                format!("values, {what}"),
                &back,
                &codec.dequantize(&ours, &absmax),
                1e-6,
            );
        }
    }
    Ok(())
}

/// How far a parameter moves in some steps, one on each device of the route. Between two steps the
/// states pass through the form of a record.
fn moved<O: Optimizer<State<2> = OptimizerState>>(optimizer: &O, route: &[&Device]) -> Vec<f32> {
    use burn::optim::{RecordState, StateSink, StateSource};
    let shape = [50, 100];
    let start = wide(5000, true);
    let (mut p, mut state) = (start.clone(), None);
    for (step, device) in route.iter().enumerate() {
        let gradient = wide(5000, true)
            .iter()
            .enumerate()
            .map(|(i, x)| x * ((i * (step + 3)) as f32).sin())
            .collect();
        let (next, left) =
            optimizer.step(0.1, tensor(p, shape, device), tensor(gradient, shape, device), state);
        p = values(next.into_data());
        let mut sink = StateSink::default();
        left.into_iter().for_each(|state| state.state_flatten("p", &mut sink));
        let mut source = StateSource::new(sink.scalars.into_iter().collect());
        sink.tensors.into_iter().for_each(|(name, data)| source.insert_tensor(name, data));
        state = OptimizerState::state_unflatten("p", &mut source, route[(step + 1) % route.len()]);
    }
    p.iter().zip(&start).map(|(a, b)| a - b).collect()
}

/// Steps against another backend, also with states that travel there and back.
pub(super) fn steps(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let (here, there) = (&subject.device, &subject.peer);
    let tolerance = subject.tolerance.states;
    fn check<O: Optimizer<State<2> = OptimizerState>>(
        optimizer: &O,
        what: &str,
        [here, there]: [&Device; 2],
        tolerance: f64,
        findings: &mut Findings,
    ) {
        let wanted = moved(optimizer, &[there; 4]);
        findings.near(what, &moved(optimizer, &[here; 4]), &wanted, tolerance);
        let route = [there, here, here, there];
        findings.near(
            format!("{what}, there and back"),
            &moved(optimizer, &route),
            &wanted,
            tolerance,
        );
    }
    for block_size in [64, 256, 2048] {
        let states = States { block_size, ..States::default() };
        let sgd = Sgd8bitConfig::new()
            .with_nesterov(true)
            .with_weight_decay(0.01)
            .with_states(states.clone());
        let what = format!("SGD, blocks of {block_size}");
        check(&sgd.build()?, &what, [here, there], tolerance, findings);
        let adam = AdamW8bitConfig::new().with_weight_decay(0.01).with_states(states);
        let what = format!("AdamW, blocks of {block_size}");
        check(&adam.build()?, &what, [here, there], tolerance, findings);
    }
    let states = States { rounding: StateRounding::SignPreserving, ..States::default() };
    let sgd = Sgd8bitConfig::new().with_dampening(0.1).with_states(states.clone());
    check(&sgd.build()?, "SGD with dampening, signs kept", [here, there], tolerance, findings);
    let adam = Adam8bitConfig::new().with_weight_decay(0.01).with_guard(false).with_states(states);
    check(&adam.build()?, "Adam without guard, signs kept", [here, there], tolerance, findings);
    Ok(())
}

/// The parameters after three steps of Adam and of SGD on raw blocks.
fn raw_steps(block: usize, device: &Device) -> [Vec<f32>; 2] {
    let on = |x: Vec<f32>| tensor(x, [3001], device);
    let codec = |map, rounding| Codec { map, rounding, block };
    let codecs = [
        codec(CodeMap::Signed, Rounding::SignPreserving),
        codec(CodeMap::Unsigned, Rounding::AboveZero),
    ];
    let three = |step: Step, codecs: &[Codec]| {
        let mut parameter = on(wide(3001, true));
        let mut moments: Vec<Blocks> =
            codecs.iter().map(|&codec| Blocks::zeros(3001, codec, device)).collect();
        for turn in 1..4 {
            let wave = |(i, x): (usize, &f32)| x * ((i * turn) as f32).cos();
            let gradient = on(wide(3001, true).iter().enumerate().map(wave).collect());
            (parameter, moments) =
                step.on_blocks(parameter, gradient, moments, codecs, &Gate::Open(1.0));
        }
        values(parameter.into_data())
    };
    let adam = AdamStep {
        rate: 0.1,
        first: [0.9, 0.1],
        second: [0.99, 0.01],
        epsilon: 1e-8,
        coupled: 0.01,
        shrink: 0.99,
    };
    let sgd = SgdStep { rate: 0.1, momentum: 0.9, fresh: 1.0, weight_decay: 0.01, nesterov: true };
    [three(adam.into(), &codecs), three(sgd.into(), &codecs[..1])]
}

/// Kernels do not support every block size: 100 runs in plain operations of the backend, 256 in its
/// kernel.
pub(super) fn bodies(subject: &Subject, findings: &mut Findings) -> Result<()> {
    for (block, body) in [(100, "plain"), (256, "fused")] {
        let (ours, wanted) = (raw_steps(block, &subject.device), raw_steps(block, &subject.peer));
        for (what, (ours, wanted)) in ["Adam", "SGD"].iter().zip(ours.iter().zip(&wanted)) {
            findings.near(format!("{what}, {body}"), ours, wanted, subject.tolerance.states);
        }
    }
    Ok(())
}

/// A gradient that is not finite leaves parameters and states as they are.
pub(super) fn not_finite(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let optimizer = Sgd8bitConfig::new().build()?;
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut gradient = numbers(5000);
        gradient[4321] = bad;
        let on = |x: Vec<f32>| tensor(x, [5000], &subject.device);
        let (p, state) =
            optimizer.step(0.1, on(numbers(5000)), on(gradient), None::<OptimizerState>);
        findings.same(format!("parameters after {bad}"), &values(p.into_data()), &numbers(5000));
        findings.same(format!("a state after {bad}"), &[state.is_none()], &[true]);
    }
    Ok(())
}
