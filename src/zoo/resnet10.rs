//! `resnet10`: a ResNet of one block a stage, ours, for quick runs and tests.

use super::resnet::{BlockKind, Blocks};

/// The network of the registry's row.
pub(super) const NETWORK: Blocks = Blocks(BlockKind::Basic, [1, 1, 1, 1]);
