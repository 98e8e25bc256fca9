//! Trainings whose outcomes are read at once and one step late.

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use tempfile::TempDir;

use super::*;
use crate::backend::collective::Alone;
use crate::nn::collect_named;
use crate::train::RunOptions;
use crate::train::checkpoint::{NEWEST, read_state};
use crate::train::folder::RunFolder;
use crate::train::identity::Accept;
use crate::train::late::Reads;
use crate::train::launch::{Trained, launch_as};
use crate::train::prepare::prepare;

/// Gradients of which the first tensor is not finite.
pub(super) fn spoiled(model: &Trainee, gradients: GradientsParams) -> GradientsParams {
    struct First(GradientsParams, bool);
    impl ModuleVisitor for First {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.1 {
                return;
            }
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient * f32::NAN);
                self.1 = true;
            }
        }
    }
    let mut first = First(gradients, false);
    model.visit(&mut first);
    assert!(first.1, "there is a gradient");
    first.0
}

/// Four steps an epoch.
const STEPS: usize = 4;

/// A folder with a corpus, and the trainings in it.
struct Place {
    folder: TempDir,
    device: Device,
}

/// How a training of [`Place`] differs from another one.
#[derive(Clone, Copy, Default)]
struct Way<'a> {
    out: &'a str,
    late: bool,
    resume: bool,
    stop: bool,
    spoiled: &'a [usize],
    changes: &'a [&'a str],
}

/// What a training leaves.
struct Left {
    weights: Vec<(String, Vec<f32>)>,
    /// The lines of the log without their seconds.
    metrics: Vec<serde_json::Value>,
    warnings: Vec<String>,
    reads: Reads,
}

impl Place {
    fn new(device: Device) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), device }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn recipe(&self, changes: &[&str]) -> Recipe {
        let text = format!(
            "seed = 3\n[data]\nframes = 50\nthreads = 1\n\
             [data.synth]\nout = '{}'\nspeakers = 4\ndev_speakers = 4\nutterances = 4\n\
             seconds = 1.0\n\
             [model]\nname = \"resnet10\"\nwidth = 2\nmels = 24\nembedding_dim = 8\n\
             [schedule]\ninitial_lr = 0.05\nfinal_lr = 0.01\nwarm_up_epochs = 1\n\
             scale_ratio = 1.0\n\
             [train]\nepochs = 3\nbatch_size = 4\n",
            self.path("corpus").display()
        );
        let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        Recipe::parse(&text, Path::new("r.toml"), &changes).unwrap()
    }

    fn train(&self, way: Way) -> Result<Left> {
        let recipe = self.recipe(way.changes);
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let heard = warnings.clone();
        let options = RunOptions {
            page: None,
            second_page: None,
            spans: None,
            second_spans: None,
            out: self.path(way.out),
            resume: way.resume,
            accept: Vec::new(),
            verify_data: false,
            backend: "any".to_owned(),
            device: self.device.clone(),
            others: Vec::new(),
            ranks: Arc::new(Alone),
            stop: Arc::new(AtomicBool::new(false)),
            quiet: true,
            dashboard: false,
            warn: Arc::new(move |text: &str| heard.lock().unwrap().push(text.to_owned())),
            note: Arc::new(|_: &str| ()),
        };
        let folder = RunFolder::open(&options)?;
        let accept = Accept::parse(&[])?;
        let prepared = prepare(&recipe, &options, &folder, &accept, None)?;
        // Later than the corpus, which a stop would keep from being made.
        options.stop.store(way.stop, Ordering::Relaxed);
        let Trained { last, run, .. } = launch_as(&recipe, &options, prepared, |run| {
            run.late = way.late;
            run.spoiled = way.spoiled.to_vec();
        })?;
        let reads = run.progress.lock().unwrap().as_ref().unwrap().late.reads();
        let values = |(name, data): (String, burn::tensor::TensorData)| {
            (name, data.iter::<f32>().collect::<Vec<f32>>())
        };
        let log = std::fs::read_to_string(options.out.join(METRICS)).unwrap();
        let line = |line: &str| {
            let mut all: serde_json::Value = serde_json::from_str(line).unwrap();
            all.as_object_mut().unwrap().remove("seconds");
            all
        };
        let warnings = warnings.lock().unwrap().clone();
        Ok(Left {
            weights: collect_named(&last.valid()).into_iter().map(values).collect(),
            metrics: log.lines().map(line).collect(),
            warnings,
            reads,
        })
    }

    /// The same training at once and late. They must be equal, and the late one is returned.
    #[track_caller]
    fn both(&self, spoiled: &[usize], changes: &[&str]) -> Left {
        let way = Way { out: "at-once", spoiled, changes, ..Way::default() };
        let wanted = self.train(way).unwrap();
        let ours = self.train(Way { out: "late", late: true, ..way }).unwrap();
        assert!(ours.weights == wanted.weights, "other weights");
        assert_eq!(ours.metrics, wanted.metrics);
        assert_eq!(ours.warnings, wanted.warnings);
        assert_eq!(wanted.reads, Reads::default());
        ours
    }
}

fn here() -> Place {
    Place::new(Device::default())
}

