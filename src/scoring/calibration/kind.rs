//! What the scores are that a calibration was fitted on.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::archive::input_files;
use crate::bytes::hex;
use crate::error::{Error, Result};
use crate::fs;
use crate::scoring::Norm;

/// What scores are that are no cosines, as far as it is known. Score files do not say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OtherScores {
    /// Cosines that a cohort normalised.
    Normalised {
        /// The form.
        #[serde(with = "by_name")]
        norm: Norm,
        /// How many of the nearest count, if the form counts the nearest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_n: Option<usize>,
        /// SHA-256 of the cohort's file, in hex.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cohort: Option<String>,
        /// Whether it was one mean embedding a speaker.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        averaged: Option<bool>,
    },
    /// Ratios of PLDA.
    Plda {
        /// SHA-256 of the PLDA model's file, in hex.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    /// Log-likelihood ratios, as a cascade or another calibration gives them.
    Llr,
}

impl OtherScores {
    /// Normalised scores. `top_n` is what was asked for, and counts for adaptive forms only.
    /// `averaged` says whether the cohort was one mean embedding a speaker, which nobody knows of
    /// a cohort that is not named.
    ///
    /// # Errors
    /// A file of the cohort that cannot be read.
    pub fn normalised(
        norm: Norm,
        top_n: Option<usize>,
        cohort: Option<&Path>,
        averaged: bool,
    ) -> Result<Self> {
        let averaged = cohort.map(|_| averaged);
        let cohort = cohort.map(content_hash).transpose()?.flatten();
        let top_n = top_n.filter(|_| norm.is_adaptive());
        Ok(Self::Normalised { norm, top_n, cohort, averaged })
    }

    /// Scores of a PLDA model in a file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn plda(model: Option<&Path>) -> Result<Self> {
        Ok(Self::Plda { model: model.map(content_hash).transpose()?.flatten() })
    }

    /// The name that `revox score` and its options have for them.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Normalised { norm, .. } => norm.name(),
            Self::Plda { .. } => "plda",
            Self::Llr => "llr",
        }
    }

    /// Whether the cohort was one mean embedding a speaker, if there was one and that is known.
    pub(super) fn averages(&self) -> Option<bool> {
        match self {
            Self::Normalised { averaged, .. } => *averaged,
            Self::Plda { .. } | Self::Llr => None,
        }
    }

    /// What tells these scores from others, if anything known does.
    pub(super) fn difference(&self, given: &Self) -> Option<String> {
        match (self, given) {
            (
                Self::Normalised { norm, top_n, cohort, averaged },
                Self::Normalised { norm: other, top_n: count, cohort: file, averaged: means },
            ) if norm == other => match (top_n, count, averaged, means) {
                (Some(top_n), Some(count), ..) if top_n != count => Some(format!(
                    "it was fitted with the {top_n} nearest of a cohort; these have the {count} \
                     nearest"
                )),
                (.., Some(averaged), Some(means)) if averaged != means => {
                    let [fitted, given] = [*averaged, *means].map(members);
                    Some(format!(
                        "it was fitted with a cohort {fitted}; these scores have one {given}"
                    ))
                }
                _ => differ(cohort, file)
                    .then(|| "it was fitted with another cohort than these scores have".into()),
            },
            (Self::Plda { model }, Self::Plda { model: file }) => differ(model, file)
                .then(|| "it was fitted with another PLDA model than these scores have".into()),
            (Self::Llr, Self::Llr) => None,
            _ => Some(format!("it was fitted on {self}; these are {given}")),
        }
    }
}

/// In a sentence: `scores normalised by as1`.
impl fmt::Display for OtherScores {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Normalised { norm, .. } => write!(f, "scores normalised by {}", norm.name()),
            Self::Plda { .. } => f.write_str("scores of PLDA"),
            Self::Llr => f.write_str("log-likelihood ratios"),
        }
    }
}

/// Whether both hashes are known, and are not one.
fn differ(a: &Option<String>, b: &Option<String>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

/// What a cohort has, in a sentence.
fn members(averaged: bool) -> &'static str {
    if averaged { "averaged by speaker" } else { "of single embeddings" }
}

