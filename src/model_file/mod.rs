//! The one model format: a safetensors file whose tensors have the reference implementation's names
//! and whose metadata key `revox` holds everything needed to use the network: architecture,
//! front-end, how it was trained, how its scores are read. Beside it, the key `sha256` holds the
//! file's checksum (see [`tensor_file`]).

mod import;
mod packed;
mod tensors;
mod update;

pub use import::{ImportOptions, Imported, import, import_noted};
pub use packed::{LayerSize, PackedTensor, layer_sizes};
pub use tensors::{NamedTensors, read_safetensors};
pub use update::{read_header, update_header};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, TensorData};
use serde::{Deserialize, Serialize};

use crate::audio::FbankConfig;
use crate::error::{Error, Result};
use crate::nn::{assign_named, collect_named, names_and_shapes};
use crate::tensor_file::{self, Contents};
use crate::zoo::{Architecture, Network};

/// The metadata key.
const KEY: &str = "revox";
/// What errors call a file that cannot be read.
const FILE: &str = "safetensors file";
/// The format's version.
const FORMAT: u32 = 1;
/// Tensors of the training head, which inference leaves aside.
pub const HEAD_PREFIX: &str = "projection.";

/// What turns audio into the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frontend {
    /// Filter banks. Dither is what training used; embeddings are taken without.
    pub fbank: FbankConfig,
    /// Subtract each utterance's mean over time.
    pub cmn: bool,
}

impl Default for Frontend {
    fn default() -> Self {
        Self { fbank: FbankConfig::default(), cmn: true }
    }
}

/// How a model was trained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The recipe, as TOML.
    pub recipe: String,
    /// Seed.
    pub seed: u64,
    /// SHA-256 over the lists and the sizes of the files they name.
    pub data_hash: String,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Epoch of the weights, from 1; 0 for a mean of several.
    #[serde(default)]
    pub epoch: u64,
    /// revox's version.
    pub version: String,
}

/// How a model's scores are to be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scoring {
    /// Mean of the training speakers' embeddings, subtracted before comparing, if the model wants
    /// that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_mean: Option<Vec<f32>>,
    /// Thresholds measured on the dev trials: `[false-accept rate, threshold]`.
    #[serde(default)]
    pub thresholds: Vec<(f64, f64)>,
    /// Threshold at the dev trials' equal error rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_eer: Option<f64>,
}

/// The metadata, as JSON under the key `revox`. The file's checksum is no part of it: it has a key
/// of its own, and whoever reads the header has had it checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format.
    pub format: u32,
    /// The network.
    pub arch: Architecture,
    /// Its input.
    pub frontend: Frontend,
    /// Values of an embedding.
    pub embedding_dim: usize,
    /// Where it comes from, if revox trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// Reading scores.
    #[serde(default)]
    pub scoring: Scoring,
    /// The classes of the training head in the order of its rows, where the file holds the head:
    /// names of speakers, with ` x0.9` behind them for those at another speed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<String>,
    /// The packed tensors of a quantized model, by name. Its BatchNorm layers with weight and bias
    /// hold scale and shift in them and no statistics.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quantization: BTreeMap<String, PackedTensor>,
}

impl Header {
    /// The header of a network that has not been trained here.
    pub fn new(arch: Architecture, frontend: Frontend) -> Self {
        let embedding_dim = arch.embedding_dim;
        let (training, scoring, quantization) = (None, Scoring::default(), BTreeMap::new());
        let speakers = Vec::new();
        Self {
            format: FORMAT,
            arch,
            frontend,
            embedding_dim,
            training,
            scoring,
            speakers,
            quantization,
        }
    }

