//! An example, and the stages of the work on it.

/// One example.
pub struct Example {
    /// Mean-subtracted features `[frames, mels]`, or samples where the device makes features.
    pub values: Vec<f32>,
    /// The place of each frame's dither, where the device makes features.
    pub dither: Vec<i64>,
    /// 0 where features are masked, else 1, where the device makes features.
    pub masks: Vec<f32>,
    /// Class: speaker, or speaker at a speed.
    pub label: usize,
    /// The utterance's id.
    pub id: String,
}

/// A part of the work on an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Opening the file. A small one is read whole.
    Read,
    /// Decoding the crop.
    Decode,
    /// Speed, noise, reverberation.
    Augment,
    /// Features and masks on them.
    Features,
}

/// What is called at the end of each stage.
pub type Mark<'a> = dyn FnMut(Stage) + 'a;
