//! What a user is told of a recording's quality.

use crate::audio::Quality;

/// Above this share of samples, clipping is heard.
const CLIPPED: f64 = 0.01;
/// A recording whose bandwidth is a smaller part of what the front-end hears is of a telephone, or
/// as narrow.
const NARROW: f64 = 0.6;
/// Below so many seconds of speech, scores are less reliable than error rates suggest.
const SHORT: f64 = 1.0;

/// Warnings of a recording that is not silent, for a front-end that hears frequencies up to
/// `highest` Hz. Its band is no news where a low sample rate was told (`is_told`).
pub(super) fn of(quality: &Quality, highest: f64, is_told: bool) -> Vec<String> {
    let Quality { speech_seconds, clipped, bandwidth } = *quality;
    let mut warnings = Vec::new();
    if clipped > CLIPPED {
        warnings
            .push(format!("clipped: {:.1} % of the samples are at full scale", 100.0 * clipped));
    }
    if !is_told && bandwidth < NARROW * highest {
        warnings.push(format!(
            "telephone band: above {bandwidth:.0} Hz there is next to nothing for a model that \
             hears {highest:.0} Hz; scores are less reliable"
        ));
    }
    if speech_seconds < SHORT {
        warnings.push(format!("only {speech_seconds:.2} s of speech"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_warning() {
        let good = Quality { speech_seconds: 1.0, clipped: 0.01, bandwidth: 4800.0 };
        let warned = |quality: Quality, is_told: bool| of(&quality, 8000.0, is_told).join("|");
        assert_eq!(warned(good, false), "");
        let clipped = warned(Quality { clipped: 0.023, ..good }, false);
        assert_eq!(clipped, "clipped: 2.3 % of the samples are at full scale");
        let narrow = Quality { bandwidth: 3400.0, ..good };
        assert!(warned(narrow, false).starts_with("telephone band: above 3400 Hz "));
        assert_eq!(warned(narrow, true), "");
        let short = Quality { speech_seconds: 0.994, ..good };
        assert_eq!(warned(short, false), "only 0.99 s of speech");
        let all = Quality { speech_seconds: 0.0, clipped: 1.0, bandwidth: 0.0 };
        assert_eq!(of(&all, 8000.0, false).len(), 3);
    }
}
