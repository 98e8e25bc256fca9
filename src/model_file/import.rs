//! WeSpeaker checkpoints: a state_dict as `.pt` or `.safetensors`, with the training's `config.yaml` where there is one.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, TensorData};
use pytorch_reader::{DType, PytorchReader};
use yaml_rust2::{Yaml, YamlLoader};

use super::{Frontend, HEAD_PREFIX, Header, Model, NamedTensors, build, read_safetensors};
use crate::audio::Window;
use crate::error::{Error, Result};
use crate::fs;
use crate::nn::PoolingKind;
use crate::zoo::{Architecture, BlockKind, Body, DfLayout};

/// What a checkpoint does not say itself.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Architecture; needed without a `config.yaml`.
    pub arch: Option<String>,
    /// WeSpeaker's `config.yaml`.
    pub config: Option<PathBuf>,
    /// Mel filters, if neither configuration nor shapes tell.
    pub mels: Option<usize>,
    /// Pooling, if neither configuration nor shapes tell.
    pub pooling: Option<PoolingKind>,
}

/// Reads a checkpoint into a model, with the training head's tensors (`projection.*`) beside it if there are any.
pub fn import(path: &Path, options: &ImportOptions, device: &Device) -> Result<(Model, NamedTensors)> {
    let tensors = read_state_dict(path)?;
    let config = options.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let name = match (&options.arch, &config.arch) {
        (Some(a), Some(b)) if a != b => {
            return Err(Error::invalid(format!("--arch {a}, but the configuration says {b}")));
        }
        (Some(a), _) | (None, Some(a)) => a.clone(),
        (None, None) => return Err(Error::invalid("say which architecture: --arch NAME, or --config config.yaml")),
    };
    let arch = infer(path, &name, &tensors, &config, options)?;
    let mut frontend = config.frontend.clone();
    frontend.fbank.mels = arch.mels;
    let head = tensors.0.iter().filter(|(n, _)| n.starts_with(HEAD_PREFIX)).cloned().collect();
    let network = build(path, &arch, tensors, device)?;
    Ok((Model { header: Header::new(arch, frontend), network }, NamedTensors(head)))
}

/// The f32 tensors of a state_dict, without counters and without the `module.` that data-parallel training leaves in names.
fn read_state_dict(path: &Path) -> Result<NamedTensors> {
    let mut magic = [0u8; 4];
    let read = std::io::Read::read(&mut fs::open(path)?, &mut magic).map_err(|e| Error::io(path, "read", e))?;
    // A `.pt` is a zip archive (or, before torch 1.6, a pickle, which begins with 0x80).
    let mut tensors = match (&magic[..read.min(2)], path.extension().and_then(|e| e.to_str())) {
        (b"PK" | [0x80, _], _) => read_pytorch(path)?,
        (_, Some("safetensors")) => read_safetensors(path)?.0,
        _ => return Err(Error::file(path, "neither a PyTorch checkpoint (.pt) nor a .safetensors file")),
    };
    // Averaged checkpoints hold the counters as f32.
    tensors.0.retain(|(name, _)| !name.ends_with("num_batches_tracked"));
    if !tensors.0.is_empty() && tensors.0.iter().all(|(n, _)| n.starts_with("module.")) {
        tensors.0.iter_mut().for_each(|(n, _)| *n = n["module.".len()..].to_owned());
    }
    if let Some((name, _)) = tensors.0.iter().find(|(_, d)| d.iter::<f32>().any(|x| !x.is_finite())) {
        return Err(Error::file(path, format!("tensor `{name}` holds values that are not numbers")));
    }
    Ok(tensors)
}

