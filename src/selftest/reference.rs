//! Embeddings of WeSpeaker's own model classes (commit dfa7419, torch 2.8.0, computed in f64). The
//! networks' weights follow from a formula, so only inputs and expected embeddings are stored.

use std::collections::HashMap;

use burn::tensor::{Device, TensorData};
use safetensors::SafeTensors;

use crate::bytes;
use crate::error::{Error, Result};
use crate::nn::{PoolingKind, assign_named, names_and_shapes};
use crate::rng::{fnv1a64, mix64};
use crate::zoo::{Architecture, Network};

/// A safetensors file of one utterance's features for 80 and 40 mels, and of the embeddings.
pub const FILE: &[u8] = include_bytes!("../../assets/reference-embeddings.safetensors");

/// Seed of all weights in [`networks`].
pub const SEED: u64 = 49401;

/// Factor of convolutions and linear layers in [`networks`].
pub const GAIN: f64 = 0.7;

/// The values of a state_dict entry in row-major order. They are hashes of the entry's name and
/// their index: BatchNorm is away from the identity, other weights are uniform within `gain *
/// sqrt(6 / fan_in)`.
pub fn procedural(name: &str, shape: &[usize], seed: u64, gain: f64) -> Vec<f32> {
    let h = fnv1a64(name.as_bytes()).wrapping_add(seed.wrapping_mul(0xD134_2543_DE82_EF95));
    let n: usize = shape.iter().product();
    let fan_in: usize = shape.iter().skip(1).product();
    // In DF-ResNet's downsampling pairs the convolution is `.0`, the BatchNorm `.1`.
    let pair = name.starts_with("downsample_layers") && name.split('.').nth(2) == Some("1");
    let norm = name.contains("bn") || name.contains("shortcut.1") || pair;
    let kind = name.rsplit('.').next().unwrap_or_default();
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
                _ => 0.2 * u - 0.1,
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
    let values: HashMap<String, TensorData> = names_and_shapes(&network)
        .into_iter()
        .map(|(name, shape)| {
            (name.clone(), TensorData::new(procedural(&name, &shape, seed, gain), shape))
        })
        .collect();
    Ok(assign_named(network, values))
}

/// The networks of [`FILE`], with the names that it gives them.
///
/// # Errors
/// A name that the zoo does not have.
pub fn networks() -> Result<Vec<(&'static str, Architecture)>> {
    let named = |name: &str, width, embedding_dim| {
        Ok::<_, Error>(Architecture {
            width,
            embedding_dim,
            mels: 80,
            ..Architecture::named(name)?
        })
    };
    Ok(vec![
        (
            "resnet18_m8_two",
            Architecture { two_embedding_layers: true, ..named("resnet18", 8, 64)? },
        ),
        (
            "resnet34_m8_astp",
            Architecture { pooling: PoolingKind::Astp, mels: 40, ..named("resnet34", 8, 64)? },
        ),
        ("resnet50_m4", named("resnet50", 4, 64)?),
        ("gemini_small", named("gemini-df-resnet60", 8, 128)?),
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
