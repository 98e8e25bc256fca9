//! Records of optimizers' states, looked at before Burn loads them. Burn panics on what it does not
//! expect, or leaves it out, or lets it pass until the first step panics.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use burn::module::{Module, ParamId};
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::{Bytes, DType};
use burn_pack::{Reader, Scalar, Writer};

use super::States;
use super::eight_bit::{EightBit, Rule};
use super::state::{FORMAT, Kind, key};
use crate::backend::optim8::PER_WORD;
use crate::backend::quietly;
use crate::error::{Error, Result};
use crate::nn::{ids_named, names_and_shapes};

/// Steps that a state can count: Burn's Adam raises to powers of 32 bits.
const STEPS: u64 = i32::MAX as u64;
/// The largest rank of a tensor.
const RANK: u64 = 8;

/// What a record says of the state of each parameter, without the values.
#[derive(Debug)]
pub struct Record(BTreeMap<u64, State>);

/// Scalars and tensors of one parameter by their names.
#[derive(Debug, Default)]
struct State {
    scalars: BTreeMap<String, Scalar>,
    tensors: BTreeMap<String, (DType, Vec<usize>)>,
}

fn bad(what: impl Display) -> Error {
    Error::Invalid(format!("the optimizer's record: {what}"))
}

/// The parameter and the part that `ID.PART` names.
fn split(name: &str) -> Result<(u64, &str)> {
    let parts =
        name.split_once('.').and_then(|(id, part)| Some((id.parse::<u64>().ok()?, id, part)));
    match parts {
        Some((number, id, part)) if number.to_string() == id => Ok((number, part)),
        _ => Err(bad(format!("`{name}` is of no parameter"))),
    }
}

impl State {
    fn number(&self, name: &str) -> Option<u64> {
        self.scalars.get(name).and_then(|s| u64::try_from(*s).ok())
    }

    /// Whether it has these numbers and no other scalars.
    fn has_numbers(&self, names: &[&str]) -> bool {
        self.scalars.len() == names.len() && names.iter().all(|n| self.number(n).is_some())
    }
}

impl Record {
    /// Reads what a record says.
    ///
    /// # Errors
    /// Bytes that are no record; parts that belong to no parameter.
    pub fn read(bytes: &Bytes) -> Result<Self> {
        let reader = Reader::from_bytes(bytes.clone()).map_err(bad)?;
        let mut states: BTreeMap<u64, State> = BTreeMap::new();
        for (name, &scalar) in reader.scalars() {
            let (id, part) = split(name)?;
            states.entry(id).or_default().scalars.insert(part.to_owned(), scalar);
        }
        for tensor in reader.into_tensors().map_err(bad)? {
            let (id, part) = split(&tensor.name)?;
            if tensor.param_id != Some(id) {
                return Err(bad(format!("tensor `{}` is of another parameter", tensor.name)));
            }
            let found = (tensor.dtype, tensor.shape.to_vec());
            states.entry(id).or_default().tensors.insert(part.to_owned(), found);
        }
        match states.iter().find(|(_, s)| s.number(key::RANK).is_none_or(|rank| rank > RANK)) {
            Some((id, _)) => Err(bad(format!("parameter {id} has no rank from 0 to {RANK}"))),
            None => Ok(Self(states)),
        }
    }

    /// Refuses states of parameters that a module does not have, or has in another shape.
    ///
    /// # Errors
    /// Names the parameter.
    pub fn check_module<M: Module>(&self, module: &M) -> Result<()> {
        let names = ids_named(module);
        let shapes: HashMap<String, Vec<usize>> = names_and_shapes(module).into_iter().collect();
        for (&id, state) in &self.0 {
            let name = names
                .get(&ParamId::from(id))
                .ok_or_else(|| bad(format!("there is no parameter {id}")))?;
            let shape = &shapes[name];
            let count: usize = shape.iter().product();
            let fits = match state.number(key::COUNT) {
                Some(found) => found == count as u64,
                None => state.tensors.values().all(|(_, found)| found == shape),
            };
            if !fits || state.number(key::RANK) != Some(shape.len() as u64) {
                return Err(bad(format!("its state of `{name}` is not one of shape {shape:?}")));
            }
        }
        Ok(())
    }

