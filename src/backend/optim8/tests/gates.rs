//! Gates: how they are made, what they let through, and that nothing changes behind a closed one.
//! Lists of tensors of many sizes, on CPUs and on the GPU.

use super::*;

const SIZES: [usize; 6] = [1, 3, 64, 4095, 4096, 70_001];

fn all_devices() -> Vec<(BackendKind, Device)> {
    [BackendKind::Flex, BackendKind::Ndarray, BackendKind::Wgpu]
        .into_iter()
        .filter_map(|k| Some((k, k.device(0).ok()?)))
        .collect()
}

fn sgd() -> SgdStep {
    SgdStep { rate: 0.1, momentum: 0.9, fresh: 1.0, weight_decay: 1e-3, nesterov: true }
}

fn adam() -> AdamStep {
    AdamStep {
        rate: 0.01,
        first: [0.9, 0.1],
        second: [0.999, 0.001],
        epsilon: 1e-8,
        coupled: 0.0,
        shrink: 0.99,
    }
}

/// A rule, and the codecs of its moments.
fn rules() -> [(Step, Vec<Codec>); 2] {
    let codec = |map, rounding| Codec { map, rounding, block: 256 };
    let signed = codec(CodeMap::Signed, Rounding::Nearest);
    let unsigned = codec(CodeMap::Unsigned, Rounding::AboveZero);
    [(sgd().into(), vec![signed]), (adam().into(), vec![signed, unsigned])]
}

/// What a list of tensors holds after some steps, as bits: parameters, then moments.
fn after(
    steps: &[(f32, f32)],
    (rule, codecs): &(Step, Vec<Codec>),
    in_8_bits: bool,
    on_device: bool,
    device: &Device,
) -> Vec<Vec<u32>> {
    let blank = |count: usize| codecs.iter().map(move |&c| Blocks::zeros(count, c, device));
    let whole =
        |count: usize| vec![Tensor::<1>::zeros([count], (device, DType::F32)); codecs.len()];
    let start = |i: usize| floats(&values(SIZES[i], i as u64, true), device).into_dispatch();
    let mut parameters: Vec<_> = (0..SIZES.len()).map(start).collect();
    let mut blocks: Vec<Vec<Blocks>> = SIZES.map(|count| blank(count).collect()).into();
    let mut wholes: Vec<Vec<Tensor<1>>> = SIZES.map(whole).into();
    for (turn, &(factor, gate)) in steps.iter().enumerate() {
        let gate = match on_device {
            true => Gate::Device(Tensor::from_floats([gate], device)),
            false => Gate::Open(gate),
        };
        let gradient = |i: usize| {
            let values = values(SIZES[i], (100 * turn + i) as u64, true);
            floats(&values, device).mul_scalar(factor).into_dispatch()
        };
        let pairs = std::mem::take(&mut parameters).into_iter().enumerate();
        let pairs = pairs.map(|(i, parameter)| (parameter, gradient(i)));
        match in_8_bits {
            true => {
                let parts = pairs.zip(std::mem::take(&mut blocks));
                let parts = parts.map(|((parameter, gradient), moments)| Part {
                    parameter,
                    gradient,
                    moments,
                });
                let stepped = rule.on_blocks_of(parts.collect(), codecs, &gate);
                (parameters, blocks) = stepped.into_iter().unzip();
            }
            false => {
                let parts = pairs.zip(std::mem::take(&mut wholes));
                let parts = parts.map(|((parameter, gradient), moments)| Part {
                    parameter,
                    gradient,
                    moments,
                });
                let stepped = rule.on_values_of(parts.collect(), &gate);
                (parameters, wholes) = stepped.into_iter().unzip();
            }
        }
    }
    let words = |x: Tensor<1, Int>| x.into_data().try_to_vec::<u32>().unwrap();
    let parameters = parameters.into_iter().map(|p| bits(Tensor::from_dispatch(p)));
    let blocks = blocks.into_iter().flatten().flat_map(|b| [words(b.words), bits(b.absmax)]);
    parameters.chain(blocks).chain(wholes.into_iter().flatten().map(bits)).collect()
}

/// Every backend's form of a check, with every rule and both forms of moments.
fn everywhere(check: impl Fn(&str, &dyn Fn(&[(f32, f32)], bool) -> Vec<Vec<u32>>)) {
    for (kind, device) in all_devices() {
        for rule in &rules() {
            for in_8_bits in [false, true] {
                let what = format!("{kind:?}, {:?}, 8 bits: {in_8_bits}", rule.0);
                let run = |steps: &[(f32, f32)], on_device: bool| {
                    after(steps, rule, in_8_bits, on_device, &device)
                };
                check(&what, &run);
            }
        }
    }
}

#[test]
fn closed_gates_change_nothing_on_any_backend_wgpu_among_them() {
    everywhere(|what, run| {
        let wanted = run(&[(1.0, 1.0), (1.0, 1.0)], false);
        for on_device in [false, true] {
            for bad in [1.0, f32::NAN, f32::INFINITY] {
                let ours = run(&[(1.0, 1.0), (1.0, 1.0), (bad, 0.0)], on_device);
                assert!(ours == wanted, "{what}, gradients times {bad}, on device: {on_device}");
            }
        }
    });
}

