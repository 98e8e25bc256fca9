//! How much a device works on at a time.

use super::Recipe;
use crate::corpus::{Corpus, Done};
use crate::error::Result;

/// The work of one device in one forward and backward pass of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Crops.
    pub batch: usize,
    /// Frames of a crop.
    pub frames: usize,
    /// Classes of the head.
    pub speakers: usize,
}

/// The load of a training on so many devices. It reads the lists of the training corpus,
/// and calls `done` as [`Corpus::load_all_with`] does.
///
/// # Errors
/// Lists that cannot be read.
pub fn load_of(recipe: &Recipe, devices: usize, done: &Done) -> Result<Load> {
    let speakers = Corpus::count_speakers(&recipe.data.train, done)?;
    let parts = (devices * recipe.train.accumulate).max(1);
    Ok(Load {
        batch: recipe.train.batch_size.div_ceil(parts),
        frames: recipe.data.frames,
        speakers: speakers * recipe.data.speeds.len(),
    })
}
