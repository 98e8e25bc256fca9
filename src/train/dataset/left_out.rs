//! Utterances and sounds that cannot be read while a training goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Remedy, Result};

/// Most faults that one error names.
const NAMED: usize = 5;

/// Shares that an error offers.
const SHARES: [f64; 9] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// Counts what cannot be read. A few of many may be; more end the training.
pub(in crate::train) struct LeftOut {
    /// What is counted.
    things: &'static str,
    /// The key of the recipe that names their list.
    key: &'static str,
    /// The share of them that may be.
    tolerate: f64,
    /// How many may be, whatever the share, unless it is 0.
    least: usize,
    /// How many there are.
    of: usize,
    /// How many are known to be unreadable before they are left out.
    foreseen: AtomicUsize,
    /// The fault of each, by its number.
    faults: Mutex<BTreeMap<usize, String>>,
    /// The numbers of those that other ranks have not been told of.
    untold: Mutex<BTreeSet<usize>>,
}

impl LeftOut {
    /// Tolerates a part of so many utterances.
    pub fn new(tolerate: f64, of: usize) -> Self {
        let (things, key) = ("utterances", "data.train");
        let (foreseen, faults, untold) = Default::default();
        Self { things, key, tolerate, least: 0, of, foreseen, faults, untold }
    }

    /// Tolerates a part of so many dev utterances.
    pub fn of_dev(tolerate: f64, of: usize) -> Self {
        Self { things: "dev utterances", key: "data.dev", ..Self::new(tolerate, of) }
    }

    /// Tolerates a part of so many sounds of a list, and at least one of several.
    pub fn of_sounds(key: &'static str, tolerate: f64, of: usize) -> Self {
        Self { things: "sounds", key, least: 1, ..Self::new(tolerate, of) }
    }

    /// So many will be left out, one after the other.
    pub fn foresee(&self, count: usize) {
        self.foreseen.store(count, Ordering::Relaxed);
    }

    /// How many a share is.
    fn allowed(&self, share: f64) -> usize {
        let least = if share > 0.0 { self.least } else { 0 };
        // One has to be left.
        ((share * self.of as f64).floor() as usize).max(least).min(self.of.saturating_sub(1))
    }

    /// Leaves out one of them because of a fault. Returns its text if it is the first of this one.
    ///
    /// # Errors
    /// The fault itself if none is tolerated; the first of them if they are too many. Both with
    /// [`Remedy::LeaveOut`].
    pub fn add(&self, number: usize, fault: Error) -> Result<Option<String>> {
        if self.allowed(self.tolerate) == 0 {
            let (of, things) = (self.of, self.things);
            let more = format!("data.tolerate = {} allows none of {of} {things}", self.tolerate);
            return Err(fault.and(&more).with(self.remedy(1)));
        }
        let told = self.learn(number, fault.to_string())?;
        if told.is_some() {
            self.untold.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        }
        Ok(told)
    }

    /// Faults that other ranks have not been told of, with their numbers. They count as told then.
    pub fn news(&self) -> Vec<(usize, String)> {
        let untold =
            std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let with_text = |number: usize| Some((number, faults.get(&number)?.clone()));
        untold.into_iter().filter_map(with_text).collect()
    }

    /// How many faults other ranks have not been told of.
    pub fn count_news(&self) -> usize {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Leaves out one of them because of a fault that another rank may have told of. Returns its
    /// text if it is the first of this one.
    ///
    /// # Errors
    /// The first of them if they are too many, with [`Remedy::LeaveOut`].
    pub fn learn(&self, number: usize, text: String) -> Result<Option<String>> {
        let (most, of, things) = (self.allowed(self.tolerate), self.of, self.things);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = faults.insert(number, text.clone()).is_none();
        if faults.len() <= most {
            return Ok(is_new.then_some(text));
        }
        let found = faults.len();
        let first: Vec<&str> = faults.values().take(NAMED).map(String::as_str).collect();
        let message = format!(
            "{found} of {of} {things} cannot be read; data.tolerate allows {most}. The first of \
             them: {}",
            first.join("; ")
        );
        Err(Error::Training(message).with(self.remedy(found)))
    }

    /// What would help where so many cannot be read so far. Audio is read when it is needed, so as
    /// many again may follow: the share that is offered is enough for these, too, if there is one.
    fn remedy(&self, found: usize) -> Remedy {
        let foreseen = self.foreseen.load(Ordering::Relaxed);
        let enough_for = |count: usize| {
            let is_enough = |share: &f64| *share > self.tolerate && self.allowed(*share) >= count;
            SHARES.into_iter().find(is_enough)
        };
        let share = enough_for(foreseen.max(2 * found)).or_else(|| enough_for(foreseen.max(found)));
        let tolerate = share.map(|share| share.to_string());
        Remedy::LeaveOut { key: self.key, tolerate, resume: false }
    }

    /// The numbers of those that are left out so far.
    pub fn numbers(&self) -> BTreeSet<usize> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.keys().copied().collect()
    }

