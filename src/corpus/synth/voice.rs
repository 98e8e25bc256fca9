//! The voice of a speaker, which all its utterances share.

use crate::rng::Stream;

/// Vowels as the first three formants of an adult male, Hz (averages of Peterson and Barney, 1952).
pub(super) const VOWELS: [[f64; 3]; 10] = [
    [270.0, 2290.0, 3010.0],
    [390.0, 1990.0, 2550.0],
    [530.0, 1840.0, 2480.0],
    [660.0, 1720.0, 2410.0],
    [640.0, 1190.0, 2390.0],
    [730.0, 1090.0, 2440.0],
    [570.0, 840.0, 2410.0],
    [440.0, 1020.0, 2240.0],
    [300.0, 870.0, 2240.0],
    [490.0, 1350.0, 1690.0],
];

/// Number of formants of a voice.
pub(super) const FORMANTS: usize = 5;

/// A speaker's voice.
#[derive(Debug, Clone)]
pub struct Voice {
    /// Whether it is of the high register, with a shorter tract and a higher pitch.
    pub high: bool,
    /// Factor on all formants: a shorter vocal tract has higher ones.
    pub tract: f64,
    /// Mean pitch, Hz.
    pub pitch: f64,
    /// Depth of intonation, in semitones.
    pub(super) intonation: f64,
    /// Formants of each vowel, Hz.
    pub(super) vowels: Vec<[f64; FORMANTS]>,
    /// Factor on the formants' bandwidths.
    pub(super) damping: f64,
    /// Pole of the glottal low-pass: the higher, the duller.
    pub(super) tilt: f64,
    /// Aspiration relative to voicing.
    pub(super) breath: f64,
    /// Random variation of the length of glottal cycles.
    pub(super) jitter: f64,
    /// Factor on the frequencies of fricatives.
    pub(super) sibilance: f64,
    /// Syllables per second.
    pub(super) tempo: f64,
}

impl Voice {
    /// Draws a voice.
    pub fn draw(stream: &mut Stream) -> Self {
        let high = stream.chance(0.5);
        let (tract, pitch) = match high {
            true => (stream.between(0.96, 1.30), stream.between(160.0, 235.0)),
            false => (stream.between(0.80, 1.08), stream.between(92.0, 150.0)),
        };
        let shape: Vec<f64> = (0..FORMANTS).map(|_| 1.0 + 0.06 * stream.normal()).collect();
        let vowels = VOWELS
            .iter()
            .map(|v| {
                let base = [v[0], v[1], v[2], 3500.0, 4500.0];
                std::array::from_fn(|f| base[f] * tract * shape[f] * (1.0 + 0.03 * stream.normal()))
            })
            .collect();
        Self {
            high,
            tract,
            pitch,
            intonation: stream.between(1.0, 3.5),
            vowels,
            damping: stream.between(0.7, 1.8),
            tilt: 1.0 - 0.4 * stream.between(0.0, 1.0).powi(2) - 0.03,
            breath: 0.01 * 30f64.powf(stream.between(0.0, 1.0)),
            jitter: stream.between(0.002, 0.02),
            sibilance: tract * stream.between(0.85, 1.15),
            tempo: stream.between(3.0, 5.5),
        }
    }
}
