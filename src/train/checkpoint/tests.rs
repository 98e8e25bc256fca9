//! Checkpoints that are whole, damaged, old, or wrong under a checksum that is right.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::*;
use crate::losses::HeadConfig;
use crate::zoo::Architecture;

/// As recipes have them; the small network's tensors are held in 8 bits.
const OPTIMIZERS: [&str; 4] = [
    "kind = \"sgd\"",
    "kind = \"adamw\"",
    "kind = \"sgd8bit\"\nstates.min_size = 64",
    "kind = \"adamw8bit\"\nstates.min_size = 64",
];

type Parts = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

fn trainee() -> Trainee {
    let arch = Architecture { width: 2, mels: 16, embedding_dim: 8, ..Architecture::named("resnet10").unwrap() };
    Trainee::new(&arch, &HeadConfig::default(), 3, &Device::default(), 1).unwrap()
}

/// A step along gradients of ones.
fn step(optimizer: &mut ModuleOptimizer, trainee: Trainee) -> Trainee {
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
    optimizer.step(0.01, trainee, ones.0)
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
    fn saved(&self, config: &OptimizerConfig) -> (Vec<u8>, Trainee, ModuleOptimizer, State) {
        let mut optimizer = config.init().unwrap();
        let trainee = step(&mut optimizer, trainee().train());
        let state =
            State { epoch: 2, loss_sum: 0.1, best: Some((0.25, 1)), ..State::start("recipe".into(), "hash".into()) };
        save(&self.path(), &trainee.valid(), &optimizer, &Average::new(), &state).unwrap();
        (fs::read(self.path()).unwrap(), trainee, optimizer, state)
    }

    fn load(
        &self,
        bytes: &[u8],
        config: &OptimizerConfig,
    ) -> Result<(Trainee, ModuleOptimizer, Average, State), String> {
        std::fs::write(self.path(), bytes).unwrap();
        load(&self.path(), trainee(), config).map_err(|e| e.to_string())
    }

    #[track_caller]
    fn refused(&self, bytes: &[u8], wanted: &str) {
        let error = self.load(bytes, &OptimizerConfig::default()).err().expect("a damaged file was read");
        for part in ["checkpoint.safetensors: not a readable checkpoint", wanted] {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
    }
}

/// A checkpoint with other contents, with a checksum that is right or without one.
fn rewritten(bytes: &[u8], seal: bool, change: impl FnOnce(&mut String, &mut Parts)) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut json = metadata.metadata().as_ref().unwrap()[KEY].clone();
    let part = |(name, v): (&str, TensorView)| (name.to_owned(), v.dtype(), v.shape().to_vec(), v.data().to_vec());
    let mut parts: Parts = file.iter().filter(|(name, _)| *name != CHECKSUM).map(part).collect();
    change(&mut json, &mut parts);
    let mut views: Vec<(&str, TensorView)> = Vec::new();
    for (name, dtype, shape, bytes) in &parts {
        views.push((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    }
    let sum = checksum(&json, &views);
    if seal {
        views.push((CHECKSUM, TensorView::new(Dtype::U8, vec![sum.len()], &sum).unwrap()));
    }
    safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), json)]))).unwrap()
}

/// As the version before the checksum wrote it.
fn old(json: &mut String) {
    assert!(json.contains("\"format\":2"), "{json}");
    *json = json.replace("\"format\":2", "\"format\":1");
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
            let (loaded, mut its_optimizer, average, its_state) = folder.load(file, &config).unwrap();
            assert!(values(&loaded.clone().train()) == values(&trainee), "{text}");
            assert!(average.is_empty() && its_state == state, "{text}");
            assert!(values(&step(&mut its_optimizer, loaded.train())) == values(&next), "{text}");
        }
    }
}

/// A flipped bit anywhere, a cut, a checksum that is gone.
#[test]
fn damage_is_found() {
    let folder = Folder::new();
    let (bytes, ..) = folder.saved(&OptimizerConfig::default());
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for i in (0..header).step_by(3).chain((header..bytes.len()).step_by(101)) {
        let mut damaged = bytes.clone();
        damaged[i] ^= 1 << (i % 8);
        folder.refused(&damaged, "");
    }
    for cut in (0..bytes.len()).step_by(997) {
        folder.refused(&bytes[..cut], "");
    }
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    folder.refused(&damaged, "it is damaged: its checksum is not that of its content");
    folder.refused(&rewritten(&bytes, false, |_, _| ()), "its checksum is not");
}

