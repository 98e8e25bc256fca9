//! Tables of code maps in the memory of devices, uploaded once for each device and choice of maps.

use std::sync::{Mutex, PoisonError};

use burn::backend::ops::FloatTensorOps;
use burn::tensor::TensorData;
use burn_cubecl::cubecl::dry_run::dry_run;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};

use crate::backend::optim8::{CODES, CodeMap};

struct Cached {
    device: CubeDevice,
    maps: Vec<CodeMap>,
    table: CubeTensor,
}

/// A device that is lost stays lost for the process, so nothing is ever taken out: a few kilobytes
/// for each device in use.
static TABLES: Mutex<Vec<Cached>> = Mutex::new(Vec::new());

/// Values and bounds of maps, 512 numbers a map.
pub(super) fn table(maps: &[CodeMap], like: &CubeTensor) -> CubeTensor {
    // What is written in a dry run may have no memory behind it.
    if dry_run() {
        return upload(maps, like);
    }
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |cached: &&Cached| cached.device == like.device && cached.maps == maps;
    if let Some(cached) = tables.iter().find(same) {
        return cached.table.clone();
    }
    let table = upload(maps, like);
    let (device, maps) = (like.device.clone(), maps.to_vec());
    tables.push(Cached { device, maps, table: table.clone() });
    table
}

fn upload(maps: &[CodeMap], like: &CubeTensor) -> CubeTensor {
    let table = |map: &CodeMap| {
        map.values().iter().chain(map.bounds()).copied().chain([f32::MAX]).collect::<Vec<_>>()
    };
    let values: Vec<f32> = maps.iter().flat_map(table).collect();
    let n = values.len();
    debug_assert_eq!(n, 2 * CODES * maps.len());
    let data = TensorData::new(values, [n]);
    <CubeBackend as FloatTensorOps<CubeBackend>>::float_from_data(data, &like.device)
}
