//! Carries out a plan on a network in training: attaches quantizers to its parameters, begins
//! stages, moves codebooks.

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

/// A codebook, and the codes where they are frozen.
type Book = (Codebook, Option<Vec<u8>>);

/// New codebooks for layers whose quantizers are attached. Making them may fail and borrows the
/// network; [`Self::apply`] takes the network and cannot fail.
#[derive(Debug, Clone, Default)]
#[must_use = "the network keeps its old codebooks until these are applied"]
pub struct Books(HashMap<String, Book>);

impl Books {
    /// The module with these codebooks in place of its own. It must be the module that they were
    /// made for. Its other parameters are moved, not copied.
    pub fn apply<M: Module>(self, module: M) -> M {
        set_books(module, self.0)
    }
}

/// A plan, and the clock of its stages.
#[derive(Debug, Clone)]
pub struct Quantizer {
    plan: Plan,
    config: QuantizeConfig,
    clock: Arc<AtomicUsize>,
}

impl Quantizer {
    /// A quantizer at stage 0, attached to nothing yet.
    pub fn new(plan: Plan, config: QuantizeConfig) -> Self {
        Self { plan, config, clock: Arc::default() }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The choices by which the plan is carried out.
    pub fn config(&self) -> &QuantizeConfig {
        &self.config
    }

    /// The number of stages.
    pub fn stages(&self) -> usize {
        self.plan.values().map(|p| p.stage + 1).max().unwrap_or(1)
    }

    /// The stage (from 0) of an epoch (from 1) of so many. Stages have equally many epochs; where
    /// the division leaves a rest, some stages have one epoch more.
    pub fn stage(&self, epoch: usize, epochs: usize) -> usize {
        ((epoch - 1) * self.stages() / epochs).min(self.stages() - 1)
    }

    /// Goes to a stage: from now on its layers and those of earlier stages are quantized, in every
    /// clone of the network too.
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

    /// A tensor's codebook, and its codes where they are frozen.
    fn fit(&self, name: &str, planned: &Planned, weights: &[f32]) -> Result<Book> {
        let book =
            Codebook::fit(planned.scheme, weights, &planned.shape).map_err(|e| of(name, &e))?;
        let frozen = (self.config.update != Update::Lloyd).then(|| book.encode(weights));
        Ok((book, frozen))
    }

    /// New codebooks for the layers of a stage that begins, fitted to the weights as they are by
    /// now.
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

    /// New codebooks after weights have moved, for the layers that are quantized by now.
    ///
    /// # Errors
    /// Names the tensor whose weights are not finite, or that has no quantizer.
    pub fn refresh<M: Module>(&self, module: &M) -> Result<Books> {
        // The optimizer moves codebooks that are trained.
        if self.config.update == Update::FrozenGradient {
            return Ok(Books::default());
        }
        let stage = self.clock.load(Ordering::Relaxed);
        let all: HashMap<String, TensorData> = collect_named(module).into_iter().collect();
        let renew = |(name, _): (&String, &Planned)| {
            let (weights, book) = (numbers(&all[name]), self.book(&all, name)?);
            let book = match self.config.update {
                Update::Lloyd => book.follow(&weights, self.config.lloyd_steps),
                Update::FrozenMean | Update::FrozenGradient => {
                    self.codes(&all, name, &book).and_then(|codes| book.means(&weights, &codes))
                }
            };
            Ok((name.clone(), (book.map_err(|e| of(name, &e))?, None)))
        };
        let chosen =
            self.plan.iter().filter(|(_, planned)| planned.stage <= stage).collect::<Vec<_>>();
        Ok(Books(chosen.into_par_iter().map(renew).collect::<Result<_>>()?))
    }

    /// Codebook and codes of each tensor, as the network uses them.
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

    /// The codes of a tensor's weights: those of the nearest values, or the frozen ones.
    fn codes(
        &self,
        all: &HashMap<String, TensorData>,
        name: &str,
        book: &Codebook,
    ) -> Result<Vec<u8>> {
        if let Some(codes) = all.get(&format!("{name}.{NAME}.codes")) {
            return Ok(codes.iter::<f32>().map(|c| c as u8).collect());
        }
        // An infinite weight has a nearest value too, and would be stored as that.
        let weights = numbers(&all[name]);
        finite(&weights)?;
        Ok(book.encode(&weights))
    }

    /// The codebook that a module's quantizer holds.
    fn book(&self, all: &HashMap<String, TensorData>, name: &str) -> Result<Codebook> {
        let planned = &self.plan[name];
        let data = all.get(&format!("{name}.{NAME}.codebook"));
        let values =
            numbers(data.ok_or_else(|| Error::Invalid(format!("`{name}` has no quantizer")))?);
        let values = match self.config.update {
            // The module holds a padded codebook.
            Update::Lloyd => planned.scheme.scheme.search().trimmed(values),
            // Frozen codes may name any entry, also one of several that are equal.
            Update::FrozenMean | Update::FrozenGradient => values,
        };
        Codebook::stored(planned.scheme, values, &planned.shape).map_err(|e| of(name, &e))
    }

    fn weights<M: Module>(&self, module: &M) -> HashMap<String, Vec<f32>> {
        let all = collect_named(module).into_iter();
        all.filter(|(name, _)| self.plan.contains_key(name))
            .map(|(name, data)| (name, numbers(&data)))
            .collect()
    }
}

/// What a quantizer is called among a parameter's parts.
const NAME: &str = <FakeQuant as burn::module::Reparameterization>::NAME;

/// An error with the name of its tensor.
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
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.exit();
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
mod tests;
