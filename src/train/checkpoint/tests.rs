//! Checkpoints that are whole, damaged, old, or wrong under a checksum that is right.

mod damage;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use safetensors::tensor::{SafeTensors, TensorView};

use super::*;
use crate::fs;
use crate::losses::HeadConfig;
use crate::nn::collect_named;
use crate::optim::Gate;
use crate::tensor_file::Part;
use crate::train::Identity;
use crate::zoo::Architecture;

/// As recipes have them; the small network's tensors are held in 8 bits.
const OPTIMIZERS: [&str; 4] = [
    "kind = \"sgd\"",
    "kind = \"adamw\"",
    "kind = \"sgd8bit\"\nstates.min_size = 64",
    "kind = \"adamw8bit\"\nstates.min_size = 64",
];

fn identity() -> Identity {
    Identity { recipe: "recipe".into(), ..Identity::default() }
}

type Parts = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

fn trainee() -> Trainee {
    let arch = Architecture {
        width: 2,
        mels: 16,
        embedding_dim: 8,
        ..Architecture::named("resnet10").unwrap()
    };
    Trainee::new(&arch, &HeadConfig::default(), 3, &Device::default(), 1).unwrap()
}

/// A step along gradients of ones.
fn step(optimizer: &mut Stepper, trainee: Trainee) -> Trainee {
    struct Ones(GradientsParams);
    impl ModuleVisitor for Ones {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0.register(param.id, param.val().inner().ones_like());
            }
        }
    }
    let mut ones = Ones(GradientsParams::new());
    trainee.visit(&mut ones);
    optimizer.step(0.01, trainee, ones.0, Gate::Open(1.0))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("checkpoint.safetensors")
    }

    /// A checkpoint after a step, with what it holds.
    fn saved(&self, config: &OptimizerConfig) -> (Vec<u8>, Trainee, Stepper, State) {
        let mut optimizer = config.init().unwrap();
        let trainee = step(&mut optimizer, trainee().train());
        let state =
            State { epoch: 2, loss_sum: 0.1, best: Some((0.25, 1)), ..State::start(identity()) };
        save(&self.path(), &trainee.valid(), &optimizer, &Average::new(), &state).unwrap();
        (fs::read(self.path()).unwrap(), trainee, optimizer, state)
    }

    fn load(
        &self,
        bytes: &[u8],
        config: &OptimizerConfig,
    ) -> Result<(Trainee, Stepper, Average, State), String> {
        std::fs::write(self.path(), bytes).unwrap();
        load(&self.path(), trainee(), config).map_err(|e| e.to_string())
    }

    #[track_caller]
    fn refused(&self, bytes: &[u8], wanted: &str) {
        let error =
            self.load(bytes, &OptimizerConfig::default()).err().expect("a damaged file was read");
        for part in ["checkpoint.safetensors: ", wanted] {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
    }
}

/// A checkpoint with changed contents: with a right checksum if `seal`, else without one.
fn rewritten(bytes: &[u8], seal: bool, change: impl FnOnce(&mut String, &mut Parts)) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut json = metadata.metadata().as_ref().unwrap()[KEY].clone();
    let part = |(name, v): (&str, TensorView)| {
        (name.to_owned(), v.dtype(), v.shape().to_vec(), v.data().to_vec())
    };
    let mut parts: Parts = file.iter().map(part).collect();
    change(&mut json, &mut parts);
    if seal {
        let part = |(name, dtype, shape, bytes): &(String, Dtype, Vec<usize>, Vec<u8>)| Part {
            name: name.clone().into(),
            dtype: *dtype,
            shape: shape.clone(),
            bytes: bytes.clone().into(),
        };
        let parts: Vec<Part> = parts.iter().map(part).collect();
        return tensor_file::to_bytes("c".as_ref(), &[(KEY, &json)], &parts).unwrap();
    }
    let mut views: Vec<(&str, TensorView)> = Vec::new();
    for (name, dtype, shape, bytes) in &parts {
        views.push((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    }
    safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), json)]))).unwrap()
}

