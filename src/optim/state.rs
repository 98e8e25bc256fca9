//! The state of one parameter, and its form in a record.

use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::States;
use crate::backend::optim8::{Blocks, Codec, PER_WORD};

/// Version of the form in records.
pub(super) const FORMAT: u64 = 1;

/// Names of the scalars in a record.
pub(super) mod key {
    pub const FORMAT: &str = "format";
    pub const OPTIMIZER: &str = "optimizer";
    pub const BLOCK: &str = "block_size";
    pub const COUNT: &str = "count";
    pub const STEPS: &str = "steps";
    /// Written by Burn for every parameter with a state.
    pub const RANK: &str = "__rank";
}

/// Whose state it is; its number stands in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sgd = 1,
    Adam = 2,
}

impl Kind {
    pub fn name(number: u64) -> String {
        match number {
            1 => "Sgd8bit".into(),
            2 => "Adam8bit".into(),
            n => format!("optimizer number {n}"),
        }
    }

    pub fn moments(self) -> usize {
        self as usize
    }
}

/// One moment of one parameter. Boxed, so that the many small tensors of a network do not each take
/// the place of the largest form.
#[derive(Debug, Clone)]
pub enum Moment {
    /// Small tensors, flat: `[n]`.
    Values(Box<Tensor<1>>),
    Blocks(Box<Blocks>),
}

/// State of one parameter: SGD's momentum, or Adam's two moments, each in 8 bits or, for small
/// tensors, in 32.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Ours(Contents),
    /// What a record held instead, to be refused when the parameter is known.
    Foreign(String),
}

#[derive(Debug, Clone)]
pub(super) struct Contents {
    pub kind: Kind,
    pub block: usize,
    pub count: usize,
    /// Steps made.
    pub steps: u64,
    pub moments: Vec<Moment>,
}

impl Contents {
    /// Zeros.
    pub fn new(
        kind: Kind,
        states: &States,
        codecs: &[Codec],
        count: usize,
        device: &Device,
    ) -> Self {
        let moment = |codec: &Codec| match count < states.min_size {
            true => Moment::Values(Box::new(Tensor::zeros([count], (device, DType::F32)))),
            false => Moment::Blocks(Box::new(Blocks::zeros(count, *codec, device))),
        };
        Self {
            kind,
            block: states.block_size,
            count,
            steps: 0,
            moments: codecs.iter().map(moment).collect(),
        }
    }
}

impl OptimizerState {
    pub(super) fn new(contents: Contents) -> Self {
        Self { form: Form::Ours(contents) }
    }

    /// The contents, if they are what the optimizer holds for a parameter of `count` values.
    ///
    /// # Panics
    /// If not: Burn loads records without asking the optimizer, so this is where a wrong one shows.
    /// [`super::restore`] refuses it earlier.
    pub(super) fn expect(self, kind: Kind, states: &States, count: usize) -> Contents {
        let wanted = format!("{} with blocks of {}", Kind::name(kind as u64), states.block_size);
        let found = match self.form {
            Form::Foreign(found) => found,
            Form::Ours(c) => {
                let small = matches!(c.moments[0], Moment::Values(_));
                if c.kind == kind
                    && c.block == states.block_size
                    && c.count == count
                    && small == (count < states.min_size)
                {
                    return c;
                }
                let form = if small { "in 32 bits" } else { "in 8 bits" };
                format!(
                    "{} with blocks of {}, {} values {form}",
                    Kind::name(c.kind as u64),
                    c.block,
                    c.count
                )
            }
        };
        panic!(
            "the optimizer's record is of {found}; this is {wanted}, {count} values, 32 bits below {}",
            states.min_size
        );
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let Form::Ours(contents) = &self.form else { return 0 };
        let bytes = |moment: &Moment| match moment {
            Moment::Values(values) => 4 * values.dims()[0],
            Moment::Blocks(blocks) => blocks.bytes(),
        };
        contents.moments.iter().map(bytes).sum()
    }

