//! Stands in for CubeCL's compiler of the same name.
//!
//! CubeCL's CUDA runtime can make PTX of a kernel in two ways: through LLVM, or as C++ that
//! NVIDIA's NVRTC compiles. It links both and uses one, which is NVRTC with the feature `cpp`. LLVM
//! would then be useless, yet it would be half of the program's bytes and would need a download of
//! prebuilt archives, which not every network allows.
//!
//! This crate has only the items that `cubecl-cuda` names. A build with `cpp` never calls them. In
//! a build without it, every kernel fails to compile, and the error says why.

use core::ffi::c_char;
use core::fmt;

use cubecl_core::Compiler;
use cubecl_core::prelude::KernelDefinition;
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::compiler::CompilationError;
use cubecl_runtime::kernel::BufferIOAttr;

/// The compiler's target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// NVIDIA GPUs.
    #[default]
    Nvptx,
}

/// The compiler.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// The target.
    pub target: LlvmTarget,
}

/// The compiler's options.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// Architecture of an AMD GPU. There is none.
    pub arch: Option<core::convert::Infallible>,
    /// Architecture of an NVIDIA GPU.
    #[cfg(feature = "nvptx")]
    pub sm_arch: Option<cubecl_core::ir::nvidia::SmArch>,
    /// Version of PTX.
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    /// Whether scalars are passed as parameters of the kernel.
    pub grid_constants: bool,
}

/// A compiled kernel.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// PTX that ends in a zero.
    pub ptx: Vec<c_char>,
    /// The intermediate code from which it was compiled.
    pub ir: String,
    /// Bytes of shared memory.
    pub shared_memory_size: usize,
    /// Whether it reads or writes each buffer.
    pub io: Vec<BufferIOAttr>,
}

/// The compiler's output.
#[derive(Clone, Debug)]
pub enum PlironArtifact {
    /// Code for NVIDIA's GPUs.
    NvptxCode(NvptxModule),
}

impl fmt::Display for PlironArtifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::NvptxCode(module) = self;
        f.write_str(&module.ir)
    }
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn compile(
        &mut self,
        _: KernelDefinition,
        _: &PlironOptions,
    ) -> Result<PlironArtifact, CompilationError> {
        Err(CompilationError::Generic {
            reason: "this build has no LLVM: the feature `cpp` of cubecl-cuda must be on, for \
                     NVRTC to compile kernels"
                .into(),
            backtrace: BackTrace::capture(),
        })
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}

/// NVIDIA GPUs as a target.
pub mod nvptx {
    /// Versions of PTX.
    pub mod ptx_version {
        use core::fmt;

        /// No versions, since NVRTC chooses.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum PtxVersion {}

        impl PtxVersion {
            /// The newest version that a driver loads.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {}
            }
        }
    }
}

/// Code that all targets share.
pub mod shared {
    /// Features of a device for which a compiler has no instructions.
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        /// The compiler's target.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA GPUs.
            Nvptx,
        }

        /// Removes such features from a device. No kernel is ever compiled, so it does nothing.
        pub fn restrict_features(_: &mut DeviceProperties, _: GpuTarget) {}
    }
}
