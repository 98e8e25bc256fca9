//! Bytes counted during real steps, and dry runs for GPUs. The whole process is counted, and a dry
//! run drops all launches of the process, so the tests run one after the other.

#[cfg(feature = "wgpu-bare")]
mod dry;
mod peaks;
mod released;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use revox::backend::reversible::Execution;
use revox::bench::{EmbedBench, embed};
use revox::infer::Level;
use revox::losses::HeadConfig;
use revox::memory::{Measured, Setting, account, measure};
use revox::optim::Gate;
use revox::train::{OptimizerConfig, Trainee};
use revox::zoo::Architecture;

#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn setting(name: &str, execution: Option<Execution>) -> Setting {
    let arch = Architecture {
        width: 16,
        mels: 40,
        embedding_dim: 64,
        ..Architecture::named(name).unwrap()
    };
    let optimizer = OptimizerConfig::default();
    Setting { execution, batch: 4, speakers: 100, ..Setting::new(arch, optimizer) }
}

fn count(setting: &Setting) -> Measured {
    measure(setting, &Device::default()).unwrap()
}

/// Bytes that a tensor takes beside its values: names, ids, entries of tables. From 1 to 3 KB were
/// counted.
const BOOKKEEPING: f64 = 1000.0;

/// The larger error of the account, as a fraction of what is counted.
fn off(setting: &Setting) -> f64 {
    off_from(setting, &count(setting))
}

/// The same as a fraction of what was counted.
fn off_from(setting: &Setting, counted: &Measured) -> f64 {
    let ours = account(setting).unwrap();
    let tensors = setting.arch.layout().unwrap().tensors.len() as f64;
    let mut worst = 0.0f64;
    for (what, ours, counted, beside) in [
        ("peak", ours.peak, counted.peak, 0.0),
        ("resident", ours.weights + ours.optimizer, counted.resident, BOOKKEEPING * tensors),
    ] {
        let off = (ours as f64 + beside) / counted as f64 - 1.0;
        eprintln!(
            "{} {what}: {ours} bytes against {counted} counted, {:+.1} %",
            setting.label(),
            100.0 * off
        );
        worst = worst.max(off.abs());
    }
    worst
}

#[test]
fn account_and_count_agree() {
    let _guard = alone();
    let taped = Some(Execution::Taped);
    let checkpointed = Some(Execution::Checkpointed);
    let mut worst = 0.0f64;
    // The first step starts threads.
    count(&setting("resnet10", None));
    for (name, execution) in [
        ("resnet18", None),
        ("resnet18", checkpointed),
        ("resnet50", checkpointed),
        ("df-resnet56", checkpointed),
        ("campplus", checkpointed),
        ("rev1-resnet18", None),
        ("rev1-resnet18", taped),
        ("rev2-resnet18", None),
        ("rev2-resnet18", taped),
        ("resnet50", None),
        ("rev1-resnet50", None),
        ("rev2-resnet50", None),
        ("df-resnet56", None),
        ("rev1-df-resnet56", None),
        ("rev2-df-resnet56", None),
        ("rev2-gemini-df-resnet60", None),
    ] {
        worst = worst.max(off(&setting(name, execution)));
    }
    assert!(worst < 0.1, "off by {:.1} %", 100.0 * worst);
}

/// Networks of the other families, with their own sizes where these are small.
#[test]
fn account_and_count_agree_in_every_family() {
    let _guard = alone();
    let mut worst = 0.0f64;
    count(&setting("resnet10", None));
    for (name, width) in [
        ("ecapa-tdnn-512", 256),
        ("ecapa-tdnn-glob-512", 256),
        ("campplus", 128),
        ("redimnet-b2", 16),
        ("redimnet-b3", 16),
        ("redimnet2-b0", 12),
        ("redimnet2-b2", 20),
        ("eres2net34", 16),
        ("res2net34", 16),
        ("simam-resnet34", 16),
        ("tdnn", 256),
    ] {
        let arch = Architecture { width, ..Architecture::named(name).unwrap() };
        worst = worst.max(off(&Setting { arch, ..setting("resnet10", None) }));
    }
    assert!(worst < 0.1, "off by {:.1} %", 100.0 * worst);
}

/// With so many blocks in the first stage: bytes held between the passes, and bytes at the peak
/// without resident ones and gradients.
fn with_blocks(name: &str, execution: Execution, blocks: usize) -> [f64; 2] {
    let mut setting = setting(name, Some(execution));
    setting.arch.reversible.blocks = Some([blocks, 1, 1, 1]);
    setting.arch.reversible.inner = Some(1.0);
    let counted = count(&setting);
    let gradients = account(&setting).unwrap().gradients;
    [counted.held as f64, counted.peak as f64 - (counted.resident + gradients) as f64]
}

#[test]
fn memory_does_not_grow_with_depth() {
    let _guard = alone();
    for name in ["rev1-resnet18", "rev2-resnet18", "rev1-df-resnet32", "rev2-df-resnet32"] {
        let growth = |execution| {
            let (few, many) = (with_blocks(name, execution, 2), with_blocks(name, execution, 12));
            [0, 1].map(|i| (many[i] - few[i]) / 10.0)
        };
        let (reversible, taped) = (growth(Execution::Reversible), growth(Execution::Taped));
        for (i, what) in ["held", "peak"].into_iter().enumerate() {
            eprintln!("{name} {what}: {:.0} bytes a block, taped {:.0}", reversible[i], taped[i]);
            assert!(
                reversible[i] <= 0.01 * taped[i],
                "{name} {what}: {} a block, taped {}",
                reversible[i],
                taped[i]
            );
        }
    }
}

