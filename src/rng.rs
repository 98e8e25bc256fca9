//! Random streams, each of which depends only on its seed and its purpose.
//!
//! Every draw comes from a ChaCha stream keyed by the seed and by what it is for (an epoch, an
//! utterance, a layer). So neither the number of threads nor the order of work changes a result,
//! and a resumed run draws the same as an uninterrupted one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// FNV-1a, 64 bits: a stable hash of a name.
pub fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The splitmix64 finaliser: every input bit changes every output bit with probability one half.
pub fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A random stream for one purpose.
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream for `purpose`, such as `"crop"`, with a seed and with `keys`, such as epoch and
    /// utterance.
    pub fn new(seed: u64, purpose: &str, keys: &[u64]) -> Self {
        let mut state =
            mix64(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ fnv1a64(purpose.as_bytes());
        let mut key = [0u8; 32];
        for &k in keys {
            state = mix64(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix64(k));
        }
        for chunk in key.chunks_exact_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&mix64(state).to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform among `0..n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "cannot draw from nothing");
        // The bias of the multiply-shift is below n / 2^64.
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        self.normal_pair().0
    }

    /// Two independent standard normals, at the cost of one (Box-Muller transform).
    pub fn normal_pair(&mut self) -> (f64, f64) {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        (radius * cos, radius * sin)
    }

    /// Shuffles in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// `k` distinct numbers below `n` in random order, all of them if `k >= n`.
    pub fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        let k = k.min(n);
        for i in 0..k {
            let j = i + self.below(n - i);
            all.swap(i, j);
        }
        all.truncate(k);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_key_and_repeat() {
        let first = |seed, purpose: &str, keys: &[u64]| Stream::new(seed, purpose, keys).bits();
        let base = first(1, "crop", &[2, 3]);
        assert_eq!(base, first(1, "crop", &[2, 3]));
        for other in [
            first(2, "crop", &[2, 3]),
            first(1, "noise", &[2, 3]),
            first(1, "crop", &[3, 2]),
            first(1, "crop", &[2]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn draws_have_the_moments_of_their_distribution() {
        let mut s = Stream::new(7, "test", &[]);
        let n = 40_000;
        let (mut mean, mut square, mut uniform) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            let z = s.normal();
            mean += z / n as f64;
            square += z * z / n as f64;
            uniform += s.uniform() / n as f64;
        }
        assert!(mean.abs() < 0.02 && (square - 1.0).abs() < 0.03 && (uniform - 0.5).abs() < 0.01);
        let mut order: Vec<usize> = (0..100).collect();
        s.shuffle(&mut order);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_ne!(order, sorted);
        let mut some = s.sample(10, 4);
        some.sort_unstable();
        some.dedup();
        assert_eq!(some.len(), 4);
        assert_eq!(s.sample(3, 9).len(), 3);
    }
}
