//! A device without a GPU: wgpu's backend that executes nothing, with the limits of another one.

use burn::tensor::Device;
use burn::tensor::wgpu::WgpuSetup;
use burn_cubecl::cubecl::future::block_on;

use crate::backend::BackendKind;
use crate::error::{Error, Result};

/// More than any tensor has: what a card allocates at a time is compared with the largest tensor
/// afterwards.
const LARGEST: u64 = 1 << 40;
/// Bytes at whose multiples tensors begin on CUDA.
const CUDA_ALIGNMENT: u32 = 512;
/// Buffers that a kernel on CUDA takes at most (cubecl-cuda's `CUDA_MAX_BINDINGS`).
const CUDA_BINDINGS: u32 = 1024;
/// The same on wgpu where it is least: on Apple's GPUs.
const WGPU_BINDINGS: u32 = 28;

/// A new device whose memory is laid out as on `kind`.
///
/// # Errors
/// Those of wgpu.
pub(super) fn device(kind: BackendKind) -> Result<Device> {
    let refused =
        |why: String| Error::Backend(format!("the device of dry runs cannot be made: {why}"));
    let features = wgpu::Features::SHADER_F16
        | wgpu::Features::SHADER_INT64
        | wgpu::Features::SHADER_FLOAT32_ATOMIC;
    let noop = wgpu::NoopBackendOptions {
        enable: true,
        limits: Some(limits(kind)),
        features: Some(features),
        device_type: Some(wgpu::DeviceType::DiscreteGpu),
        subgroup_min_size: Some(32),
        subgroup_max_size: Some(32),
    };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::NOOP,
        // The check of indirect launches would lower the limits.
        flags: wgpu::InstanceFlags::empty(),
        backend_options: wgpu::BackendOptions { noop, ..Default::default() },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapter = block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))
        .map_err(|e| refused(e.to_string()))?;
    let wanted = wgpu::DeviceDescriptor {
        required_features: features,
        required_limits: limits(kind),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    };
    let (device, queue) =
        block_on(adapter.request_device(&wanted)).map_err(|e| refused(e.to_string()))?;
    let setup = WgpuSetup { instance, adapter, device, queue, backend: wgpu::Backend::Noop };
    Device::wgpu_options().setup(setup).init().map_err(|e| refused(e.to_string()))
}

/// What CubeCL learns of the device: where tensors begin, how many a kernel takes, and how large
/// cubes and their shared memory are.
fn limits(kind: BackendKind) -> wgpu::Limits {
    let (alignment, bindings, shared) = match kind {
        BackendKind::Cuda => (CUDA_ALIGNMENT, CUDA_BINDINGS, 48 << 10),
        BackendKind::Wgpu | BackendKind::Flex | BackendKind::Ndarray => {
            (256, WGPU_BINDINGS, 32 << 10)
        }
    };
    wgpu::Limits {
        max_buffer_size: LARGEST,
        max_storage_buffer_binding_size: LARGEST,
        // CubeCL keeps one for itself.
        max_storage_buffers_per_shader_stage: bindings + 1,
        max_buffers_and_acceleration_structures_per_shader_stage: 2 * bindings,
        max_bindings_per_bind_group: 2 * bindings.max(1000),
        min_storage_buffer_offset_alignment: alignment,
        min_uniform_buffer_offset_alignment: alignment,
        max_compute_workgroup_storage_size: shared,
        max_compute_invocations_per_workgroup: 1024,
        max_compute_workgroup_size_x: 1024,
        max_compute_workgroup_size_y: 1024,
        max_compute_workgroup_size_z: 64,
        ..wgpu::Limits::default()
    }
}
