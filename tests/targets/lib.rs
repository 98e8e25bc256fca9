//! The runtime's kernels and their tests, with the few things that they use and without Burn. The
//! whole crate would take many times as long to build for another processor, standard library and
//! all. `.ci/targets` builds and runs them.

#![allow(dead_code, reason = "others than tests use the rest, and they are not here")]
#![allow(unused_imports, reason = "so do names that only others import")]

#[path = "../../src/functions.rs"]
mod functions;
#[path = "../../src/infer/kernels/mod.rs"]
mod kernels;
#[path = "../../src/lanes.rs"]
mod lanes;
mod nn;
#[path = "../../src/backend/codes/packed.rs"]
mod packed;
#[path = "../../src/infer/plane.rs"]
mod plane;
#[path = "../../src/rng.rs"]
mod rng;
#[cfg(target_os = "wasi")]
mod threads;

mod backend {
    pub(crate) mod codes {
        pub(crate) use crate::packed::{codes, pack};
    }
}

mod infer {
    pub(crate) use crate::{kernels, plane};
}

#[cfg(test)]
mod tests {
    use crate::kernels::Level;

    /// Tests at all levels would else be tests of the portable one.
    #[test]
    fn the_instructions_of_the_target_are_there() {
        let wanted = if cfg!(target_arch = "wasm32") { Level::Simd128 } else { Level::Neon };
        assert_eq!(Level::best(), wanted);
        #[cfg(target_arch = "aarch64")]
        assert!(std::arch::is_aarch64_feature_detected!("dotprod"));
    }
}
