//! `resnet10`: a ResNet of one block a stage, ours, for quick runs and tests.

use super::resnet::Blocks;
use crate::nn::BranchKind;

/// The network of the registry's row.
pub(super) const NETWORK: Blocks = Blocks(BranchKind::Basic, [1, 1, 1, 1]);