    pub(super) fn moved_to(self, device: &Device) -> Self {
        let Form::Ours(mut contents) = self.form else { return self };
        let moved = |moment| match moment {
            Moment::Values(values) => Moment::Values(Box::new(values.to_device(device))),
            Moment::Blocks(blocks) => Moment::Blocks(Box::new(blocks.moved_to(device))),
        };
        contents.moments = contents.moments.into_iter().map(moved).collect();
        Self::new(contents)
    }
}

/// In a record: scalars `format`, `optimizer`, `block_size`, `count`, `steps`; for each moment
/// `I.values` (f32) or `I.codes` (words of four codes, 32-bit unsigned) and `I.absmax` (f32).
impl RecordState for OptimizerState {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        let Form::Ours(c) = &self.form else { return };
        let scalars = [
            (key::FORMAT, FORMAT),
            (key::OPTIMIZER, c.kind as u64),
            (key::BLOCK, c.block as u64),
            (key::COUNT, c.count as u64),
            (key::STEPS, c.steps),
        ];
        for (name, value) in scalars {
            out.push_scalar(prefix, name, value.into());
        }
        for (i, moment) in c.moments.iter().enumerate() {
            match moment {
                Moment::Values(values) => {
                    out.push_tensor(prefix, &format!("{i}.values"), values.to_data())
                }
                Moment::Blocks(blocks) => {
                    out.push_tensor(prefix, &format!("{i}.codes"), blocks.words.to_data());
                    out.push_tensor(prefix, &format!("{i}.absmax"), blocks.absmax.to_data());
                }
            }
        }
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let form = match contents(prefix, source, device) {
            Ok(contents) => Form::Ours(contents),
            Err(found) => Form::Foreign(found),
        };
        Some(Self { form })
    }
}

fn contents(prefix: &str, source: &mut StateSource, device: &Device) -> Result<Contents, String> {
    let mut scalar =
        |name: &str| source.take_scalar(prefix, name).and_then(|s| u64::try_from(s).ok());
    let format = scalar(key::FORMAT).ok_or("another optimizer")?;
    if format != FORMAT {
        return Err(format!("format {format} (this version reads {FORMAT})"));
    }
    let [Some(optimizer), Some(block), Some(count), Some(steps)] =
        [key::OPTIMIZER, key::BLOCK, key::COUNT, key::STEPS].map(&mut scalar)
    else {
        return Err("an incomplete file".into());
    };
    let kind = [Kind::Sgd, Kind::Adam]
        .into_iter()
        .find(|k| *k as u64 == optimizer)
        .ok_or(Kind::name(optimizer))?;
    let (block, count) = (block as usize, count as usize);
    if block == 0 {
        return Err("blocks of 0".into());
    }
    let mut tensor =
        |name: String, dtype: DType, wanted: usize| -> Result<Option<TensorData>, String> {
            let Some(data) = source.take_tensor(prefix, &name) else { return Ok(None) };
            match data.dtype() == dtype && data.shape().as_slice() == [wanted] {
                true => Ok(Some(data)),
                false => {
                    Err(format!("{name} {:?} {:?} for {count} values", data.dtype(), data.shape()))
                }
            }
        };
    let mut moments = Vec::new();
    for i in 0..kind.moments() {
        let floats = |data| Tensor::<1>::from_data(data, (device, DType::F32));
        let values = tensor(format!("{i}.values"), DType::F32, count)?;
        let words = tensor(format!("{i}.codes"), DType::U32, count.div_ceil(PER_WORD))?;
        let absmax = tensor(format!("{i}.absmax"), DType::F32, count.div_ceil(block))?;
        moments.push(match (values, words, absmax) {
            (Some(values), None, None) => Moment::Values(Box::new(floats(values))),
            (None, Some(words), Some(absmax)) => {
                let words = Tensor::<1, Int>::from_data(words, (device, DType::U32));
                Moment::Blocks(Box::new(Blocks { words, absmax: floats(absmax) }))
            }
            _ => return Err(format!("an incomplete file: moment {i} is not whole")),
        });
    }
    Ok(Contents { kind, block, count, steps, moments })
}