fn read_pytorch(path: &Path) -> Result<NamedTensors> {
    let bad = |e: String| Error::file(path, format!("not a readable PyTorch checkpoint: {e}"));
    let reader = PytorchReader::new(path).map_err(|e| bad(e.to_string()))?;
    let mut tensors = Vec::new();
    for (name, tensor) in reader.tensors() {
        let bytes = tensor.read().map_err(|e| bad(format!("`{name}`: {e}")))?;
        let values: Vec<f32> = match tensor.dtype() {
            DType::F32 => crate::bytes::to_f32(&bytes),
            DType::F64 => bytes
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
                .collect(),
            _ if name.ends_with("num_batches_tracked") => continue,
            other => return Err(bad(format!("tensor `{name}` is {other:?}; F32 is wanted"))),
        };
        let shape = tensor.shape().to_vec();
        if values.len() != shape.iter().product::<usize>() {
            return Err(bad(format!("tensor `{name}` has {} values for shape {shape:?}", values.len())));
        }
        tensors.push((name.clone(), TensorData::new(values, shape)));
    }
    if tensors.is_empty() {
        return Err(bad("it holds no tensors".into()));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(NamedTensors(tensors))
}

/// What `config.yaml` says.
#[derive(Default)]
struct Config {
    arch: Option<String>,
    mels: Option<usize>,
    pooling: Option<PoolingKind>,
    frontend: Frontend,
}

impl Config {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        let documents = YamlLoader::load_from_str(&text)
            .map_err(|e| Error::line(path, e.marker().line(), format!("not YAML: {}", e.info())))?;
        let yaml = documents.first().ok_or_else(|| Error::file(path, "empty configuration"))?;
        let model = yaml["model"].as_str().ok_or_else(|| Error::file(path, "no `model:` in this configuration"))?;
        let args = &yaml["model_args"];
        let pooling = match args["pooling_func"].as_str() {
            None => None,
            Some(name) => Some(parse_pooling(name).ok_or_else(|| {
                Error::file(path, format!("pooling_func {name}: TSTP, TAP, TSDP and ASTP are supported"))
            })?),
        };
        let mut frontend = Frontend::default();
        let data = &yaml["dataset_args"];
        let number = |y: &Yaml| y.as_f64().or_else(|| y.as_i64().map(|i| i as f64));
        if let Some(rate) = data["resample_rate"].as_i64() {
            frontend.fbank.sample_rate = rate as u32;
        }
        let fbank = &data["fbank_args"];
        if let Some(v) = number(&fbank["frame_length"]) {
            frontend.fbank.frame_length_ms = v;
        }
        if let Some(v) = number(&fbank["frame_shift"]) {
            frontend.fbank.frame_shift_ms = v;
        }
        if let Some(v) = number(&fbank["dither"]) {
            frontend.fbank.dither = v;
        }
        if let Some(window) = fbank["window_type"].as_str() {
            frontend.fbank.window = match window {
                "hamming" => Window::Hamming,
                "povey" => Window::Povey,
                "hanning" => Window::Hanning,
                other => return Err(Error::file(path, format!("window_type {other} is not supported"))),
            };
        }
        if data["cmvn_args"]["norm_var"].as_bool() == Some(true) {
            return Err(Error::file(path, "variance normalisation (cmvn_args.norm_var) is not supported"));
        }
        let mels = args["feat_dim"].as_i64().or_else(|| fbank["num_mel_bins"].as_i64()).map(|m| m as usize);
        Ok(Self { arch: Some(zoo_name(model)), mels, pooling, frontend })
    }
}

fn parse_pooling(name: &str) -> Option<PoolingKind> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

/// WeSpeaker's class names in the zoo's spelling: `ResNet34`, `Gemini_DF_ResNet114`.
fn zoo_name(class: &str) -> String {
    class.to_lowercase().replace("gemini_df_resnet", "gemini-df-resnet")
}

/// Width and sizes from the tensors' shapes; what shapes leave open from configuration or options.
fn infer(
    path: &Path,
    name: &str,
    tensors: &NamedTensors,
    config: &Config,
    options: &ImportOptions,
) -> Result<Architecture> {
    let mut arch = Architecture::named(name)?;
    let shape = |wanted: &str, rank: usize| -> Result<Vec<usize>> {
        let (_, data) = tensors
            .0
            .iter()
            .find(|(n, _)| n == wanted)
            .ok_or_else(|| Error::file(path, format!("no tensor `{wanted}`, so this is not a {name}")))?;
        match data.shape().num_dims() == rank {
            true => Ok(data.shape().to_vec()),
            false => {
                Err(Error::file(path, format!("tensor `{wanted}` has shape {:?}, rank {rank} is wanted", data.shape())))
            }
        }
    };
    // Channels after the last stage for each of the stem, and the factor by which mels shrink.
    let (stem, expansion, shrink) = match arch.body()? {
        Body::ResNet(BlockKind::Basic, _) => ("conv1.weight", 8, 8),
        Body::ResNet(BlockKind::Bottleneck, _) => ("conv1.weight", 32, 8),
        Body::DfResNet(DfLayout::Original, _) => ("downsample_layers.0.0.weight", 8, 8),
        Body::DfResNet(DfLayout::Gemini, _) => ("downsample_layers.0.0.weight", 8, 16),
    };
    arch.width = shape(stem, 4)?[0];
    let seg_1 = shape("seg_1.weight", 2)?;
    arch.embedding_dim = seg_1[0];
    arch.two_embedding_layers = tensors.0.iter().any(|(n, _)| n == "seg_2.weight");
    let attention = tensors.0.iter().any(|(n, _)| n == "pool.linear1.weight");
    let channels = expansion * arch.width;
    let inputs = |mels: usize, pooling: PoolingKind| channels * mels.div_ceil(shrink) * pooling.statistics();
    let pooling = options.pooling.or(config.pooling).or(attention.then_some(PoolingKind::Astp));
    arch.pooling = pooling.unwrap_or(PoolingKind::Tstp);
    arch.mels = options.mels.or(config.mels).unwrap_or(80);
    if inputs(arch.mels, arch.pooling) != seg_1[1] {
        return Err(Error::file(
            path,
            format!(
                "`seg_1.weight` takes {} values, but {} mels with {:?} pooling give {}; say --mels and --pooling, or give --config",
                seg_1[1],
                arch.mels,
                arch.pooling,
                inputs(arch.mels, arch.pooling)
            ),
        ));
    }
    Ok(arch)
}
