//! Loss scaling: in f16 gradients below 2^-24 become 0, so the loss is multiplied by a large factor
//! and the gradients are divided by it before the optimizer sees them. The factor adapts itself
//! (arXiv 1710.03740, section 3.2; numbers of `torch.amp.GradScaler`).

use serde::{Deserialize, Serialize};

/// The factor of a loss, and what it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct LossScale {
    /// A power of two, so that multiplying and dividing by it round nothing.
    scale: f32,
    /// Steps with finite gradients since the factor changed.
    good_steps: usize,
    /// Steps left out in the whole training.
    skipped: usize,
}

/// A factor as a checkpoint has it.
#[derive(Deserialize)]
struct Unchecked {
    scale: f32,
    good_steps: usize,
    skipped: usize,
}

impl LossScale {
    const FIRST: f32 = 65536.0;
    const LEAST: f32 = 1.0;
    const MOST: f32 = 16_777_216.0;
    /// The factor doubles after so many steps with finite gradients.
    const PATIENCE: usize = 2000;

    /// The factor of a training's first step.
    pub fn new() -> Self {
        Self { scale: Self::FIRST, good_steps: 0, skipped: 0 }
    }

    /// What the next step's loss is multiplied by.
    pub fn factor(&self) -> f32 {
        self.scale
    }

    /// Whether the factor cannot become smaller: gradients that are not finite have another cause.
    pub fn is_least(&self) -> bool {
        self.scale <= Self::LEAST
    }

    /// Steps left out so far because their gradients were not finite.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Learns whether a step's gradients were finite. A step whose gradients were not is left out,
    /// and halves the factor.
    pub fn after(&mut self, finite: bool) {
        if !finite {
            self.scale = (self.scale / 2.0).max(Self::LEAST);
            (self.good_steps, self.skipped) = (0, self.skipped + 1);
            return;
        }
        self.good_steps += 1;
        if self.good_steps >= Self::PATIENCE {
            self.scale = (self.scale * 2.0).min(Self::MOST);
            self.good_steps = 0;
        }
    }
}

impl Default for LossScale {
    fn default() -> Self {
        Self::new()
    }
}

impl TryFrom<Unchecked> for LossScale {
    type Error = String;

    fn try_from(read: Unchecked) -> Result<Self, String> {
        let Unchecked { scale, good_steps, skipped } = read;
        let fits = (Self::LEAST..=Self::MOST).contains(&scale)
            && scale.fract() == 0.0
            && (scale as u32).is_power_of_two();
        match fits {
            true => Ok(Self { scale, good_steps, skipped }),
            false => Err(format!("the loss scale {scale} is no power of two from 1 to 2^24")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(scale: &LossScale) -> bool {
        scale.factor().log2().fract() == 0.0 && scale.factor() * (1.0 / scale.factor()) == 1.0
    }

    #[test]
    fn a_bad_step_halves_and_many_good_ones_double() {
        let mut scale = LossScale::new();
        assert_eq!(scale.factor(), 65536.0);
        scale.after(false);
        assert_eq!((scale.factor(), scale.skipped()), (32768.0, 1));
        for _ in 1..LossScale::PATIENCE {
            scale.after(true);
        }
        assert_eq!(scale.factor(), 32768.0);
        scale.after(true);
        assert_eq!(scale.factor(), 65536.0);
        // A bad step begins the count anew.
        (1..LossScale::PATIENCE).for_each(|_| scale.after(true));
        scale.after(false);
        scale.after(true);
        assert_eq!((scale.factor(), scale.skipped()), (32768.0, 2));
    }

    #[test]
    fn the_factor_stays_a_power_of_two_within_bounds() {
        let mut scale = LossScale::new();
        for _ in 0..40 {
            scale.after(false);
            assert!(exact(&scale) && scale.factor() >= 1.0, "{scale:?}");
        }
        assert!(scale.is_least() && scale.skipped() == 40);
        for _ in 0..40 * LossScale::PATIENCE {
            scale.after(true);
            assert!(exact(&scale) && scale.factor() <= 16_777_216.0, "{scale:?}");
        }
        assert_eq!((scale.factor(), scale.is_least()), (16_777_216.0, false));
    }

    #[test]
    fn a_checkpoint_goes_on_with_it() {
        let mut scale = LossScale::new();
        (0..5).for_each(|i| scale.after(i != 2));
        let text = serde_json::to_string(&scale).unwrap();
        assert_eq!(text, "{\"scale\":32768.0,\"good_steps\":2,\"skipped\":1}");
        assert_eq!(serde_json::from_str::<LossScale>(&text).unwrap(), scale);
        for bad in ["0.0", "-2.0", "0.5", "3.0", "2.5", "33554432.0", "1e30"] {
            let error = serde_json::from_str::<LossScale>(&text.replace("32768.0", bad));
            let error = error.unwrap_err().to_string();
            assert!(error.contains("no power of two"), "{bad}: {error}");
        }
    }
}
