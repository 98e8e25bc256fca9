//! The loudness of samples.

/// The level of samples that come in pieces. Where the samples are divided does not matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    samples: usize,
    /// Sum of their squares.
    power: f64,
    lowest: f32,
    highest: f32,
}

impl Default for Level {
    /// The level of no samples.
    fn default() -> Self {
        Self { samples: 0, power: 0.0, lowest: f32::INFINITY, highest: f32::NEG_INFINITY }
    }
}

impl Level {
    /// The level of these samples.
    pub fn of(samples: &[f32]) -> Self {
        let mut level = Self::default();
        level.add(samples);
        level
    }

    /// Adds the next samples.
    pub fn add(&mut self, samples: &[f32]) {
        self.samples += samples.len();
        for &x in samples {
            self.power += f64::from(x) * f64::from(x);
            self.lowest = self.lowest.min(x);
            self.highest = self.highest.max(x);
        }
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Root mean square, full scale = 1. It is 0 for no samples.
    pub fn rms(&self) -> f64 {
        (self.power / self.samples.max(1) as f64).sqrt()
    }

    /// True if all samples are equal, or so nearly equal that no microphone heard anything. A dead
    /// channel may have an offset. The limit lies 20 dB below a step of 16 bits.
    pub fn is_silent(&self) -> bool {
        self.samples == 0 || self.highest - self.lowest < 3e-6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_channel_is_silent_whatever_its_offset() {
        for dead in
            [vec![], vec![0.0; 9], vec![1.0 / 32768.0; 9], vec![-0.3; 9], vec![1e-30, -1e-30, 0.0]]
        {
            assert!(Level::of(&dead).is_silent(), "{dead:?}");
        }
        // A single step of 16 bits is a sound.
        assert!(!Level::of(&[0.0, 1.0 / 32768.0, 0.0]).is_silent());
    }

    #[test]
    fn pieces_have_the_level_of_the_whole() {
        let samples: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.7).sin() * 0.3).collect();
        let whole = Level::of(&samples);
        assert!((whole.rms() - 0.3 / 2f64.sqrt()).abs() < 1e-3 && Level::default().rms() == 0.0);
        for piece in [1, 7, 999] {
            let mut level = Level::default();
            samples.chunks(piece).for_each(|x| level.add(x));
            assert_eq!(level, whole);
        }
    }
}
