//! How many bits weights have while training.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::backend::is_gpu;
use crate::error::{Error, Result};

/// What a training holds its weights in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Weights {
    /// 32 bits.
    #[default]
    #[serde(rename = "f32")]
    F32,
    /// 24 bits: those of a bf16, and eight more of the fraction.
    #[serde(rename = "bf16+8")]
    #[cfg_attr(feature = "cli", value(name = "bf16+8"))]
    Bf16Plus8,
}

impl Weights {
    /// The name, as options and recipes have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16Plus8 => "bf16+8",
        }
    }

    /// For what is left out of files where it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses a device on which they save nothing.
    ///
    /// # Errors
    /// A GPU, for other weights than f32.
    pub fn check(self, device: &Device) -> Result<()> {
        match is_gpu(device) {
            true => self.check_gpu(),
            false => Ok(()),
        }
    }

    /// Refuses GPUs, unless weights are f32.
    ///
    /// # Errors
    /// Other weights.
    pub(crate) fn check_gpu(self) -> Result<()> {
        if self.is_default() {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "weights in {}: not on GPUs, whose allocator keeps the memory of tensors that outlive \
             a pass for others of their size, so that nothing would be saved; train with \
             train.weights = \"f32\", or on a CPU",
            self.name()
        )))
    }

    /// Refuses a training in which other weights than f32 save nothing. `network` is its name,
    /// `recomputes` says whether it keeps no activations, and `releases` whether gradients are
    /// released.
    ///
    /// # Errors
    /// Says what such weights want.
    pub(crate) fn check_training(
        self,
        network: &str,
        recomputes: bool,
        releases: bool,
    ) -> Result<(), String> {
        let ours = self.name();
        match (self.is_default(), recomputes, releases) {
            (true, _, _) | (false, true, true) => Ok(()),
            (false, false, _) => Err(format!(
                "not {ours} with {network} on the ordinary tape, which holds every weight in f32 \
                 until the backward pass ends, so that nothing would be saved; a reversible \
                 network (rev1-..., rev2-...) that recomputes its activations has the f32 weights \
                 of one function at a time{}",
                if releases { "" } else { ", with train.release_gradients = true" }
            )),
            (false, true, false) => Err(format!(
                "not {ours} while all gradients are kept: the optimizer then wants all weights in \
                 f32 beside them; train.release_gradients = true steps one weight tensor at a time \
                 (--release-gradients with `revox memory`)"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_recipes() {
        #[derive(Serialize, Deserialize)]
        struct Section {
            weights: Weights,
        }

        for weights in [Weights::F32, Weights::Bf16Plus8] {
            let text = toml::to_string(&Section { weights }).unwrap();
            assert_eq!(text.trim(), format!("weights = \"{}\"", weights.name()));
            assert_eq!(toml::from_str::<Section>(&text).unwrap().weights, weights);
        }
        assert!(toml::from_str::<Section>("weights = \"bf16\"").is_err());
    }

    #[test]
    fn trainings_that_would_save_nothing_are_told_why() {
        let small = Weights::Bf16Plus8;
        assert_eq!(small.check_training("rev2-resnet34", true, true), Ok(()));
        let tape = small.check_training("resnet34", false, true).unwrap_err();
        assert!(tape.starts_with("not bf16+8 with resnet34 on the ordinary tape"), "{tape}");
        let kept = small.check_training("rev2-resnet34", true, false).unwrap_err();
        assert!(kept.contains("train.release_gradients = true"), "{kept}");
        assert_eq!(Weights::F32.check_training("resnet34", false, false), Ok(()));
        assert!(small.check_gpu().is_err() && Weights::F32.check_gpu().is_ok());
    }
}
