//! Weights that stay packed in memory. A layer's weights are unpacked each time they are used and
//! forgotten afterwards.

use burn::module::{Module, Param, Reparameterization};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Codebook, Scheme, TensorScheme};
use crate::backend::codes::{unpack, words};

/// What a packed parameter holds in place of its values. The parameter itself is a single zero.
#[derive(Module, Debug)]
pub struct Packed {
    /// Packed codes, `[ceil(n * bits / 32)]`.
    codes: Param<Tensor<1, Int>>,
    /// As stored: `[1, centroids]`, or `[groups, 1]` scales or `[groups, 2]` scales and offsets.
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

/// `[groups, entries]` of a codebook as it is stored: centroids as they are, scale and offset as
/// offset -+ scale.
pub(super) fn table(codebook: Tensor<2>, scheme: TensorScheme) -> Tensor<2> {
    if scheme.scheme == Scheme::KMeans {
        return codebook;
    }
    let [groups, columns] = codebook.dims();
    let scale = codebook.clone().slice([0..groups, 0..1]);
    let offset = match columns {
        1 => scale.zeros_like(),
        _ => codebook.slice([0..groups, 1..2]),
    };
    Tensor::cat(vec![offset.clone() - scale.clone(), offset + scale], 1)
}

impl Reparameterization for Packed {
    const NAME: &'static str = "packed";

    fn apply<const D: usize>(&self, _nothing: Tensor<D>) -> Tensor<D> {
        let table = table(self.codebook.val(), self.scheme);
        let shape: [usize; D] =
            self.shape.as_slice().try_into().expect("a weight's shape has its rank");
        unpack(self.codes.val(), table, self.scheme.bits, shape)
    }
}
