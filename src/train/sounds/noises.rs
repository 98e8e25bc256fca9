//! Additive noises, in groups with ratios of their own.

use std::path::Path;

use super::bank::SoundBank;
use super::drawn::{Drawn, Reading};
use crate::audio::augment::{Categories, add_at_ratio, power};
use crate::error::{Error, Result};
use crate::rng::Stream;
use crate::train::recipe::AugmentConfig;

/// The noises of a recipe.
///
/// Each group is equally likely, then each of its sounds, as in Kaldi's recipes, where each
/// category makes one copy of the corpus. WeSpeaker has one group of all sounds.
pub(super) struct Noises {
    bank: SoundBank,
    groups: Vec<Group>,
    pub drawn: Drawn,
}

/// Sounds that are added in the same way.
struct Group {
    sounds: Vec<usize>,
    /// Signal-to-noise ratio of each sound, dB.
    snr: [f64; 2],
    /// Fewest and most sounds at once.
    mix: [usize; 2],
}

impl Noises {
    /// The noises of a wav.scp, in the categories of a recipe. Sounds of no category are a group of
    /// their own.
    ///
    /// # Errors
    /// A list that cannot be read; a category that no sound belongs to.
    pub fn new(list: &Path, config: &AugmentConfig, reading: Reading) -> Result<Self> {
        let bank = SoundBank::new(list, reading.rate, reading.bytes)?;
        let mut groups = Vec::new();
        let mut left: Vec<usize> = (0..bank.count()).collect();
        for (name, category) in config.categories.named() {
            let (sounds, others): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|&sound| Categories::name_of(bank.id(sound)) == name);
            if sounds.is_empty() {
                let message = format!(
                    "no id begins with `{name}-` or `{name}/`: take augment.categories.{name} out \
                     of the recipe, or give a list that `revox prepare musan` made"
                );
                return Err(Error::file(list, message));
            }
            groups.push(Group { sounds, snr: category.snr, mix: category.mix });
            left = others;
        }
        if !left.is_empty() {
            groups.push(Group { sounds: left, snr: config.noise_snr, mix: [1, 1] });
        }
        let drawn = Drawn::new("augment.noise", bank.count(), reading);
        Ok(Self { bank, groups, drawn })
    }

    /// Adds the sounds of a group to an utterance.
    ///
    /// # Errors
    /// Sounds that cannot be read, at their lines, if they are too many.
    pub fn add(&self, samples: &mut [f32], draw: &mut Stream) -> Result<()> {
        let group = match self.groups.as_slice() {
            [only] => only,
            all => &all[draw.below(all.len())],
        };
        let ([low, high], [fewest, most]) = (group.snr, group.mix);
        let count = if fewest < most { fewest + draw.below(most - fewest + 1) } else { fewest };
        let (signal, length) = (power(samples), samples.len());
        for _ in 0..count {
            let (snr, noise) = self.drawn.any(&group.sounds, draw, |sound, draw| {
                let snr = draw.between(low, high);
                let start = draw.below(self.bank.length(sound)?);
                Ok((snr, self.bank.stretch(sound, start, length)?))
            })?;
            add_at_ratio(samples, &noise, signal, snr);
        }
        Ok(())
    }
}
