//! Moments of parameters whose rows move to other places, as those of a training head do when
//! speakers come and go.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{Bytes, DType};
use burn_pack::{Reader, Scalar, Tensor};

use super::training::written;
use super::{bad, key, split};
use crate::backend::optim8::{Codec, PER_WORD};
use crate::bytes::{from_f32, to_f32};
use crate::error::Result;

/// Parameters whose rows move. A part of a parameter is what belongs together, one row or several.
#[derive(Debug)]
pub struct Rows<'a> {
    /// For each part of a new parameter, the part of the old one that it comes from.
    pub of: &'a [Option<usize>],
    /// Parts of an old parameter.
    pub old: usize,
    /// The new shapes of the parameters, by id.
    pub shapes: HashMap<u64, Vec<usize>>,
}

/// How an optimizer holds moments.
#[derive(Debug)]
pub struct Held {
    /// The codec of each moment in 8 bits; none if all are held in 32 bits.
    pub codecs: Vec<Codec>,
    /// Moments of fewer values are held in 32 bits.
    pub min_size: usize,
}

impl Held {
    /// Moments in 32 bits.
    pub fn whole() -> Self {
        Self { codecs: Vec::new(), min_size: 0 }
    }
}

/// The tensors of a parameter by their names behind the id.
type Parts = BTreeMap<String, Bytes>;

impl Rows<'_> {
    /// A record, which has been checked, with its moments where their rows are now. Parts that
    /// come from nowhere have moments of 0. Moments in 8 bits are rounded anew where their blocks
    /// change.
    ///
    /// # Errors
    /// Moments that do not have so many parts.
    pub fn moved(&self, record: Bytes, held: &Held) -> Result<Bytes> {
        let reader = Reader::from_bytes(record.shared()).map_err(bad)?;
        let (mut scalars, metadata) = (reader.scalars().clone(), reader.metadata().clone());
        let (mut tensors, mut ours) = (Vec::new(), BTreeMap::<u64, Parts>::new());
        for tensor in reader.into_tensors().map_err(bad)? {
            let (id, _) = split(&tensor.name)?;
            if !self.shapes.contains_key(&id) {
                tensors.push(tensor);
                continue;
            }
            let (name, _, _, _, bytes) = tensor.into_parts().map_err(bad)?;
            let (_, part) = split(&name)?;
            ours.entry(id).or_default().insert(part.to_owned(), bytes);
        }
        for (id, parts) in ours {
            let shape = &self.shapes[&id];
            let moved = match held.codecs.is_empty() {
                true => self.whole(id, parts, shape)?,
                false => {
                    let count = format!("{id}.{}", key::COUNT);
                    let old = scalars.get(&count).and_then(|n| usize::try_from(*n).ok());
                    let old = old.ok_or_else(|| bad(format!("`{count}` is missing")))?;
                    let new: usize = shape.iter().product();
                    scalars.insert(count, Scalar::from(new as u64));
                    self.eight_bit(id, &parts, held, [old, new])?
                }
            };
            tensors.extend(moved);
        }
        written(tensors, &scalars, &metadata)
    }

    /// The moments of one of Burn's optimizers.
    fn whole(&self, id: u64, parts: Parts, shape: &[usize]) -> Result<Vec<Tensor>> {
        let moved = parts.into_iter().map(|(part, bytes)| {
            let values = self.moved_parts(id, &to_f32(&bytes), shape.iter().product(), 0.0)?;
            Ok(tensor(id, &part, DType::F32, shape.to_vec(), from_f32(&values)))
        });
        moved.collect()
    }

    /// The moments of one of our optimizers, of so many values before and behind.
    fn eight_bit(
        &self,
        id: u64,
        parts: &Parts,
        held: &Held,
        [old, new]: [usize; 2],
    ) -> Result<Vec<Tensor>> {
        let bytes = |part: String| {
            let found = parts.get(&part);
            let missing = || bad(format!("`{id}.{part}` is missing"));
            found.map(|bytes| &bytes[..]).ok_or_else(missing)
        };
        let is_small = new < held.min_size;
        let mut moved = Vec::new();
        for (i, codec) in held.codecs.iter().enumerate() {
            let whole = parts.contains_key(&format!("{i}.values"));
            let (codes, absmax) = match whole {
                true => (&[][..], Vec::new()),
                false => {
                    let codes = bytes(format!("{i}.codes"))?;
                    let absmax = to_f32(bytes(format!("{i}.absmax"))?);
                    (&codes[..old.min(codes.len())], absmax)
                }
            };
            let mut push = |part: &str, dtype, length: usize, bytes| {
                moved.push(tensor(id, &format!("{i}.{part}"), dtype, vec![length], bytes));
            };
            let is_aligned = (new / self.of.len().max(1)).is_multiple_of(codec.block);
            let (mut codes, absmax) = if !whole && !is_small && is_aligned {
                // No block is of two parts: nothing has to be rounded.
                let blocks = codec.blocks(new);
                let codes = self.moved_parts(id, codes, new, codec.map.zero())?;
                (codes, self.moved_parts(id, &absmax, blocks, 0.0)?)
            } else {
                let values = match whole {
                    true => to_f32(bytes(format!("{i}.values"))?),
                    false => codec.dequantize(codes, &absmax),
                };
                let values = self.moved_parts(id, &values, new, 0.0)?;
                if is_small {
                    push("values", DType::F32, new, from_f32(&values));
                    continue;
                }
                codec.quantize(&values)
            };
            let words = new.div_ceil(PER_WORD);
            codes.resize(words * PER_WORD, 0);
            push("codes", DType::U32, words, codes);
            push("absmax", DType::F32, absmax.len(), from_f32(&absmax));
        }
        Ok(moved)
    }

    /// The values of parts in their new places, `count` in all.
    fn moved_parts<T: Copy>(&self, id: u64, old: &[T], count: usize, zero: T) -> Result<Vec<T>> {
        let each = count / self.of.len().max(1);
        if each * self.of.len() != count || each * self.old != old.len() {
            let (values, parts) = (old.len(), self.old);
            return Err(bad(format!(
                "parameter {id} has {values} values in a moment, not {parts} times {each}"
            )));
        }
        let mut new = vec![zero; count];
        if each == 0 {
            return Ok(new);
        }
        for (place, from) in new.chunks_exact_mut(each).zip(self.of) {
            if let Some(from) = from {
                place.copy_from_slice(&old[from * each..(from + 1) * each]);
            }
        }
        Ok(new)
    }
}

fn tensor(id: u64, part: &str, dtype: DType, shape: Vec<usize>, bytes: Vec<u8>) -> Tensor {
    Tensor::new(format!("{id}.{part}"), dtype, shape, Some(id), Bytes::from_bytes_vec(bytes))
}

#[cfg(test)]
mod tests;
