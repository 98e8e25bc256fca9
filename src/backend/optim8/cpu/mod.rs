//! Codec and steps over f32 values in memory: block by block, many values at a time, all threads,
//! in place where nobody else holds the tensor.

mod cells;
mod step;

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::TensorData;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use self::cells::{Nearest, SIGNED, UNSIGNED};
use self::step::{Adam, Part, Sgd, decode, encode, largest};
use super::{AdamStates, AdamStep, CodeMap, Codec, PER_WORD, SgdStep};
use crate::backend::flex::{contiguous, owned, slice, vector};

type Moment = (IntTensor<Flex>, FloatTensor<Flex>);

/// Values of a task: enough to be worth a thread's while, few enough to stay in its cache.
const TASK: usize = 1 << 14;

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

/// Runs `f` with the tables of the map.
macro_rules! with_map {
    ($map:expr, $name:ident => $f:expr) => {
        match $map {
            CodeMap::Signed => {
                let $name = &**SIGNED;
                $f
            }
            CodeMap::Unsigned => {
                let $name = &**UNSIGNED;
                $f
            }
        }
    };
}

/// A run of blocks to be quantized.
struct Encode<'a, N> {
    values: &'a [f32],
    part: Part<'a, N>,
    block: usize,
}

impl<N: Nearest> WithSimd for Encode<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Part { codes, absmax, map, rounding } = self.part;
        for ((x, codes), absmax) in
            self.values.chunks(self.block).zip(codes.chunks_mut(self.block)).zip(absmax)
        {
            *absmax = largest(x);
            encode(x, codes, *absmax, map, rounding);
        }
    }
}

pub(super) fn quantize(x: FloatTensor<Flex>, codec: Codec) -> Moment {
    let x = contiguous(x);
    let values = slice(&x);
    let mut words = vec![0u32; values.len().div_ceil(PER_WORD)];
    let mut absmax = vec![0.0f32; codec.blocks(values.len())];
    let task = blocks(codec.block) * codec.block;
    with_map!(codec.map, map => codes(&mut words, values.len())
    .par_chunks_mut(task)
    .zip(values.par_chunks(task))
    .zip(absmax.par_chunks_mut(blocks(codec.block)))
    .for_each(|((codes, values), absmax)| {
        let part = Part { codes, absmax, map, rounding: codec.rounding };
        Arch::new().dispatch(Encode { values, part, block: codec.block });
    }));
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
    let codes = &*codes(words.storage_mut::<u32>(), count);
    let mut values = vec![0.0f32; count];
    let blocks =
        values.par_chunks_mut(codec.block).zip(codes.par_chunks(codec.block)).zip(slice(&absmax));
    with_map!(codec.map, map => blocks.for_each(|((x, codes), &absmax)| decode(codes, x, absmax, map)));
    vector(values)
}

pub(super) fn sgd_step(
    parameter: FloatTensor<Flex>,
    gradient: FloatTensor<Flex>,
    words: IntTensor<Flex>,
    absmax: FloatTensor<Flex>,
    codec: Codec,
    step: SgdStep,
) -> (FloatTensor<Flex>, IntTensor<Flex>, FloatTensor<Flex>) {
    let gradient = contiguous(gradient);
    let (mut parameter, mut words, mut absmax) =
        (owned::<f32>(parameter), owned::<u32>(words), owned::<f32>(absmax));
    let (task, block) = (blocks(codec.block) * codec.block, codec.block);
    let p = parameter.storage_mut::<f32>();
    let codes = codes(words.storage_mut::<u32>(), p.len());
    let scales = absmax.storage_mut::<f32>().par_chunks_mut(blocks(codec.block));
    let tasks = p
        .par_chunks_mut(task)
        .zip(slice(&gradient).par_chunks(task))
        .zip(codes.par_chunks_mut(task))
        .zip(scales);
    with_map!(codec.map, map => tasks.for_each(|(((parameter, gradient), codes), absmax)| {
        let momentum = Part { codes, absmax, map, rounding: codec.rounding };
        Arch::new().dispatch(Sgd { parameter, gradient, momentum, block, step });
    }));
    (parameter, words, absmax)
}

#[allow(clippy::type_complexity, reason = "the trait's result")]
pub(super) fn adam_step(
    parameter: FloatTensor<Flex>,
    gradient: FloatTensor<Flex>,
    moments: [Moment; 2],
    states: AdamStates,
    step: AdamStep,
) -> (FloatTensor<Flex>, IntTensor<Flex>, FloatTensor<Flex>, IntTensor<Flex>, FloatTensor<Flex>) {
    let gradient = contiguous(gradient);
    let mut parameter = owned::<f32>(parameter);
    let [mut first, mut second] =
        moments.map(|(words, absmax)| (owned::<u32>(words), owned::<f32>(absmax)));
    let (block, run) = (states.block, blocks(states.block));
    let task = run * block;
    let p = parameter.storage_mut::<f32>();
    let n = p.len();
    let codes1 = codes(first.0.storage_mut::<u32>(), n).par_chunks_mut(task);
    let codes2 = codes(second.0.storage_mut::<u32>(), n).par_chunks_mut(task);
    let scales1 = first.1.storage_mut::<f32>().par_chunks_mut(run);
    let scales2 = second.1.storage_mut::<f32>().par_chunks_mut(run);
    let tasks = p
        .par_chunks_mut(task)
        .zip(slice(&gradient).par_chunks(task))
        .zip(codes1.zip(scales1))
        .zip(codes2.zip(scales2));
    let (map1, map2) = (&**SIGNED, &**UNSIGNED);
    tasks.for_each(|(((parameter, gradient), (codes1, absmax1)), (codes2, absmax2))| {
        let first =
            Part { codes: codes1, absmax: absmax1, map: map1, rounding: states.rounding[0] };
        let second =
            Part { codes: codes2, absmax: absmax2, map: map2, rounding: states.rounding[1] };
        Arch::new().dispatch(Adam { parameter, gradient, first, second, block, step });
    });
    (parameter, first.0, first.1, second.0, second.1)
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
