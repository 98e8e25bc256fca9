//! What ranks cost: training steps of ResNet34 on 16 crops of 2 s, in two halves at a time. Without
//! `mpirun`, one process has both halves, as `--devices` with two devices does; the CPU is both.
//! With it, each of two ranks has one.
//!
//!     cargo bench --features mpi --bench ranks
//!     RAYON_NUM_THREADS=1 mpirun -n 2 target/release/deps/ranks-*[0-9a-f]
//!
//! Each prints the wall-clock seconds of a step, by epochs of 6 steps without the first epoch.
//! On a machine of two cores, both have a thread for each half.

use std::fs::read_to_string;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use revox::backend::collective::{self, Communicator};
use revox::train::{Recipe, RunOptions, train};

const STEPS: usize = 6;

const RECIPE: &str = r#"
[data]
frames = 200
[data.synth]
out = "corpus"
speakers = 16
dev_speakers = 2
utterances = 6
seconds = 2.1
[model]
name = "resnet34"
[train]
epochs = 6
batch_size = 16
validate_every = 6
average_last = 1
"#;

fn main() -> revox::Result<()> {
    revox::keep_freed_memory();
    let ranks = collective::connect(&collective::Options::default())?;
    let result = measure(&ranks);
    collective::end(&*ranks, result)
}

fn measure(ranks: &Arc<dyn Communicator>) -> revox::Result<()> {
    // The same for all ranks.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ranks");
    let path = |name: &str| folder.join(name);
    if ranks.rank() == 0 && folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the folder of an earlier run goes");
    }
    collective::agree(&**ranks, Ok(()))?;
    let recipe = RECIPE.replace("\"corpus\"", &format!("{:?}", path("corpus")));
    let recipe = Recipe::parse(&recipe, &path("recipe.toml"), &[])?;
    train(&recipe, &options(&path("run"), ranks))?;
    if ranks.rank() == 0 {
        let who = match ranks.size() {
            1 => "two parts in one process".to_owned(),
            n => format!("{n} ranks"),
        };
        let log = read_to_string(path("run/metrics.jsonl")).expect("a log of the epochs");
        let seconds: Vec<String> = log.lines().skip(1).map(a_step).collect();
        println!("{who}, seconds of a step: {}", seconds.join(" "));
    }
    Ok(())
}

/// The mean of an epoch, in seconds.
fn a_step(line: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
    let seconds = line["seconds"].as_f64().expect("the seconds of an epoch");
    format!("{:.3}", seconds / STEPS as f64)
}

fn options(out: &Path, ranks: &Arc<dyn Communicator>) -> RunOptions {
    let others = if ranks.size() == 1 { vec![Device::default()] } else { Vec::new() };
    RunOptions {
        out: out.to_owned(),
        resume: false,
        accept: Vec::new(),
        verify_data: false,
        backend: "flex".to_owned(),
        device: Device::default(),
        others,
        ranks: ranks.clone(),
        page: None,
        second_page: None,
        spans: None,
        second_spans: None,
        stop: Arc::default(),
        quiet: true,
        dashboard: false,
        warn: Arc::new(|text| eprintln!("warning: {text}")),
        note: Arc::new(|_| ()),
    }
}
