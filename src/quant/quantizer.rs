//! A plan carried out on a network in training: quantizers attached to its parameters, stages
//! begun, codebooks moved.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::{Module, ModuleMapper, Param, ParamId, Reparameterizer};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::codebook::finite;
use super::config::Update;
use super::fake_quant::{Extras, FakeQuant, Gate};
use super::{Codebook, Plan, Planned, QuantizeConfig};
use crate::error::{Error, Result};
use crate::nn::{Place, collect_named, ids_named};

/// A codebook, and codes that do not change any more.
type Book = (Codebook, Option<Vec<u8>>);

/// New codebooks of layers whose quantizers are attached. Whatever can fail has been done before
/// there are any, so that a network in training need not be given away for it.
#[derive(Debug, Clone, Default)]
#[must_use = "the network is as it was until they are applied"]
pub struct Books(HashMap<String, Book>);

impl Books {
    /// The module they were made of, with them in place of its codebooks. Its other parameters are
    /// moved, not copied.
    pub fn apply<M: Module>(self, module: M) -> M {
        set_books(module, self.0)
    }
}

/// A plan with its clock.
#[derive(Debug, Clone)]
pub struct Quantizer {
    plan: Plan,
    config: QuantizeConfig,
    clock: Arc<AtomicUsize>,
}

