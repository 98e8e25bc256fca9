//! Categories of noises, with a range of signal-to-noise ratios each.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// MUSAN's categories. The id of a sound names its category in front of the first `/` or `-`, as in
/// `music/fma/music-fma-0000` or `music-fma-0000`.
///
/// The two customary settings:
///
/// | | `noise` | `music` | `speech` |
/// |---|---|---|---|
/// | Kaldi (`sre16/v2`) | snr 0 to 15 | snr 5 to 15 | snr 13 to 20, mix 3 to 7 |
/// | WeSpeaker | snr 0 to 15 | snr 5 to 15 | snr 10 to 30 |
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Categories {
    /// Technical and natural noises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<Category>,
    /// Music.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub music: Option<Category>,
    /// Speech; several voices at once are babble.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech: Option<Category>,
}

/// How the sounds of a category are added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Signal-to-noise ratio of each sound, dB, drawn uniformly.
    pub snr: [f64; 2],
    /// How many sounds are added at once, drawn uniformly. Each has a ratio of its own, as in
    /// Kaldi's `augment_data_dir.py`.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub mix: [usize; 2],
}

fn one() -> [usize; 2] {
    [1, 1]
}

fn is_one(mix: &[usize; 2]) -> bool {
    *mix == one()
}

impl Categories {
    /// The category that an id names.
    pub fn name_of(id: &str) -> &str {
        id.split(['/', '-']).next().unwrap_or(id)
    }

    /// The categories that are given, with their names.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Category)> {
        let all = [("noise", &self.noise), ("music", &self.music), ("speech", &self.speech)];
        all.into_iter().filter_map(|(name, category)| Some((name, category.as_ref()?)))
    }

    /// Whether no category is given.
    pub fn is_empty(&self) -> bool {
        self.named().next().is_none()
    }

    /// Refuses ranges that are not in order.
    ///
    /// # Errors
    /// A range whose first value is the larger one; a mix of no sounds.
    pub fn check(&self) -> Result<()> {
        for (name, Category { snr: [low, high], mix: [fewest, most] }) in self.named() {
            let bad = |what: String| {
                Err(Error::invalid(format!("augment.categories.{name}.{what}: lowest first")))
            };
            if low > high || low.is_nan() || high.is_nan() {
                return bad(format!("snr = [{low}, {high}]"));
            }
            if fewest > most {
                return bad(format!("mix = [{fewest}, {most}]"));
            }
            if *fewest == 0 {
                let message = format!("augment.categories.{name}.mix: at least one sound");
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_their_category() {
        for (id, wanted) in [
            ("music-fma-0000", "music"),
            ("noise-free-sound-0842", "noise"),
            ("speech/us-gov/speech-us-gov-0000", "speech"),
            ("noise", "noise"),
            ("noisy-room", "noisy"),
            ("", ""),
        ] {
            assert_eq!(Categories::name_of(id), wanted, "{id}");
        }
    }

    #[test]
    fn ranges_are_in_order() {
        let with =
            |snr, mix| Categories { music: Some(Category { snr, mix }), ..Default::default() };
        let good = with([5.0, 15.0], [1, 1]);
        good.check().unwrap();
        assert_eq!(good.named().map(|(name, _)| name).collect::<Vec<_>>(), ["music"]);
        assert!(!good.is_empty() && Categories::default().is_empty());
        for (bad, wanted) in [
            (with([15.0, 5.0], [1, 1]), "music.snr = [15, 5]: lowest first"),
            (with([f64::NAN, 5.0], [1, 1]), "music.snr"),
            (with([5.0, 15.0], [7, 3]), "music.mix = [7, 3]: lowest first"),
            (with([5.0, 15.0], [0, 3]), "at least one"),
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_single_sound_is_the_default() {
        let category: Category = serde_json::from_str(r#"{"snr": [0, 15]}"#).unwrap();
        assert_eq!(category.mix, [1, 1]);
        assert_eq!(serde_json::to_string(&category).unwrap(), r#"{"snr":[0.0,15.0]}"#);
    }
}
