//! The steps as kernels for GPUs, one source for every runtime of CubeCL. The codec alone runs in
//! Burn's operations there.

mod kernels;

use burn::backend::TensorMetadata;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, TensorData};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use self::kernels::{PlanLaunch, adam_kernel, sgd_kernel};
use super::{
    AdamStates, AdamStep, CODES, CodeMap, Codec, Optim8Ops, PER_WORD, Rounding, SgdStep, generic,
};

/// Units of a cube at most: what every WebGPU device has.
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
        let fits = count > 0
            && block.is_power_of_two()
            && block >= 16 * PER_WORD
            && count <= u32::MAX as usize - UNITS * 16;
        let units = (block / PER_WORD).min(UNITS) as u32;
        let cubes = count.div_ceil(block).min(CUBES) as u32;
        fits.then(|| Self {
            cubes: CubeCount::Static(cubes, 1, 1),
            dim: CubeDim::new_1d(units),
            units,
        })
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
        let [own, looked] = step.direction();
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
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>)
    {
        let count = parameter.shape().num_elements();
        let launch = Launch::new(count, states.block).filter(|_| is_f32([&parameter, &gradient]));
        let Some(launch) = launch else {
            let moments = [(words1, absmax1), (words2, absmax2)];
            return generic::adam_step::<Self>(parameter, gradient, moments, states, step);
        };
        let [parameter, words1, absmax1, words2, absmax2] =
            [parameter, words1, absmax1, words2, absmax2].map(own);
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