    /// Refuses states that are not those of one of Burn's optimizers: numbers of steps and f32
    /// tensors of these names.
    ///
    /// # Errors
    /// Names the parameter and the optimizer.
    pub fn check_parts(&self, optimizer: &str, steps: &[&str], tensors: &[&str]) -> Result<()> {
        let scalars: Vec<&str> = std::iter::once(key::RANK).chain(steps.iter().copied()).collect();
        for (id, state) in &self.0 {
            let rank = state.number(key::RANK);
            let tensor = |name: &&str| {
                let found = state.tensors.get(*name);
                found.is_some_and(|(dtype, shape)| {
                    *dtype == DType::F32 && Some(shape.len() as u64) == rank
                })
            };
            let whole = state.has_numbers(&scalars)
                && steps.iter().all(|s| state.number(s).is_some_and(|n| n <= STEPS))
                && state.tensors.len() == tensors.len()
                && tensors.iter().all(tensor);
            if !whole {
                return Err(bad(format!(
                    "the state of parameter {id} is of another optimizer than {optimizer}, or damaged"
                )));
            }
        }
        Ok(())
    }

    /// Refuses states of another optimizer, block size or format, with what met what, and such as
    /// are not whole.
    fn check_eight_bit(&self, kind: Kind, states: &States) -> Result<()> {
        let wanted = (kind as u64, states.block_size as u64);
        for (id, state) in &self.0 {
            let number = |name: &str| state.number(name).unwrap_or(0);
            let format = state.number(key::FORMAT);
            let format =
                format.ok_or_else(|| bad("is of another optimizer, which has no 8-bit states"))?;
            if format != FORMAT {
                return Err(bad(format!("has format {format}; this version reads {FORMAT}")));
            }
            let found = (number(key::OPTIMIZER), number(key::BLOCK));
            if found != wanted {
                let name = |(optimizer, block)| {
                    format!("{} with blocks of {block}", Kind::name(optimizer))
                };
                return Err(bad(format!("is of {}, this is {}", name(found), name(wanted))));
            }
            let count = number(key::COUNT);
            let small = state.tensors.contains_key("0.values");
            if small != (count < states.min_size as u64) {
                let (bits, least) = (if small { 32 } else { 8 }, states.min_size);
                return Err(bad(format!(
                    "has {bits} bits for a tensor of {count} values; here min_size is {least}"
                )));
            }
            let tensors = tensors(kind, small, count, states.block_size as u64);
            let has = |(name, dtype, length): &(String, DType, u64)| {
                let found = state.tensors.get(name);
                found.is_some_and(|(d, shape)| d == dtype && shape.as_slice() == [*length as usize])
            };
            let scalars =
                [key::RANK, key::FORMAT, key::OPTIMIZER, key::BLOCK, key::COUNT, key::STEPS];
            let whole = state.has_numbers(&scalars)
                && number(key::STEPS) <= STEPS
                && state.tensors.len() == tensors.len()
                && tensors.iter().all(has);
            if !whole {
                return Err(bad(format!("the state of parameter {id} is damaged")));
            }
        }
        Ok(())
    }
}

/// Name, type and length of each tensor of a parameter of `count` values.
fn tensors(kind: Kind, small: bool, count: u64, block: u64) -> Vec<(String, DType, u64)> {
    let moment = |i| match small {
        true => vec![(format!("{i}.values"), DType::F32, count)],
        false => vec![
            (format!("{i}.codes"), DType::U32, count.div_ceil(PER_WORD as u64)),
            (format!("{i}.absmax"), DType::F32, count.div_ceil(block)),
        ],
    };
    (0..kind.moments()).flat_map(moment).collect()
}

/// Loads a record into `optimizer`, which does for all parameters of a module. A record of another
/// optimizer, block size or format is an error that says what met what.
pub fn restore<R: Rule>(optimizer: EightBit<R>, record: Bytes) -> Result<ModuleOptimizer> {
    let record = record.shared();
    Record::read(&record)?.check_eight_bit(R::KIND, optimizer.rule.states())?;
    load_record(optimizer.into(), record)
}

/// The same record with its tensors by name. Burn writes them in the order of a hash table, so that
/// equal states have other bytes in every process.
///
/// # Errors
/// Bytes that are no record.
pub fn in_order(record: Bytes) -> Result<Bytes> {
    let reader = Reader::from_bytes(record.shared()).map_err(bad)?;
    let (scalars, metadata) = (reader.scalars().clone(), reader.metadata().clone());
    let mut tensors = reader.into_tensors().map_err(bad)?;
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let mut writer = Writer::new(tensors);
    for (name, value) in &scalars {
        writer = writer.with_scalar(name, *value);
    }
    for (name, value) in &metadata {
        writer = writer.with_metadata(name, value);
    }
    writer.into_bytes().map_err(bad)
}