    /// Contradictions that would make every embedding wrong.
    fn check(&self, path: &Path) -> Result<()> {
        let bad = |m: String| Err(Error::file(path, m));
        if self.format != FORMAT {
            return bad(format!("model format {}; this version reads {FORMAT}", self.format));
        }
        self.arch.check().map_err(|e| Error::file(path, e.to_string()))?;
        self.frontend.fbank.check().map_err(|e| Error::file(path, e.to_string()))?;
        if self.frontend.fbank.mels != self.arch.mels {
            return bad(format!(
                "front-end makes {} mels, network wants {}",
                self.frontend.fbank.mels, self.arch.mels
            ));
        }
        if self.embedding_dim != self.arch.embedding_dim {
            return bad(format!(
                "embedding_dim {} and arch's {} differ",
                self.embedding_dim, self.arch.embedding_dim
            ));
        }
        if let Some(mean) = &self.scoring.embedding_mean
            && mean.len() != self.embedding_dim
        {
            return bad(format!(
                "embedding mean has {} values for {} dimensions",
                mean.len(),
                self.embedding_dim
            ));
        }
        let mut names = HashSet::new();
        if let Some(name) =
            self.speakers.iter().find(|name| name.is_empty() || !names.insert(name.as_str()))
        {
            return bad(format!("the training head has speaker `{name}` twice, or without a name"));
        }
        if !self.quantization.is_empty() && !self.speakers.is_empty() {
            return bad(
                "names the speakers of a training head, which a quantized model has not".to_owned()
            );
        }
        Ok(())
    }
}

/// A network with all that is needed to use it.
#[derive(Debug, Clone)]
pub struct Model {
    /// The metadata.
    pub header: Header,
    /// The weights, in evaluation state.
    pub network: Network,
}

impl Model {
    /// Writes the file (atomically), with a checksum. `head` adds the training head's tensors,
    /// named `projection.*`.
    pub fn save(&self, path: impl AsRef<Path>, head: NamedTensors) -> Result<()> {
        let path = path.as_ref();
        let (tensors, json) = self.described(path, head)?;
        tensor_file::write(path, &[(KEY, &json)], &tensors.parts(path)?)
    }

    /// The file's content; `path` appears in errors.
    pub fn to_bytes(&self, path: &Path, head: NamedTensors) -> Result<Vec<u8>> {
        let (tensors, json) = self.described(path, head)?;
        tensors.to_safetensors(path, KEY, json)
    }

    /// The file's tensors, and the header as JSON.
    fn described(&self, path: &Path, head: NamedTensors) -> Result<(NamedTensors, String)> {
        let mut tensors = match self.header.quantization.is_empty() {
            true => NamedTensors::from_burn(collect_named(&self.network)),
            false => packed::collect(&self.network, &self.header),
        };
        tensors.0.extend(head.0);
        let json =
            serde_json::to_string(&self.header).map_err(|e| Error::file(path, e.to_string()))?;
        Ok((tensors, json))
    }

    /// Reads a file: names, shapes, number formats and front-end must be the architecture's, and
    /// the checksum must be that of the content. A file from before there were checksums is read
    /// too.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        Ok(Self::with_head(path, open(path)?, device)?.0)
    }

    /// The model that the file `path` holds, and the tensors of its training head, if there is one.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub(crate) fn with_head(
        path: &Path,
        file: Contents,
        device: &Device,
    ) -> Result<(Self, NamedTensors)> {
        let tensors = tensors::all_of(path, &file)?;
        let header = update::header_of(path, &file.metadata)?;
        // The values are in `tensors`, and building a network takes memory.
        drop(file);
        let (head, body) =
            tensors.0.into_iter().partition(|(name, _)| name.starts_with(HEAD_PREFIX));
        let network = match header.quantization.is_empty() {
            true => build(path, &header.arch, NamedTensors(body), device)?,
            false => packed::build(path, &header, NamedTensors(body), device)?,
        };
        Ok((Self { header, network }, NamedTensors(head)))
    }
}

/// Reads a model file.
pub(crate) fn open(path: &Path) -> Result<Contents> {
    tensor_file::read(path, FILE)
}

/// The training head's tensors of a model file, if it holds them.
pub fn read_head(path: &Path) -> Result<NamedTensors> {
    let mut tensors = tensors::all_of(path, &open(path)?)?;
    tensors.0.retain(|(name, _)| name.starts_with(HEAD_PREFIX));
    Ok(tensors)
}

