//! The distinct words of lists, by number.

use std::hash::{BuildHasher, RandomState};

use super::pair::LIMIT;

/// Distinct words, numbered from 0 in the order of their first lines, each with that line.
///
/// Lists of many millions of trials name few utterances. So each word is stored once, and a trial
/// as two numbers.
#[derive(Debug, Clone)]
pub struct Words {
    text: String,
    /// The place of each word in `text`, and the end of the last one.
    bounds: Vec<usize>,
    /// The first line of each word, from 1.
    lines: Vec<usize>,
    /// An open hash table whose length is a power of two. A slot is 0, or has the hash in its upper
    /// half and the number plus 1 in its lower half.
    slots: Vec<u64>,
    /// Random, so that nobody can make a list whose words collide.
    seeds: [u64; 2],
}

impl Default for Words {
    fn default() -> Self {
        let random = RandomState::new();
        let seeds = [random.hash_one(0), random.hash_one(1) | 1];
        Self {
            text: String::new(),
            bounds: vec![0],
            lines: Vec::new(),
            slots: vec![0; 1024],
            seeds,
        }
    }
}

impl Words {
    /// Number of words.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True if there are no words.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The word of a number.
    ///
    /// # Panics
    /// If no word has this number.
    pub fn get(&self, number: u32) -> &str {
        let i = number as usize;
        &self.text[self.bounds[i]..self.bounds[i + 1]]
    }

    /// Words in the order of their numbers, with their first lines (from 1).
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.bounds.windows(2).map(|b| &self.text[b[0]..b[1]]).zip(self.lines.iter().copied())
    }

    /// The number of a word, if it has one.
    pub fn find(&self, word: &str) -> Option<u32> {
        self.probe(word, self.hash(word)).ok()
    }

    /// [`find`](Self::find) of each of some words. Each step goes through all of them: processors
    /// wait for the memory of several at once.
    pub(super) fn find_all(&self, words: &[&str]) -> Vec<Option<u32>> {
        let mask = self.slots.len() - 1;
        let hashes: Vec<u32> = words.iter().map(|word| self.hash(word)).collect();
        let slots: Vec<u64> = hashes.iter().map(|&hash| self.slots[hash as usize & mask]).collect();
        let there = |&slot: &u64| if slot == 0 { "" } else { self.get(slot as u32 - 1) };
        let there: Vec<&str> = slots.iter().map(there).collect();
        let probed = |i: usize| match slots[i] != 0 && there[i] == words[i] {
            true => Some(slots[i] as u32 - 1),
            false => self.probe(words[i], hashes[i]).ok(),
        };
        (0..words.len()).map(probed).collect()
    }

    /// The first line of a word, by its number.
    pub(crate) fn line(&self, number: u32) -> usize {
        self.lines[number as usize]
    }

    /// The number of a word in a line; a new word gets one. None if there are too many words.
    pub(crate) fn intern(&mut self, word: &str, line: usize) -> Option<u32> {
        if 2 * (self.len() + 1) > self.slots.len() {
            self.grow();
        }
        let hash = self.hash(word);
        match self.probe(word, hash) {
            Ok(number) => Some(number),
            Err(free) => {
                let number = u32::try_from(self.len()).ok().filter(|n| *n < LIMIT)?;
                self.text.push_str(word);
                self.bounds.push(self.text.len());
                self.lines.push(line);
                self.slots[free] = slot(hash, number);
                Some(number)
            }
        }
    }

    /// The number of a word, or the free slot where it belongs.
    fn probe(&self, word: &str, hash: u32) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            let number = slot as u32 - 1;
            if (slot >> 32) as u32 == hash && self.get(number) == word {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Doubles the hash table.
    fn grow(&mut self) {
        let mut slots = vec![0; 2 * self.slots.len()];
        let mask = slots.len() - 1;
        for &slot in self.slots.iter().filter(|s| **s != 0) {
            let mut at = (slot >> 32) as usize & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = slot;
        }
        self.slots = slots;
    }

    /// A hash that takes eight bytes at a time: it folds the two halves of a product of 128 bits.
    fn hash(&self, word: &str) -> u32 {
        let [seed, factor] = self.seeds;
        let mix = |state: u64, bytes: u64| {
            let product = u128::from(state ^ bytes) * u128::from(factor);
            product as u64 ^ (product >> 64) as u64
        };
        let (whole, rest) = word.as_bytes().as_chunks::<8>();
        let state = whole
            .iter()
            .fold(mix(seed, word.len() as u64), |state, b| mix(state, u64::from_le_bytes(*b)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mix(mix(state, u64::from_le_bytes(last)), seed) as u32
    }
}

fn slot(hash: u32, number: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_together_as_one_by_one() {
        let (mut words, name) = (Words::default(), |i: usize| format!("id{}/{i}", i % 7));
        let all: Vec<String> = (0..900).map(name).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).chain(["", "id0", "id0/00"]).collect();
        assert!(words.find_all(&all).iter().all(Option::is_none));
        for (line, word) in all.iter().step_by(2).enumerate() {
            words.intern(word, line + 1).unwrap();
        }
        let found = words.find_all(&all);
        assert_eq!(found, all.iter().map(|word| words.find(word)).collect::<Vec<_>>());
        assert_eq!(found.iter().flatten().count(), all.len().div_ceil(2));
        assert!(words.find_all(&[]).is_empty());
    }

    #[test]
    fn words_have_the_numbers_of_their_order() {
        let mut words = Words::default();
        let name = |i: usize| format!("{}{i}", "id/".repeat(i % 7));
        for round in 0..2 {
            for i in 0..5000 {
                assert_eq!(words.intern(&name(i), i + 10 * round), Some(i as u32));
            }
        }
        assert_eq!((words.len(), words.is_empty()), (5000, false));
        assert!(
            (0..5000)
                .all(|i| words.find(&name(i)) == Some(i as u32) && words.get(i as u32) == name(i))
        );
        assert!(words.iter().enumerate().all(|(i, (word, line))| word == name(i) && line == i));
        assert_eq!(words.find("5000"), None);
    }

    #[test]
    fn words_that_are_alike_are_different() {
        let mut words = Words::default();
        // Words padded with zeros, of about eight bytes, and the empty word.
        let alike = ["", "\0", "\0\0", "1234567", "12345678", "12345678\0", "123456789", "ü", "u"];
        for (i, word) in alike.into_iter().enumerate() {
            assert_eq!(words.intern(word, 1), Some(i as u32), "{word:?}");
        }
        assert!(alike.into_iter().enumerate().all(|(i, word)| words.find(word) == Some(i as u32)));
    }

    /// Words that differ in one place share few slots.
    #[test]
    fn hashes_spread() {
        let words =
            Words { seeds: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345], ..Words::default() };
        let mut low: Vec<u32> =
            (0..4096).map(|i| words.hash(&format!("id1{i:04}/a/00001.wav")) % 4096).collect();
        low.sort_unstable();
        low.dedup();
        // A random function gives 1 - 1/e of all slots.
        assert!((2400..2780).contains(&low.len()), "{}", low.len());
    }
}
