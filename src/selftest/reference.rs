//! Embeddings of WeSpeaker's own model classes (commit dfa7419, torch 2.8.0, computed in f64). The
//! networks' weights follow from a formula, so only inputs and expected embeddings are stored.

use std::collections::{HashMap, HashSet};

use burn::tensor::{Device, TensorData};
use safetensors::SafeTensors;

use crate::bytes;
use crate::error::{Error, Result};
use crate::nn::{PoolingKind, assign_named, names_and_shapes};
use crate::rng::{fnv1a64, mix64};
use crate::zoo::{Architecture, Network};

/// A safetensors file of one utterance's features for 80, 72 and 40 mels, and of the embeddings.
pub const FILE: &[u8] = include_bytes!("../../assets/reference-embeddings.safetensors");

/// Seed of most weights in [`networks`].
const SEED: u64 = 49401;

/// Factor of convolutions and linear layers in most of [`networks`].
const GAIN: f64 = 0.7;

/// Values of the entries of a state_dict, given by name and shape. They are hashes of the entry's
/// name and the place in row-major order. Normalisation is away from the identity, other weights
/// are uniform within `gain * sqrt(6 / fan_in)`.
pub fn procedural(
    entries: &[(String, Vec<usize>)],
    seed: u64,
    gain: f64,
) -> HashMap<String, TensorData> {
    // Layers whose weight has one axis normalise, and their biases are larger than others'.
    let norms: HashSet<&str> = entries
        .iter()
        .filter(|(_, shape)| shape.len() == 1)
        .map(|(name, _)| layer_and_kind(name))
        .filter_map(|(layer, kind)| (kind == "weight").then_some(layer))
        .collect();
    let values = |(name, shape): &(String, Vec<usize>)| {
        let norm = norms.contains(layer_and_kind(name).0);
        (name.clone(), TensorData::new(entry(name, shape, norm, seed, gain), shape.clone()))
    };
    entries.iter().map(values).collect()
}

