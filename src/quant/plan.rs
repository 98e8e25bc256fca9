//! Which tensors of a network are quantized, how, and in which stage.

use std::collections::BTreeMap;

use super::config::{Coverage, SmallLayers};
use super::{QuantizeConfig, TensorScheme};
use crate::bytes::counted;
use crate::error::{Error, Result};

/// How one tensor is quantized, and from when on.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The weight's shape, output channels first.
    pub shape: Vec<usize>,
    /// The scheme.
    pub scheme: TensorScheme,
    /// The stage at which its quantization starts, from 0.
    pub stage: usize,
}

impl Planned {
    /// How many weights it has.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The quantized tensors by name.
pub type Plan = BTreeMap<String, Planned>;

/// Of all tensors of a network, given by name and shape, those that may be quantized: weights of
/// convolutions (4 axes, or 3 over frames alone) and of linear layers (2). The number of axes tells
/// them apart, since biases and the tensors of normalisations have one. The weights of sums
/// (ReDimNet), few and exponentiated, are not called `weight` and stay.
///
/// # Errors
/// `keep` names a tensor that is not among them.
pub fn candidates(
    names: &[(String, Vec<usize>)],
    config: &QuantizeConfig,
) -> Result<Vec<(String, Vec<usize>)>> {
    let weights = names.iter().filter(|(name, shape)| shape.len() >= 2 && name.ends_with("weight"));
    for kept in &config.keep {
        if !weights.clone().any(|(name, _)| name == kept) {
            let known: Vec<&str> = weights.map(|(name, _)| name.as_str()).collect();
            return Err(Error::Invalid(format!(
                "quantize.keep: the network has no weight `{kept}`; it has {}",
                known.join(", ")
            )));
        }
    }
    let wanted = |(name, shape): &&(String, Vec<usize>)| {
        (config.layers == Coverage::All || shape.len() > 2) && !config.keep.contains(name)
    };
    Ok(weights.filter(wanted).cloned().collect())
}

/// Whether a scheme makes sense for a tensor of this shape: it has at least as many weights as the
/// codebook has values, and takes fewer bytes than in f32.
pub fn fits(shape: &[usize], scheme: TensorScheme) -> bool {
    let count: usize = shape.iter().product();
    count >= 1 << scheme.bits && scheme.bytes(shape) < 4 * count
}

/// A plan with the same bits for every tensor that may be quantized, of all tensors of a network by
/// name and shape. Tensors with too few weights are treated as `small_layers` says.
///
/// # Errors
/// A tensor with too few weights under [`SmallLayers::Refuse`]; no tensor to quantize.
pub fn uniform(names: &[(String, Vec<usize>)], config: &QuantizeConfig) -> Result<Plan> {
    let mut plan = Plan::new();
    let wanted = config.scheme(config.bits).bits;
    for (name, shape) in candidates(names, config)? {
        let count: usize = shape.iter().product();
        let scheme = config.scheme(wanted);
        let enough = count >= 1 << wanted;
        let scheme = match config.small_layers {
            SmallLayers::Refuse | SmallLayers::Keep => enough.then_some(scheme),
            SmallLayers::FewerBits => {
                (1..=wanted).rev().map(|b| config.scheme(b)).find(|&s| fits(&shape, s))
            }
        };
        match (scheme, config.small_layers) {
            (Some(scheme), _) => drop(plan.insert(name, Planned { shape, scheme, stage: 0 })),
            (None, SmallLayers::Keep | SmallLayers::FewerBits) => {}
            (None, SmallLayers::Refuse) => {
                let (values, bits) = (1 << wanted, counted(wanted, "bit"));
                return Err(Error::Invalid(format!(
                    "tensor `{name}`: {count} weights are fewer than the {values} values of \
                     {bits}; quantize.small_layers = \"fewer-bits\" or \"keep\" says what to do \
                     with it"
                )));
            }
        }
    }
    match plan.is_empty() {
        true => Err(Error::Invalid("no tensor is left to be quantized".into())),
        false => Ok(plan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<(String, Vec<usize>)> {
        [("conv1.weight", vec![8, 1, 3, 3]), ("bn1.weight", vec![8]), ("seg_1.weight", vec![4, 80])]
            .map(|(name, shape)| (name.to_owned(), shape))
            .to_vec()
    }

    #[test]
    fn tensors_that_are_too_small_are_told_or_get_fewer_bits() {
        let config =
            |small_layers| QuantizeConfig { bits: 8, small_layers, ..QuantizeConfig::default() };
        let error = uniform(&names(), &config(SmallLayers::Refuse)).unwrap_err().to_string();
        assert!(
            error.contains("`conv1.weight`: 72 weights are fewer than the 256 values"),
            "{error}"
        );
        let plan = uniform(&names(), &config(SmallLayers::FewerBits)).unwrap();
        // 45 bytes of codes and 128 of codebook; f32 has 288.
        assert_eq!(plan["conv1.weight"].scheme.bits, 5);
        assert_eq!(plan["seg_1.weight"].scheme.bits, 7);
        let plan = uniform(&names(), &config(SmallLayers::Keep)).unwrap();
        assert_eq!(plan.keys().collect::<Vec<_>>(), ["seg_1.weight"]);
        let error = uniform(&names()[..2], &config(SmallLayers::Keep)).unwrap_err().to_string();
        assert!(error.contains("no tensor is left"), "{error}");
    }

    #[test]
    fn some_tensors_stay() {
        let config = QuantizeConfig { layers: Coverage::Convolutions, ..QuantizeConfig::default() };
        assert_eq!(
            uniform(&names(), &config).unwrap().keys().collect::<Vec<_>>(),
            ["conv1.weight"]
        );
        let keep =
            |name: &str| QuantizeConfig { keep: vec![name.into()], ..QuantizeConfig::default() };
        assert_eq!(
            uniform(&names(), &keep("conv1.weight")).unwrap().keys().collect::<Vec<_>>(),
            ["seg_1.weight"]
        );
        let error = uniform(&names(), &keep("bn1.weight")).unwrap_err().to_string();
        assert!(
            error.contains("no weight `bn1.weight`; it has conv1.weight, seg_1.weight"),
            "{error}"
        );
    }
}
