//! The words of lists for target and nontarget trials.

/// Names of a target trial, in lower case.
const TARGET: [&str; 7] = ["1", "target", "tgt", "tar", "same", "genuine", "true"];
/// Names of a nontarget trial, in lower case.
const NONTARGET: [&str; 12] = [
    "0",
    "nontarget",
    "non-target",
    "non_target",
    "nontgt",
    "nontar",
    "imposter",
    "impostor",
    "imp",
    "different",
    "diff",
    "false",
];
/// Bytes of the longest name.
const LONGEST: usize = 10;

/// The label that a word means, if any: true for a target trial. Case does not matter.
pub(crate) fn parse_label(word: &str) -> Option<bool> {
    if word.len() > LONGEST {
        return None;
    }
    let is_in = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
    match (is_in(&TARGET), is_in(&NONTARGET)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The usual word for a label.
pub(crate) fn label_name(target: bool) -> &'static str {
    if target { "target" } else { "nontarget" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_many_names() {
        for word in ["1", "target", "TGT", "Tar", "same", "true", "genuine"] {
            assert_eq!(parse_label(word), Some(true), "{word}");
        }
        for word in [
            "0",
            "nontarget",
            "Non-Target",
            "imp",
            "impostor",
            "imposter",
            "different",
            "DIFF",
            "False",
        ] {
            assert_eq!(parse_label(word), Some(false), "{word}");
        }
        for word in ["", "2", "01", "yes", "a", "targets", "u0", "nontarget/1.wav"] {
            assert_eq!(parse_label(word), None, "{word}");
        }
        let names = || TARGET.iter().chain(&NONTARGET);
        assert!(names().all(|w| *w == w.to_ascii_lowercase()));
        assert_eq!(names().map(|w| w.len()).max(), Some(LONGEST));
    }
}
