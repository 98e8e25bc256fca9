//! The sound of an utterance: syllables, pitch contour, glottal source, formant filters, recording.

use super::SAMPLE_RATE;
use super::voice::{FORMANTS, Voice};
use crate::rng::Stream;

const RATE: f64 = SAMPLE_RATE as f64;
/// Samples between updates of the filters.
const HOP: usize = 80;

/// A stretch of an utterance.
struct Segment {
    samples: usize,
    /// Formants to glide to, Hz.
    formants: [f64; FORMANTS],
    /// Amplitude of the voice.
    voiced: f64,
    /// Amplitude and centre (Hz) of frication.
    noise: (f64, f64),
}

/// The samples of one utterance of `seconds`.
pub(super) fn utterance(voice: &Voice, seconds: f64, draw: &mut Stream) -> Vec<f32> {
    let total = (seconds * RATE) as usize;
    let segments = syllables(voice, total, draw);
    // The mean pitch differs between utterances by up to three semitones either way.
    let pitch = voice.pitch * 2f64.powf(draw.between(-3.0, 3.0) / 12.0);
    let mut samples = speak(voice, &segments, pitch, total, draw);
    record(&mut samples, draw);
    samples
}

/// Random syllables of about `total` samples. Each is a vowel, mostly after a consonant, sometimes
/// after a pause.
fn syllables(voice: &Voice, total: usize, draw: &mut Stream) -> Vec<Segment> {
    let neutral: [f64; FORMANTS] =
        std::array::from_fn(|f| 500.0 * (2 * f + 1) as f64 * voice.tract);
    let length = |seconds: f64| (seconds * RATE) as usize;
    let tempo = voice.tempo * draw.between(0.85, 1.15);
    let edge = length(0.12);
    let silence =
        |samples| Segment { samples, formants: neutral, voiced: 0.0, noise: (0.0, 1000.0) };
    let mut segments = vec![silence(edge)];
    let mut done = edge;
    while done + edge < total {
        let vowel = voice.vowels[draw.below(voice.vowels.len())];
        let mut parts = Vec::new();
        if draw.chance(0.12) {
            parts.push(silence(length(draw.between(0.08, 0.25))));
        }
        let consonant = length(draw.between(0.05, 0.11));
        match draw.below(5) {
            0 => {
                let center = [4200.0, 6200.0, 2900.0][draw.below(3)] * voice.sibilance;
                parts.push(Segment {
                    samples: consonant,
                    formants: vowel,
                    voiced: 0.0,
                    noise: (0.25, center),
                });
            }
            1 => {
                parts.push(silence(consonant));
                let center = draw.between(1500.0, 4000.0) * voice.sibilance;
                parts.push(Segment {
                    samples: length(0.012),
                    formants: vowel,
                    voiced: 0.0,
                    noise: (0.5, center),
                });
            }
            2 => {
                let mut nasal = vowel;
                (nasal[0], nasal[1]) =
                    (260.0 * voice.tract, draw.between(1000.0, 1500.0) * voice.tract);
                parts.push(Segment {
                    samples: consonant,
                    formants: nasal,
                    voiced: 0.35,
                    noise: (0.0, 1000.0),
                });
            }
            _ => {}
        }
        let stretch = draw.between(0.6, 1.4) / tempo;
        let loud = draw.between(0.6, 1.0);
        parts.push(Segment {
            samples: length(stretch),
            formants: vowel,
            voiced: loud,
            noise: (0.0, 1000.0),
        });
        done += parts.iter().map(|p| p.samples).sum::<usize>();
        segments.extend(parts);
    }
    segments
}

/// A two-pole resonator of unit gain at its centre (Klatt's difference equation without the
/// normalisation at 0 Hz).
#[derive(Clone, Copy, Default)]
struct Resonator {
    b: f64,
    c: f64,
    gain: f64,
    y1: f64,
    y2: f64,
}

