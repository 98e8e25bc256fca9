//! Cross-entropy over many classes, some classes at a time: no matrix of batch by classes is ever
//! stored.
//!
//! What makes logits of weights ([`Logits`]) is asked for those of a range of classes, once on the
//! way forwards and once backwards. The forward pass keeps the sums of the softmax, one for each
//! example. The backward pass computes a range's logits again on a private tape, whose gradient
//! follows from these sums.
//!
//! | file | holds |
//! |---|---|
//! | `parts.rs` | both passes, from range to range |
//! | `node.rs` | the whole as one node of the tape |
//! | `tests.rs` | against Burn's cross-entropy of all classes at once |

mod node;
mod parts;

pub use node::{ClassOps, class_loss};
pub use parts::{Classes, Logits, Own, Scored};

#[cfg(test)]
mod tests;
