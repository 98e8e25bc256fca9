//! Bytes and launches of training steps on CUDA without a GPU. `gpu_dry.sh` builds it and runs it
//! on the stand-in for NVIDIA's driver (`tests/cuda/driver`).
//!
//!     gpu_dry memory NAME OPTIMIZER CARD
//!     gpu_dry launches NAME OPTIMIZER CARD
//!
//! Both print rows of a Markdown table, for 128 crops of 200 frames in f32. CARD is a name for the
//! table. Bytes of launches are counted where CubeCL tells the stand-in (`gpu_dry.patch`).

#![allow(unsafe_code, reason = "the stand-in has functions of its own")]

use std::process::exit;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use revox::backend::BackendKind;
use revox::bench::{TrainBench, train};
use revox::error::{Error, Result};
use revox::losses::HeadConfig;
use revox::memory::{Card, Setting, account_on, dry, measure};
use revox::nn::Precision;
use revox::train::{OptimizerConfig, Trainee};
use revox::zoo::Architecture;

/// Networks whose steps may take so many launches and bind so many bytes at most.
const MOST: [(&str, Option<u64>, u64); 2] =
    [("resnet34", Some(530), 95_000_000_000), ("rev1-resnet34", None, 150_000_000_000)];

const GIB: f64 = (1u64 << 30) as f64;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["memory", name, optimizer, card] => memory(name, optimizer, card),
        ["launches", name, optimizer, card] => launches(name, optimizer, card),
        _ => {
            eprintln!("usage: gpu_dry memory|launches NAME OPTIMIZER CARD (see gpu_dry.sh)");
            exit(2);
        }
    };
    if let Err(error) = done {
        eprintln!("{}: {error}", args.join(" "));
        exit(1);
    }
}

fn setting(name: &str, optimizer: &str) -> Result<Setting> {
    Ok(Setting::new(Architecture::named(name)?, OptimizerConfig::named(optimizer)?))
}

/// The account, the dry run, and what CubeCL's CUDA runtime had in use and reserved at most.
fn memory(name: &str, optimizer: &str, card: &str) -> Result<()> {
    let setting = setting(name, optimizer)?;
    let device = BackendKind::Cuda.device(0)?;
    // Before the dry run, whose guard drops the launches of every device.
    let measured = measure(&setting, &device)?;
    let reserved = measured.reserved.ok_or_else(|| Error::Undefined("no reserve".into()))?;
    // A card on which everything fits.
    let dry = dry(&setting, Card { bytes: 1 << 40, backend: BackendKind::Cuda })?;
    let account = account_on(&setting, BackendKind::Cuda)?.peak;
    let gib = [
        account as f64,
        dry.peak_in_use as f64,
        dry.needed() as f64,
        measured.peak as f64,
        reserved as f64,
    ]
    .map(|bytes| format!("{:.2}", bytes / GIB));
    println!("| {name} | {optimizer} | {card} | {} |", gib.join(" | "));
    Ok(())
}

/// Launches, and bytes that they read and write.
#[derive(Clone, Copy)]
struct Count([u64; 3]);

impl Count {
    /// All of this process.
    fn now() -> Self {
        let mut totals = [0u64; 3];
        // SAFETY: the stand-in exports this function, and it writes three numbers.
        unsafe {
            let name = b"standInTotals".as_slice();
            let get = cudarc::driver::sys::culib().get::<unsafe extern "C" fn(*mut [u64; 3])>(name);
            match get {
                Ok(get) => get(&raw mut totals),
                Err(_) => {
                    eprintln!("the driver is no stand-in: run gpu_dry.sh");
                    exit(1);
                }
            }
        }
        Self(totals)
    }

    fn since(self, before: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - before.0[i]))
    }

    /// Refuses steps of a network beyond [`MOST`].
    fn check(self, name: &str) -> Result<()> {
        let Some((_, launches, bytes)) = MOST.iter().find(|(of, ..)| *of == name) else {
            return Ok(());
        };
        let [launched, read, written] = self.0;
        if launches.is_some_and(|most| launched > most) || read + written > *bytes {
            return Err(Error::Invalid(format!(
                "a step takes {launched} launches and binds {} bytes: {} and {bytes} are allowed",
                read + written,
                launches.map_or("any number".to_owned(), |most| most.to_string()),
            )));
        }
        Ok(())
    }

    fn row(self, what: &str) -> String {
        let [launches, read, written] = self.0;
        let gb = |bytes: u64| format!("{:.1}", bytes as f64 / 1e9);
        let all = read + written;
        format!("| {what} | {launches} | {} | {} | {} |", gb(read), gb(written), gb(all))
    }
}

/// Launches and bytes of the passes and of a whole step.
fn launches(name: &str, optimizer: &str, card: &str) -> Result<()> {
    let setting = setting(name, optimizer)?;
    let device = BackendKind::Cuda.device(0)?;
    let [forward, backward] = passes(&setting, &device)?;
    // The second run makes one step more.
    let [one, two] = [1, 2].map(|steps| -> Result<Count> {
        let before = Count::now();
        let bench = TrainBench {
            settings: vec![setting.clone()],
            precision: Precision::F32,
            steps,
            backend: BackendKind::Cuda,
            nvidia: None,
        };
        train(&bench, &device, &mut |line| eprintln!("{line}"))?;
        Ok(Count::now().since(before))
    });
    let step = two?.since(one?);
    let whole = format!("{name} | {optimizer} | {card}");
    // The passes alone: in a step, fusion joins operations across their borders.
    for (part, count) in
        [("forward pass alone", forward), ("backward pass alone", backward), ("step", step)]
    {
        println!("{}", count.row(&format!("{whole} | {part}")));
    }
    step.check(name)
}

/// The passes of a second step: in the first, weights are drawn.
fn passes(setting: &Setting, device: &Device) -> Result<[Count; 2]> {
    let head = HeadConfig::default();
    let trainee = Trainee::new(&setting.arch, &head, setting.speakers, device, 1)?.train();
    let autodiff = device.clone().autodiff();
    let sync = || device.sync().map_err(|e| Error::Backend(e.to_string()));
    let mut counts = [Count([0; 3]); 2];
    for _ in 0..2 {
        let batch = setting.noise();
        let margin = batch.margin;
        let (features, labels) = batch.into_tensors(&autodiff);
        sync()?;
        let start = Count::now();
        let loss = trainee.pass(features, labels, margin).loss;
        sync()?;
        let middle = Count::now();
        let gradients = GradientsParams::from_grads(loss.backward(), &trainee);
        sync()?;
        counts = [middle.since(start), Count::now().since(middle)];
        drop(gradients);
    }
    Ok(counts)
}
