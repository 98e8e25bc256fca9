//! Quantized models: their files hold packed codes and codebooks in place of weights, and scale and
//! shift in place of BatchNorm's four tensors.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param, ParamId, Reparameterization, Reparameterizer};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use safetensors::tensor::Dtype;

use super::packing::{Checked, Raw, checked, codebook_name, codes_name, statistic};
use super::wanted::take;
use super::{Header, Model, NamedTensors, PackedTensor};
use crate::backend::codes::{bytes, pack, packed_len};
use crate::error::{Error, Result};
use crate::nn::{
    Epsilon, Place, assign_named, collect_named, ids_named, names_and_shapes, scale_and_shift,
};
use crate::quant::{FakeQuant, Packed, Quantizer};
use crate::zoo::Network;

impl Model {
    /// The packed model of a network to which a quantizer is attached: latent weights become codes,
    /// and BatchNorm's statistics a part of its weight and bias. The header's ranges of activations
    /// are left out.
    ///
    /// # Errors
    /// A network without the quantizer's codebooks; weights that are not finite.
    pub fn packed(
        header: &Header,
        network: &Network,
        quantizer: &Quantizer,
        device: &Device,
    ) -> Result<Self> {
        let all: BTreeMap<String, TensorData> = collect_named(network).into_iter().collect();
        // A packed model has no head whose rows could be named, and the ranges of activations are
        // those of other weights.
        let mut header = Header {
            quantization: BTreeMap::new(),
            speakers: Vec::new(),
            activations: None,
            ..header.clone()
        };
        let mut tensors = Vec::new();
        for (name, book, codes) in quantizer.encoded(network)? {
            let shape = quantizer.plan()[&name].shape.clone();
            let packed = pack(&codes, book.scheme().bits);
            let count = packed.len();
            tensors.push((codes_name(&name), TensorData::new(packed, [count])));
            let values = book.values().to_vec();
            let stored = book.scheme().codebook_shape(&shape, values.len());
            tensors.push((codebook_name(&name), TensorData::new(values, stored)));
            header.quantization.insert(
                name.clone(),
                PackedTensor { scheme: book.scheme(), codebook: codebook_name(&name), shape },
            );
        }
        let is_there = |name: &str| all.contains_key(name);
        let graph = header.arch.layout()?;
        let epsilons = graph.epsilons();
        let quantizers = format!(".{}.", FakeQuant::NAME);
        for (name, data) in &all {
            let is_elsewhere = header.quantization.contains_key(name)
                || name.contains(&quantizers)
                || statistic(name, &is_there).is_some();
            if !is_elsewhere {
                tensors.push((name.clone(), folded(&all, &epsilons, name, data)));
            }
        }
        let network = build(Path::new("packed model"), &header, NamedTensors(tensors), device)?;
        Ok(Self { header, network })
    }
}

/// A tensor in the packed form: a BatchNorm layer's weight becomes its scale, its bias its shift;
/// others stay.
fn folded(
    all: &BTreeMap<String, TensorData>,
    epsilons: &HashMap<&str, Epsilon>,
    name: &str,
    data: &TensorData,
) -> TensorData {
    let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
    let part = |part: &str| all.get(&format!("{layer}.{part}"));
    let [Some(weight), Some(bias), Some(mean), Some(variance)] =
        ["weight", "bias", "running_mean", "running_var"].map(part)
    else {
        return data.clone();
    };
    let [weight, bias, mean, variance] =
        [weight, bias, mean, variance].map(|data| data.iter::<f32>().collect::<Vec<_>>());
    let (scale, shift) = scale_and_shift(&weight, &bias, &mean, &variance, epsilons[layer]);
    let count = scale.len();
    TensorData::new(if name.ends_with(".weight") { scale } else { shift }, [count])
}

