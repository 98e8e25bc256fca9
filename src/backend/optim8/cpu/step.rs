//! One step over a run of blocks. Written so that the compiler turns every loop into vector
//! instructions; [`pulp`] compiles it for each generation of processors and picks at run time.

use pulp::{Simd, WithSimd};

use super::cells::Nearest;
use crate::backend::optim8::{AdamStep, Rounding, SgdStep};

/// A state's part of a run: codes, and the largest magnitude of each block.
pub(super) struct Part<'a, N> {
    pub codes: &'a mut [u8],
    pub absmax: &'a mut [f32],
    pub map: &'a N,
    pub rounding: Rounding,
}

/// Magnitudes as integers order like the numbers, and their largest is found without regard to what
/// is not a number.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let mut top = 0u32;
    for x in values {
        top = top.max(x.to_bits() & 0x7fff_ffff);
    }
    f32::from_bits(top)
}

#[inline(always)]
pub(super) fn encode<N: Nearest>(
    values: &[f32],
    codes: &mut [u8],
    absmax: f32,
    map: &N,
    rounding: Rounding,
) {
    // A block of zeros has no scale; dividing by 1 gives zeros.
    let divisor = if absmax > 0.0 { absmax } else { 1.0 };
    let each = codes.iter_mut().zip(values);
    match rounding {
        Rounding::Nearest => each.for_each(|(c, &x)| *c = map.code(x, divisor, 0)),
        Rounding::SignPreserving => {
            each.for_each(|(c, &x)| *c = map.code(x, divisor, u32::from(x < 0.0)))
        }
        Rounding::AboveZero => {
            each.for_each(|(c, &x)| *c = map.code(x, divisor, u32::from(x > 0.0)))
        }
    }
}

#[inline(always)]
pub(super) fn decode<N: Nearest>(codes: &[u8], values: &mut [f32], absmax: f32, map: &N) {
    for (x, &c) in values.iter_mut().zip(codes) {
        *x = map.values()[usize::from(c)] * absmax;
    }
}

/// Moments of huge gradients must not become infinite, or their blocks would never recover.
#[inline(always)]
fn bounded(x: f32) -> f32 {
    let x = if x > f32::MAX { f32::MAX } else { x };
    if x < f32::MIN { f32::MIN } else { x }
}

/// SGD over a run of blocks.
pub(super) struct Sgd<'a, N> {
    pub parameter: &'a mut [f32],
    pub gradient: &'a [f32],
    pub momentum: Part<'a, N>,
    pub block: usize,
    pub step: SgdStep,
}

impl<N: Nearest> WithSimd for Sgd<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            parameter,
            gradient,
            momentum: Part { codes, absmax, map, rounding },
            block,
            step,
        } = self;
        let [own, looked] = step.direction();
        let mut moments = vec![0.0f32; block];
        let blocks = parameter
            .chunks_mut(block)
            .zip(gradient.chunks(block))
            .zip(codes.chunks_mut(block))
            .zip(absmax);
        for (((p, g), codes), absmax) in blocks {
            let m = &mut moments[..p.len()];
            decode(codes, m, *absmax, map);
            for ((p, g), m) in p.iter_mut().zip(g).zip(&mut *m) {
                let g = g + step.weight_decay * *p;
                *m = bounded(step.momentum * *m + step.fresh * g);
                *p -= step.rate * (own * g + looked * *m);
            }
            *absmax = largest(m);
            encode(m, codes, *absmax, map, rounding);
        }
    }
}

/// Adam over a run of blocks.
pub(super) struct Adam<'a, N, M> {
    pub parameter: &'a mut [f32],
    pub gradient: &'a [f32],
    pub first: Part<'a, N>,
    pub second: Part<'a, M>,
    pub block: usize,
    pub step: AdamStep,
}

impl<N: Nearest, M: Nearest> WithSimd for Adam<'_, N, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { parameter, gradient, first, second, block, step } = self;
        let mut moments = vec![0.0f32; 2 * block];
        let (firsts, seconds) = moments.split_at_mut(block);
        let codes = first.codes.chunks_mut(block).zip(second.codes.chunks_mut(block));
        let scales = first.absmax.iter_mut().zip(second.absmax);
        let blocks = parameter.chunks_mut(block).zip(gradient.chunks(block)).zip(codes).zip(scales);
        for (((p, g), (codes1, codes2)), (absmax1, absmax2)) in blocks {
            let (m, v) = (&mut firsts[..p.len()], &mut seconds[..p.len()]);
            decode(codes1, m, *absmax1, first.map);
            decode(codes2, v, *absmax2, second.map);
            for (((p, g), m), v) in p.iter_mut().zip(g).zip(&mut *m).zip(&mut *v) {
                let g = g + step.coupled * *p;
                *m = bounded(step.first[0] * *m + step.first[1] * g);
                *v = bounded(step.second[0] * *v + step.second[1] * (g * g));
                *p = step.shrink * *p - step.rate * (*m / (v.sqrt() + step.epsilon));
            }
            (*absmax1, *absmax2) = (largest(m), largest(v));
            encode(m, codes1, *absmax1, first.map, first.rounding);
            encode(v, codes2, *absmax2, second.map, second.rounding);
        }
    }
}