/// As the version before the checksum wrote it.
fn old(json: &mut String) {
    let mut state: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(state["format"], 3);
    state["format"] = 1.into();
    state["recipe"] = state["identity"]["recipe"].clone();
    state["data_hash"] = "hash".into();
    state.as_object_mut().unwrap().retain(|key, _| key != "identity" && key != "version");
    *json = state.to_string();
}

fn values(trainee: &Trainee) -> Vec<(String, Vec<u32>)> {
    let bits = |data: &TensorData| data.iter::<f32>().map(f32::to_bits).collect();
    collect_named(&trainee.valid()).iter().map(|(name, data)| (name.clone(), bits(data))).collect()
}

#[test]
fn what_was_saved_is_read_and_goes_on_the_same() {
    let folder = Folder::new();
    for text in OPTIMIZERS {
        let config: OptimizerConfig = toml::from_str(text).unwrap();
        let (bytes, trainee, mut optimizer, state) = folder.saved(&config);
        let unsealed = rewritten(&bytes, false, |json, _| old(json));
        let next = step(&mut optimizer, trainee.clone());
        for file in [&bytes, &unsealed] {
            let (loaded, mut its_optimizer, average, its_state) =
                folder.load(file, &config).unwrap();
            assert!(values(&loaded.clone().train()) == values(&trainee), "{text}");
            let its_state = State { version: state.version.clone(), ..its_state };
            assert!(average.is_empty() && its_state == state, "{text}");
            assert!(values(&step(&mut its_optimizer, loaded.train())) == values(&next), "{text}");
        }
    }
}

/// Rows of the head go by the names of their classes, with their moments and sums. The epoch begins
/// anew, since it has other steps.
#[test]
fn other_classes_take_the_rows_of_their_names() {
    let folder = Folder::new();
    let names = |all: &[&str]| -> Vec<String> { all.iter().map(|s| (*s).to_owned()).collect() };
    let (old, new) = (names(&["a", "b", "c"]), names(&["d", "c", "a", "e"]));
    let row = |values: &[(String, Vec<u32>)], place: usize| -> Vec<u32> {
        let (_, head) = values.iter().find(|(name, _)| name == "projection.weight").unwrap();
        head[place * 8..][..8].to_vec()
    };
    for text in OPTIMIZERS {
        let config: OptimizerConfig = toml::from_str(text).unwrap();
        let mut optimizer = config.init().unwrap();
        let trained = step(&mut optimizer, trainee().train());
        let average: Average = collect_named(&trained.valid()).into_iter().collect();
        let state = State {
            epoch: 2,
            batch: 5,
            loss_sum: 3.0,
            averaged: 1,
            classes: old.clone(),
            ..State::start(identity())
        };
        save(&folder.path(), &trained.valid(), &optimizer, &average, &state).unwrap();
        let arch = Architecture {
            width: 2,
            mels: 16,
            embedding_dim: 8,
            ..Architecture::named("resnet10").unwrap()
        };
        let other =
            || Trainee::new(&arch, &HeadConfig::default(), 4, &Device::default(), 2).unwrap();
        let mut loaded = load_for(&folder.path(), other(), &config, &new).unwrap();
        let head = loaded.head.unwrap();
        assert_eq!((head.kept, head.added, head.dropped), (2, 2, 1));
        assert_eq!((loaded.state.epoch, loaded.state.batch), (2, 0));
        assert_eq!(loaded.state.loss_sum, 0.0);
        let (before, fresh) = (values(&trained), values(&other().train()));
        let after = values(&loaded.trainee.clone().train());
        let expected = [row(&fresh, 0), row(&before, 2), row(&before, 0), row(&fresh, 3)];
        for (place, wanted) in expected.iter().enumerate() {
            assert!(row(&after, place) == *wanted, "{text}: row {place}");
        }
        let sums: Vec<u32> =
            loaded.average["projection.weight"].iter::<f32>().map(f32::to_bits).collect();
        assert!(sums == expected.concat(), "{text}");
        // Everything but the head is as it was, and the next step can be made.
        let is_network = |(name, _): &&(String, Vec<u32>)| name.starts_with("network.");
        assert!(before.iter().filter(is_network).eq(after.iter().filter(is_network)), "{text}");
        let next = step(&mut loaded.optimizer, loaded.trainee.train());
        let twin = step(&mut optimizer, trained);
        let (ours, twin) = (values(&next), values(&twin));
        assert!(ours.iter().filter(is_network).eq(twin.iter().filter(is_network)), "{text}");
        if !text.contains("8bit") {
            assert!(row(&ours, 1) == row(&twin, 2) && row(&ours, 2) == row(&twin, 0), "{text}");
        }
        // The same names are the same classes; without names there is nothing to go by.
        let same = load_for(&folder.path(), trainee(), &config, &old).unwrap();
        assert!(same.head.is_none() && same.state.batch == 5);
        let error = load(&folder.path(), other(), &config).err().unwrap().to_string();
        assert!(error.contains("projection.weight"), "{error}");
    }
}

