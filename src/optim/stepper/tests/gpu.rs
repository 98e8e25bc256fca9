//! Many tensors in one launch, on the GPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn_cubecl::cubecl::logging::{LaunchObservation, LaunchObserver};
use burn_pack::Reader;

use super::*;
use crate::backend::optim8;

fn wgpu() -> Option<Device> {
    BackendKind::Wgpu.device(0).ok()
}

/// The same module on another device, ready to be trained.
fn on(net: &Net, device: &Device) -> Net {
    net.valid().fork(device).train()
}

fn on_device(x: f32, device: &Device) -> Gate {
    Gate::Device(Tensor::from_floats([x], device))
}

/// A GPU's divisions may be wrong in their last bits, so a value on a bound may have the code next
/// to the right one, and what is computed from it is another value.
#[track_caller]
fn near(config: &OptimizerConfig, ours: &Net, wanted: &Net) {
    let (ours, wanted) = (values(ours), values(wanted));
    let allowed = if config.name().ends_with("8bit") { ours.len() / 500 } else { 0 };
    let others = others(&ours, &wanted);
    assert!(others <= allowed, "{}: {others} of {} differ", config.name(), ours.len());
}

#[test]
fn wgpu_steps_all_tensors_as_cpus_do() {
    let Some(device) = wgpu() else { return };
    for config in configs() {
        let (mut ours, mut theirs) = (config.init().unwrap(), config.init().unwrap());
        let mut wanted = Net::new(&SIZES);
        let mut net = on(&wanted, &device);
        for turn in 0..3 {
            net = step(&mut ours, net, turn, on_device(1.0, &device));
            wanted = step(&mut theirs, wanted, turn, Gate::Open(1.0));
            near(&config, &net, &wanted);
        }
        assert!(matches!(ours.form, Form::Together(_)));
    }
}

#[test]
fn wgpu_leaves_everything_as_it_is_behind_a_closed_gate() {
    let Some(device) = wgpu() else { return };
    for config in configs() {
        let mut ours = config.init().unwrap();
        // The first step is left out, too.
        let mut net = on(&Net::new(&SIZES), &device);
        for turn in 0..3 {
            let before = bits(&net);
            let drawn = gradients(&net, turn, f32::NAN);
            net = ours.step(0.01, net, drawn, on_device(0.0, &device));
            ours.take_back();
            assert!(bits(&net) == before, "{}, step {turn}", config.name());
            let was = record(&ours);
            let drawn = gradients(&net, turn, 1.0);
            net = ours.step(0.01, net, drawn, Gate::Open(0.0));
            ours.take_back();
            assert!(bits(&net) == before && record(&ours) == was, "{}", config.name());
            net = step(&mut ours, net, turn, on_device(1.0, &device));
        }
        let mut wanted = Net::new(&SIZES);
        let mut theirs = config.init().unwrap();
        for turn in 0..3 {
            wanted = step(&mut theirs, wanted, turn, Gate::Open(1.0));
        }
        near(&config, &net, &wanted);
    }
}

#[test]
fn wgpu_gates_multiply_gradients() {
    let Some(device) = wgpu() else { return };
    for config in configs() {
        let start = on(&Net::new(&SIZES), &device);
        let small = 1.0 / 1024.0;
        let run = |gate: Gate, factor: f32| {
            let mut stepper = config.init().unwrap();
            let net = step(&mut stepper, start.clone(), 0, Gate::Open(1.0));
            let drawn = gradients(&net, 1, factor);
            let net = stepper.step(0.01, net, drawn, gate);
            (bits(&net), record(&stepper))
        };
        let wanted = run(Gate::Open(1.0), small);
        for gate in [Gate::Open(small), on_device(small, &device)] {
            assert!(run(gate, 1.0) == wanted, "{}", config.name());
        }
    }
}

/// Names, types and shapes of a record's tensors, numbers, and places of parameters.
fn layout(record: &[u8]) -> Vec<String> {
    let reader = Reader::from_bytes(bytes(record.to_vec())).unwrap();
    let scalars: Vec<String> = reader.scalars().iter().map(|s| format!("{s:?}")).collect();
    let paths: Vec<String> = reader.metadata().iter().map(|m| format!("{m:?}")).collect();
    let tensors = reader.into_tensors().unwrap().into_iter();
    let tensors =
        tensors.map(|t| format!("{} {:?} {:?} {:?}", t.name, t.dtype, t.shape, t.param_id));
    scalars.into_iter().chain(paths).chain(tensors).collect()
}

#[test]
fn records_travel_from_cpus_to_wgpu_and_back() {
    let Some(device) = wgpu() else { return };
    for config in configs() {
        let mut wanted = Net::new(&SIZES);
        let mut theirs = config.init().unwrap();
        wanted = step(&mut theirs, wanted, 0, Gate::Open(1.0));
        let mut net = on(&wanted, &device);
        let mut ours = config.restore(bytes(record(&theirs))).unwrap();
        for turn in 1..3 {
            net = step(&mut ours, net, turn, on_device(1.0, &device));
            wanted = step(&mut theirs, wanted, turn, Gate::Open(1.0));
        }
        assert_eq!(layout(&record(&ours)), layout(&record(&theirs)), "{}", config.name());
        let mut back = config.restore(bytes(record(&ours))).unwrap();
        let net = step(&mut back, on(&net, &cpu()), 3, Gate::Open(1.0));
        wanted = step(&mut theirs, wanted, 3, Gate::Open(1.0));
        near(&config, &net, &wanted);
    }
}

/// Launches of some work. Tests beside this one launch kernels, too, so the fewest of many tries
/// count.
fn launches(device: &Device, mut work: impl FnMut()) -> usize {
    struct Count(AtomicUsize);

    impl LaunchObserver for Count {
        fn launched(&self, _: &'static str) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let mut fewest = usize::MAX;
    for _ in 0..30 {
        device.sync().unwrap();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let observation = LaunchObservation::new(count.clone());
        work();
        device.sync().unwrap();
        drop(observation);
        fewest = fewest.min(count.0.load(Ordering::Relaxed));
    }
    fewest
}

/// Launches for a hundred tensors where a kernel takes 32 buffers, as on software drivers.
const MOST: usize = 30;

#[test]
fn wgpu_launches_few_kernels_for_many_tensors() {
    let Some(device) = wgpu() else { return };
    for (config, most) in configs().into_iter().zip([MOST; 7]) {
        let sizes: Vec<usize> = (0..100).map(|i| i + 2).collect();
        let mut net = Some(on(&Net::new(&sizes), &device));
        let mut stepper = config.init().unwrap();
        let mut turn = 0;
        let steps = launches(&device, || {
            let before = net.take().expect("put back after each step");
            net = Some(step(&mut stepper, before, turn, Gate::Open(1.0)));
            turn += 1;
        });
        assert!((1..=most).contains(&steps), "{}: {steps} launches", config.name());
        let net = net.expect("put back");
        let drawn = gradients(&net, turn, 1.0);
        let flat = |param: &Param<Tensor<1>>| drawn.get::<1>(param.id);
        let all: Vec<Tensor<1>> = net.vectors.iter().filter_map(flat).collect();
        let gates = launches(&device, || {
            optim8::gate(all.clone(), None, 1.0);
        });
        assert!((1..=6).contains(&gates), "{gates} launches for a gate");
    }
}
