//! Codec and steps over f32 values in memory: block by block, many values at a time, all threads,
//! in place where nobody else holds the tensor.

mod cells;
mod step;

pub(super) use self::step::Beside;

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::TensorData;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use self::cells::Table;
use self::step::{Encode, Part, Steps, decode};
use super::rules::{exactly, with_one, with_two};
use super::{Codec, PER_WORD, Step, Update};
use crate::backend::flex::{TASK, contiguous, owned, slice, vector};

type Moment = (IntTensor<Flex>, FloatTensor<Flex>);

/// Blocks of a task.
fn blocks(block: usize) -> usize {
    TASK.div_ceil(block)
}

/// The codes in words, one a byte. A word's lowest byte comes first in memory on the processors
/// this is built for.
fn codes(words: &mut [u32], count: usize) -> &mut [u8] {
    const { assert!(cfg!(target_endian = "little"), "codes are bytes of little-endian words") };
    &mut bytemuck::cast_slice_mut(words)[..count]
}

pub(super) fn quantize(x: FloatTensor<Flex>, codec: Codec) -> Moment {
    let x = contiguous(x);
    let values = slice(&x);
    let mut words = vec![0u32; values.len().div_ceil(PER_WORD)];
    let mut absmax = vec![0.0f32; codec.blocks(values.len())];
    let (block, run, table) = (codec.block, blocks(codec.block), Table::of(codec.map));
    codes(&mut words, values.len())
        .par_chunks_mut(run * block)
        .zip(values.par_chunks(run * block))
        .zip(absmax.par_chunks_mut(run))
        .for_each(|((codes, values), absmax)| {
            let part = Part { codes, absmax, table, rounding: codec.rounding };
            Arch::new().dispatch(Encode { values, part, block });
        });
    let n = words.len();
    (IntTensor::<Flex>::from_data(TensorData::new(words, [n])), vector(absmax))
}

pub(super) fn dequantize(
    words: IntTensor<Flex>,
    absmax: FloatTensor<Flex>,
    codec: Codec,
    count: usize,
) -> FloatTensor<Flex> {
    let (mut words, absmax) = (owned::<u32>(words), contiguous(absmax));
    let (codes, table) = (&*codes(words.storage_mut::<u32>(), count), Table::of(codec.map));
    let mut values = vec![0.0f32; count];
    values
        .par_chunks_mut(codec.block)
        .zip(codes.par_chunks(codec.block))
        .zip(slice(&absmax))
        .for_each(|((x, codes), &absmax)| decode(codes, x, absmax, table));
    vector(values)
}

/// The value of a tensor `[1]`.
pub(super) fn first(x: &FloatTensor<Flex>) -> f32 {
    slice(&contiguous(x.clone()))[0]
}

/// The gradient times a factor.
pub(super) fn scaled(x: FloatTensor<Flex>, factor: f32) -> FloatTensor<Flex> {
    match factor {
        1.0 => x,
        _ => <Flex as FloatTensorOps<Flex>>::float_mul_scalar(x, factor.into()),
    }
}

/// [`step`] of whichever rule it is.
pub(super) fn step_blocks(
    parameter: FloatTensor<Flex>,
    gradient: FloatTensor<Flex>,
    moments: Vec<Moment>,
    codecs: &[Codec],
    rule: Step,
) -> (FloatTensor<Flex>, Vec<Moment>) {
    let codecs = codecs.to_vec();
    match rule {
        Step::One(rule) => {
            let (moments, codecs) = (exactly(moments), exactly(codecs));
            let (parameter, moments): (_, [Moment; 1]) =
                with_one!(rule, rule => step(parameter, gradient, moments, codecs, rule));
            (parameter, moments.into())
        }
        Step::Two(rule) => {
            let (moments, codecs) = (exactly(moments), exactly(codecs));
            let (parameter, moments): (_, [Moment; 2]) =
                with_two!(rule, rule => step(parameter, gradient, moments, codecs, rule));
            (parameter, moments.into())
        }
    }
}

/// A step of any rule: new parameter and moments. The codecs have one block size.
pub(super) fn step<R, const M: usize>(
    parameter: FloatTensor<Flex>,
    gradient: FloatTensor<Flex>,
    moments: [Moment; M],
    codecs: [Codec; M],
    rule: R,
) -> (FloatTensor<Flex>, [Moment; M])
where
    R: Update<M>,
    for<'a> [&'a mut [f32]; M]: Beside<M>,
{
    let gradient = contiguous(gradient);
    let mut parameter = owned::<f32>(parameter);
    let mut moments = moments.map(|(words, absmax)| (owned::<u32>(words), owned::<f32>(absmax)));
    let block = codecs[0].block;
    debug_assert!(codecs.iter().all(|codec| codec.block == block));
    let run = blocks(block);
    let p = parameter.storage_mut::<f32>();
    let count = p.len();
    let mut runs = moments.each_mut().map(|(words, absmax)| {
        let codes = codes(words.storage_mut::<u32>(), count).chunks_mut(run * block);
        (codes, absmax.storage_mut::<f32>().chunks_mut(run))
    });
    let tables = codecs.map(|codec| Table::of(codec.map));
    let tasks: Vec<Steps<R, M>> = p
        .chunks_mut(run * block)
        .zip(slice(&gradient).chunks(run * block))
        .map(|(parameter, gradient)| {
            let parts = std::array::from_fn(|k| {
                let (codes, absmax) = &mut runs[k];
                Part {
                    codes: codes.next().expect("codes for every parameter"),
                    absmax: absmax.next().expect("a scale for every block"),
                    table: tables[k],
                    rounding: codecs[k].rounding,
                }
            });
            Steps { parameter, gradient, parts, block, rule }
        })
        .collect();
    tasks.into_par_iter().for_each(|task| Arch::new().dispatch(task));
    (parameter, moments)
}

/// Counts exponents of all ones.
struct Odd<'a>(&'a [f32]);

impl WithSimd for Odd<'_> {
    type Output = u32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> u32 {
        self.0.iter().map(|x| u32::from(x.to_bits() & 0x7f80_0000 == 0x7f80_0000)).sum()
    }
}

pub(super) fn not_finite(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let x = contiguous(x);
    let counts = slice(&x).par_chunks(TASK).map(|x| Arch::new().dispatch(Odd(x)));
    vector(vec![counts.sum::<u32>() as f32])
}
