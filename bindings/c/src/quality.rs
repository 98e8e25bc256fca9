//! What a recording offers, in the layout of C.

use std::ffi::c_char;

use engine::audio::Quality;
use engine::inference::Facts;

/// Bytes of the text of warnings, with the zero that ends it.
pub const REVOX_WARNINGS: usize = 1024;

/// What a recording offers to those who compare voices.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RevoxQuality {
    /// Its length, s.
    pub seconds: f64,
    /// Seconds of speech in it.
    pub speech_seconds: f64,
    /// Root mean square of its samples, full scale = 1.
    pub rms: f64,
    /// Share of its samples that are clipped, 0 to 1.
    pub clipped: f64,
    /// The highest frequency that is heard in it, Hz.
    pub bandwidth: f64,
    /// Frames that the network takes of it.
    pub frames: u64,
    /// 1 if its samples do not change, else 0.
    pub silent: i32,
    /// What makes its scores less reliable: UTF-8, a line for each warning, and empty if there is
    /// none. What does not fit is left out, by whole lines.
    pub warnings: [c_char; REVOX_WARNINGS],
}

impl RevoxQuality {
    pub(crate) fn of(facts: &Facts) -> Self {
        let Quality { speech_seconds, clipped, bandwidth } = facts.quality;
        Self {
            seconds: facts.seconds,
            speech_seconds,
            rms: facts.rms,
            clipped,
            bandwidth,
            frames: facts.frames as u64,
            silent: facts.silent.into(),
            warnings: lines(&facts.warnings),
        }
    }

    /// The facts that scores depend on. The warnings are the caller's.
    pub(crate) fn facts(&self) -> Facts {
        let Self { speech_seconds, clipped, bandwidth, .. } = *self;
        Facts {
            seconds: self.seconds,
            rms: self.rms,
            silent: self.silent != 0,
            warnings: Vec::new(),
            frames: usize::try_from(self.frames).unwrap_or(usize::MAX),
            quality: Quality { speech_seconds, clipped, bandwidth },
        }
    }
}

/// Lines as a text for C: as many as fit.
fn lines(all: &[String]) -> [c_char; REVOX_WARNINGS] {
    let mut text = String::new();
    for line in all.iter().map(|line| line.replace(['\0', '\n'], " ")) {
        let break_ = if text.is_empty() { "" } else { "\n" };
        if text.len() + break_.len() + line.len() < REVOX_WARNINGS {
            text = text + break_ + &line;
        }
    }
    let mut made = [0; REVOX_WARNINGS];
    for (place, byte) in made.iter_mut().zip(text.bytes()) {
        *place = byte as c_char;
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[String]) -> String {
        let bytes = super::lines(lines).map(|byte| byte as u8);
        let end = bytes.iter().position(|&byte| byte == 0).unwrap();
        String::from_utf8(bytes[..end].to_vec()).unwrap()
    }

    #[test]
    fn warnings_are_whole_lines() {
        assert_eq!(text(&[]), "");
        assert_eq!(text(&["a".into(), "ü\n\0".into()]), "a\nü  ");
        let fits = "x".repeat(REVOX_WARNINGS - 1);
        assert_eq!(text(&[fits.clone(), "y".into()]), fits);
        assert_eq!(text(&[fits + "x", "y".into()]), "y");
    }
}
