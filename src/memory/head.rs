//! The head's share of a step: what it makes of embeddings on the way to the loss and back.

use super::machine::Machine;
use crate::losses::{HeadConfig, speakers_at_once};

/// Tensors of the size `[batch, classes]` that the head makes on the way to the loss and back, at
/// the same time. Where classes come in parts, these are a part.
const MATRICES: usize = 10;
/// Those of them that are there when the loss is known, if classes come all at once.
const LOGITS: usize = 6;
/// Copies of the weights at the same time, beside weights and gradient: their unit rows and what
/// the gradients of these are made of. All classes at once have the first number, a part the
/// second.
const COPIES: [usize; 2] = [2, 6];

/// Bytes of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Weights, and as many of their gradient.
    pub weights: usize,
    /// What is there when the loss is known.
    pub held: usize,
    /// The most that comes and goes before the gradient of the weights is there.
    pub before: usize,
    /// The most that comes and goes beside it.
    pub beside: usize,
    /// Activations, held or not.
    pub activations: usize,
}

impl Head {
    /// The default head, which takes many classes in parts.
    pub fn of(batch: usize, classes: usize, dim: usize, machine: Machine) -> Self {
        let weights = 4 * dim * classes;
        let matrix = |classes: usize| machine.bytes(batch, &[classes]);
        match speakers_at_once(&HeadConfig::default(), batch, dim, classes) {
            None => {
                let (held, all) = (LOGITS * matrix(classes), MATRICES * matrix(classes));
                let before = all - held + COPIES[0] * weights;
                Self { weights, held, before, beside: 0, activations: all }
            }
            Some(part) => {
                // Embeddings, and the same with unit length.
                let held = 2 * machine.bytes(batch, &[dim]);
                let part = MATRICES * matrix(part) + COPIES[1] * 4 * dim * part;
                // On GPUs the gradient is copied to memory of its own when it is complete.
                let before = if machine.is_gpu() { weights + part } else { part };
                Self { weights, held, before, beside: part, activations: held + part }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::BackendKind;

    fn head(batch: usize, classes: usize) -> Head {
        Head::of(batch, classes, 256, Machine::of(BackendKind::Flex))
    }

    /// 512 crops and the classes of VoxCeleb2 with speeds: 10 matrices of 36.8 MB and 2 copies of
    /// 18.4 MB become 10 of 1.4 MB and 6 of 0.7 MB.
    #[test]
    fn parts_take_a_twentieth() {
        let (batch, classes, dim) = (512, 17_982, 256);
        let large = head(batch, classes);
        let whole = 4 * (MATRICES * batch + COPIES[0] * dim) * classes;
        assert_eq!(large.weights, 4 * dim * classes);
        assert!(20 * (large.held + large.beside) < whole, "{large:?} against {whole}");
        let small = head(128, 5994);
        assert_eq!(small.held + small.before, 4 * 5994 * (10 * 128 + 2 * 256));
        assert_eq!((small.beside, small.activations), (0, 4 * 5994 * 10 * 128));
    }
}