/// The tensors of a packed network, as its file holds them.
pub(super) fn collect(network: &Network, header: &Header) -> NamedTensors {
    struct Codes(Place, HashMap<String, Tensor<1, Int>>);
    impl ModuleVisitor for Codes {
        fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
            self.1.insert(self.0.name(), param.val().reshape([-1]));
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.exit();
        }
    }
    let mut found = Codes(Place::default(), HashMap::new());
    network.visit(&mut found);
    let mut tensors = Vec::new();
    let all: BTreeMap<String, TensorData> = collect_named(network).into_iter().collect();
    for (name, data) in &all {
        if let Some(packed) = header.quantization.get(name) {
            let count = packed_len(packed.shape.iter().product(), packed.scheme.bits);
            let words = found
                .1
                .remove(&format!("{name}.{}.codes", Packed::NAME))
                .expect("a packed tensor has codes");
            tensors.push((codes_name(name), TensorData::new(bytes(words, count), [count])));
        } else if let Some(name) = name.strip_suffix(&format!(".{}.codebook", Packed::NAME)) {
            let values: Vec<f32> = data.iter::<f32>().collect();
            let packed = &header.quantization[name];
            let shape = packed.scheme.codebook_shape(&packed.shape, values.len());
            tensors.push((codebook_name(name), TensorData::new(values, shape)));
        } else if statistic(name, &|name| all.contains_key(name)).is_none() {
            tensors.push((name.clone(), data.clone()));
        }
    }
    NamedTensors(tensors)
}

/// The network of a packed model. Every tensor is checked before it is used.
///
/// # Errors
/// Missing, superfluous and misshapen tensors; codes and codebooks that do not fit each other.
pub(super) fn build(
    path: &Path,
    header: &Header,
    tensors: NamedTensors,
    device: &Device,
) -> Result<Network> {
    let mut found: HashMap<String, TensorData> = tensors.0.into_iter().collect();
    let network = header.arch.init(device, 0)?;
    let all = names_and_shapes(&network);
    let shapes: HashMap<&str, &Vec<usize>> =
        all.iter().map(|(name, shape)| (name.as_str(), shape)).collect();
    let mut packed = HashMap::new();
    for (name, tensor) in &header.quantization {
        let Some(shape) = shapes.get(name.as_str()) else {
            return Err(Error::file(
                path,
                format!("packed tensor `{name}` has no place in {}", header.arch.name),
            ));
        };
        if **shape != tensor.shape {
            let (wanted_by, found) = (header.arch.name.clone(), tensor.shape.clone());
            let (tensor, expected) = (name.clone(), (*shape).clone());
            return Err(Error::Shape { path: path.into(), tensor, wanted_by, expected, found });
        }
        packed.insert(name.clone(), read(path, name, tensor, &mut found, device)?);
    }
    let is_there = |name: &str| shapes.contains_key(name);
    let graph = header.arch.layout()?;
    let epsilons = graph.epsilons();
    let mut wanted = Vec::new();
    let mut values = HashMap::new();
    for (name, shape) in &all {
        match statistic(name, &is_there) {
            // Statistics that change nothing: mean 0, and the variance whose divisor is 1.
            Some(layer) => {
                let is_mean = name.ends_with("mean");
                let value = if is_mean { 0.0 } else { epsilons[layer].identity_variance() };
                let count = shape.iter().product();
                values.insert(name.clone(), TensorData::new(vec![value; count], shape.clone()));
            }
            None if packed.contains_key(name) => {}
            None => wanted.push((name.clone(), shape.clone())),
        }
    }
    values.extend(take(path, &wanted, &header.arch.name, &mut found)?);
    let attach = Attach { names: ids_named(&network), packed };
    Ok(assign_named(network.apply_reparameterization(attach), values))
}

/// Codes and codebook of one tensor, taken out of `found`.
fn read(
    path: &Path,
    name: &str,
    tensor: &PackedTensor,
    found: &mut HashMap<String, TensorData>,
    device: &Device,
) -> Result<Packed> {
    let taken = [codes_name(name), tensor.codebook.clone()].map(|name| found.remove(&name));
    let [data, book] = taken.each_ref().map(|data| data.as_ref().map(raw));
    let Checked { codes, book } = checked(path, name, tensor, data, book)?;
    Ok(Packed::new(codes, &book, tensor.shape.clone(), device))
}

/// A tensor of a file, which holds f32 and bytes.
fn raw(data: &TensorData) -> Raw<'_> {
    let dtype = if data.dtype() == DType::U8 { Dtype::U8 } else { Dtype::F32 };
    Raw { dtype, shape: data.shape().to_vec(), bytes: data.as_bytes() }
}

struct Attach {
    names: HashMap<ParamId, String>,
    packed: HashMap<String, Packed>,
}

impl Reparameterizer for Attach {
    type Reparam = Packed;

    fn reparameterize<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Packed>) {
        let Some(packed) = self.names.get(&param.id).and_then(|name| self.packed.remove(name))
        else {
            return (param, None);
        };
        // The parameter was never initialised, so its values have not taken memory.
        let nothing = Tensor::zeros([1; D], &param.lazy_device());
        (Param::initialized(param.id, nothing), Some(packed))
    }
}
