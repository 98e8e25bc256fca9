//! Weights that stay packed in memory. A layer's weights are unpacked each time they are used, and
//! dropped afterwards.

use burn::module::{Module, Param, Reparameterization};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Codebook, TensorScheme};
use crate::backend::codes::{unpack, words};

/// What a packed parameter holds in place of its values. The parameter itself is a single zero.
#[derive(Module, Debug)]
pub struct Packed {
    /// Packed codes, `[ceil(n * bits / 32)]`.
    codes: Param<Tensor<1, Int>>,
    /// The codebook's numbers, `[groups, columns]`: centroids, scales, or scales and offsets.
    codebook: Param<Tensor<2>>,
    #[module(skip)]
    shape: Vec<usize>,
    #[module(skip)]
    scheme: TensorScheme,
}

impl Packed {
    /// Packed codes and their codebook, which must have an entry for each of them.
    pub fn new(codes: &[u8], book: &Codebook, shape: Vec<usize>, device: &Device) -> Self {
        let values = book.values().to_vec();
        let columns = values.len() / book.groups();
        let codebook = Tensor::from_data(TensorData::new(values, [book.groups(), columns]), device);
        let id = burn::module::ParamId::new;
        Self {
            codes: Param::initialized(id(), words(codes, device)),
            codebook: Param::initialized(id(), codebook),
            shape,
            scheme: book.scheme(),
        }
    }
}

impl Reparameterization for Packed {
    const NAME: &'static str = "packed";

    fn apply<const D: usize>(&self, _nothing: Tensor<D>) -> Tensor<D> {
        let table = self.scheme.scheme.tensor_table(self.codebook.val());
        let shape: [usize; D] =
            self.shape.as_slice().try_into().expect("a weight's shape has its rank");
        unpack(self.codes.val(), table, self.scheme.bits, shape)
    }
}