    /// The faults so far, in the order of the list.
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

    /// Each fault is told once; what another rank told is not told again, but counts.
    #[test]
    fn ranks_count_together() {
        let [ours, theirs] = [0, 1].map(|_| LeftOut::new(0.001, 2999));
        for (left_out, number) in [(&ours, 7), (&theirs, 3), (&ours, 7)] {
            left_out.add(number, fault(number)).unwrap();
        }
        assert_eq!((ours.count_news(), theirs.count_news()), (1, 1));
        let news = theirs.news();
        assert_eq!(news, [(3, "wav.scp:4: damaged".to_owned())]);
        assert_eq!((theirs.count_news(), theirs.news()), (0, Vec::new()));
        let learn = |(number, text): (usize, String)| ours.learn(number, text);
        assert_eq!(learn(news[0].clone()).unwrap().as_ref(), Some(&news[0].1));
        assert_eq!(learn(news[0].clone()).unwrap(), None);
        assert_eq!((ours.count_news(), ours.faults().len()), (1, 2));
        let error = ours.add(9, fault(9)).unwrap_err().to_string();
        assert!(error.starts_with("3 of 2999 utterances"), "{error}");
        let error = theirs.learn(7, "a".into()).and(theirs.learn(9, "b".into())).unwrap_err();
        assert!(matches!(error.remedy(), Some(Remedy::LeaveOut { .. })), "{error}");
    }

    #[test]
    fn of_a_small_corpus_none_is() {
        let left_out = LeftOut::new(0.001, 999);
        let error = left_out.add(1, fault(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "wav.scp:2: damaged; data.tolerate = 0.001 allows none of 999 utterances"
        );
        let tolerate = |error: &Error| match error.remedy() {
            Some(Remedy::LeaveOut { key: _, tolerate, resume: false }) => tolerate.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(tolerate(&error).as_deref(), Some("0.005"));
        let of = |count| tolerate(&LeftOut::new(0.001, count).add(0, fault(0)).unwrap_err());
        // Two of 96 are a little more than 0.02.
        assert_eq!((of(164).as_deref(), of(96).as_deref()), (Some("0.02"), Some("0.05")));
        assert_eq!((of(2).as_deref(), of(1)), (Some("0.5"), None));
        for (missing, wanted) in
            [(1, Some("0.05")), (9, Some("0.1")), (10, Some("0.2")), (96, None)]
        {
            let left_out = LeftOut::new(0.001, 96);
            left_out.foresee(missing);
            let error = left_out.add(0, fault(0)).unwrap_err();
            assert_eq!(tolerate(&error).as_deref(), wanted, "{missing}");
        }
    }

    /// Whatever share is offered is enough, also for as many again where that is possible.
    #[test]
    fn what_is_offered_is_enough() {
        for of in [2, 7, 100, 164, 1200] {
            for found in 1..of.min(9) {
                let left_out = LeftOut::new(0.0, of);
                let Remedy::LeaveOut { tolerate: Some(share), .. } = left_out.remedy(found) else {
                    panic!("nothing is offered for {found} of {of}");
                };
                let enough = LeftOut::new(share.parse().unwrap(), of);
                let all = (2 * found).min(of - 1);
                let count = if all == 2 * found { all } else { found };
                assert!((0..count).all(|i| enough.add(i, fault(i)).is_ok()), "{count} of {of}");
            }
        }
    }

    #[test]
    fn one_of_several_sounds_is_left_out() {
        let sounds = |tolerate, of| LeftOut::of_sounds("augment.noise", tolerate, of);
        let few = sounds(0.001, 3);
        assert!(few.add(1, fault(1)).is_ok());
        let error = few.add(2, fault(2)).unwrap_err().to_string();
        assert!(error.starts_with("2 of 3 sounds cannot be read; data.tolerate allows 1"));
        for none in [sounds(0.0, 3), sounds(0.001, 1)] {
            let error = none.add(0, fault(0)).unwrap_err().to_string();
            assert!(error.contains("allows none of"), "{error}");
        }
    }
}
