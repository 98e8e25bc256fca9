//! Quantization while training: the parameter keeps its value (the latent weight), the network uses
//! the quantized one, and the gradient passes to the latent weight unchanged (the straight-through
//! estimator, arXiv 1308.3432).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::{Module, Param, ParamId, Reparameterization};
use burn::tensor::{Device, Tensor, TensorData};

use super::{Codebook, TensorScheme};
use crate::backend::codes::nearest;
use crate::rng::fnv1a64;

/// When a tensor's quantization starts: at its stage of a clock that all tensors of a network
/// share.
#[derive(Debug, Clone)]
pub struct Gate {
    pub(super) stage: usize,
    pub(super) clock: Arc<AtomicUsize>,
}

impl Gate {
    /// Whether the stage has come.
    pub fn is_open(&self) -> bool {
        self.clock.load(Ordering::Relaxed) >= self.stage
    }
}

/// A quantizer that is attached to a parameter. Networks need not know of it.
#[derive(Module, Debug)]
pub struct FakeQuant {
    /// The codebook's numbers, padded, `[groups, columns]`.
    codebook: Param<Tensor<2>>,
    /// `[groups, 2^bits - 1]`.
    bounds: Param<Tensor<2>>,
    /// The weights' codes `[n]` (whole numbers), where they are frozen.
    codes: Option<Param<Tensor<1>>>,
    /// Whether the codebook is trained instead of the latent weights.
    #[module(skip)]
    learned: bool,
    /// A latent weight gets no gradient while its magnitude is beyond so many times the largest
    /// value of its group.
    #[module(skip)]
    clip: Option<f32>,
    #[module(skip)]
    gate: Gate,
    #[module(skip)]
    scheme: TensorScheme,
}

/// A constant of a module, with an id that is the same in every run.
fn constant<const D: usize>(
    name: &str,
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    let value = Tensor::from_data(TensorData::new(values, shape), device);
    Param::initialized(ParamId::from(fnv1a64(name.as_bytes())), value)
}

/// What a tensor's quantization does beyond taking the nearest value: the fields of [`FakeQuant`]
/// of the same names.
#[derive(Debug, Clone, Default)]
pub(super) struct Extras {
    pub codes: Option<Vec<u8>>,
    pub learned: bool,
    pub clip: Option<f32>,
}

impl FakeQuant {
    pub(super) fn new(
        name: &str,
        book: &Codebook,
        extras: Extras,
        gate: Gate,
        device: &Device,
    ) -> Self {
        let (groups, entries) = (book.groups(), 1 << book.scheme().bits);
        let at = |part: &str| format!("{name}.{}.{part}", Self::NAME);
        let padded = book.padded();
        let columns = padded.len() / groups;
        let mut codebook = constant(&at("codebook"), padded, [groups, columns], device);
        if extras.learned {
            codebook = codebook.set_require_grad(true);
        }
        let codes = extras.codes.map(|codes| {
            let count = codes.len();
            constant(&at("codes"), codes.into_iter().map(f32::from).collect(), [count], device)
        });
        let bounds = constant(&at("bounds"), book.bounds(), [groups, entries - 1], device);
        Self {
            codebook,
            bounds,
            codes,
            learned: extras.learned,
            clip: extras.clip,
            gate,
            scheme: book.scheme(),
        }
    }
}

/// The tensor off the autodiff tape, if it is on one.
fn inner<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.is_autodiff() { x.inner() } else { x }
}

impl Reparameterization for FakeQuant {
    const NAME: &'static str = "quantizer";

    fn apply<const D: usize>(&self, latent: Tensor<D>) -> Tensor<D> {
        if !self.gate.is_open() {
            return latent;
        }
        let shape = latent.dims();
        if let (Some(codes), true) = (&self.codes, self.learned) {
            let table = self.codebook.val();
            let entries = table.dims()[1];
            return table.reshape([entries]).select(0, codes.val().int()).reshape(shape);
        }
        let table = self.scheme.scheme.tensor_table(inner(self.codebook.val()));
        let quantized = match &self.codes {
            Some(codes) => {
                let entries = table.dims()[1];
                table.clone().reshape([entries]).select(0, inner(codes.val()).int()).reshape(shape)
            }
            None => nearest(inner(latent.clone()), inner(self.bounds.val()), table.clone()),
        };
        if !latent.is_autodiff() {
            return quantized;
        }
        // Exactly 0, with derivative 1: adding it changes no bit of the quantized value.
        let mut through = latent.clone() - latent.clone().detach();
        if let Some(clip) = self.clip {
            let groups = table.dims()[0];
            let limit = table.abs().max_dim(1).mul_scalar(clip);
            let far =
                inner(latent).abs().reshape([groups, shape.iter().product::<usize>() / groups]);
            let limit = limit.expand(far.dims());
            let passes = far.lower_equal(limit).float().reshape(shape);
            through = through * Tensor::from_inner(passes);
        }
        Tensor::from_inner(quantized) + through
    }
}