/// The SHA-256 in hex of what a name of embeddings or of a model stands for, file after file.
/// Nothing for a pipe, which gives its content only once, to whoever reads embeddings from it.
pub(super) fn content_hash(name: &Path) -> Result<Option<String>> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    for path in input_files(name) {
        let is_pipe = path.exists() && !path.is_file() && !path.is_dir();
        if is_pipe || fs::is_stdin(&path) {
            return Ok(None);
        }
        let mut file = fs::open(&path)?;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => hash.update(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) => return Err(Error::io(&path, "read", e)),
            }
        }
    }
    Ok(Some(hex(hash)))
}

/// Forms of normalisation as their names.
mod by_name {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::scoring::Norm;

    pub(super) fn serialize<S: Serializer>(norm: &Norm, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(norm.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Norm, D::Error> {
        let name = String::deserialize(from)?;
        let found = Norm::ALL.into_iter().find(|norm| norm.name() == name);
        found.ok_or_else(|| D::Error::custom(format!("`{name}` is no form of normalisation")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::{Fitted, Made};

    fn as1(top_n: usize, cohort: &str) -> OtherScores {
        let (top_n, cohort) = (Some(top_n), Some(cohort.into()));
        OtherScores::Normalised { norm: Norm::As1, top_n, cohort, averaged: Some(false) }
    }

    fn made(others: Option<OtherScores>) -> Made {
        Made { others, ..Made::cosines(None) }
    }

    #[test]
    fn kinds_of_scores_are_told_apart() {
        let of = |others| Fitted { others, ..Fitted::default() };
        let cosines = Fitted { cosines: true, ..Fitted::default() };
        let plda = |model: &str| OtherScores::Plda { model: Some(model.into()) };
        let s = OtherScores::normalised(Norm::S, None, None, false).unwrap();
        let fits =
            |fitted: &Fitted, given: Option<OtherScores>| fitted.check_scores(&made(given)).is_ok();
        assert!(fits(&cosines, None) && fits(&of(None), Some(as1(9, "a"))));
        assert!(fits(&of(Some(as1(9, "a"))), Some(as1(9, "a"))));
        assert!(fits(&of(Some(plda("a"))), Some(OtherScores::Plda { model: None })));
        for (fitted, given, wanted) in [
            (&cosines, Some(s.clone()), "fitted on cosines; these are scores normalised by s"),
            (&of(None), None, "fitted on scores that are no cosines; these are cosines"),
            (&of(Some(as1(9, "a"))), None, "scores normalised by as1; these are cosines"),
            (&of(Some(as1(9, "a"))), Some(s), "by as1; these are scores normalised by s"),
            (&of(Some(as1(9, "a"))), Some(as1(8, "a")), "9 nearest of a cohort; these have the 8"),
            (&of(Some(as1(9, "a"))), Some(as1(9, "b")), "another cohort"),
            (&of(Some(plda("a"))), Some(plda("b")), "another PLDA model"),
            (&of(Some(OtherScores::Llr)), Some(plda("a")), "ratios; these are scores of PLDA"),
        ] {
            let error = fitted.check_scores(&made(given)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn kinds_are_kept_as_text() {
        let all = [as1(300, "ab"), OtherScores::Plda { model: None }, OtherScores::Llr];
        for kind in all {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<OtherScores>(&text).unwrap(), kind, "{text}");
        }
        let text = r#"{"kind": "normalised", "norm": "as9"}"#;
        let error = serde_json::from_str::<OtherScores>(text).unwrap_err().to_string();
        assert!(error.contains("`as9` is no form"), "{error}");
    }

    #[test]
    fn files_are_known_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, "abc").unwrap();
        std::fs::write(&b, "abd").unwrap();
        // The digest of `abc` in FIPS 180-4's examples.
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let plda = OtherScores::plda(Some(&a)).unwrap();
        assert_eq!(plda, OtherScores::Plda { model: Some(wanted.into()) });
        let cohort =
            |path: &Path| OtherScores::normalised(Norm::S, Some(5), Some(path), false).unwrap();
        assert!(cohort(&a) != cohort(&b));
        assert!(matches!(cohort(&a), OtherScores::Normalised { top_n: None, .. }));
        assert!(OtherScores::plda(Some(dir.path())).is_err());
        assert!(OtherScores::plda(Some(&dir.path().join("none"))).is_err());
    }
}
