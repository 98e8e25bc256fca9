//! Values that are read late.

use burn::tensor::Device;

use super::*;
#[cfg(any(feature = "flex", feature = "wgpu-bare"))]
use crate::backend::{BackendKind, is_gpu};

fn tensor(values: [f32; 3], device: &Device) -> Tensor<1> {
    Tensor::from_floats(values, device)
}

#[test]
fn outcomes_arrive_in_their_order_one_step_late() {
    let device = Device::default();
    let mut late = Late::new();
    assert!(late.ripe().unwrap().is_none() && late.oldest().unwrap().is_none());
    late.push(tensor([1.0, 2.0, 3.0], &device), "a");
    assert!(late.ripe().unwrap().is_none(), "nothing is queued behind it");
    late.push(tensor([4.0, f32::NAN, 6.0], &device), "b");
    assert_eq!(late.ripe().unwrap(), Some((vec![1.0, 2.0, 3.0], "a")));
    assert!(late.ripe().unwrap().is_none());
    assert_eq!(late.reads(), Reads { started: 2, idle: 0 });
    let (values, step) = late.oldest().unwrap().unwrap();
    assert_eq!((values[0], values[2], step), (4.0, 6.0, "b"));
    assert!(values[1].is_nan());
    assert_eq!((late.reads(), late.under_way()), (Reads { started: 2, idle: 1 }, 0));
}

/// What is waited for is what was there when the copy was queued.
#[cfg(feature = "wgpu-bare")]
#[test]
fn a_gpu_copies_what_is_there_when_the_copy_is_queued() {
    let device = match BackendKind::Wgpu.device(0) {
        Ok(device) => device,
        Err(e) => return eprintln!("skipped: {e}"),
    };
    assert!(is_gpu(&device) && is_gpu(&device.clone().autodiff()));
    let mut values = tensor([1.0, 2.0, 3.0], &device);
    let mut late = Late::new();
    for step in 0..20 {
        late.push(values.clone(), step);
        // Lazy work, which waits for nobody.
        values = values * 0.5 + 1.0;
        if let Some((values, before)) = late.ripe().unwrap() {
            assert_eq!(before + 1, step);
            let half = 0.5f32.powi(before);
            assert_eq!(values, [1.0f32, 2.0, 3.0].map(|x| x * half + 2.0 - 2.0 * half));
        }
    }
    assert_eq!(late.reads(), Reads { started: 20, idle: 0 });
    assert!(matches!(Reading::start(values), Reading::Queued(_)), "the copy is not started");
    // A copy that nobody wants any more is waited for too.
    drop(late);
}

#[cfg(feature = "flex")]
#[test]
fn a_cpu_is_no_gpu() {
    let device = BackendKind::Flex.device(0).unwrap();
    assert!(!is_gpu(&device) && !is_gpu(&device.autodiff()));
}