/// The order of hash tables does not show.
#[test]
fn equal_trainings_have_equal_checkpoints() {
    let folder = Folder::new();
    for text in OPTIMIZERS {
        let config: OptimizerConfig = toml::from_str(text).unwrap();
        let (first, ..) = folder.saved(&config);
        let (second, ..) = folder.saved(&config);
        assert!(first == second, "{text}");
    }
}

#[test]
fn the_newest_ones_are_kept_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let config = OptimizerConfig::default();
    let snapshot = |epoch| {
        let state = State { epoch, ..State::start(identity()) };
        Snapshot::take(&trainee(), &config.init().unwrap(), &Average::new(), &state).unwrap()
    };
    assert_eq!(newest(dir.path()), None);
    let warnings = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = warnings.clone();
    let warn = std::sync::Arc::new(move |text: &str| heard.lock().unwrap().push(text.to_owned()));
    let every = crate::train::recipe::Every::Steps(2);
    let mut keeper = Keeper::new(dir.path(), 3, every, None, warn);
    assert!(keeper.has_none() && !keeper.is_due(1) && keeper.kept().contains("no checkpoint yet"));
    for (epoch, step) in [(1, 0), (2, 4), (3, 8)] {
        keeper.write_now(&snapshot(epoch), step).unwrap();
    }
    assert!(!keeper.is_due(9) && keeper.is_due(10));
    keeper.write(snapshot(4), 12);
    keeper.wait();
    assert!(keeper.kept().contains("step 12") && keeper.is_free());
    let names = || {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let all = ["checkpoint-4.safetensors", "checkpoint-8.safetensors", "checkpoint.safetensors"];
    assert_eq!(names(), all);
    let epoch = |path: &Path| read_state(path).unwrap().epoch;
    assert_eq!(epoch(&newest(dir.path()).unwrap()), 4);
    assert_eq!(epoch(&before(dir.path()).unwrap()), 3);
    std::fs::remove_file(dir.path().join(NEWEST)).unwrap();
    assert_eq!(newest(dir.path()), before(dir.path()));
    // A checkpoint that cannot be written is a warning, and owed; the one before stays.
    std::fs::create_dir(dir.path().join(NEWEST)).unwrap();
    keeper.write(snapshot(5), 16);
    keeper.wait();
    let told = warnings.lock().unwrap().join("\n");
    assert!(
        told.contains("the checkpoint of step 16 could not be written") && told.contains("step 12"),
        "{told}"
    );
    let error = keeper.write_now(&snapshot(5), 16).unwrap_err();
    assert!(error.to_string().contains("the checkpoint of step 12 is in"), "{error}");
    assert_eq!(error.remedy(), Some(&crate::error::Remedy::Resume));
}