/// Burn's loading of a record that has been looked at. What it panics on all the same is an error.
pub(crate) fn load_record(optimizer: ModuleOptimizer, record: Bytes) -> Result<ModuleOptimizer> {
    quietly(|| optimizer.from_bytes(record)).map_err(bad)?.map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::{Adam8bitConfig, Sgd8bitConfig};
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    fn states() -> States {
        States { min_size: 64, ..States::default() }
    }

    fn step(optimizer: &mut ModuleOptimizer, module: Linear) -> Linear {
        let mut gradients = GradientsParams::new();
        gradients.register(module.weight.id, Tensor::<2>::ones([20, 10], &Device::default()));
        optimizer.step(0.1, module, gradients)
    }

    /// Flips every bit and makes every cut: an error, or a record that the next step uses.
    #[test]
    fn damage_is_an_error_or_harmless() {
        let sgd = || Sgd8bitConfig { states: states(), ..Default::default() }.init().unwrap();
        let adam = || Adam8bitConfig { states: states(), ..Default::default() }.init().unwrap();
        type Load<'a> = &'a dyn Fn(Bytes) -> Result<ModuleOptimizer>;
        let loads: [(ModuleOptimizer, Load); 2] = [
            (sgd().into(), &|record| restore(sgd(), record)),
            (adam().into(), &|record| restore(adam(), record)),
        ];
        for (mut optimizer, load) in loads {
            let module = LinearConfig::new(20, 10).init(&Device::default()).train();
            let module = step(&mut optimizer, module);
            let good = optimizer.into_bytes().unwrap().to_vec();
            let mut refused = 0;
            for i in 0..good.len() {
                let mut damaged = good.clone();
                damaged[i] ^= 1 << (i % 8);
                let record = Bytes::from_bytes_vec(damaged);
                match load(record.clone()) {
                    Err(error) => {
                        assert!(
                            error.to_string().contains("the optimizer's record"),
                            "byte {i}: {error}"
                        );
                        refused += 1;
                    }
                    Ok(mut loaded) => {
                        if Record::read(&record).unwrap().check_module(&module).is_ok() {
                            step(&mut loaded, module.clone());
                        }
                    }
                }
            }
            assert!(refused > 100, "{refused} of {} bytes", good.len());
            for cut in (0..good.len()).step_by(13) {
                assert!(load(Bytes::from_bytes_vec(good[..cut].to_vec())).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_record_in_order_is_the_same_record() {
        let module = LinearConfig::new(20, 10).init(&Device::default()).train();
        let config = || Adam8bitConfig { states: states(), ..Default::default() };
        let mut optimizer = ModuleOptimizer::from(config().init().unwrap());
        step(&mut optimizer, module);
        let record = optimizer.into_bytes().unwrap();
        let sorted = in_order(record.clone()).unwrap();
        let names = |bytes: &Bytes| {
            let tensors = Reader::from_bytes(bytes.clone()).unwrap().into_tensors().unwrap();
            tensors
                .into_iter()
                .map(|t| (t.name.clone(), t.to_bytes().unwrap().to_vec()))
                .collect::<Vec<_>>()
        };
        let (mut before, after) = (names(&record), names(&sorted));
        before.sort();
        assert!(before.len() > 1 && before == after);
        // Loaded and written again, in whatever order Burn has it, it is what it was.
        let again = restore(config().init().unwrap(), sorted.clone()).unwrap();
        assert!(in_order(again.into_bytes().unwrap()).unwrap()[..] == sorted[..]);
        assert!(in_order(Bytes::from_bytes_vec(vec![1, 2, 3])).is_err());
    }

    #[test]
    fn states_of_another_module_are_refused() {
        let mut optimizer = ModuleOptimizer::from(Sgd8bitConfig::default().init().unwrap());
        let device = Device::default();
        let module = step(&mut optimizer, LinearConfig::new(20, 10).init(&device).train());
        let record = Record::read(&optimizer.into_bytes().unwrap()).unwrap();
        record.check_module(&module).unwrap();
        let error =
            record.check_module(&LinearConfig::new(20, 10).init(&device)).unwrap_err().to_string();
        assert!(error.contains("there is no parameter"), "{error}");
        let mut other = LinearConfig::new(10, 10).init(&device);
        other.weight = burn::module::Param::initialized(module.weight.id, other.weight.val());
        let error = record.check_module(&other).unwrap_err().to_string();
        assert!(error.contains("its state of `weight` is not one of shape [10, 10]"), "{error}");
    }
}
