//! CUDA without a GPU. CubeCL's CUDA runtime runs on a stand-in for NVIDIA's driver (`driver/`),
//! which computes nothing; the real NVRTC compiles the kernels, for Ada and, on demand, for three
//! more generations. So every kernel of ours is known to compile and to fit the card, steps of any
//! size show what they reserve and launch, and a card can be small, unknown or lost. What kernels
//! compute is tested elsewhere, on backends that compute (`tests/conformance`).
//!
//! Library path and card are settled when a process starts. So each test runs this program again
//! (`card.rs`), with one of the ignored tests of `inside.rs`.

#![cfg(target_os = "linux")]

mod card;
mod inside;
mod sources;
#[cfg(feature = "nccl")]
mod sums;

use card::Card;

/// Turing's tensor cores have neither TF32 nor bf16.
const FROM_AMPERE_ON: [&str; 2] = ["cores_weight_kernel in f32", "cores_weight_kernel in bf16"];

/// Compiles what the self-test launches, and looks for every kernel of ours among it.
fn every_kernel_compiles(arch: u32) {
    let Some(done) = Card { arch, ..Card::default() }.run("inside::self_test", &[]) else { return };
    assert!(done.faults.is_empty(), "sm_{arch} refuses launches:\n{}", done.faults.join("\n"));
    let missing: Vec<String> =
        sources::kernels().iter().flat_map(|kernel| kernel.missing(&done.kernels)).collect();
    let later = |kernel: &String| arch < 80 && FROM_AMPERE_ON.contains(&kernel.as_str());
    let missing: Vec<String> = missing.into_iter().filter(|kernel| !later(kernel)).collect();
    assert!(
        missing.is_empty(),
        "no case of the self-test launches these on sm_{arch}: {}",
        missing.join(", ")
    );
    eprintln!("{} kernels compiled for sm_{arch}", done.kernels.len());
}

/// Each generation takes minutes, and the gate has time for one. Ampere and Hopper take what Ada
/// takes, Turing a part of it.
#[test]
#[ignore = "minutes; Ada is in the gate"]
fn every_kernel_compiles_for_turing() {
    every_kernel_compiles(75);
}

#[test]
#[ignore = "minutes; Ada is in the gate"]
fn every_kernel_compiles_for_ampere() {
    every_kernel_compiles(80);
}

#[test]
fn every_kernel_compiles_for_ada() {
    every_kernel_compiles(89);
}

#[test]
#[ignore = "minutes; Ada is in the gate"]
fn every_kernel_compiles_for_hopper() {
    every_kernel_compiles(90);
}

/// The number that the child has written behind a word.
fn figure(said: &str, word: &str) -> u64 {
    let found = said.lines().find_map(|line| line.strip_prefix(word)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {word} in\n{said}"))
}

/// Makes steps of 128 crops of 200 frames in f32, with 8-bit states, and compares what they reserve
/// at most.
fn a_step_reserves(arch: u32, network: &str, optimizer: &str, most_gib: f64) {
    let env = [("NETWORK", network), ("OPTIMIZER", optimizer)];
    let card = Card { arch, ..Card::default() };
    let Some(done) = card.run("inside::memory_of_a_step", &env) else { return };
    let reserved = figure(&done.said, "reserved") as f64 / f64::from(1 << 30);
    let what = format!("{network}, {optimizer}, sm_{arch}: {reserved:.2} GiB reserved");
    eprintln!("{what}");
    assert!(reserved <= most_gib, "{what}, {most_gib} allowed");
}

/// Bounds of a card with tensor cores, and a tenth more for Turing. In f32 both run the same
/// kernels, so one network on Turing is enough.
macro_rules! reserve {
    ($($name:ident: $arch:literal, $network:literal, $optimizer:literal, $most:expr;)*) => {
        $(#[test]
        #[cfg_attr(not(feature = "fusion"), ignore = "the bounds are those of fused steps")]
        fn $name() {
            a_step_reserves($arch, $network, $optimizer, $most);
        })*
    };
}

reserve! {
    rev1_resnet34_on_ampere: 80, "rev1-resnet34", "sgd8bit", 2.2;
    rev1_resnet293_on_ampere: 80, "rev1-resnet293", "sgd8bit", 4.6;
    rev2_resnet293_on_ampere: 80, "rev2-resnet293", "sgd8bit", 2.5;
    rev2_resnet293_on_turing: 75, "rev2-resnet293", "sgd8bit", 2.5 * 1.1;
    rev2_df_resnet110_on_ampere: 80, "rev2-df-resnet110", "adamw8bit", 3.5;
}

/// The host waits for the outcome of the step before, and for the upload before it may free the
/// batch's memory. One wait more is for whatever is uploaded in many small pieces.
#[test]
#[cfg_attr(not(feature = "fusion"), ignore = "the bounds are those of fused steps")]
fn a_step_of_resnet34_takes_few_launches_and_waits() {
    let env = [("NETWORK", "resnet34"), ("OPTIMIZER", "sgd8bit")];
    let Some(done) = Card::default().run("inside::launches_and_waits_of_a_step", &env) else {
        return;
    };
    let [launches, waits] = ["launches", "waits"].map(|what| figure(&done.said, what));
    eprintln!("resnet34, sgd8bit: {waits} waits, {launches} launches");
    // 75 of them put weights in the order of the tiles: on an H100 0.5 ms of 167. 60 find the own
    // class without a gather, which Burn fuses wrongly (docs/upstream).
    assert!(launches <= 530, "{launches} launches, 530 allowed");
    assert!(waits <= 3, "{waits} waits, 3 allowed");
}

#[test]
fn cuda_tells_how_much_of_a_card_is_free() {
    let card = Card { memory: 3 << 30, ..Card::default() };
    let Some(done) = card.run("inside::free_memory", &[]) else { return };
    assert_eq!(figure(&done.said, "free"), 3 << 30);
}

/// Each error names what is wrong.
#[test]
fn cards_that_do_not_serve_are_named() {
    let tiny = [("NETWORK", "resnet10"), ("OPTIMIZER", "sgd")];
    let whole = [("NETWORK", "resnet34"), ("OPTIMIZER", "sgd8bit")];
    for (card, test, env, wanted) in [
        (Card { arch: 70, ..Card::default() }, "inside::opening", tiny, "sm_70"),
        (Card { lost: 100, ..Card::default() }, "inside::a_small_step", tiny, "device was lost"),
        (Card { memory: 2 << 30, ..Card::default() }, "inside::a_step", whole, "memory left"),
    ] {
        let Some(done) = card.run(test, &env) else { return };
        let told = done.said.lines().find_map(|line| line.strip_prefix("told "));
        let told = told.unwrap_or_else(|| panic!("{card:?}: nothing went wrong\n{}", done.said));
        assert!(told.contains(wanted), "{card:?}: {wanted} is not in: {told}");
    }
}
