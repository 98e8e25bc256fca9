//! What ranks say to each other when one does not come, or fails.
//!
//! A rank that gives up says so to all others, and waits a little for what they say. One that hears
//! it while it waits gives up too, and says so. So those that say nothing are the ones that all
//! wait for. Nobody says anything twice, and nobody goes on after that.
//!
//! A launcher ends all ranks with the first one that ends. So each one departs: it says so when its
//! user has read why it ends, and waits a little for the others that have given up.

use std::time::Duration;

/// The roll of the ranks: what each has said so far. No words mean that it only waits.
#[derive(Debug)]
pub struct Roll {
    own: usize,
    said: Vec<Option<String>>,
    departed: Vec<bool>,
}

impl Roll {
    pub fn new(own: usize, size: usize) -> Self {
        Self { own, said: vec![None; size], departed: vec![false; size] }
    }

    pub fn note(&mut self, rank: usize, words: String) {
        self.said[rank] = Some(words);
    }

    pub fn note_departure(&mut self, rank: usize) {
        self.departed[rank] = true;
    }

    /// Whether all others that have said something have departed. Silent ones may never.
    pub fn have_departed(&self) -> bool {
        self.others().all(|rank| self.departed[rank] || self.said[rank].is_none())
    }

    /// Whether a rank has said something.
    pub fn is_begun(&self) -> bool {
        self.said.iter().any(Option::is_some)
    }

    /// All but this one.
    pub fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let own = self.own;
        (0..self.said.len()).filter(move |rank| *rank != own)
    }

    fn silent(&self) -> impl Iterator<Item = usize> {
        self.others().filter(|rank| self.said[*rank].is_none())
    }

    /// Whether all others have said something.
    pub fn is_complete(&self) -> bool {
        self.silent().next().is_none()
    }

    /// The reason why a rank that waits for `what` gives up.
    pub fn reason(&self, what: &str, limit: Duration, name: impl Fn(usize) -> String) -> String {
        let failed = self.said.iter().enumerate().find_map(|(rank, words)| {
            words.as_deref().filter(|words| !words.is_empty()).map(|words| (rank, words))
        });
        if let Some((rank, words)) = failed {
            return format!("{} failed: {words}", name(rank));
        }
        let silent: Vec<String> = self.silent().map(name).collect();
        let limit = limit.as_secs_f64();
        match silent.is_empty() {
            true => format!("not all ranks came to {what} within {limit} s"),
            false => {
                format!("{} did not come to {what} within {limit} s", silent.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(300);

    fn reason(roll: &Roll) -> String {
        roll.reason("a barrier", LIMIT, |rank| format!("rank {rank} (host h{rank})"))
    }

    #[test]
    fn silent_ranks_are_named() {
        let mut roll = Roll::new(0, 4);
        assert!(!roll.is_begun() && !roll.is_complete());
        roll.note(2, String::new());
        assert!(roll.is_begun() && !roll.is_complete());
        let silent = "rank 1 (host h1), rank 3 (host h3) did not come to a barrier within 300 s";
        assert_eq!(reason(&roll), silent);
        roll.note(1, String::new());
        roll.note(3, String::new());
        assert!(roll.is_complete());
        assert_eq!(reason(&roll), "not all ranks came to a barrier within 300 s");
    }

    #[test]
    fn only_ranks_that_speak_have_to_depart() {
        let mut roll = Roll::new(0, 3);
        assert!(roll.have_departed());
        roll.note(2, String::new());
        assert!(!roll.have_departed());
        roll.note_departure(2);
        assert!(roll.have_departed());
        roll.note(1, "the disk is full".into());
        assert!(!roll.have_departed());
    }

    #[test]
    fn a_rank_that_fails_has_the_last_word() {
        let mut roll = Roll::new(1, 3);
        roll.note(2, "the disk is full".into());
        assert_eq!(reason(&roll), "rank 2 (host h2) failed: the disk is full");
        assert_eq!(roll.others().collect::<Vec<_>>(), [0, 2]);
        // Alone, nobody is waited for.
        assert!(Roll::new(0, 1).is_complete());
    }
}
