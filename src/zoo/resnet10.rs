//! `resnet10`: our own small ResNet, with one block in each stage, for quick runs and tests.

use super::resnet::Blocks;
use crate::nn::BranchKind;

/// The network of the registry's row.
pub(super) const NETWORK: Blocks = Blocks(BranchKind::Basic, [1, 1, 1, 1]);
