//! Tests of a backend: what it must get right before its results mean anything. They take a minute
//! or two on a user's own machine. The conformance suite runs them on every backend of a build.
//!
//! Networks must give WeSpeaker's embeddings ([`reference`](mod@reference)). Everything else is
//! compared with the same computation on another backend, with a scalar twin, or with the plain
//! twin on the same device. [`tolerance`] says how large a difference may be, and why.

mod bytes_held;
mod convolutions;
mod embeddings;
mod features;
mod finding;
mod heads;
mod kernels;
mod operations;
mod optim8;
mod quantization;
pub mod reference;
mod reversible;
pub mod tolerance;
mod training;
mod travel;

use burn::tensor::{Device, Tensor, TensorData};

pub use finding::{Finding, Findings};
use tolerance::Tolerance;

use crate::backend::BackendKind;
use crate::error::{Error, Remedy, Result};
use crate::nn::PoolingKind;
use crate::panics::quietly;
use crate::rng::Stream;
use crate::zoo::Architecture;

/// The device under test, and what it is compared with.
pub struct Subject {
    /// The device under test.
    pub device: Device,
    /// A device of another backend, which is known to compute correctly.
    pub peer: Device,
    /// The largest differences allowed.
    pub tolerance: Tolerance,
}

impl Subject {
    /// A backend's device, with a CPU backend as its peer.
    ///
    /// # Errors
    /// There is no such device, or no other CPU backend in this build.
    pub fn open(kind: BackendKind, index: usize) -> Result<Self> {
        let device = kind.device(index)?;
        let peer = [BackendKind::Flex, BackendKind::Ndarray]
            .into_iter()
            .find(|k| k.is_compiled() && *k != kind);
        let peer = peer.ok_or_else(|| {
            let name = kind.name();
            Error::Backend(format!(
                "nothing to compare {name} with: this build has no other CPU backend"
            ))
            .with(Remedy::RebuildWith { feature: "flex,ndarray" })
        })?;
        Ok(Self { device, peer: peer.device(0)?, tolerance: Tolerance::of(kind) })
    }
}

/// One test case.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What it shows when it passes.
    pub about: &'static str,
    run: fn(&Subject, &mut Findings) -> Result<()>,
}

impl Case {
    /// Runs the case; the worst finding comes first.
    ///
    /// # Errors
    /// The case could not be finished. A panic in the backend is an error too.
    pub fn run(&self, subject: &Subject) -> Result<Vec<Finding>> {
        let mut findings = Findings::default();
        match quietly(|| (self.run)(subject, &mut findings)) {
            Ok(result) => result?,
            Err(panic) => return Err(Error::Backend(panic)),
        }
        match findings.list.is_empty() {
            true => Err(Error::Backend("the case compared nothing".into())),
            false => {
                findings.list.sort_by(|a, b| b.severity().total_cmp(&a.severity()));
                Ok(findings.list)
            }
        }
    }
}

/// All cases, quick ones first.
pub const CASES: [Case; 16] = [
    Case {
        name: "operations",
        about: "convolutions, depthwise ones and BatchNorm, and their gradients",
        run: operations::run,
    },
    Case {
        name: "convolutions",
        about: "convolutions of many shapes, in every precision of the device",
        run: convolutions::run,
    },
    Case {
        name: "kernels",
        about: "what is between convolutions, in every type of floats of the device",
        run: kernels::run,
    },
    Case {
        name: "features",
        about: "filter banks on the device are those of the processor",
        run: features::run,
    },
    Case {
        name: "embeddings",
        about: "networks give WeSpeaker's embeddings",
        run: embeddings::run,
    },
    Case {
        name: "heads",
        about: "losses and their gradients, for even and odd numbers of speakers",
        run: heads::run,
    },
    Case {
        name: "training-step",
        about: "loss, gradients and parameters after a step",
        run: training::run,
    },
    Case {
        name: "reversible",
        about: "recomputed gradients are those of the taped twin",
        run: reversible::run,
    },
    Case {
        name: "bytes-held",
        about: "reversible networks hold no more when they are deeper",
        run: bytes_held::run,
    },
    Case {
        name: "optim8-codes",
        about: "optimizer states in 8 bits: the same codes",
        run: optim8::codes,
    },
    Case {
        name: "optim8-steps",
        about: "steps of SGD and Adam with such states",
        run: optim8::steps,
    },
    Case {
        name: "optim8-bodies",
        about: "fused kernels and plain operations step alike",
        run: optim8::bodies,
    },
    Case {
        name: "optim8-finite",
        about: "gradients that are not finite are seen",
        run: optim8::not_finite,
    },
    Case {
        name: "quantizers",
        about: "quantized weights, and training through them",
        run: quantization::run,
    },
    Case {
        name: "packed",
        about: "packed models give the same embeddings and the same file",
        run: quantization::packed,
    },
    Case { name: "travel", about: "training goes on on another backend", run: travel::run },
];

/// `n` normal random numbers, the same ones in every call.
fn numbers(n: usize) -> Vec<f32> {
    let mut stream = Stream::new(9, "selftest", &[]);
    (0..n).map(|_| stream.normal() as f32).collect()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values(data: TensorData) -> Vec<f32> {
    data.convert::<f32>().try_to_vec::<f32>().expect("converted to f32 just now")
}

/// The architecture of a small network.
fn small(name: &str, pooling: PoolingKind) -> Result<Architecture> {
    Ok(Architecture { width: 2, mels: 16, embedding_dim: 6, pooling, ..Architecture::named(name)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = CASES.iter().map(|c| c.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }

    #[test]
    #[cfg(all(feature = "flex", feature = "ndarray"))]
    fn a_panic_is_an_error() {
        let subject = Subject::open(BackendKind::Flex, 0).unwrap();
        let case = |run| Case { name: "", about: "", run };
        let error = case(|_, _| panic!("lost the device")).run(&subject).unwrap_err().to_string();
        assert!(error.contains("lost the device"), "{error}");
        assert!(case(|_, _| Ok(())).run(&subject).unwrap_err().to_string().contains("nothing"));
    }
}