impl Quantizer {
    /// Nothing is quantized by it yet.
    pub fn new(plan: Plan, config: QuantizeConfig) -> Self {
        Self { plan, config, clock: Arc::default() }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How it is carried out.
    pub fn config(&self) -> &QuantizeConfig {
        &self.config
    }

    /// The number of stages.
    pub fn stages(&self) -> usize {
        self.plan.values().map(|p| p.stage + 1).max().unwrap_or(1)
    }

    /// The stage (from 0) that an epoch (from 1) of so many belongs to: equal parts, the first ones
    /// longer where they cannot be.
    pub fn stage(&self, epoch: usize, epochs: usize) -> usize {
        ((epoch - 1) * self.stages() / epochs).min(self.stages() - 1)
    }

    /// Goes to a stage: its layers and those of the stages before it are quantized from now on,
    /// wherever this network has been cloned to.
    pub fn set_stage(&self, stage: usize) {
        self.clock.store(stage, Ordering::Relaxed);
    }

    /// Attaches quantizers, with codebooks of the weights as they are.
    ///
    /// # Errors
    /// Names the tensor that cannot be quantized.
    pub fn attach<M: Module>(&self, module: M) -> Result<M> {
        let weights = self.weights(&module);
        let fit = |(name, planned): (&String, &Planned)| {
            Ok((name.clone(), self.fit(name, planned, &weights[name])?))
        };
        let books = self.plan.par_iter().map(fit).collect::<Result<_>>()?;
        let attach = Attach { quantizer: self, names: ids_named(&module), books };
        Ok(module.apply_reparameterization(attach))
    }

    /// A tensor's codebook, and the codes that do not change any more.
    fn fit(&self, name: &str, planned: &Planned, weights: &[f32]) -> Result<Book> {
        let book =
            Codebook::fit(planned.scheme, weights, &planned.shape).map_err(|e| of(name, &e))?;
        let frozen = (self.config.update != Update::Lloyd).then(|| book.encode(weights));
        Ok((book, frozen))
    }

    /// Codebooks, and codes that do not change any more, anew for the layers of a stage that
    /// begins.
    ///
    /// # Errors
    /// Names the tensor that cannot be quantized.
    pub fn begin<M: Module>(&self, module: &M, stage: usize) -> Result<Books> {
        let all = self.weights(module);
        let chosen =
            self.plan.iter().filter(|(_, planned)| planned.stage == stage).collect::<Vec<_>>();
        let fit = |(name, planned): (&String, &Planned)| {
            Ok((name.clone(), self.fit(name, planned, &all[name])?))
        };
        Ok(Books(chosen.into_par_iter().map(fit).collect::<Result<_>>()?))
    }

    /// Whether codebooks move after an iteration (from 0).
    pub fn is_due(&self, iteration: usize) -> bool {
        (iteration + 1).is_multiple_of(self.config.refresh_every)
    }

    /// Codebooks after weights have moved, for the layers that are quantized by now.
    ///
    /// # Errors
    /// Names the tensor whose weights are not finite, or that has no quantizer.
    pub fn refresh<M: Module>(&self, module: &M) -> Result<Books> {
        if self.config.update == Update::FrozenGradient {
            return Ok(Books::default());
        }
        let stage = self.clock.load(Ordering::Relaxed);
        let all: HashMap<String, TensorData> = collect_named(module).into_iter().collect();
        let renew = |(name, _): (&String, &Planned)| {
            let (weights, book) = (numbers(&all[name]), self.book(&all, name)?);
            let book = match self.config.update {
                Update::Lloyd => book.follow(&weights, self.config.lloyd_steps),
                _ => self.codes(&all, name, &book).and_then(|codes| book.means(&weights, &codes)),
            };
            Ok((name.clone(), (book.map_err(|e| of(name, &e))?, None)))
        };
        let chosen =
            self.plan.iter().filter(|(_, planned)| planned.stage <= stage).collect::<Vec<_>>();
        Ok(Books(chosen.into_par_iter().map(renew).collect::<Result<_>>()?))
    }

    /// Codebook and codes of each tensor, as they are in use.
    ///
    /// # Errors
    /// A module without the plan's quantizers; weights that are not finite.
    pub fn encoded<M: Module>(&self, module: &M) -> Result<Vec<(String, Codebook, Vec<u8>)>> {
        let all: HashMap<String, TensorData> = collect_named(module).into_iter().collect();
        let encode = |name: &String| {
            let book = self.book(&all, name)?;
            let codes = self.codes(&all, name, &book).map_err(|e| of(name, &e))?;
            Ok((name.clone(), book, codes))
        };
        self.plan.par_iter().map(|(name, _)| encode(name)).collect()
    }

    /// The codes of a tensor's weights under a codebook: nearest values, or those that do not
    /// change any more.
    fn codes(
        &self,
        all: &HashMap<String, TensorData>,
        name: &str,
        book: &Codebook,
    ) -> Result<Vec<u8>> {
        if let Some(codes) = all.get(&format!("{name}.{}.codes", NAME)) {
            return Ok(codes.iter::<f32>().map(|c| c as u8).collect());
        }
        // An infinite weight has a nearest value too, and would pass for it.
        let weights = numbers(&all[name]);
        finite(&weights)?;
        Ok(book.encode(&weights))
    }

    /// The codebook that a module's quantizer holds.
    fn book(&self, all: &HashMap<String, TensorData>, name: &str) -> Result<Codebook> {
        let planned = &self.plan[name];
        let data = all.get(&format!("{name}.{NAME}.codebook"));
        let mut values =
            numbers(data.ok_or_else(|| Error::Invalid(format!("`{name}` has no quantizer")))?);
        if !planned.scheme.scheme.is_binary() && self.config.update == Update::Lloyd {
            // The last centroid stands again in the places of those that there are not: of a layer
            // of one value, one is left.
            values.dedup();
        }
        Codebook::stored(planned.scheme, values, &planned.shape).map_err(|e| of(name, &e))
    }

    fn weights<M: Module>(&self, module: &M) -> HashMap<String, Vec<f32>> {
        let all = collect_named(module).into_iter();
        all.filter(|(name, _)| self.plan.contains_key(name))
            .map(|(name, data)| (name, numbers(&data)))
            .collect()
    }
}

const NAME: &str = <FakeQuant as burn::module::Reparameterization>::NAME;

fn of(name: &str, error: &Error) -> Error {
    Error::Invalid(format!("tensor `{name}`: {error}"))
}

fn numbers(data: &TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}

struct Attach<'a> {
    quantizer: &'a Quantizer,
    names: HashMap<ParamId, String>,
    books: HashMap<String, Book>,
}

impl Reparameterizer for Attach<'_> {
    type Reparam = FakeQuant;

    fn reparameterize<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<FakeQuant>) {
        let found =
            self.names.get(&param.id).and_then(|name| Some((name, self.books.remove(name)?)));
        let Some((name, (book, codes))) = found else { return (param, None) };
        let Quantizer { plan, config, clock } = self.quantizer;
        let extras =
            Extras { codes, learned: config.update == Update::FrozenGradient, clip: config.clip };
        let gate = Gate { stage: plan[name].stage, clock: clock.clone() };
        let quantizer = FakeQuant::new(name, &book, extras, gate, &param.lazy_device());
        (param, Some(quantizer))
    }
}