#[test]
fn gates_multiply_gradients_on_any_backend_wgpu_among_them() {
    everywhere(|what, run| {
        let steps = |factor: f32, gate: f32| [(1.0, 1.0), (factor, gate), (1.0, 1.0)];
        let wanted = run(&steps(1.0 / 1024.0, 1.0), false);
        for on_device in [false, true] {
            let ours = run(&steps(1.0, 1.0 / 1024.0), on_device);
            assert!(ours == wanted, "{what}, on device: {on_device}");
        }
        assert!(run(&steps(1.0, 1.0), false) != wanted, "{what}: the factor matters");
    });
}

/// Kernels that step many tensors at once, against the CPU. A GPU's divisions may be wrong in their
/// last bits, so a value on a bound may have the code next to the right one.
#[test]
fn lists_of_tensors_on_wgpu_are_stepped_as_on_cpus() {
    let Ok(wgpu) = BackendKind::Wgpu.device(0) else { return };
    for rule in &rules() {
        for in_8_bits in [false, true] {
            let run =
                |device: &Device| after(&[(1.0, 1.0), (-0.5, 1.0)], rule, in_8_bits, true, device);
            let (ours, wanted) = (run(&wgpu), run(&devices()[0].1));
            for (i, count) in SIZES.into_iter().enumerate() {
                let pairs = ours[i].iter().zip(&wanted[i]);
                let far = pairs.map(|(&a, &b)| {
                    let (a, b) = (f32::from_bits(a), f32::from_bits(b));
                    (a - b).abs() / (1.0 + b.abs())
                });
                let far: Vec<f32> = far.collect();
                assert_eq!(far.len(), count);
                let others = far.iter().filter(|far| far.is_nan() || **far >= 1e-5).count();
                let what = format!("{:?}, 8 bits: {in_8_bits}, {count} values", rule.0);
                assert!(1000 * others <= count, "{what}: {others} differ");
            }
        }
    }
}

/// A rule with one moment can do without it where that is 0 all the time.
#[test]
fn steps_without_moments_on_every_backend_wgpu_among_them() {
    for (kind, device) in all_devices() {
        let step: Step = SgdStep { momentum: 0.0, nesterov: false, ..sgd() }.into();
        let part = |with: bool| Part {
            parameter: floats(&values(5000, 1, true), &device).into_dispatch(),
            gradient: floats(&values(5000, 2, true), &device).into_dispatch(),
            moments: match with {
                true => vec![Tensor::zeros([5000], (&device, DType::F32))],
                false => Vec::new(),
            },
        };
        let run = |with: bool| {
            let mut stepped = step.on_values_of(vec![part(with)], &Gate::Open(0.5));
            let (parameter, moments) = stepped.remove(0);
            assert_eq!(moments.len(), usize::from(with));
            bits(Tensor::from_dispatch(parameter))
        };
        equal(&run(false), &run(true), &format!("{kind:?}"));
    }
}

#[test]
fn gates_are_open_for_finite_values_on_every_backend_wgpu_among_them() {
    for (kind, device) in all_devices() {
        let tensor = |count: usize, bad: &[(usize, f32)]| {
            let mut x = values(count, count as u64, true);
            bad.iter().for_each(|&(i, value)| x[i] = value);
            floats(&x, &device)
        };
        let made = |gradients: Vec<Tensor<1>>, loss: Option<f32>| {
            let loss = loss.map(|loss| Tensor::from_floats([loss, 1.0], &device));
            let (gate, bad) = gate(gradients, loss, 0.25);
            [gate, bad].map(|x| {
                assert_eq!(x.dims(), [1], "{kind:?}");
                x.into_scalar::<f32>()
            })
        };
        let fine = || SIZES.map(|count| tensor(count, &[])).to_vec();
        assert_eq!(made(fine(), None), [0.25, 0.0], "{kind:?}");
        assert_eq!(made(fine(), Some(f32::MAX)), [0.25, 0.0], "{kind:?}");
        assert_eq!(made(fine(), Some(f32::NAN)), [0.0, 0.0], "{kind:?}");
        assert_eq!(made(Vec::new(), Some(2.0)), [0.25, 0.0], "{kind:?}");
        let odd = [(0, f32::NAN), (69_999, f32::INFINITY), (70_000, f32::NEG_INFINITY)];
        let bad = [fine(), vec![tensor(70_001, &odd), tensor(1, &odd[..1])]].concat();
        assert_eq!(made(bad.clone(), None), [0.0, 4.0], "{kind:?}");
        assert_eq!(made(bad, Some(f32::NEG_INFINITY)), [0.0, 4.0], "{kind:?}");
        // More tensors than one launch takes.
        let many = (0..150).map(|i| tensor(i + 1, if i % 50 == 3 { &odd[..1] } else { &[] }));
        assert_eq!(made(many.collect(), None), [0.0, 3.0], "{kind:?}");
    }
    assert_eq!(gate(Vec::new(), None, 0.5).0.into_scalar::<f32>(), 0.5);
}
