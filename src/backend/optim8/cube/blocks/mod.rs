//! Steps with moments in 8 bits.

mod kernels;
mod share;

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use self::kernels::{blocks_one, blocks_two};
use self::share::Shares;
use super::codec::Code;
use super::group::{self, Spread, buffers};
use super::tables::table;
use super::{UpdateOne, UpdateTwo};
use crate::backend::gpu::{self, UNITS};
use crate::backend::optim8::gate::Opening;
use crate::backend::optim8::rules::{with_one, with_two};
use crate::backend::optim8::{Codec, PER_WORD, Step, plain};

/// Tensors of a launch at most: each adds to the time that a block takes and that the kernel takes
/// to compile.
const TENSORS: usize = 8;
/// Cubes of a launch at most; each takes several blocks, so that the tables are loaded less often
/// than there are blocks.
const CUBES: u32 = 1 << 12;

/// A tensor's part of a step: words and absmax of each moment.
pub(super) struct Item {
    pub parameter: CubeTensor,
    pub gradient: CubeTensor,
    pub moments: Vec<(CubeTensor, CubeTensor)>,
}

impl Item {
    /// Whether the kernels take it: f32, and blocks of a power of two of 64 values or more.
    fn fits(&self, block: usize) -> bool {
        let count = self.parameter.shape().num_elements();
        self.parameter.dtype == DType::F32
            && self.gradient.dtype == DType::F32
            && gpu::floats([&self.parameter])
            && count > 0
            && block.is_power_of_two()
            && block >= 16 * PER_WORD
    }

    /// The same in memory that kernels may overwrite.
    fn owned(self) -> Self {
        let moments = self.moments.into_iter().map(|(w, a)| (gpu::owned(w), gpu::owned(a)));
        Self {
            parameter: gpu::owned(self.parameter),
            gradient: gpu::contiguous(self.gradient),
            moments: moments.collect(),
        }
    }

    fn plain(self, opening: &Opening<CubeBackend>, codecs: &[Codec], rule: Step) -> Self {
        let Self { parameter, gradient, moments } = self;
        let kept = gradient.clone();
        let (parameter, moments) =
            plain::step_blocks::<CubeBackend>(parameter, gradient, moments, opening, codecs, rule);
        Self { parameter, gradient: kept, moments }
    }

    fn count(&self) -> usize {
        self.parameter.shape().num_elements()
    }
}

/// Makes the step of every tensor, in the memory that it has where nobody else uses that.
pub(super) fn step(
    items: Vec<Item>,
    opening: &Opening<CubeBackend>,
    codecs: &[Codec],
    rule: Step,
) -> Vec<Item> {
    let block = codecs[0].block;
    let room = items.first().map_or(0, |item| {
        let others = 1 + usize::from(opening.gate.is_some());
        group::room(&item.parameter.client, 2 + 2 * codecs.len(), others).min(TENSORS)
    });
    let (mut done, mut together) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        match room > 0 && item.fits(block) {
            true => {
                together.push(done.len());
                done.push(item.owned());
            }
            false => done.push(item.plain(opening, codecs, rule)),
        }
    }
    for places in together.chunks(group::even(together.len(), room)) {
        let items: Vec<&Item> = places.iter().map(|&place| &done[place]).collect();
        let launch = Launch::new(&items, opening, codecs);
        match rule {
            Step::One(rule) => with_one!(rule, step => launch.one(&items, step)),
            Step::Two(rule) => with_two!(rule, step => launch.two(&items, step)),
        }
    }
    done
}

/// What is the same for every rule.
struct Launch<'a> {
    client: Client,
    opening: &'a Opening<CubeBackend>,
    table: CubeTensor,
    spread: Spread,
    shares: Shares,
    codes: Vec<Code>,
}

impl<'a> Launch<'a> {
    fn new(items: &[&Item], opening: &'a Opening<CubeBackend>, codecs: &[Codec]) -> Self {
        let block = codecs[0].block;
        let units = (block / PER_WORD).min(UNITS as usize);
        let maps: Vec<_> = codecs.iter().map(|codec| codec.map).collect();
        let first = &items[0].parameter;
        Self {
            client: first.client.clone(),
            opening,
            table: table(&maps, first),
            spread: Spread::new(items.iter().map(|item| item.count()), block),
            shares: Shares { units: units as u32, words: (block / PER_WORD / units) as u32 },
            codes: codecs.iter().enumerate().map(|(i, &codec)| Code::new(codec, i)).collect(),
        }
    }

    fn cubes(&self) -> CubeCount {
        CubeCount::Static(self.spread.all().min(CUBES), 1, 1)
    }

    /// Makes the steps of a rule with one moment.
    fn one<U: UpdateOne>(&self, items: &[&Item], step: U) {
        blocks_one::launch::<U>(
            &self.client,
            self.cubes(),
            CubeDim::new_1d(self.shares.units),
            buffers(items.iter().map(|item| &item.parameter)),
            buffers(items.iter().map(|item| &item.gradient)),
            buffers(items.iter().map(|item| &item.moments[0].0)),
            buffers(items.iter().map(|item| &item.moments[0].1)),
            self.table.clone().into_buffer_arg(),
            buffers(&self.opening.gate),
            self.spread.counts(),
            self.spread.starts(),
            self.opening.factor,
            step.numbers(),
            self.shares,
            self.codes[0],
        );
    }

    /// Makes the steps of a rule with two moments.
    fn two<U: UpdateTwo>(&self, items: &[&Item], step: U) {
        blocks_two::launch::<U>(
            &self.client,
            self.cubes(),
            CubeDim::new_1d(self.shares.units),
            buffers(items.iter().map(|item| &item.parameter)),
            buffers(items.iter().map(|item| &item.gradient)),
            buffers(items.iter().map(|item| &item.moments[0].0)),
            buffers(items.iter().map(|item| &item.moments[0].1)),
            buffers(items.iter().map(|item| &item.moments[1].0)),
            buffers(items.iter().map(|item| &item.moments[1].1)),
            self.table.clone().into_buffer_arg(),
            buffers(&self.opening.gate),
            self.spread.counts(),
            self.spread.starts(),
            self.opening.factor,
            step.numbers(),
            self.shares,
            self.codes[0],
            self.codes[1],
        );
    }
}
