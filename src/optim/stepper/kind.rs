//! The optimizers that a stepper can be, each with its form of states.

use burn::optim::module_optimizer::ModuleOptimizer;
use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_pack::Scalar;

use super::together::Slot;
use crate::backend::optim8::{Codec, Step};
use crate::optim::state::{Contents, Moments, contents};
use crate::optim::{EightBit, OptimizerState, Rule};

/// What a stepper asks of an optimizer.
pub trait Kind: Send + Sync + 'static {
    /// Burn's optimizer of a whole module, without states.
    fn tensor_by_tensor(&self) -> ModuleOptimizer;

    /// The numbers of step `t`, counted from 1.
    fn numbers(&self, rate: f64, t: u64) -> Step;

    /// The codecs of moments in 8 bits.
    fn codecs(&self) -> Vec<Codec>;

    /// The moments before the first step of a parameter of `count` values.
    fn start(&self, count: usize, device: &Device) -> Moments;

    /// Refuses moments that a parameter of `count` values cannot have.
    ///
    /// # Errors
    /// Says what they are.
    fn check(&self, moments: &Moments, count: usize) -> Result<(), String>;

    /// Writes a parameter's state as Burn's optimizer would.
    fn write(&self, prefix: &str, slot: &Slot, out: &mut StateSink);

    /// Reads a parameter's state from a record of Burn's optimizer. `None` if it has none.
    ///
    /// # Errors
    /// A state of another optimizer: says what it is.
    fn read(
        &self,
        prefix: &str,
        source: &mut StateSource,
        device: &Device,
    ) -> Result<Option<Slot>, String>;
}

/// An optimizer with 8-bit states.
pub struct Ours<R>(pub EightBit<R>);

impl<R: Rule> Kind for Ours<R> {
    fn tensor_by_tensor(&self) -> ModuleOptimizer {
        self.0.clone().into()
    }

    fn numbers(&self, rate: f64, t: u64) -> Step {
        self.0.rule().at(rate, t)
    }

    fn codecs(&self) -> Vec<Codec> {
        self.0.rule().codecs()
    }

    fn start(&self, count: usize, device: &Device) -> Moments {
        Contents::new(self.0.rule(), count, device).moments.lasting()
    }

    fn check(&self, moments: &Moments, count: usize) -> Result<(), String> {
        let states = self.0.rule().states();
        let small = matches!(moments, Moments::Values(_));
        let fits = moments.fits(R::MOMENTS, count, states.block_size)
            && small == (count < states.min_size);
        if fits { Ok(()) } else { Err(moments.named()) }
    }

    fn write(&self, prefix: &str, slot: &Slot, out: &mut StateSink) {
        let contents = Contents {
            rule: R::RECORD,
            block: self.0.rule().states().block_size,
            count: slot.count(),
            steps: slot.steps,
            moments: slot.moments.clone(),
        };
        OptimizerState::new(contents).state_flatten(prefix, out);
    }

    fn read(
        &self,
        prefix: &str,
        source: &mut StateSource,
        device: &Device,
    ) -> Result<Option<Slot>, String> {
        let Contents { rule, block, count, steps, moments } = contents(prefix, source, device)?;
        if (rule, block) != (R::RECORD, self.0.rule().states().block_size) {
            return Err(format!("optimizer number {rule} with blocks of {block}"));
        }
        Ok(Some(Slot::new(vec![count], steps, moments.lasting())))
    }
}

/// The numbers of a step by learning rate and number.
type Numbers = Box<dyn Fn(f64, u64) -> Step + Send + Sync>;

/// An optimizer of Burn, with states in 32 bits.
pub struct Burns {
    /// Without states.
    pub optimizer: ModuleOptimizer,
    /// What Burn calls the count of steps, if it counts them.
    pub steps: Option<&'static str>,
    /// What Burn calls the moments.
    pub moments: &'static [&'static str],
    pub numbers: Numbers,
}

impl Kind for Burns {
    fn tensor_by_tensor(&self) -> ModuleOptimizer {
        self.optimizer.clone()
    }

    fn numbers(&self, rate: f64, t: u64) -> Step {
        (self.numbers)(rate, t)
    }

    fn codecs(&self) -> Vec<Codec> {
        Vec::new()
    }

    fn start(&self, count: usize, device: &Device) -> Moments {
        let zeros = |_| Tensor::zeros([count], (device, DType::F32));
        Moments::Values(self.moments.iter().map(zeros).collect()).lasting()
    }

    fn check(&self, moments: &Moments, count: usize) -> Result<(), String> {
        let small = matches!(moments, Moments::Values(_));
        let fits = small && moments.fits(self.moments.len(), count, 1);
        if fits { Ok(()) } else { Err(moments.named()) }
    }

    fn write(&self, prefix: &str, slot: &Slot, out: &mut StateSink) {
        if let Some(name) = self.steps {
            out.push_scalar(prefix, name, Scalar::from(slot.steps));
        }
        let Moments::Values(moments) = &slot.moments else {
            unreachable!("states in 32 bits are not blocks")
        };
        for (name, moment) in self.moments.iter().zip(moments) {
            let (bytes, _, dtype) = moment.to_data().into_parts();
            let data = TensorData::from_bytes(bytes, slot.shape.clone(), dtype);
            out.push_tensor(prefix, name, data);
        }
    }

    fn read(
        &self,
        prefix: &str,
        source: &mut StateSource,
        device: &Device,
    ) -> Result<Option<Slot>, String> {
        // Without a count the number of a step does not matter.
        let mut steps = 1;
        if let Some(name) = self.steps {
            let found = source.take_scalar(prefix, name).and_then(|s| u64::try_from(s).ok());
            let Some(found) = found else { return Ok(None) };
            steps = found;
        }
        let (mut shape, mut moments) = (Vec::new(), Vec::new());
        for name in self.moments {
            let Some(data) = source.take_tensor(prefix, name) else { return Ok(None) };
            let (bytes, found, dtype) = data.into_parts();
            if dtype != DType::F32 {
                return Err(format!("{name} in {dtype:?}"));
            }
            shape = found.to_vec();
            let count: usize = shape.iter().product();
            let data = TensorData::from_bytes(bytes, [count], dtype);
            moments.push(Tensor::<1>::from_data(data, (device, DType::F32)));
        }
        Ok(Some(Slot::new(shape, steps, Moments::Values(moments).lasting())))
    }
}