/// Gradients of zeros. Making them draws all weights.
fn zeros(trainee: &Trainee) -> GradientsParams {
    struct Zeros(GradientsParams);
    impl ModuleVisitor for Zeros {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.register(param.id, param.val().inner().zeros_like());
        }
    }
    let mut zeros = Zeros(GradientsParams::new());
    trainee.visit(&mut zeros);
    zeros.0
}

/// What an optimizer holds after a step on ResNet34 and a head of 17,982 classes: the bytes that
/// its end frees, with the bookkeeping for 111 tensors, and the bytes of the tensors in its record.
fn counted_state(optimizer: &OptimizerConfig) -> [f64; 2] {
    let arch = Architecture::named("resnet34").unwrap();
    let mut trainee =
        Trainee::new(&arch, &HeadConfig::default(), 17_982, &Device::default(), 1).unwrap().train();
    let mut optimizer = optimizer.init().unwrap();
    let gradients = zeros(&trainee);
    trainee = optimizer.step(0.1, trainee, gradients, Gate::Open(1.0));
    let record = burn_pack::Reader::from_bytes(optimizer.into_bytes().unwrap()).unwrap();
    let tensors: usize = record.into_tensors().unwrap().iter().map(|t| t.byte_len()).sum();
    let with = ALLOCATOR.current_usage();
    drop(optimizer);
    let held = with - ALLOCATOR.current_usage();
    drop(trainee);
    [held as f64, tensors as f64]
}

#[test]
fn states_in_8_bits_take_a_quarter() {
    let _guard = alone();
    let named = |name: &str| OptimizerConfig::named(name).unwrap();
    let wide = |name: &str| {
        toml::from_str(&format!("kind = \"{name}\"\nstates.block_size = 2048")).unwrap()
    };
    counted_state(&named("sgd")); // the first step starts threads
    for (whole, name) in [("sgd", "sgd8bit"), ("adamw", "adamw8bit"), ("adam", "adam8bit")] {
        let whole = counted_state(&named(whole));
        let part = |counted: [f64; 2]| [counted[0] / whole[0], counted[1] / whole[1]];
        let (narrow, wide) = (part(counted_state(&named(name))), part(counted_state(&wide(name))));
        eprintln!(
            "{name}, held and in the record: {narrow:.4?} of {whole:?} bytes, \
             {wide:.4?} in blocks of 2048"
        );
        assert!(narrow.iter().all(|&part| part <= 0.26), "{name}: {narrow:?}");
        assert!(wide[0] <= 0.256 && wide[1] <= 0.252, "{name} in blocks of 2048: {wide:?}");
    }
}

#[test]
fn account_knows_8_bit_states() {
    let _guard = alone();
    count(&setting("resnet10", None));
    for name in ["sgd8bit", "adamw8bit"] {
        let setting = Setting {
            optimizer: OptimizerConfig::named(name).unwrap(),
            ..setting("resnet18", None)
        };
        let (ours, counted) = (account(&setting).unwrap(), count(&setting));
        let off = (ours.weights + ours.optimizer) as f64 / counted.resident as f64 - 1.0;
        assert!(off.abs() < 0.1, "{name}: off by {off}");
        let off = ours.peak as f64 / counted.peak as f64 - 1.0;
        assert!(off.abs() < 0.1, "{name}: the peak is off by {off}");
    }
}

/// The step of the rank with most states, of four that divide them.
#[test]
fn account_knows_divided_states() {
    let _guard = alone();
    count(&setting("resnet10", None));
    let optimizer = OptimizerConfig::named("adamw").unwrap();
    let setting = Setting { optimizer, shards: 4, ..setting("resnet18", None) };
    let (ours, counted) = (account(&setting).unwrap(), count(&setting));
    let off = (ours.weights + ours.optimizer) as f64 / counted.resident as f64 - 1.0;
    assert!(off.abs() < 0.1, "off by {off}");
    let whole = account(&Setting { shards: 1, ..setting }).unwrap();
    assert!(3 * ours.optimizer < whole.optimizer, "{ours:?}");
    assert_eq!(whole.weights, ours.weights);
}

/// A packed network holds what its file does, and the unpacked weights of one layer at a time.
#[test]
fn packed_weights_stay_packed() {
    let _guard = alone();
    let bench = EmbedBench {
        architectures: vec!["resnet34".into()],
        bits: 4,
        frames: 40,
        runs: 1,
        backend: "flex",
        level: Level::best(),
        save: None,
    };
    embed(&bench, &Device::default(), &mut |_| ()).unwrap(); // the first pass starts threads
    let figures = embed(&bench, &Device::default(), &mut |_| ()).unwrap();
    let value = |what: &str| {
        figures.iter().find(|f| f.name == format!("embed/resnet34/{what}")).unwrap().value
    };
    let (file, held) = (value("packed/file"), value("packed/held"));
    // Bookkeeping of a network's tensors is a few hundred bytes each.
    assert!(held < 1.1 * file, "{held} bytes held, the file has {file}");
    assert!(value("f32/held") > 7.0 * held, "{} bytes in f32, {held} packed", value("f32/held"));
    let (runtime, arena) = (value("runtime/packed/held"), value("runtime/packed/arena"));
    assert!(runtime - arena < 1.1 * file, "{runtime} bytes held, the file has {file}");
    assert!(value("runtime/packed/peak") < runtime + 1e5, "a pass takes its arena alone");
    // The largest layer is the embedding's, 1.31 M weights; its transpose may be a copy.
    let working = value("packed/peak") - held;
    assert!(
        working < value("f32/peak") - value("f32/held") + 2.0 * 4.0 * 1.311e6,
        "{working} bytes beyond those held"
    );
}
