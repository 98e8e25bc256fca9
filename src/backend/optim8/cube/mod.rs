//! The steps as kernels for GPUs, one source for every runtime of CubeCL. There is a kernel for
//! each number of moments, generic over the rule. The codec alone runs in Burn's operations.

mod kernels;

pub(super) use kernels::bounded;

use burn::backend::TensorMetadata;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, TensorData};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use self::kernels::{PlanLaunch, one_kernel, two_kernel};
use super::rules::{with_one, with_two};
use super::{CODES, CodeMap, Codec, OneMoment, Optim8Ops, PER_WORD, Rounding, TwoMoments, plain};

/// A rule's step as a device sees it.
pub(super) trait OnDevice: Send + Sync + 'static {
    /// The numbers of the step.
    type Numbers: LaunchArg;

    /// Those of this step.
    fn numbers(&self) -> <Self::Numbers as LaunchArg>::RuntimeArg;
}

/// The arithmetic of a rule with one moment: what [`super::Update`] is on the CPU.
#[cube]
pub(super) trait UpdateOne: Send + Sync + 'static + OnDevice {
    /// From parameter, gradient and moment to the new parameter and moment.
    fn update(p: f32, g: f32, m: f32, n: &Self::Numbers) -> (f32, f32);
}

/// The arithmetic of a rule with two moments.
#[cube]
pub(super) trait UpdateTwo: Send + Sync + 'static + OnDevice {
    /// From parameter, gradient and moments to the new parameter and moments.
    fn update(p: f32, g: f32, m: f32, v: f32, n: &Self::Numbers) -> (f32, f32, f32);
}

/// Units of a cube at most: every WebGPU device has as many.
const UNITS: usize = 256;
/// Cubes at most; each takes several blocks, so that the tables are loaded less often than there
/// are blocks.
const CUBES: usize = 1 << 14;

/// Values and bounds of maps, 512 a map.
fn tables(maps: &[CodeMap], like: &CubeTensor) -> CubeTensor {
    let table = |map: &CodeMap| {
        map.values().iter().chain(map.bounds()).copied().chain([f32::MAX]).collect::<Vec<_>>()
    };
    let values: Vec<f32> = maps.iter().flat_map(table).collect();
    let n = values.len();
    debug_assert_eq!(n, 2 * CODES * maps.len());
    <CubeBackend as burn::backend::ops::FloatTensorOps<CubeBackend>>::float_from_data(
        TensorData::new(values, [n]),
        &like.device,
    )
}

/// A contiguous tensor that a kernel may write into.
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

/// The launch for tensors and blocks that a kernel can take: f32, and a power of two of 64 values
/// or more.
struct Launch {
    cubes: CubeCount,
    dim: CubeDim,
    plan: [u32; 3],
}

impl Launch {
    fn new([parameter, gradient]: [&CubeTensor; 2], block: usize) -> Option<Self> {
        let count = parameter.shape().num_elements();
        let fits = parameter.dtype == DType::F32
            && gradient.dtype == DType::F32
            && count > 0
            && block.is_power_of_two()
            && block >= 16 * PER_WORD
            && count <= u32::MAX as usize - UNITS * 16;
        let units = (block / PER_WORD).min(UNITS) as u32;
        let cubes = count.div_ceil(block).min(CUBES) as u32;
        fits.then(|| Self {
            cubes: CubeCount::Static(cubes, 1, 1),
            dim: CubeDim::new_1d(units),
            plan: [count as u32, block as u32, units],
        })
    }

    fn plan(&self) -> PlanLaunch {
        let [count, block, units] = self.plan;
        PlanLaunch::new(count, block, units)
    }

    /// Makes the step of a rule with one moment, held in words and absmax.
    fn one<U: UpdateOne>(
        &self,
        parameter: &CubeTensor,
        gradient: CubeTensor,
        [words, absmax]: [&CubeTensor; 2],
        codec: Codec,
        step: U,
    ) {
        one_kernel::launch::<U>(
            &parameter.client.clone(),
            self.cubes.clone(),
            self.dim,
            parameter.clone().into_tensor_arg(),
            into_contiguous(gradient).into_tensor_arg(),
            words.clone().into_tensor_arg(),
            absmax.clone().into_tensor_arg(),
            tables(&[codec.map], parameter).into_tensor_arg(),
            self.plan(),
            step.numbers(),
            u32::from(codec.map.zero()),
            rule(codec.rounding),
        );
    }

    /// Makes the step of a rule with two moments, each held in words and absmax.
    fn two<U: UpdateTwo>(
        &self,
        parameter: &CubeTensor,
        gradient: CubeTensor,
        [[words1, absmax1], [words2, absmax2]]: [[&CubeTensor; 2]; 2],
        codecs: [Codec; 2],
        step: U,
    ) {
        two_kernel::launch::<U>(
            &parameter.client.clone(),
            self.cubes.clone(),
            self.dim,
            parameter.clone().into_tensor_arg(),
            into_contiguous(gradient).into_tensor_arg(),
            words1.clone().into_tensor_arg(),
            absmax1.clone().into_tensor_arg(),
            words2.clone().into_tensor_arg(),
            absmax2.clone().into_tensor_arg(),
            tables(&codecs.map(|codec| codec.map), parameter).into_tensor_arg(),
            self.plan(),
            step.numbers(),
            u32::from(codecs[0].map.zero()),
            rule(codecs[0].rounding),
            u32::from(codecs[1].map.zero()),
            rule(codecs[1].rounding),
        );
    }
}

impl Optim8Ops for CubeBackend {
    fn step8_one(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        codec: Codec,
        rule: OneMoment,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>) {
        let Some(launch) = Launch::new([&parameter, &gradient], codec.block) else {
            return plain::step_one::<Self>(parameter, gradient, words, absmax, codec, rule);
        };
        let [parameter, words, absmax] = [parameter, words, absmax].map(own);
        let moment = [&words, &absmax];
        with_one!(rule, step => launch.one(&parameter, gradient, moment, codec, step));
        (parameter, words, absmax)
    }

    fn step8_two(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        words1: IntTensor<Self>,
        absmax1: FloatTensor<Self>,
        words2: IntTensor<Self>,
        absmax2: FloatTensor<Self>,
        codecs: [Codec; 2],
        rule: TwoMoments,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>)
    {
        let Some(launch) = Launch::new([&parameter, &gradient], codecs[0].block) else {
            let moments = [(words1, absmax1), (words2, absmax2)];
            return plain::step_two::<Self>(parameter, gradient, moments, codecs, rule);
        };
        let [parameter, words1, absmax1, words2, absmax2] =
            [parameter, words1, absmax1, words2, absmax2].map(own);
        let moments = [[&words1, &absmax1], [&words2, &absmax2]];
        with_two!(rule, step => launch.two(&parameter, gradient, moments, codecs, step));
        (parameter, words1, absmax1, words2, absmax2)
    }
}
