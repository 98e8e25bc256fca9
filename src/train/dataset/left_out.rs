//! Utterances that cannot be read while a training goes on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// Most faults that one error names.
const NAMED: usize = 5;

/// Counts utterances that cannot be read. A few of many may be; more end the training.
pub(super) struct LeftOut {
    /// How many may be.
    most: usize,
    /// How many utterances there are.
    of: usize,
    /// The fault of each, by its number.
    faults: Mutex<BTreeMap<usize, String>>,
}

impl LeftOut {
    /// Tolerates a part of so many utterances.
    pub fn new(tolerate: f64, of: usize) -> Self {
        // One utterance has to be left.
        let most = ((tolerate * of as f64).floor() as usize).min(of.saturating_sub(1));
        Self { most, of, faults: Mutex::default() }
    }

    /// Leaves out an utterance because of a fault. Returns its text if it is the first of this
    /// utterance.
    ///
    /// # Errors
    /// The fault itself if none is tolerated; the first of them if they are too many.
    pub fn add(&self, utterance: usize, fault: Error) -> Result<Option<String>> {
        if self.most == 0 {
            return Err(fault);
        }
        let text = fault.to_string();
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = faults.insert(utterance, text.clone()).is_none();
        if faults.len() <= self.most {
            return Ok(is_new.then_some(text));
        }
        let (found, most, of) = (faults.len(), self.most, self.of);
        let first: Vec<&str> = faults.values().take(NAMED).map(String::as_str).collect();
        Err(Error::Training(format!(
            "{found} of {of} utterances cannot be read; data.tolerate allows {most}. The first of \
             them: {}",
            first.join("; ")
        )))
    }

    /// The faults so far, in the order of the utterances.
    pub fn faults(&self) -> Vec<String> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(i: usize) -> Error {
        Error::line("wav.scp", i + 1, "damaged")
    }

    #[test]
    fn a_few_of_many_are_left_out() {
        let left_out = LeftOut::new(0.001, 2999);
        assert!(left_out.add(7, fault(7)).unwrap().unwrap().starts_with("wav.scp:8: damaged"));
        // Again, in another epoch.
        assert_eq!(left_out.add(7, fault(7)).unwrap(), None);
        assert!(left_out.add(3, fault(3)).unwrap().is_some());
        assert_eq!(left_out.faults(), ["wav.scp:4: damaged", "wav.scp:8: damaged"]);
        let error = left_out.add(9, fault(9)).unwrap_err().to_string();
        assert!(error.starts_with("3 of 2999 utterances cannot be read; data.tolerate allows 2"));
        assert!(error.contains("wav.scp:4: damaged; wav.scp:8"), "{error}");
    }

    #[test]
    fn of_a_small_corpus_none_is() {
        let left_out = LeftOut::new(0.001, 999);
        let error = left_out.add(1, fault(1)).unwrap_err().to_string();
        assert_eq!(error, "wav.scp:2: damaged");
    }
}