/// The place of a layer, and what its tensor is called there.
fn layer_and_kind(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// The values of one entry, which may belong to a normalisation.
fn entry(name: &str, shape: &[usize], norm: bool, seed: u64, gain: f64) -> Vec<f32> {
    let h = fnv1a64(name.as_bytes()).wrapping_add(seed.wrapping_mul(0xD134_2543_DE82_EF95));
    let n: usize = shape.iter().product();
    let fan_in: usize = shape.iter().skip(1).product();
    let kind = layer_and_kind(name).1;
    (0..n)
        .map(|i| {
            let z = mix64(h.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
            let u = (z >> 40) as f64 / (1u64 << 24) as f64;
            let value = match kind {
                "running_mean" => 0.4 * u - 0.2,
                "running_var" => 0.5 + u,
                "weight" if norm => 0.5 + u,
                "bias" if norm => 0.4 * u - 0.2,
                "weight" => (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt() * gain,
                "bias" => 0.2 * u - 0.1,
                // Such as the weights of a weighted sum.
                _ => 2.0 * u - 1.0,
            };
            value as f32
        })
        .collect()
}

/// A network with the weights of [`procedural`].
///
/// # Errors
/// An impossible architecture.
pub fn network(arch: &Architecture, seed: u64, gain: f64, device: &Device) -> Result<Network> {
    let network = arch.init(device, 0)?;
    let values = procedural(&names_and_shapes(&network), seed, gain);
    Ok(assign_named(network, values))
}

/// A network of [`FILE`].
pub struct Reference {
    /// What the file calls it.
    pub name: &'static str,
    /// What it is.
    pub arch: Architecture,
    /// Seed of its weights.
    pub seed: u64,
    /// Factor of its convolutions and linear layers.
    pub gain: f64,
}

impl Reference {
    /// The network on a device.
    ///
    /// # Errors
    /// An impossible architecture.
    pub fn network(&self, device: &Device) -> Result<Network> {
        network(&self.arch, self.seed, self.gain, device)
    }
}

/// The networks of [`FILE`].
///
/// # Errors
/// A name that the zoo does not have.
pub fn networks() -> Result<Vec<Reference>> {
    let named = |name: &str, width, embedding_dim| {
        Ok::<_, Error>(Architecture { width, embedding_dim, ..Architecture::named(name)? })
    };
    let reference = |name, arch| Reference { name, arch, seed: SEED, gain: GAIN };
    let redimnet2 = Architecture::named("redimnet2-b0")?;
    Ok(vec![
        reference(
            "resnet18_m8_two",
            Architecture { two_embedding_layers: true, ..named("resnet18", 8, 64)? },
        ),
        reference(
            "resnet34_m8_astp",
            Architecture { pooling: PoolingKind::Astp, mels: 40, ..named("resnet34", 8, 64)? },
        ),
        reference("resnet50_m4", named("resnet50", 4, 64)?),
        reference("gemini_small", named("gemini-df-resnet60", 8, 128)?),
        reference("ecapa_c64", named("ecapa-tdnn-512", 64, 64)?),
        Reference { name: "ReDimNet2B0", arch: redimnet2, seed: 60901, gain: 0.75 },
    ])
}

/// The values and the shape of a tensor of [`FILE`].
///
/// # Errors
/// There is no tensor of that name.
pub fn tensor(name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
    let bad = |e: safetensors::SafeTensorError| {
        Error::Undefined(format!("reference embeddings: {name}: {e}"))
    };
    let file = SafeTensors::deserialize(FILE).map_err(bad)?;
    let view = file.tensor(name).map_err(bad)?;
    Ok((bytes::to_f32(view.data()), view.shape().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seed: u64, gain: f64, entries: &[(&str, &[usize])], wanted: &[(&str, [f32; 4])]) {
        let entries: Vec<(String, Vec<usize>)> =
            entries.iter().map(|(name, shape)| ((*name).into(), shape.to_vec())).collect();
        let values = procedural(&entries, seed, gain);
        assert_eq!(values.len(), entries.len());
        for (name, wanted) in wanted {
            let ours: Vec<f32> = values[*name].iter::<f32>().take(4).collect();
            assert_eq!(ours, wanted, "{name}");
        }
    }

    /// Values that the references' tables give.
    #[test]
    fn values_follow_from_names_and_shapes() {
        check(
            49401,
            0.7,
            &[
                ("conv1.weight", &[32, 1, 3, 3]),
                ("layer1.0.bn1.weight", &[32]),
                ("layer1.0.bn1.running_mean", &[32]),
                ("layer1.0.bn1.running_var", &[32]),
                ("seg_1.weight", &[256, 5120]),
                ("seg_1.bias", &[256]),
            ],
            &[
                ("conv1.weight", [-0.218_200_01, 0.369_936, -0.351_217_66, 0.358_303_04]),
                ("layer1.0.bn1.weight", [0.919_291_73, 0.533_208_3, 1.132_315, 0.627_657_06]),
                (
                    "layer1.0.bn1.running_mean",
                    [-0.050_751_28, -0.068_928_644, 0.085_460_59, 0.087_182_425],
                ),
                ("layer1.0.bn1.running_var", [0.845_682_1, 1.101_091_6, 0.724_443_9, 1.235_968_1]),
                ("seg_1.weight", [0.000_709_129_9, -0.012_114_762, -0.013_439_103, 0.022_161_853]),
                ("seg_1.bias", [-0.080_901_01, 0.093_447_88, -0.039_547_957, -0.001_086_473_5]),
            ],
        );
        check(
            60901,
            0.75,
            &[("backbone.inputs_weights.1", &[1, 2, 1152, 1]), ("backbone.stem.1.weight", &[16])],
            &[
                (
                    "backbone.inputs_weights.1",
                    [-0.926_284_9, -0.757_598_4, 0.305_194_02, 0.948_629_5],
                ),
                ("backbone.stem.1.weight", [0.594_926_8, 0.507_642_45, 0.706_926_35, 1.112_089_5]),
            ],
        );
    }
}
