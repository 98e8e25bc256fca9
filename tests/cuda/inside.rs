//! What runs on a stand-in. These tests do nothing elsewhere.

#![allow(unsafe_code, reason = "the stand-in has a function of its own")]

use revox::backend::BackendKind;
use revox::bench::{TrainBench, train};
use revox::memory::{Setting, measure};
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
        arch: Architecture::named(&of("NETWORK")).unwrap(),
        execution: None,
        batch,
        frames,
        speakers: 5994,
        optimizer: OptimizerConfig::named(&of("OPTIMIZER")).unwrap(),
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

/// Launches so far.
fn launches() -> u64 {
    let mut totals = [0u64; 3];
    // SAFETY: the stand-in exports this function, and it writes three numbers.
    unsafe {
        let name = b"standInTotals".as_slice();
        let get = cudarc::driver::sys::culib().get::<unsafe extern "C" fn(*mut [u64; 3])>(name);
        get.unwrap()(&raw mut totals);
    }
    totals[0]
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
fn launches_of_a_step() {
    if !on_a_stand_in() {
        return;
    }
    // The second run makes one step more.
    let counts = [1, 2].map(|n| {
        let before = launches();
        steps(setting(128, 200), n);
        launches() - before
    });
    println!("\nlaunches {}", counts[1] - counts[0]);
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
fn opening() {
    if !on_a_stand_in() {
        return;
    }
    match BackendKind::Cuda.device(0) {
        Ok(device) => println!("\n{device:?}"),
        Err(error) => println!("\ntold {error}"),
    }
}