/// The network of `arch` with `tensors` as its weights. Missing, superfluous and misshapen tensors
/// are errors.
fn build(
    path: &Path,
    arch: &Architecture,
    tensors: NamedTensors,
    device: &Device,
) -> Result<Network> {
    fit(path, arch.init(device, 0)?, &arch.name, tensors.0.into_iter().collect())
}

/// A module with the tensors found in a file as its parameters and buffers. Missing, superfluous
/// and misshapen ones are errors.
pub(crate) fn fit<M: Module>(
    path: &Path,
    module: M,
    wanted_by: &str,
    mut found: HashMap<String, TensorData>,
) -> Result<M> {
    let values = take(path, &names_and_shapes(&module), wanted_by, &mut found)?;
    Ok(assign_named(module, values))
}

/// The f32 tensors of these names and shapes, of which `found` must hold nothing else.
fn take(
    path: &Path,
    wanted: &[(String, Vec<usize>)],
    wanted_by: &str,
    found: &mut HashMap<String, TensorData>,
) -> Result<HashMap<String, TensorData>> {
    let shapes = found.iter().map(|(name, data)| (name.as_str(), data.shape().to_vec())).collect();
    compare(path, wanted, wanted_by, &shapes)?;
    if let Some((name, _)) = found.iter().find(|(_, data)| data.dtype() == DType::U8) {
        return Err(Error::file(path, format!("tensor `{name}` is U8; F32 is wanted")));
    }
    // No network is trained to such weights, and no score could be made with them.
    for (name, data) in found.iter() {
        if let Some((i, x)) = data.iter::<f32>().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(Error::file(
                path,
                format!("value {i} of tensor `{name}` is {x}, not a number"),
            ));
        }
    }
    Ok(std::mem::take(found))
}

