//! Gradients that are not finite, and parameters without gradients, in steps during a backward
//! pass.

use super::*;

/// On a CPU, and on a GPU where there is one.
fn devices() -> Vec<Device> {
    std::iter::once(cpu()).chain(BackendKind::Wgpu.device(0).ok()).collect()
}

fn net(device: &Device) -> Net {
    Net::new(&[70, 5000]).valid().fork(device).train()
}

/// A loss with these derivatives by all values of the two vectors. The others have none.
fn loss(net: &Net, slopes: [f32; 2]) -> Tensor<1> {
    let part = |i: usize| (net.vectors[i].val() * slopes[i]).sum();
    part(0) + part(1)
}

fn released(stepper: &mut Stepper, net: Net, slopes: [f32; 2]) -> (Net, Left) {
    let loss = loss(&net, slopes);
    let (net, mut release) = stepper.release(0.01, net);
    release.collect(loss.backward());
    let (net, checks) = release.finish(stepper, net);
    (net, checks.read(stepper))
}

fn ordinary(stepper: &mut Stepper, net: Net, slopes: [f32; 2]) -> Net {
    let gradients = GradientsParams::from_grads(loss(&net, slopes).backward(), &net);
    stepper.step(0.01, net, gradients, Gate::Open(1.0))
}

fn vector(net: &Net, i: usize) -> Vec<f32> {
    net.vectors[i].val().into_data().try_to_vec::<f32>().unwrap()
}

/// The same numbers; on a GPU, where tensors may share launches, within rounding errors.
#[track_caller]
fn equal(device: &Device, ours: &[f32], wanted: &[f32], what: &str) {
    match is_gpu(device) {
        true => assert_eq!(others(ours, wanted), 0, "{what}"),
        false => assert!(ours == wanted, "{what}"),
    }
}

/// A bad gradient leaves its own parameter and the count of its steps. The other parameter, and the
/// next step of both, are those of a training in which that gradient never was.
#[test]
fn a_bad_gradient_leaves_its_own_parameter() {
    for device in devices() {
        for config in configs() {
            let mut ours = config.init().unwrap();
            let (trained, left) = released(&mut ours, net(&device), [1.0, -2.0]);
            assert_eq!(left, Left::default());
            let kept = vector(&trained, 1);
            let (trained, left) = released(&mut ours, trained, [0.5, f32::NAN]);
            assert_eq!(left, Left { parameters: 1, values: 5000 }, "{}", config.name());
            assert!(vector(&trained, 1) == kept, "{}", config.name());
            let (trained, left) = released(&mut ours, trained, [0.25, 1.0]);
            assert_eq!(left, Left::default());
            let mut theirs = config.init().unwrap();
            let mut wanted = ordinary(&mut theirs, net(&device), [1.0, -2.0]);
            let first = ordinary(&mut theirs.clone(), wanted.clone(), [0.25, 1.0]);
            equal(&device, &vector(&trained, 1), &vector(&first, 1), config.name());
            for slopes in [[0.5, 0.0], [0.25, 1.0]] {
                wanted = ordinary(&mut theirs, wanted, slopes);
            }
            equal(&device, &vector(&trained, 0), &vector(&wanted, 0), config.name());
        }
    }
}

/// What a pass does not use keeps its value, its id and its place on the tape.
#[test]
fn parameters_without_gradients_stay() {
    for device in devices() {
        let mut ours = configs()[0].init().unwrap();
        let before = net(&device);
        let (after, _) = released(&mut ours, before.clone(), [1.0, 1.0]);
        assert_eq!(after.wide.id, before.wide.id);
        assert_eq!(after.wide.dims(), [64, 100]);
        assert!(after.wide.val().is_require_grad() && after.vectors[0].val().is_require_grad());
        let cube = |net: &Net| net.cube.as_ref().unwrap().val().into_data();
        assert_eq!(cube(&after), cube(&before));
        assert_ne!(vector(&after, 0), vector(&before, 0));
    }
}
