//! The steps as kernels for GPUs, one source for every runtime of CubeCL. A cube takes one block of values after another: its units read the codes of a
//! word each, make the step, find the block's largest magnitude together, and write the words.

use burn::backend::TensorMetadata;
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, TensorData};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{AdamStates, AdamStep, CODES, CodeMap, Codec, Optim8Ops, PER_WORD, Rounding, SgdStep, generic};

/// Units of a cube at most: what every WebGPU device has.
const UNITS: usize = 256;
/// Cubes at most; each takes several blocks, so that the tables are loaded less often than there are blocks.
const CUBES: usize = 1 << 14;

/// What a kernel must know beside its tensors' contents.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Plan {
    /// Values of the tensor.
    count: u32,
    /// Values of a block.
    #[cube(comptime)]
    block: u32,
    /// Units of a cube.
    #[cube(comptime)]
    units: u32,
}

/// Values and bounds of a map, from `offset` on in the table.
#[cube]
fn nearest(x: f32, table: &Shared<[f32]>, #[comptime] offset: u32) -> u32 {
    let mut code = 0u32;
    #[unroll]
    for bit in 0..8u32 {
        let step = comptime![128u32 >> bit];
        let bound = table[(offset + 256 + code + step - 1) as usize];
        code += select(x > bound, step, 0u32);
    }
    code
}

/// The code of `x` in a block of largest magnitude `absmax`; `rule` is 0, 1 or 2 for nearest, sign-preserving, above zero.
#[cube]
fn encode(
    x: f32,
    absmax: f32,
    table: &Shared<[f32]>,
    #[comptime] offset: u32,
    #[comptime] zero: u32,
    #[comptime] rule: u32,
) -> u32 {
    let divisor = select(absmax > 0.0f32, absmax, 1.0f32);
    let mut code = nearest(x / divisor, table, offset);
    if comptime![rule == 1 && zero > 0] {
        code = select(code == zero && x < 0.0f32, zero - 1, code);
    }
    if comptime![rule == 2] {
        code = select(code == zero && x > 0.0f32, zero + 1, code);
    }
    code
}

/// The larger of both, for what is a number.
#[cube]
fn larger(a: f32, b: f32) -> f32 {
    select(b > a, b, a)
}

#[cube]
fn bounded(x: f32) -> f32 {
    let top = f32::new(3.4028235e38f32);
    let low = f32::new(-3.4028235e38f32);
    let x = select(x > top, top, x);
    select(x < low, low, x)
}

/// The largest of all units' values, known to all. `scratch` has a place a unit.
#[cube]
fn largest(own: f32, scratch: &mut Shared<[f32]>, #[comptime] units: u32) -> f32 {
    let unit = UNIT_POS_X;
    scratch[unit as usize] = own;
    sync_cube();
    let mut half = comptime![units / 2].runtime();
    while half > 0 {
        if unit < half {
            scratch[unit as usize] = larger(scratch[unit as usize], scratch[(unit + half) as usize]);
        }
        sync_cube();
        half /= 2;
    }
    let top = scratch[0];
    sync_cube();
    top
}

