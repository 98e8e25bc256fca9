//! What runs on a stand-in. These tests do nothing elsewhere.

#![allow(unsafe_code, reason = "the stand-in has a function of its own")]

use revox::backend::BackendKind;
use revox::bench::{TrainBench, train};
use revox::memory::{Setting, free_by_driver, measure};
use revox::nn::Precision;
use revox::selftest::{CASES, Subject};
use revox::train::OptimizerConfig;
use revox::zoo::Architecture;

/// Cases that take minutes and launch no kernel of ours that the others do not.
const LONG: [&str; 6] =
    ["embeddings", "reversible", "bytes-held", "quantizers", "packed", "travel"];

/// Errors of values that are all zero.
const OF_ZEROS: [&str; 1] = ["the optimizer's record is of another optimizer"];

fn on_a_stand_in() -> bool {
    std::env::var_os("STAND_IN_ARCH").is_some()
}

/// The step that the environment names.
fn setting(batch: usize, frames: usize) -> Setting {
    let of = |name: &str| std::env::var(name).unwrap();
    Setting {
        batch,
        frames,
        ..Setting::new(
            Architecture::named(&of("NETWORK")).unwrap(),
            OptimizerConfig::named(&of("OPTIMIZER")).unwrap(),
        )
    }
}

/// Times steps on the stand-in and prints what goes wrong.
fn steps(setting: Setting, steps: usize) {
    let bench = TrainBench {
        settings: vec![setting],
        precision: Precision::F32,
        steps,
        backend: BackendKind::Cuda,
        nvidia: None,
    };
    let device = BackendKind::Cuda.device(0).unwrap_or_else(|e| panic!("{e}"));
    // The test's name stands in the line.
    println!();
    let mut tell = |line: &str| {
        // Lines without a colon name the step.
        if line.contains(": ") {
            println!("told {line}");
        }
    };
    if let Err(error) = train(&bench, &device, &mut tell) {
        println!("ended: {error}");
    }
}

/// Launches so far, and how often the host has waited for the card.
fn launches_and_waits() -> [u64; 2] {
    let mut totals = [0u64; 3];
    // SAFETY: the stand-in exports these functions. The first writes three numbers, the second
    // takes nothing.
    let waits = unsafe {
        let library = cudarc::driver::sys::culib();
        let name = b"standInTotals".as_slice();
        library.get::<unsafe extern "C" fn(*mut [u64; 3])>(name).unwrap()(&raw mut totals);
        library.get::<unsafe extern "C" fn() -> u64>(b"standInWaits".as_slice()).unwrap()()
    };
    [totals[0], waits]
}

#[test]
#[ignore = "runs on a stand-in, by another test"]
fn self_test() {
    if !on_a_stand_in() {
        return;
    }
    let subject = Subject::open(BackendKind::Cuda, 0).unwrap_or_else(|e| panic!("{e}"));
    let failed: Vec<String> = CASES
        .iter()
        .filter(|case| !LONG.contains(&case.name))
        .filter_map(|case| Some(format!("{}: {}", case.name, case.run(&subject).err()?)))
        .filter(|text| !OF_ZEROS.iter().any(|zeros| text.contains(zeros)))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
#[ignore = "runs on a stand-in, by another test"]
fn memory_of_a_step() {
    if !on_a_stand_in() {
        return;
    }
    let device = BackendKind::Cuda.device(0).unwrap_or_else(|e| panic!("{e}"));
    let measured = measure(&setting(128, 200), &device).unwrap_or_else(|e| panic!("{e}"));
    println!("\nin use {}\nreserved {}", measured.peak, measured.reserved.unwrap());
}

#[test]
#[ignore = "runs on a stand-in, by another test"]
fn launches_and_waits_of_a_step() {
    if !on_a_stand_in() {
        return;
    }
    // The second run makes one step more.
    let [one, two] = [1, 2].map(|n| {
        let before = launches_and_waits();
        steps(setting(128, 200), n);
        let after = launches_and_waits();
        [0, 1].map(|i| after[i] - before[i])
    });
    println!("\nlaunches {}\nwaits {}", two[0] - one[0], two[1] - one[1]);
}

#[test]
#[ignore = "runs on a stand-in, by another test"]
fn a_step() {
    if on_a_stand_in() {
        steps(setting(128, 200), 1);
    }
}

#[test]
#[ignore = "runs on a stand-in, by another test"]
fn a_small_step() {
    if on_a_stand_in() {
        let mut setting = setting(4, 32);
        setting.arch.width = 4;
        setting.arch.mels = 16;
        steps(setting, 3);
    }
}

#[test]
#[ignore = "runs on a stand-in, by another test"]
fn free_memory() {
    if on_a_stand_in() {
        println!("\nfree {}", free_by_driver(0).unwrap());
    }
}

#[test]
#[ignore = "runs on a stand-in, by another test"]
fn opening() {
    if !on_a_stand_in() {
        return;
    }
    match BackendKind::Cuda.device(0) {
        Ok(device) => println!("\n{device:?}"),
        Err(error) => println!("\ntold {error}"),
    }
}
