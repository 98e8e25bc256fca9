//! The state of one parameter, and its form in a record.

mod moments;

use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

pub(super) use self::moments::Moments;
use super::{RULES, Rule};
use crate::backend::optim8::{Blocks, PER_WORD};

/// Version of the form in records.
pub(super) const FORMAT: u64 = 1;

/// Names of the scalars in a record.
pub(super) mod key {
    pub const FORMAT: &str = "format";
    pub const OPTIMIZER: &str = "optimizer";
    pub const BLOCK: &str = "block_size";
    pub const COUNT: &str = "count";
    pub const STEPS: &str = "steps";
    /// Burn writes it for every parameter with a state.
    pub const RANK: &str = "__rank";
}

/// The name of the rule with this number in records.
pub(super) fn name_of(number: u64) -> String {
    match RULES.iter().find(|(n, _)| *n == number) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("optimizer number {number}"),
    }
}

/// State of one parameter: the rule's moments, each in 8 bits or, for small tensors, in 32.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Ours(Contents),
    /// What a record held instead. It is refused when the parameter is known.
    Foreign(String),
}

#[derive(Debug, Clone)]
pub(super) struct Contents {
    /// The rule's number in records.
    pub rule: u64,
    pub block: usize,
    pub count: usize,
    /// Steps made.
    pub steps: u64,
    pub moments: Moments,
}

impl Contents {
    /// Zeros for a parameter of `count` values.
    pub fn new<R: Rule>(rule: &R, count: usize, device: &Device) -> Self {
        let (states, codecs) = (rule.states(), rule.codecs());
        let zeros = |_| Tensor::zeros([count], (device, DType::F32));
        let moments = match count < states.min_size {
            true => Moments::Values((0..R::MOMENTS).map(zeros).collect()),
            false => {
                let zeros = codecs.iter().map(|&codec| Blocks::zeros(count, codec, device));
                Moments::Blocks(zeros.collect())
            }
        };
        Self { rule: R::RECORD, block: states.block_size, count, steps: 0, moments }
    }
}

impl OptimizerState {
    pub(super) fn new(contents: Contents) -> Self {
        Self { form: Form::Ours(contents) }
    }

    /// The contents, if they are what the rule has for a parameter of `count` values.
    ///
    /// # Panics
    /// If not. Burn loads records without asking the optimizer, so a wrong one shows here.
    /// [`super::restore`] refuses it earlier.
    pub(super) fn expect<R: Rule>(self, rule: &R, count: usize) -> Contents {
        let states = rule.states();
        let found = match self.form {
            Form::Foreign(found) => found,
            Form::Ours(c) => {
                let small = matches!(c.moments, Moments::Values(_));
                let fits = c.rule == R::RECORD
                    && c.block == states.block_size
                    && c.count == count
                    && small == (count < states.min_size);
                match (fits, c.moments.count()) {
                    (true, moments) if moments == R::MOMENTS => return c,
                    (true, moments) => {
                        format!("an incomplete file: moment {moments} is not whole")
                    }
                    (false, _) => format!(
                        "{} with blocks of {}, {} values {}",
                        name_of(c.rule),
                        c.block,
                        c.count,
                        if small { "in 32 bits" } else { "in 8 bits" }
                    ),
                }
            }
        };
        panic!(
            "the optimizer's record is of {found}; this is {} with blocks of {}, {count} values, \
             32 bits below {}",
            R::NAME,
            states.block_size,
            states.min_size
        );
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let Form::Ours(contents) = &self.form else { return 0 };
        match &contents.moments {
            Moments::Values(moments) => 4 * contents.count * moments.len(),
            Moments::Blocks(moments) => moments.iter().map(Blocks::bytes).sum(),
        }
    }

    pub(super) fn moved_to(self, device: &Device) -> Self {
        let Form::Ours(mut contents) = self.form else { return self };
        contents.moments = contents.moments.moved_to(device);
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
            (key::OPTIMIZER, c.rule),
            (key::BLOCK, c.block as u64),
            (key::COUNT, c.count as u64),
            (key::STEPS, c.steps),
        ];
        for (name, value) in scalars {
            out.push_scalar(prefix, name, value.into());
        }
        match &c.moments {
            Moments::Values(moments) => {
                for (i, values) in moments.iter().enumerate() {
                    out.push_tensor(prefix, &format!("{i}.values"), values.to_data());
                }
            }
            Moments::Blocks(moments) => {
                for (i, blocks) in moments.iter().enumerate() {
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

/// The state of the parameter with this prefix.
///
/// # Errors
/// Says what the record holds instead.
pub(super) fn contents(
    prefix: &str,
    source: &mut StateSource,
    device: &Device,
) -> Result<Contents, String> {
    let mut scalar =
        |name: &str| source.take_scalar(prefix, name).and_then(|s| u64::try_from(s).ok());
    let format = scalar(key::FORMAT).ok_or("another optimizer")?;
    if format != FORMAT {
        return Err(format!("format {format} (this version reads {FORMAT})"));
    }
    let [Some(rule), Some(block), Some(count), Some(steps)] =
        [key::OPTIMIZER, key::BLOCK, key::COUNT, key::STEPS].map(&mut scalar)
    else {
        return Err("an incomplete file".into());
    };
    let (block, count) = (block as usize, count as usize);
    if block == 0 {
        return Err("blocks of 0".into());
    }
    let moments = moments(prefix, source, device, block, count)?;
    Ok(Contents { rule, block, count, steps, moments })
}

/// All moments there are, in one form.
fn moments(
    prefix: &str,
    source: &mut StateSource,
    device: &Device,
    block: usize,
    count: usize,
) -> Result<Moments, String> {
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
    let floats = |data| Tensor::<1>::from_data(data, (device, DType::F32));
    let (mut values, mut blocks) = (Vec::new(), Vec::new());
    for i in 0.. {
        let whole = tensor(format!("{i}.values"), DType::F32, count)?;
        let words = tensor(format!("{i}.codes"), DType::U32, count.div_ceil(PER_WORD))?;
        let absmax = tensor(format!("{i}.absmax"), DType::F32, count.div_ceil(block))?;
        match (whole, words, absmax) {
            (Some(whole), None, None) if blocks.is_empty() => values.push(floats(whole)),
            (None, Some(words), Some(absmax)) if values.is_empty() => {
                let words = Tensor::<1, Int>::from_data(words, (device, DType::U32));
                blocks.push(Blocks { words, absmax: floats(absmax) });
            }
            (None, None, None) if i > 0 => break,
            _ => return Err(format!("an incomplete file: moment {i} is not whole")),
        }
    }
    Ok(match blocks.is_empty() {
        true => Moments::Values(values),
        false => Moments::Blocks(blocks),
    })
}