#[cube]
fn load_table(from: &Tensor<f32>, table: &mut Shared<[f32]>, #[comptime] size: u32, #[comptime] units: u32) {
    let mut i = UNIT_POS_X;
    while i < size {
        table[i as usize] = from[i as usize];
        i += units;
    }
    sync_cube();
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
fn sgd_kernel(
    parameter: &mut Tensor<f32>,
    gradient: &Tensor<f32>,
    words: &mut Tensor<u32>,
    absmax: &mut Tensor<f32>,
    tables: &Tensor<f32>,
    plan: Plan,
    rate: f32,
    momentum: f32,
    fresh: f32,
    decay: f32,
    own: f32,
    looked: f32,
    #[comptime] zero: u32,
    #[comptime] rule: u32,
) {
    let units = comptime![plan.units];
    let per_unit = comptime![plan.block / 4 / plan.units];
    let mut table = Shared::<[f32]>::new_slice(512usize);
    let mut scratch = Shared::<[f32]>::new_slice(comptime![units as usize]);
    load_table(tables, &mut table, 512u32, units);
    let count = plan.count;
    let blocks = (count + comptime![plan.block - 1]) / comptime![plan.block];
    let mut moments = Array::<f32>::new(comptime![4 * per_unit as usize]);
    let mut block = CUBE_POS_X;
    while block < blocks {
        let old = absmax[block as usize];
        let mut top = 0.0f32;
        #[unroll]
        for k in 0..per_unit {
            let word = block * comptime![plan.block / 4] + k * units + UNIT_POS_X;
            let mut codes = 0u32;
            if word * 4 < count {
                codes = words[word as usize];
            }
            #[unroll]
            for j in 0..4u32 {
                let i = word * 4 + j;
                let mut moment = 0.0f32;
                if i < count {
                    let code = (codes >> (j * 8)) & 255u32;
                    let p = parameter[i as usize];
                    let g = gradient[i as usize] + decay * p;
                    moment = bounded(momentum * (table[code as usize] * old) + fresh * g);
                    parameter[i as usize] = p - rate * (own * g + looked * moment);
                }
                moments[comptime![(4 * k + j) as usize]] = moment;
                top = larger(top, f32::abs(moment));
            }
        }
        let top = largest(top, &mut scratch, units);
        #[unroll]
        for k in 0..per_unit {
            let word = block * comptime![plan.block / 4] + k * units + UNIT_POS_X;
            let mut packed = 0u32;
            #[unroll]
            for j in 0..4u32 {
                if word * 4 + j < count {
                    let moment = moments[comptime![(4 * k + j) as usize]];
                    packed |= encode(moment, top, &table, 0u32, zero, rule) << (j * 8);
                }
            }
            if word * 4 < count {
                words[word as usize] = packed;
            }
        }
        if UNIT_POS_X == 0 {
            absmax[block as usize] = top;
        }
        block += CUBE_COUNT_X;
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
fn adam_kernel(
    parameter: &mut Tensor<f32>,
    gradient: &Tensor<f32>,
    words1: &mut Tensor<u32>,
    absmax1: &mut Tensor<f32>,
    words2: &mut Tensor<u32>,
    absmax2: &mut Tensor<f32>,
    tables: &Tensor<f32>,
    plan: Plan,
    rate: f32,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    epsilon: f32,
    coupled: f32,
    shrink: f32,
    #[comptime] rule1: u32,
    #[comptime] rule2: u32,
) {
    let units = comptime![plan.units];
    let per_unit = comptime![plan.block / 4 / plan.units];
    let mut table = Shared::<[f32]>::new_slice(1024usize);
    let mut scratch = Shared::<[f32]>::new_slice(comptime![units as usize]);
    load_table(tables, &mut table, 1024u32, units);
    let count = plan.count;
    let blocks = (count + comptime![plan.block - 1]) / comptime![plan.block];
    let mut firsts = Array::<f32>::new(comptime![4 * per_unit as usize]);
    let mut seconds = Array::<f32>::new(comptime![4 * per_unit as usize]);
    let mut block = CUBE_POS_X;
    while block < blocks {
        let old1 = absmax1[block as usize];
        let old2 = absmax2[block as usize];
        let mut top1 = 0.0f32;
        let mut top2 = 0.0f32;
        #[unroll]
        for k in 0..per_unit {
            let word = block * comptime![plan.block / 4] + k * units + UNIT_POS_X;
            let mut codes1 = 0u32;
            let mut codes2 = 0u32;
            if word * 4 < count {
                codes1 = words1[word as usize];
                codes2 = words2[word as usize];
            }
            #[unroll]
            for j in 0..4u32 {
                let i = word * 4 + j;
                let mut first = 0.0f32;
                let mut second = 0.0f32;
                if i < count {
                    let code1 = (codes1 >> (j * 8)) & 255u32;
                    let code2 = (codes2 >> (j * 8)) & 255u32;
                    let p = parameter[i as usize];
                    let g = gradient[i as usize] + coupled * p;
                    first = bounded(beta1 * (table[code1 as usize] * old1) + rest1 * g);
                    second = bounded(beta2 * (table[(512 + code2) as usize] * old2) + rest2 * (g * g));
                    parameter[i as usize] = shrink * p - rate * (first / (f32::sqrt(second) + epsilon));
                }
                firsts[comptime![(4 * k + j) as usize]] = first;
                seconds[comptime![(4 * k + j) as usize]] = second;
                top1 = larger(top1, f32::abs(first));
                top2 = larger(top2, second);
            }
        }
        let top1 = largest(top1, &mut scratch, units);
        let top2 = largest(top2, &mut scratch, units);
        #[unroll]
        for k in 0..per_unit {
            let word = block * comptime![plan.block / 4] + k * units + UNIT_POS_X;
            let mut packed1 = 0u32;
            let mut packed2 = 0u32;
            #[unroll]
            for j in 0..4u32 {
                if word * 4 + j < count {
                    let first = firsts[comptime![(4 * k + j) as usize]];
                    let second = seconds[comptime![(4 * k + j) as usize]];
                    packed1 |= encode(first, top1, &table, 0u32, 127u32, rule1) << (j * 8);
                    packed2 |= encode(second, top2, &table, 512u32, 0u32, rule2) << (j * 8);
                }
            }
            if word * 4 < count {
                words1[word as usize] = packed1;
                words2[word as usize] = packed2;
            }
        }
        if UNIT_POS_X == 0 {
            absmax1[block as usize] = top1;
            absmax2[block as usize] = top2;
        }
        block += CUBE_COUNT_X;
    }
}

/// Values and bounds of maps, 512 a map.
fn tables(maps: &[CodeMap], like: &CubeTensor) -> CubeTensor {
    let table = |map: &CodeMap| map.values().iter().chain(map.bounds()).copied().chain([f32::MAX]).collect::<Vec<_>>();
    let values: Vec<f32> = maps.iter().flat_map(table).collect();
    let n = values.len();
    debug_assert_eq!(n, 2 * CODES * maps.len());
    <CubeBackend as burn::backend::ops::FloatTensorOps<CubeBackend>>::float_from_data(
        TensorData::new(values, [n]),
        &like.device,
    )
}

/// Something a kernel may write into.
fn own(x: CubeTensor) -> CubeTensor {
    let x = into_contiguous(x);
    if x.can_mut() { x } else { x.copy() }
}

fn rule(rounding: Rounding) -> u32 {
    match rounding {
        Rounding::Nearest => 0,
        Rounding::SignPreserving => 1,
        Rounding::AboveZero => 2,
    }
}

/// The launch for blocks a kernel can take: a power of two of 64 values or more.
struct Launch {
    cubes: CubeCount,
    dim: CubeDim,
    units: u32,
}

impl Launch {
    fn new(count: usize, block: usize) -> Option<Self> {
        let fits =
            count > 0 && block.is_power_of_two() && block >= 16 * PER_WORD && count <= u32::MAX as usize - UNITS * 16;
        let units = (block / PER_WORD).min(UNITS) as u32;
        let cubes = count.div_ceil(block).min(CUBES) as u32;
        fits.then(|| Self { cubes: CubeCount::Static(cubes, 1, 1), dim: CubeDim::new_1d(units), units })
    }

    fn plan(&self, count: usize, block: usize) -> PlanLaunch {
        PlanLaunch::new(count as u32, block as u32, self.units)
    }
}

fn is_f32(tensors: [&CubeTensor; 2]) -> bool {
    tensors.iter().all(|t| t.dtype == DType::F32)
}

impl Optim8Ops for CubeBackend {
    fn sgd_step8(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        codec: Codec,
        step: SgdStep,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>) {
        let count = parameter.shape().num_elements();
        let launch = Launch::new(count, codec.block).filter(|_| is_f32([&parameter, &gradient]));
        let Some(launch) = launch else {
            return generic::sgd_step::<Self>(parameter, gradient, words, absmax, codec, step);
        };
        let [parameter, words, absmax] = [parameter, words, absmax].map(own);
        let (own, looked) = if step.nesterov { (1.0, step.momentum) } else { (0.0, 1.0) };
        sgd_kernel::launch(
            &parameter.client.clone(),
            launch.cubes.clone(),
            launch.dim,
            parameter.clone().into_tensor_arg(),
            into_contiguous(gradient).into_tensor_arg(),
            words.clone().into_tensor_arg(),
            absmax.clone().into_tensor_arg(),
            tables(&[codec.map], &parameter).into_tensor_arg(),
            launch.plan(count, codec.block),
            step.rate,
            step.momentum,
            step.fresh,
            step.weight_decay,
            own,
            looked,
            u32::from(codec.map.zero()),
            rule(codec.rounding),
        );
        (parameter, words, absmax)
    }

    fn adam_step8(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words1: IntTensor<Self>,
        absmax1: FloatTensor<Self>,
        words2: IntTensor<Self>,
        absmax2: FloatTensor<Self>,
        states: AdamStates,
        step: AdamStep,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>) {
        let count = parameter.shape().num_elements();
        let launch = Launch::new(count, states.block).filter(|_| is_f32([&parameter, &gradient]));
        let Some(launch) = launch else {
            let moments = [(words1, absmax1), (words2, absmax2)];
            return generic::adam_step::<Self>(parameter, gradient, moments, states, step);
        };
        let [parameter, words1, absmax1, words2, absmax2] = [parameter, words1, absmax1, words2, absmax2].map(own);
        adam_kernel::launch(
            &parameter.client.clone(),
            launch.cubes.clone(),
            launch.dim,
            parameter.clone().into_tensor_arg(),
            into_contiguous(gradient).into_tensor_arg(),
            words1.clone().into_tensor_arg(),
            absmax1.clone().into_tensor_arg(),
            words2.clone().into_tensor_arg(),
            absmax2.clone().into_tensor_arg(),
            tables(&[CodeMap::Signed, CodeMap::Unsigned], &parameter).into_tensor_arg(),
            launch.plan(count, states.block),
            step.rate,
            step.first[0],
            step.first[1],
            step.second[0],
            step.second[1],
            step.epsilon,
            step.coupled,
            step.shrink,
            rule(states.rounding[0]),
            rule(states.rounding[1]),
        );
        (parameter, words1, absmax1, words2, absmax2)
    }
}

/// Shapes and types of results, for the lazy form of the operations.
pub(super) fn quantized(x: &TensorSpec, codec: &Codec) -> (TensorSpec, TensorSpec) {
    let count = x.shape.num_elements();
    let words = TensorSpec::new([count.div_ceil(PER_WORD)].into(), DType::U32);
    (words, TensorSpec::new([codec.blocks(count)].into(), DType::F32))
}

pub(super) fn dequantized(_: &TensorSpec, _: &TensorSpec, _: &Codec, count: &usize) -> TensorSpec {
    TensorSpec::new([*count].into(), DType::F32)
}

pub(super) fn stepped_sgd(
    parameter: &TensorSpec,
    _: &TensorSpec,
    words: &TensorSpec,
    absmax: &TensorSpec,
    _: &Codec,
    _: &SgdStep,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    (parameter.clone(), words.clone(), absmax.clone())
}

#[allow(clippy::too_many_arguments, reason = "as many as the operation takes")]
pub(super) fn stepped_adam(
    parameter: &TensorSpec,
    _: &TensorSpec,
    words1: &TensorSpec,
    absmax1: &TensorSpec,
    words2: &TensorSpec,
    absmax2: &TensorSpec,
    _: &AdamStates,
    _: &AdamStep,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    (parameter.clone(), words1.clone(), absmax1.clone(), words2.clone(), absmax2.clone())
}
