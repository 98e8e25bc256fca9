//! The self-test's cases on every backend of this build: `cargo test --test conformance wgpu` runs
//! those of one.
//!
//! `src/selftest` says which values are expected and how far off is too far.

use std::sync::{Mutex, PoisonError};

use revox::backend::BackendKind;
use revox::selftest::{CASES, Subject};

/// Counts the bytes of the whole program, which stand for those of the CPU backends.
#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// Held by the running case. No other may change the allocator's count meanwhile.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn check(kind: BackendKind, name: &str) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let case = CASES.iter().find(|c| c.name == name).expect("one test for each case");
    let subject = match Subject::open(kind, 0) {
        Ok(subject) => subject,
        Err(e) => {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "in CI every backend of a build has a device: {e}"
            );
            return eprintln!("skipped: {e}");
        }
    };
    let findings = case.run(&subject).unwrap_or_else(|e| panic!("{name} on {}: {e}", kind.name()));
    let worst = &findings[0];
    eprintln!(
        "{} of {} comparisons: {:.1e} of {:.0e}, {}",
        name,
        findings.len(),
        worst.error,
        worst.tolerance,
        worst.what
    );
    let failed: Vec<String> = findings
        .iter()
        .filter(|f| !f.passed())
        .map(|f| format!("{}: off by {:e}, {:e} allowed", f.what, f.error, f.tolerance))
        .collect();
    assert!(
        failed.is_empty(),
        "{name} on {}, {} of {}:\n{}",
        kind.name(),
        failed.len(),
        findings.len(),
        failed.join("\n")
    );
}

macro_rules! suites {
    ($($feature:literal $backend:ident $kind:ident),*; $cases:tt) => {
        $(#[cfg(feature = $feature)]
        mod $backend {
            suites!(@tests $kind $cases);
        })*
        #[test]
        fn every_case_is_a_test() {
            let tests: [&str; _] = suites!(@names $cases);
            let ours = tests.map(|name| name.replace('_', "-"));
            assert_eq!(ours.as_slice(), CASES.iter().map(|c| c.name).collect::<Vec<_>>());
        }
    };
    (@tests $kind:ident [$($name:ident),*]) => {
        $(#[test]
        fn $name() {
            super::check(revox::backend::BackendKind::$kind, &stringify!($name).replace('_', "-"));
        })*
    };
    (@names [$($name:ident),*]) => { [$(stringify!($name)),*] };
}

suites!("flex" flex Flex, "ndarray" ndarray Ndarray, "wgpu-bare" wgpu Wgpu, "cuda-bare" cuda Cuda; [
    operations, convolutions, kernels, features, embeddings, heads, training_step, reversible,
    bytes_held, optim8_codes, optim8_steps, optim8_bodies, optim8_finite, quantizers, packed, travel
]);