/// Whether a file's tensors, by their names and shapes, are those wanted and no others.
fn compare(
    path: &Path,
    wanted: &[(String, Vec<usize>)],
    wanted_by: &str,
    found: &HashMap<&str, Vec<usize>>,
) -> Result<()> {
    for (name, expected) in wanted {
        let shape = found.get(name.as_str()).ok_or_else(|| {
            Error::file(
                path,
                format!("no tensor `{name}`, which {wanted_by} wants with shape {expected:?}"),
            )
        })?;
        if shape != expected {
            let (wanted_by, found) = (wanted_by.to_owned(), shape.clone());
            let (tensor, expected) = (name.clone(), expected.clone());
            return Err(Error::Shape { path: path.into(), tensor, wanted_by, expected, found });
        }
    }
    let wanted: HashSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    match found.keys().filter(|name| !wanted.contains(*name)).min() {
        Some(name) => {
            Err(Error::file(path, format!("tensor `{name}` has no place in {wanted_by}")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::SafeTensors;

    use super::*;
    use crate::tensor_file::flipped;

    fn small() -> Model {
        let arch = Architecture {
            width: 2,
            mels: 16,
            embedding_dim: 8,
            ..Architecture::named("resnet10").unwrap()
        };
        let network = arch.init(&Device::default(), 3).unwrap();
        let fbank = FbankConfig { mels: 16, ..FbankConfig::default() };
        Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network }
    }

    #[test]
    fn a_file_gives_back_the_model() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        let mut model = small();
        model.header.scoring.embedding_mean = Some(vec![0.5; 8]);
        model.save(&path, NamedTensors::default()).unwrap();
        let again = Model::load(&path, &Device::default()).unwrap();
        assert_eq!(again.header, model.header);
        let values = |m: &Model| {
            collect_named(&m.network)
                .into_iter()
                .map(|(n, d)| (n, d.try_to_vec::<f32>().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(values(&again), values(&model));
    }

    #[test]
    fn speakers_of_the_head_are_kept_and_each_has_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        let mut model = small();
        model.header.speakers = vec!["a".into(), "a x0.9".into()];
        model.save(&path, NamedTensors::default()).unwrap();
        assert_eq!(Model::load(&path, &Device::default()).unwrap().header, model.header);
        for name in ["a", ""] {
            model.header.speakers[1] = name.to_owned();
            model.save(&path, NamedTensors::default()).unwrap();
            let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
            assert!(
                error.contains("m.safetensors") && error.contains(&format!("speaker `{name}`")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_of_another_network_says_what_met_what() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        let mut model = small();
        model.header.arch.width = 4;
        model.save(&path, NamedTensors::default()).unwrap();
        let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
        assert!(
            error.contains("`conv1.weight`")
                && error.contains("[2, 1, 3, 3]")
                && error.contains("[4, 1, 3, 3]"),
            "{error}"
        );
        model.header.arch = Architecture { name: "resnet18".into(), width: 2, ..model.header.arch };
        model.save(&path, NamedTensors::default()).unwrap();
        let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
        assert!(error.contains("no tensor `layer1.1.conv1.weight`"), "{error}");
        let mut model = small();
        model.header.frontend.fbank.mels = 40;
        model.save(&path, NamedTensors::default()).unwrap();
        let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
        assert!(error.contains("40 mels") && error.contains("16"), "{error}");
    }

    #[test]
    fn a_front_end_that_no_audio_has_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        type Change<'a> = &'a dyn Fn(&mut FbankConfig);
        let changes: [(Change, &str); 4] = [
            (&|f| f.frame_length_ms = 1e12, "frame_length_ms"),
            (&|f| f.sample_rate = 0, "sample_rate"),
            (&|f| f.scale = 1e35, "scale"),
            (&|f| f.frame_length_ms = 1.0, "mel filter"),
        ];
        for (change, wanted) in changes {
            let mut model = small();
            change(&mut model.header.frontend.fbank);
            model.save(&path, NamedTensors::default()).unwrap();
            let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
            assert!(error.contains("m.safetensors") && error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn cut_and_hostile_files_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        small().save(&path, NamedTensors::default()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let fails = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
            assert!(error.contains("m.safetensors"), "{error}");
        };
        for cut in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
            fails(&bytes[..cut]);
        }
        // A header length, tensor sizes and offsets beyond the file's end.
        let mut long = bytes.clone();
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        fails(&long);
        for header in [
            r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,80000000000]}}"#,
            r#"{"__metadata__":{"revox":"{}"}}"#,
            r#"{"__metadata__":{"revox":"{\"format\":1,\"arch\":{\"name\":\"resnet18\",\"width\":99999999999}}"}}"#,
            "[[[[[[",
        ] {
            let mut file = (header.len() as u64).to_le_bytes().to_vec();
            file.extend(header.as_bytes());
            file.extend([0u8; 8]);
            fails(&file);
        }
        // Without a checksum, every single damaged byte of the header: an error or a model, never a
        // panic.
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let entries = header.metadata().iter().flatten().filter(|(key, _)| *key == KEY);
        let entries = entries.map(|(key, value)| (key.clone(), value.clone())).collect();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let unchecked = safetensors::serialize(tensors.iter(), Some(entries)).unwrap();
        std::fs::write(&path, &unchecked).unwrap();
        Model::load(&path, &Device::default()).unwrap();
        let header_end = 8 + SafeTensors::read_metadata(&unchecked).unwrap().0;
        for i in (0..header_end).step_by(23) {
            let mut damaged = unchecked.clone();
            damaged[i] ^= 0x15;
            std::fs::write(&path, &damaged).unwrap();
            let _ = Model::load(&path, &Device::default());
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        let weight = TensorData::new(vec![0.25f32; 2 * 8], [2, 8]);
        let head = NamedTensors(vec![(format!("{HEAD_PREFIX}weight"), weight)]);
        small().save(&path, head).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for (bit, damaged) in flipped(&bytes, 300) {
            std::fs::write(&path, &damaged).unwrap();
            let error = Model::load(&path, &Device::default()).unwrap_err().to_string();
            assert!(error.contains("m.safetensors: "), "bit {bit}: {error}");
            // The header and the head are read alone too.
            assert!(read_header(&path).is_err() && read_head(&path).is_err(), "bit {bit}");
        }
        std::fs::write(&path, &bytes).unwrap();
        assert!(
            Model::load(&path, &Device::default()).is_ok()
                && read_head(&path).unwrap().0.len() == 1
        );
    }
}