/// Replaces codebooks and bounds, and codes where there are some.
fn set_books<M: Module>(module: M, books: HashMap<String, Book>) -> M {
    struct Set(Place, HashMap<String, Vec<f32>>);
    impl ModuleMapper for Set {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(values) = self.1.remove(&self.0.name()) else { return param };
            let gradient = param.is_require_grad();
            param.map(|old| {
                let data = TensorData::new(values, old.dims());
                Tensor::from_data(data, &old.device()).set_require_grad(gradient)
            })
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.0.exit(container);
        }
    }
    let parts = |(name, (book, codes)): (String, Book)| {
        let at = |part: &str| format!("{name}.{NAME}.{part}");
        let codes = codes.map(|codes| (at("codes"), codes.into_iter().map(f32::from).collect()));
        [Some((at("codebook"), book.padded())), Some((at("bounds"), book.bounds())), codes]
            .into_iter()
            .flatten()
    };
    module.map(&mut Set(Place::default(), books.into_iter().flat_map(parts).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, Linear, assign_named};
    use crate::quant::TensorScheme;
    use burn::tensor::Device;

    /// Two bits for a layer's weight, from stage 1 on.
    fn quantizer(update: Update) -> Quantizer {
        let planned = Planned { shape: vec![3, 5], scheme: TensorScheme::kmeans(2), stage: 1 };
        let plan = Plan::from([("weight".to_owned(), planned)]);
        Quantizer::new(plan, QuantizeConfig { update, ..QuantizeConfig::default() })
    }

    fn layer() -> Linear {
        Linear::new(Init::new(&Device::default(), 3), 5, 3)
    }

    fn with(layer: Linear, weights: Vec<f32>) -> Linear {
        assign_named(
            layer,
            HashMap::from([("weight".to_owned(), TensorData::new(weights, [3, 5]))]),
        )
    }

    #[test]
    fn what_fails_names_the_tensor_and_leaves_the_module_as_it_was() {
        for update in [Update::Lloyd, Update::FrozenMean] {
            let quantizer = quantizer(update);
            let attached = quantizer.attach(layer()).unwrap();
            quantizer.set_stage(1);
            let mut weights: Vec<f32> = (0..15u8).map(f32::from).collect();
            weights[3] = f32::INFINITY;
            let layer = with(attached, weights);
            let before = collect_named(&layer);
            for failed in [quantizer.begin(&layer, 1), quantizer.refresh(&layer)] {
                assert_eq!(
                    failed.unwrap_err().to_string(),
                    "tensor `weight`: weight 3 is inf",
                    "{update:?}"
                );
            }
            assert_eq!(collect_named(&layer), before);
        }
        let quantizer = quantizer(Update::Lloyd);
        let error = quantizer.attach(with(layer(), vec![f32::NAN; 15])).unwrap_err().to_string();
        assert_eq!(error, "tensor `weight`: weight 0 is NaN");
    }

    /// A layer of one value has a codebook of one, until it comes to life.
    #[test]
    fn a_layer_of_one_value_begins_its_stage() {
        let values = |layer: &Linear| layer.weight.val().into_data().try_to_vec::<f32>().unwrap();
        let quantizer = quantizer(Update::Lloyd);
        let layer = with(quantizer.attach(layer()).unwrap(), vec![0.5; 15]);
        let layer = quantizer.begin(&layer, 1).unwrap().apply(layer);
        quantizer.set_stage(1);
        assert_eq!(values(&layer), [0.5; 15]);
        let (_, book, codes) = quantizer.encoded(&layer).unwrap().remove(0);
        assert_eq!((book.values(), codes), (&[0.5][..], vec![0; 15]));
        let weights: Vec<f32> = (0..15u8).map(|i| f32::from(i % 4)).collect();
        let layer = with(layer, weights.clone());
        let layer = quantizer.refresh(&layer).unwrap().apply(layer);
        assert_eq!(values(&layer), weights);
    }
}