/// Nothing but what they say betrays them.
#[test]
fn lies_under_a_right_checksum_are_refused() {
    let folder = Folder::new();
    let (bytes, ..) = folder.saved(&OptimizerConfig::default());
    let state = |from: &str, to: &str, wanted: &str| {
        let changed = rewritten(&bytes, true, |json, _| {
            assert!(json.contains(from), "{json}");
            *json = json.replace(from, to);
        });
        folder.refused(&changed, wanted);
    };
    state("\"epoch\":2", "\"epoch\":0", "contradicts itself: epoch 0");
    state("\"epoch\":2", "\"epoch\":18446744073709551615", "contradicts itself");
    state("\"batch\":0", "\"batch\":18446744073709551615", "contradicts itself");
    state("\"best\":[0.25,1]", "\"best\":[0.25,2]", "contradicts itself");
    state("\"averaged\":0", "\"averaged\":2", "contradicts itself");
    state("\"averaged\":0", "\"averaged\":1", "0 sums of weights for 1 epochs");
    state("\"format\":2", "\"format\":3", "format 3; this version reads 1 to 2");
    let parts = |change: &dyn Fn(&mut Parts), wanted: &str| {
        folder.refused(&rewritten(&bytes, true, |_, parts| change(parts)), wanted);
    };
    let stray = ("average.network.conv1.weight".to_owned(), Dtype::F32, vec![1], vec![0; 4]);
    parts(&|p| p.push(stray.clone()), "1 sums of weights for 0 epochs");
    parts(&|p| p.retain(|part| part.0 != "optimizer"), "no optimizer state");
    // Sums of every tensor, of which one is not a number.
    let averaged = rewritten(&bytes, true, |json, parts| {
        *json = json.replace("\"averaged\":0", "\"averaged\":1");
        let sums = parts.iter().filter_map(|(name, dtype, shape, bytes)| {
            let name = format!("average.{}", name.strip_prefix("model.")?);
            let bytes = match name.ends_with("conv1.weight") {
                true => f32::NAN.to_le_bytes().repeat(bytes.len() / 4),
                false => bytes.clone(),
            };
            Some((name, *dtype, shape.clone(), bytes))
        });
        let sums: Parts = sums.collect();
        parts.extend(sums);
    });
    folder.refused(&averaged, "no sum of `network.conv1.weight`");
    let record = |p: &mut Parts, change: &dyn Fn(&mut Vec<u8>)| {
        let part = p.iter_mut().find(|part| part.0 == "optimizer").unwrap();
        change(&mut part.3);
        part.2 = vec![part.3.len()];
    };
    parts(&|p| record(p, &|bytes| bytes.truncate(9)), "the optimizer's record");
    parts(&|p| record(p, &|bytes| bytes[0] ^= 1), "the optimizer's record");
}

/// Where no checksum tells, a damaged record is an error or one that the next step uses.
#[test]
fn damaged_records_never_panic() {
    let folder = Folder::new();
    for text in OPTIMIZERS {
        let config: OptimizerConfig = toml::from_str(text).unwrap();
        let (bytes, ..) = folder.saved(&config);
        let mut refused = 0;
        for i in (0..12_000).step_by(59) {
            let damaged = rewritten(&bytes, false, |json, parts| {
                old(json);
                let record = &mut parts.iter_mut().find(|part| part.0 == "optimizer").unwrap().3;
                let at = i % record.len();
                record[at] ^= 1 << (i % 8);
            });
            match folder.load(&damaged, &config) {
                Err(error) => {
                    assert!(
                        error.contains("checkpoint.safetensors: not a readable checkpoint: the optimizer's record")
                    );
                    refused += 1;
                }
                Ok((loaded, mut optimizer, ..)) => drop(step(&mut optimizer, loaded.train())),
            }
        }
        assert!(refused > 20, "{text}: {refused}");
    }
}
