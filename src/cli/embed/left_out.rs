//! What was left out, and warnings that could be thousands.

use std::path::Path;

use crate::error::Result;
use crate::fs;
use crate::terminal::errln;

/// Most warnings of a kind that are printed. The others are counted.
const PRINTED: usize = 10;
/// The first warning that is not printed.
const MORE: usize = PRINTED + 1;

/// Warnings of one kind.
#[derive(Default)]
pub(in crate::cli) struct Warnings {
    count: usize,
}

impl Warnings {
    /// Prints a warning, if there were few before it.
    pub fn add(&mut self, text: &str) {
        self.count += 1;
        match self.count {
            0..=PRINTED => errln!("warning: {text}"),
            MORE => errln!("warning: there are more such warnings; they are only counted"),
            _ => {}
        }
    }

    /// Number of warnings that were not printed.
    pub fn unprinted(&self) -> usize {
        self.count.saturating_sub(PRINTED)
    }
}

/// Utterances that could not be read.
#[derive(Default)]
pub(in crate::cli) struct LeftOut {
    /// Their ids and the reasons.
    entries: Vec<(String, String)>,
    warnings: Warnings,
}

impl LeftOut {
    /// Leaves an utterance out, with a warning.
    pub fn add(&mut self, id: &str, reason: &str) {
        self.warnings.add(&format!("{reason}; left out"));
        self.again(id, reason);
    }

    /// Leaves an utterance out that an earlier process has warned of.
    pub fn again(&mut self, id: &str, reason: &str) {
        // A file that was named itself begins the reason, too.
        let reason =
            reason.strip_prefix(id).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(reason);
        self.entries.push((id.to_owned(), reason.replace(['\n', '\r'], " ")));
    }

    /// Ids and reasons, in the order of the list.
    pub fn entries(&self) -> &[(String, String)] {
        &self.entries
    }

    /// Writes `id reason` a line.
    ///
    /// # Errors
    /// Those of [`fs::write_atomic`].
    pub fn write(&self, path: &Path) -> Result<()> {
        fs::write_atomic(path, |out| {
            self.entries.iter().try_for_each(|(id, reason)| writeln!(out, "{id} {reason}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_listed_once() {
        let mut left_out = LeftOut::default();
        for (id, reason) in [
            ("a.wav", "a.wav: silent"),
            ("u1", "wav.scp:1: a.wav: silent"),
            ("a.wav", "a.wav.gz: odd\nindeed"),
        ] {
            left_out.again(id, reason);
        }
        let reasons: Vec<&str> = left_out.entries().iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(reasons, ["silent", "wav.scp:1: a.wav: silent", "a.wav.gz: odd indeed"]);
    }
}
