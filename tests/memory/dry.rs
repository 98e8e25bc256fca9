//! Dry runs, which need no GPU.

use std::time::Instant;

use burn::tensor::{StreamId, Tensor};
use revox::backend::BackendKind;
use revox::memory::{Card, Setting, account_on, advice, dry, measure, refuse_too_large};
use revox::train::OptimizerConfig;
use revox::zoo::{Architecture, names};

use super::alone;

/// What a dry run may take.
const MOST_SECONDS: f64 = 60.0;

const WGPU: Card = Card { bytes: 24 << 30, backend: BackendKind::Wgpu };

/// A published network, with the steps of the papers.
fn published(name: &str, optimizer: &str) -> Setting {
    Setting::new(Architecture::named(name).unwrap(), OptimizerConfig::named(optimizer).unwrap())
}

/// How far `ours` is off, in parts of `run`.
fn off(ours: usize, run: u64) -> f64 {
    ours as f64 / run as f64 - 1.0
}

/// Every network of the zoo, at the size of a real training: nothing is computed, so that costs no
/// more than a small one. `REVOX_NETWORKS` has the names to try, with commas between them. If it
/// has none, all are tried.
#[test]
fn the_account_knows_gpus() {
    let _guard = alone();
    // The account does not know a card's limits.
    let card = Card { bytes: 1 << 44, backend: BackendKind::Cuda };
    let only = std::env::var("REVOX_NETWORKS").unwrap_or_default();
    let only: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    let all: Vec<String> = names().collect();
    let unknown: Vec<&&str> = only.iter().filter(|only| !all.iter().any(|n| n == **only)).collect();
    assert!(unknown.is_empty(), "no networks of the zoo: {unknown:?}");
    let mut bad = Vec::new();
    for name in all.into_iter().filter(|name| only.is_empty() || only.contains(&name.as_str())) {
        let optimizer = if name.contains("df-resnet") { "adamw8bit" } else { "sgd8bit" };
        let setting = published(&name, optimizer);
        let started = Instant::now();
        let run = dry(&setting, card).unwrap();
        let seconds = started.elapsed().as_secs_f64();
        let ours = account_on(&setting, card.backend).unwrap();
        let (peak, pages) =
            (off(ours.peak, run.peak_in_use), off(ours.pages.unwrap(), run.reserved));
        eprintln!(
            "{name} {optimizer}: in use {} ({:+.1} % by arithmetic), reserved {} ({:+.1} %), first \
             step {}, largest {}, {} launches, {seconds:.1} s",
            run.peak_in_use,
            100.0 * peak,
            run.reserved,
            100.0 * pages,
            run.first_reserved,
            run.largest,
            run.launches
        );
        if peak.abs() > 0.1 || pages.abs() > 0.1 {
            bad.push(format!("{name}: {:+.1} %, {:+.1} %", 100.0 * peak, 100.0 * pages));
        }
        assert!(run.launches > 0 && run.peak_in_use <= run.reserved, "{name}: {run:?}");
        // The deepest; others take less.
        if name.ends_with("resnet293") {
            assert!(seconds < MOST_SECONDS, "{name}: {seconds} s");
        }
    }
    assert!(bad.is_empty(), "the account is off by more than 10 %: {bad:?}");
}

/// It takes a minute at most, and is the same each time.
#[test]
fn the_largest_network_takes_no_longer_than_a_minute() {
    let _guard = alone();
    let setting = published("rev2-resnet293", "sgd8bit");
    let started = Instant::now();
    let card = Card { bytes: 11 << 30, backend: BackendKind::Cuda };
    let run = dry(&setting, card).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{run:?}, {seconds:.1} s");
    assert!(seconds < MOST_SECONDS, "{seconds} s");
    assert!(run.fits && run.lacks().is_none(), "{run:?}");
    // The same step again, on a card of a tenth of its size.
    let small = dry(&setting, Card { bytes: 1 << 30, ..card }).unwrap();
    assert_eq!((small.peak_in_use, small.launches), (run.peak_in_use, run.launches));
    assert!(!small.fits && small.lacks().is_some(), "{small:?}");
}