impl Resonator {
    fn tune(&mut self, hertz: f64, bandwidth: f64) {
        let r = (-std::f64::consts::PI * bandwidth / RATE).exp();
        let w = std::f64::consts::TAU * hertz.clamp(50.0, 0.48 * RATE) / RATE;
        (self.b, self.c) = (2.0 * r * w.cos(), -r * r);
        self.gain = 1.0 - self.b - self.c;
    }

    fn run(&mut self, x: f64) -> f64 {
        let y = self.gain * x + self.b * self.y1 + self.c * self.y2;
        (self.y2, self.y1) = (self.y1, y);
        y
    }
}

/// `total` samples of the voice saying the segments.
fn speak(
    voice: &Voice,
    segments: &[Segment],
    pitch: f64,
    total: usize,
    draw: &mut Stream,
) -> Vec<f32> {
    let mut out = Vec::with_capacity(total);
    let mut formants = segments[0].formants;
    let (mut voiced, mut noisy) = (0.0, 0.0);
    let mut tract = [Resonator::default(); FORMANTS];
    let mut fricative = Resonator::default();
    let (mut glottis, mut phase, mut cycle) = (0.0, 0.0, 1.0);
    let (melody, wave) = (draw.between(0.2, 0.6), draw.between(0.0, std::f64::consts::TAU));
    'all: for segment in segments {
        for i in 0..segment.samples {
            if i % HOP == 0 {
                // Articulators and amplitudes move towards their targets with a time constant of
                // some 15 ms.
                for (f, target) in formants.iter_mut().zip(segment.formants) {
                    *f += 0.28 * (target - *f);
                }
                for (k, (r, f)) in tract.iter_mut().zip(formants).enumerate() {
                    r.tune(f, voice.damping * (50.0 + 0.03 * f + 20.0 * k as f64));
                }
                fricative.tune(segment.noise.1, 900.0);
            }
            voiced += 0.004 * (segment.voiced - voiced);
            noisy += 0.01 * (segment.noise.0 - noisy);
            let t = out.len() as f64 / RATE;
            let fall = 1.0 - 0.12 * out.len() as f64 / total as f64;
            let bend = 2f64
                .powf(voice.intonation * (std::f64::consts::TAU * melody * t + wave).sin() / 12.0);
            phase += pitch * fall * bend * cycle / RATE;
            let mut pulse = 0.0;
            if phase >= 1.0 {
                phase -= 1.0;
                cycle = 1.0 + voice.jitter * draw.normal();
                pulse = 1.0;
            }
            // Uniform white noise of unit variance, which is cheaper than normal draws.
            let noise = 3.46 * (draw.uniform() - 0.5);
            glottis =
                voice.tilt * glottis + (1.0 - voice.tilt) * (12.0 * pulse + voice.breath * noise);
            let source = voiced * glottis;
            let vowel = tract.iter_mut().fold(source, |x, r| r.run(x));
            out.push((vowel + 0.3 * fricative.run(noisy * noise)) as f32);
            if out.len() == total {
                break 'all;
            }
        }
    }
    out.resize(total, 0.0);
    out
}

/// Adds a microphone's tilt and a background, and draws a level from a range of 16 dB.
fn record(samples: &mut [f32], draw: &mut Stream) {
    let tilt = draw.between(-0.1, 0.1) as f32;
    let mut before = 0.0;
    for x in samples.iter_mut() {
        let now = *x;
        *x = now - tilt * before;
        before = now;
    }
    let level = 10f64.powf(draw.between(-34.0, -18.0) / 20.0);
    let rms =
        (samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / samples.len() as f64).sqrt();
    let gain = level / rms.max(1e-9);
    let floor = level * 10f64.powf(draw.between(-45.0, -30.0) / 20.0);
    for x in samples.iter_mut() {
        *x = (gain * f64::from(*x) + floor * 3.46 * (draw.uniform() - 0.5)).clamp(-1.0, 0.9999)
            as f32;
    }
}
