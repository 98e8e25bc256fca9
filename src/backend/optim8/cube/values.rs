//! Steps with moments in 32 bits, or without any.

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::group::{self, Spread, buffers, opening};
use super::{UpdateOne, UpdateTwo};
use crate::backend::gpu::{self, UNITS};
use crate::backend::optim8::gate::Opening;
use crate::backend::optim8::rules::{with_one, with_two};
use crate::backend::optim8::{Step, plain};

/// Tensors of a launch at most: each has code of its own in the kernel.
const TENSORS: usize = 32;
/// Values of a cube, where there are not very many.
const CHUNK: usize = 4096;

/// Steps of a rule with one moment, which may be missing: it is 0 then.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
fn values_one<U: UpdateOne>(
    parameters: &mut Sequence<Box<[f32]>>,
    gradients: &Sequence<Box<[f32]>>,
    moments: &mut Sequence<Box<[f32]>>,
    gate: &Sequence<Box<[f32]>>,
    counts: &Sequence<u32>,
    starts: &Sequence<u32>,
    chunk: u32,
    factor: f32,
    numbers: U::Numbers,
) {
    let tensors = comptime![parameters.len()];
    let held = comptime![moments.len() == parameters.len()];
    let open = opening(gate, factor);
    if open != 0.0f32 {
        #[unroll]
        for k in 0..tensors {
            let first = starts[k];
            let end = starts[comptime![k + 1]];
            if CUBE_POS_X >= first && CUBE_POS_X < end {
                let begin = (CUBE_POS_X - first) * chunk;
                let count = counts[k];
                let stop = select(begin + chunk < count, begin + chunk, count);
                let parameter = &mut parameters[k];
                let mut i = begin + UNIT_POS_X;
                while i < stop {
                    let mut old = 0.0f32;
                    if comptime![held] {
                        old = moments[k][i as usize];
                    }
                    let g = gradients[k][i as usize] * open;
                    let (next, moment) = U::update(parameter[i as usize], g, old, &numbers);
                    parameter[i as usize] = next;
                    if comptime![held] {
                        let to = &mut moments[k];
                        to[i as usize] = moment;
                    }
                    i += UNITS;
                }
            }
        }
    }
}

/// Steps of a rule with two moments.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
fn values_two<U: UpdateTwo>(
    parameters: &mut Sequence<Box<[f32]>>,
    gradients: &Sequence<Box<[f32]>>,
    firsts: &mut Sequence<Box<[f32]>>,
    seconds: &mut Sequence<Box<[f32]>>,
    gate: &Sequence<Box<[f32]>>,
    counts: &Sequence<u32>,
    starts: &Sequence<u32>,
    chunk: u32,
    factor: f32,
    numbers: U::Numbers,
) {
    let tensors = comptime![parameters.len()];
    let open = opening(gate, factor);
    if open != 0.0f32 {
        #[unroll]
        for k in 0..tensors {
            let first = starts[k];
            let end = starts[comptime![k + 1]];
            if CUBE_POS_X >= first && CUBE_POS_X < end {
                let begin = (CUBE_POS_X - first) * chunk;
                let count = counts[k];
                let stop = select(begin + chunk < count, begin + chunk, count);
                let parameter = &mut parameters[k];
                let m = &mut firsts[k];
                let v = &mut seconds[k];
                let mut i = begin + UNIT_POS_X;
                while i < stop {
                    let g = gradients[k][i as usize] * open;
                    let (p, m_next, v_next) =
                        U::update(parameter[i as usize], g, m[i as usize], v[i as usize], &numbers);
                    parameter[i as usize] = p;
                    m[i as usize] = m_next;
                    v[i as usize] = v_next;
                    i += UNITS;
                }
            }
        }
    }
}

/// A tensor's part of a step.
pub(super) struct Item {
    pub parameter: CubeTensor,
    pub gradient: CubeTensor,
    pub moments: Vec<CubeTensor>,
}

impl Item {
    fn fits(&self) -> bool {
        let of_f32 = |x: &CubeTensor| x.dtype == DType::F32 && gpu::floats([x]);
        self.count() > 0
            && of_f32(&self.parameter)
            && of_f32(&self.gradient)
            && self.moments.iter().all(of_f32)
    }

    /// The same in memory that kernels may overwrite.
    fn owned(self) -> Self {
        Self {
            parameter: gpu::owned(self.parameter),
            gradient: gpu::contiguous(self.gradient),
            moments: self.moments.into_iter().map(gpu::owned).collect(),
        }
    }

    fn plain(self, opening: &Opening<CubeBackend>, rule: Step) -> Self {
        let Self { parameter, gradient, moments } = self;
        let kept = gradient.clone();
        let (parameter, moments) =
            plain::step_values::<CubeBackend>(parameter, gradient, moments, opening, rule);
        Self { parameter, gradient: kept, moments }
    }

    fn count(&self) -> usize {
        self.parameter.shape().num_elements()
    }
}

/// Makes the step of every tensor, in the memory that it has where nobody else uses that. All have
/// as many moments.
pub(super) fn step(items: Vec<Item>, opening: &Opening<CubeBackend>, rule: Step) -> Vec<Item> {
    let room = items.first().map_or(0, |item| {
        let others = usize::from(opening.gate.is_some());
        group::room(&item.parameter.client, 2 + item.moments.len(), others).min(TENSORS)
    });
    let (mut done, mut together) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        match room > 0 && item.fits() {
            true => {
                together.push(done.len());
                done.push(item.owned());
            }
            false => done.push(item.plain(opening, rule)),
        }
    }
    for places in together.chunks(group::even(together.len(), room)) {
        let items: Vec<&Item> = places.iter().map(|&place| &done[place]).collect();
        match rule {
            Step::One(rule) => with_one!(rule, step => launch_one(&items, opening, step)),
            Step::Two(rule) => with_two!(rule, step => launch_two(&items, opening, step)),
        }
    }
    done
}

fn spread(items: &[&Item]) -> (Spread, usize) {
    let chunk = group::chunk(items.iter().map(|item| item.count()), CHUNK);
    (Spread::new(items.iter().map(|item| item.count()), chunk), chunk)
}

fn launch_one<U: UpdateOne>(items: &[&Item], opening: &Opening<CubeBackend>, step: U) {
    let (spread, chunk) = spread(items);
    values_one::launch::<U>(
        &items[0].parameter.client,
        CubeCount::Static(spread.all(), 1, 1),
        CubeDim::new_1d(UNITS),
        buffers(items.iter().map(|item| &item.parameter)),
        buffers(items.iter().map(|item| &item.gradient)),
        buffers(items.iter().filter_map(|item| item.moments.first())),
        buffers(&opening.gate),
        spread.counts(),
        spread.starts(),
        chunk as u32,
        opening.factor,
        step.numbers(),
    );
}

fn launch_two<U: UpdateTwo>(items: &[&Item], opening: &Opening<CubeBackend>, step: U) {
    let (spread, chunk) = spread(items);
    values_two::launch::<U>(
        &items[0].parameter.client,
        CubeCount::Static(spread.all(), 1, 1),
        CubeDim::new_1d(UNITS),
        buffers(items.iter().map(|item| &item.parameter)),
        buffers(items.iter().map(|item| &item.gradient)),
        buffers(items.iter().map(|item| &item.moments[0])),
        buffers(items.iter().map(|item| &item.moments[1])),
        buffers(&opening.gate),
        spread.counts(),
        spread.starts(),
        chunk as u32,
        opening.factor,
        step.numbers(),
    );
}
