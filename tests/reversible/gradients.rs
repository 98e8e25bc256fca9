//! Gradients, outputs and running statistics of a step, reversible against taped.

use burn::tensor::{DType, Device};
use revox::backend::reversible::{Execution, GRID, invert, run};
use revox::backend::{BackendKind, Mode};

use crate::body::{Body, cast, noise, numbers, step, worst};

const SHAPE: [usize; 4] = [2, 4, 6, 10];

fn device(kind: BackendKind) -> Device {
    kind.device(0).unwrap()
}

#[test]
fn double_precision_agrees_to_rounding() {
    let device = device(BackendKind::Ndarray);
    for blocks in [1, 8, 32, 64] {
        for smooth in [false, true] {
            let body = cast(Body::new(&device, 1, blocks, 2, smooth), DType::F64);
            let x = noise(SHAPE, "x", DType::F64, &device);
            let reversible = step(&body, &x, Execution::Reversible);
            assert_eq!(reversible.len(), 2 + blocks * 2 * (6 + 4));
            let (name, d) = worst(&reversible, &step(&body, &x, Execution::Taped));
            assert!(d < 1e-9, "{blocks} blocks: {name} {d:e}");
        }
    }
}

#[test]
fn single_precision_agrees_for_a_smooth_activation() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        let device = device(kind);
        // Without a grid, ordinary rounding grows with depth.
        for (grid, depths) in [(Some(GRID), &[1, 8, 32, 64][..]), (None, &[1, 8, 32])] {
            for &blocks in depths {
                let body = Body { grid, ..Body::new(&device, 1, blocks, 2, true) };
                let x = noise(SHAPE, "x", DType::F32, &device);
                let (name, d) = worst(
                    &step(&body, &x, Execution::Reversible),
                    &step(&body, &x, Execution::Taped),
                );
                eprintln!("{kind:?}, {blocks} blocks, grid {grid:?}: {name} {d:e}");
                assert!(d < 1e-4, "{kind:?}, {blocks} blocks, grid {grid:?}: {name} {d:e}");
            }
        }
    }
}

/// On the grid nothing is lost: the recomputed pass and the gradients are the same, to the bit.
#[test]
fn what_lies_on_the_grid_is_recovered_to_the_bit() {
    let device = device(BackendKind::Flex);
    for (blocks, smooth) in [(1, false), (8, true), (32, false), (64, true)] {
        let body = Body::new(&device, 1, blocks, 2, smooth);
        let x = noise(SHAPE, "x", DType::F32, &device);
        assert!(
            step(&body, &x, Execution::Reversible) == step(&body, &x, Execution::Taped),
            "{blocks} blocks"
        );
    }
}

/// Rounding flips ReLUs whose input is nearly 0. The allowed error is therefore that of the taped
/// twin in single precision. Ten networks are summed, since single flips dominate in each.
#[test]
fn single_precision_relu_is_as_good_as_the_taped_one() {
    let (flex, ndarray) = (device(BackendKind::Flex), device(BackendKind::Ndarray));
    for blocks in [1, 8, 32, 64] {
        let (mut ours, mut theirs) = (0.0, 0.0);
        for seed in 0..10 {
            let single = Body::new(&flex, seed, blocks, 2, false);
            let double = cast(Body::new(&ndarray, seed, blocks, 2, false), DType::F64);
            let purpose = format!("x{seed}");
            let taped = step(&single, &noise(SHAPE, &purpose, DType::F32, &flex), Execution::Taped);
            let exact =
                step(&double, &noise(SHAPE, &purpose, DType::F64, &ndarray), Execution::Taped);
            let reversible =
                step(&single, &noise(SHAPE, &purpose, DType::F32, &flex), Execution::Reversible);
            ours += worst(&reversible, &taped).1;
            theirs += worst(&taped, &exact).1;
        }
        eprintln!(
            "{blocks} blocks: reversible against taped {ours:e}, taped against f64 {theirs:e}"
        );
        assert!(ours <= 3.0 * theirs, "{blocks} blocks: {ours:e} against {theirs:e}");
    }
}

#[test]
fn inputs_are_recovered() {
    let device = device(BackendKind::Flex);
    for (grid, depths) in [(Some(GRID), &[1, 8, 32, 64, 128][..]), (None, &[1, 8, 32, 64])] {
        for &blocks in depths {
            let body = Body { grid, ..Body::new(&device, 1, blocks, 2, false) };
            let x = noise(SHAPE, "x", DType::F32, &device);
            let y = run(&body, x.clone(), Mode::Replay, Execution::Reversible);
            let again = numbers(invert(&body, y, Mode::Train).unwrap().into_data());
            let x = numbers(x.into_data());
            let largest = x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            let error =
                again.iter().zip(&x).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())) / largest;
            eprintln!("{blocks} blocks, grid {grid:?}: {error:e}");
            assert!(error < 1e-4, "{blocks} blocks, grid {grid:?}: {error:e}");
            // On the grid only the rounding of the input is lost, at any depth.
            assert!(
                grid.is_none() || error * largest <= 2f64.powi(-GRID - 1),
                "{blocks} blocks: {error:e}"
            );
        }
    }
}
