//! Whether several score files score the same trials.

use std::cmp::Ordering;

use crate::corpus::{Pair, Words, label_name};
use crate::error::{Error, Result};
use crate::scoring::ScoreList;

/// The distinct trials of a list that is in the order of its pairs.
fn distinct(list: &ScoreList) -> impl Iterator<Item = Pair> {
    let same = list.trials.chunk_by(|a, b| a.pair.numbers() == b.pair.numbers());
    same.map(|same| same[same.len() - 1].pair)
}

/// A warning for each list whose trials are not those of the first. All trials have labels, and are
/// in the order of their pairs.
///
/// # Errors
/// A trial that is a target in one list and a nontarget in the other.
pub(super) fn check(lists: &[ScoreList], words: &mut Words) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let Some((first, others)) = lists.split_first() else { return Ok(warnings) };
    for other in others {
        let [mut only_first, mut only_other] = [0usize; 2];
        let (mut a, mut b) = (distinct(first).peekable(), distinct(other).peekable());
        loop {
            let order = match (a.peek(), b.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.numbers().cmp(&b.numbers()),
            };
            let left = a.next_if(|_| order.is_le());
            let right = b.next_if(|_| order.is_ge());
            match (left, right) {
                (Some(a), Some(b)) if a != b => return Err(contradiction(first, other, words, b)?),
                (Some(_), Some(_)) => {}
                (left, _) => *(if left.is_some() { &mut only_first } else { &mut only_other }) += 1,
            }
        }
        if only_first + only_other > 0 {
            let [one, two] = [first, other].map(|list| list.text().path().display());
            warnings.push(format!(
                "the trials differ: {only_first} of {one} are not in {two}, {only_other} of {two} \
                 are not in {one}; the rates are of different trials"
            ));
        }
    }
    Ok(warnings)
}

fn contradiction(
    first: &ScoreList,
    other: &ScoreList,
    words: &mut Words,
    pair: Pair,
) -> Result<Error> {
    let found = other.find(words, &mut |_, t| t.pair.numbers() == pair.numbers())?;
    let (line, _) = found.ok_or_else(|| other.text().changed())?;
    let (enroll, test) = (words.get(pair.enroll()), words.get(pair.test()));
    let (here, there) = (label_name(pair.is_target()), label_name(!pair.is_target()));
    let message = format!(
        "trial {enroll} {test} is {here} here and {there} in {}",
        first.text().path().display()
    );
    Ok(Error::line(other.text().path(), line, message))
}