/// The allocator of a device that computes says what the dry run has said.
#[test]
fn a_dry_run_says_what_a_real_one_takes() {
    let _guard = alone();
    let Ok(device) = BackendKind::Wgpu.device(0) else { return };
    for name in ["resnet10", "rev1-resnet10", "rev2-resnet10"] {
        let arch = Architecture {
            width: 8,
            mels: 16,
            embedding_dim: 16,
            ..Architecture::named(name).unwrap()
        };
        let setting =
            Setting { arch, batch: 4, frames: 32, speakers: 10, ..published(name, "sgd8bit") };
        let (run, real) = (dry(&setting, WGPU).unwrap(), measure(&setting, &device).unwrap());
        // The dry run has the next batch on the device too.
        let batch = f64::from(4 * 4 * 32 * 16 + 4 * 4);
        let off = (run.peak_in_use as f64 - batch) / real.peak as f64 - 1.0;
        eprintln!("{name}: {run:?}, {real:?}, {:+.1} %", 100.0 * off);
        assert!(off.abs() < 0.05, "{name}: {:+.1} %", 100.0 * off);
        assert!(real.reserved.is_some_and(|bytes| bytes >= real.peak), "{real:?}");
    }
}

/// As a training does behind its first step.
#[test]
fn a_gpu_gives_back_what_nothing_uses() {
    const BYTES: u64 = 96 << 20;
    let _guard = alone();
    let Ok(device) = BackendKind::Wgpu.device(0) else { return };
    let reserved = || device.memory_pool_usage().unwrap().bytes_reserved;
    // Pages of its own.
    StreamId::allocate().executes(|| {
        let small = Tensor::<1>::ones([16], &device);
        device.sync().unwrap();
        let before = reserved();
        let large = Tensor::<1>::ones([BYTES as usize / 4], &device);
        device.sync().unwrap();
        assert!(reserved() >= before + BYTES, "{} and {before} bytes", reserved());
        drop(large);
        device.sync().unwrap();
        assert!(reserved() >= before + BYTES, "freed at once: {} bytes", reserved());
        device.memory_cleanup();
        device.sync().unwrap();
        assert!(reserved() < before + BYTES, "{} and {before} bytes", reserved());
        assert_eq!(small.sum().into_scalar::<f32>(), 16.0);
    });
}

#[test]
fn a_gpu_that_is_too_small_is_refused_before_the_first_batch() {
    let _guard = alone();
    let setting = Setting { batch: 16, ..published("resnet34", "sgd8bit") };
    let cuda = BackendKind::Cuda;
    refuse_too_large(&setting, cuda, Some(24 << 30)).unwrap();
    let needed = dry(&setting, Card { bytes: u64::MAX, backend: cuda }).unwrap().needed();
    refuse_too_large(&setting, cuda, Some(needed)).unwrap();
    let error = refuse_too_large(&setting, cuda, Some(needed - 1)).unwrap_err().to_string();
    for part in [
        "the device has too little memory: resnet34 8-bit, 16 crops of 200 frames take about",
        "in a dry run",
        "were free. These fit: train.accumulate = 2 or train.batch_size = 8",
        "rev1-resnet34",
        "rev2-resnet34",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let text = advice(&setting, cuda, Some(1 << 20)).unwrap();
    assert!(text.contains("nothing of it; shorter crops"), "{text}");
}

/// A tensor that CUDA does not allocate at a time: a quarter of the card.
#[test]
fn one_tensor_may_be_too_large() {
    let _guard = alone();
    // 128 x 32 x 80 x 200 values.
    let largest = 4 * 128 * 32 * 80 * 200;
    let setting = published("resnet34", "sgd8bit");
    let run = dry(&setting, Card { bytes: 4 * largest - 4, backend: BackendKind::Cuda }).unwrap();
    assert_eq!(run.largest, largest);
    assert!(run.lacks().unwrap().starts_with("one tensor takes 250.0 MiB"), "{run:?}");
    let run = dry(&setting, Card { bytes: 64 << 30, backend: BackendKind::Cuda }).unwrap();
    assert!(run.fits, "{run:?}");
}