#[test]
fn late_outcomes_make_the_same_training_and_no_read_blocks_the_queue() {
    let ours = here().both(&[], &[]);
    assert_eq!(ours.metrics.len(), 3);
    // The host waits for a step that none is queued behind once after the first step of a run, and
    // once at the end of each epoch.
    assert_eq!(ours.reads, Reads { started: 3 * STEPS, idle: 1 + 3 });
}

#[test]
fn parts_of_batches_come_late_too() {
    let ours = here().both(&[], &["train.accumulate=2", "train.epochs=1"]);
    assert_eq!(ours.reads, Reads { started: STEPS, idle: 2 });
}

/// The device leaves these steps out; the host says so in the same words.
#[test]
fn spoiled_steps_change_nothing() {
    let ours = here().both(&[2, 5, 6, 7], &[]);
    let skipped: Vec<_> = ours.metrics.iter().map(|line| line["skipped_steps"].clone()).collect();
    assert_eq!(skipped, [1, 3, 0]);
    let told = |(text, step): (&String, usize)| {
        text.starts_with(&format!("step {step} (epoch ")) && text.contains("are not finite")
    };
    assert!(ours.warnings.iter().zip([2, 5, 6, 7]).all(told), "{:?}", ours.warnings);
    assert_eq!(ours.warnings.len(), 4);
}

#[test]
fn too_many_spoiled_steps_end_a_training() {
    let place = here();
    let spoiled: Vec<usize> = (1..12).collect();
    let [at_once, late] = [false, true].map(|late| {
        let out = if late { "late" } else { "at-once" };
        let way = Way { out, late, spoiled: &spoiled, ..Way::default() };
        place.train(way).err().unwrap().to_string()
    });
    assert!(late.contains("step 10 (epoch 3)") && late.contains("10th step in a row"), "{late}");
    assert_eq!(late, at_once);
}

/// The error names the step whose loss it was, though the next one is queued by then.
#[test]
fn a_loss_that_is_not_finite_ends_a_training() {
    let place = here();
    let changes = [
        "schedule.initial_lr=100",
        "schedule.final_lr=100",
        "schedule.scale_ratio=10000",
        "schedule.warm_up_epochs=0",
        "loss.kind=softmax",
        "data.passes=20",
    ];
    let [at_once, late] = ["at-once", "late-on"].map(|out| {
        let way = Way { out, late: out != "at-once", changes: &changes, ..Way::default() };
        place.train(way).err().unwrap().to_string().replace(out, "")
    });
    for wanted in ["the loss is", "learning rate 1e6", "the checkpoint of step 0 is in"] {
        assert!(late.contains(wanted), "{wanted}: {late}");
    }
    assert_eq!(late, at_once);
}

/// A checkpoint holds what every step up to it has found out.
#[test]
fn an_interrupted_training_goes_on_the_same() {
    let place = here();
    let whole = place.train(Way { out: "whole", late: true, ..Way::default() }).unwrap();
    for late in [false, true] {
        let out = if late { "late" } else { "at-once" };
        let way = Way { out, late, ..Way::default() };
        let error = place.train(Way { stop: true, ..way }).err().unwrap();
        assert!(matches!(error.bare(), Error::Interrupted(_)), "{error}");
        let state = read_state(&place.path(out).join(NEWEST)).unwrap();
        assert_eq!((state.epoch, state.batch), (1, 1));
        assert!(state.loss_sum > 0.0 && state.loss_scale.is_none());
        let ours = place.train(Way { resume: true, ..way }).unwrap();
        assert!(ours.weights == whole.weights, "other weights");
        assert_eq!(ours.metrics, whole.metrics);
    }
}

/// A GPU in software, where there is one.
#[cfg(feature = "wgpu-bare")]
#[test]
fn a_gpu_trains_late_as_it_trains_at_once() {
    let device = match crate::backend::BackendKind::Wgpu.device(0) {
        Ok(device) => device,
        Err(e) => return eprintln!("skipped: {e}"),
    };
    let place = Place::new(device);
    let cases: [(&str, &str, &[usize]); 2] =
        [("at-once", "late", &[]), ("at-once-spoiled", "late-spoiled", &[1, 2])];
    for (at_once, late, spoiled) in cases {
        let way = Way { out: at_once, spoiled, changes: &["train.epochs=1"], ..Way::default() };
        let wanted = place.train(way).unwrap();
        let ours = place.train(Way { out: late, late: true, ..way }).unwrap();
        assert_eq!(ours.reads, Reads { started: STEPS, idle: 2 });
        assert_eq!(ours.warnings, wanted.warnings);
        for key in ["skipped_steps", "accuracy"] {
            assert_eq!(ours.metrics[0][key], wanted.metrics[0][key], "{key}");
        }
        let [a, b] = [&ours, &wanted].map(|left| left.metrics[0]["loss"].as_f64().unwrap());
        assert!((a - b).abs() <= 1e-5 * b.abs(), "{a} against {b}");
        for ((name, a), (_, b)) in ours.weights.iter().zip(&wanted.weights) {
            let largest = b.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
            let off = a.iter().zip(b).fold(0.0f32, |m, (x, y)| m.max((x - y).abs()));
            assert!(off <= 1e-4 * largest, "{name}: {off} of {largest}");
        }
    }
}
