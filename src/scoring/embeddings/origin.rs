//! What a file of embeddings says of itself, if it holds those of a shard.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::corpus::Shard;
use crate::error::{Error, Result};

/// Where the embeddings of a [`Shard`] come from. Their file has it as metadata, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The part of the list.
    pub shard: Shard,
    /// Utterances of the whole list.
    pub utterances: usize,
    /// Places, from 0 in the whole list, of the shard's utterances that were left out, in order.
    pub left_out: Vec<usize>,
    /// An object of all that decides on the embeddings: model, list, settings. Files of one work
    /// belong together.
    pub work: Value,
}

impl Origin {
    /// The key of the metadata.
    pub(super) const KEY: &str = "shard";

    /// From the metadata of a file with so many embeddings.
    ///
    /// # Errors
    /// Another text; embeddings and left-out utterances that are not as many as the shard has.
    pub(super) fn parse(path: &Path, text: &str, embeddings: usize) -> Result<Self> {
        let damaged = |what: &str| Error::file(path, format!("damaged metadata: {what}"));
        let origin: Self = serde_json::from_str(text).map_err(|e| damaged(&e.to_string()))?;
        let Self { shard, utterances, left_out, .. } = &origin;
        let is_own = |&place: &usize| place < *utterances && shard.has(place);
        if !left_out.is_sorted_by(|a, b| a < b) || !left_out.iter().all(is_own) {
            return Err(damaged("places of utterances that the shard does not have"));
        }
        match embeddings + left_out.len() == shard.indices(*utterances).len() {
            true => Ok(origin),
            false => Err(damaged(&format!(
                "{embeddings} embeddings and {} left out are not shard {shard} of {utterances} \
                 utterances",
                left_out.len()
            ))),
        }
    }

    /// What the two works differ in, by name; the list of utterances counts.
    pub(super) fn differs_from(&self, other: &Self) -> Vec<String> {
        let names = [&self.work, &other.work].map(|work| work.as_object().into_iter().flatten());
        let mut differ: Vec<String> = names
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .filter(|name| self.work.get(name) != other.work.get(name))
            .cloned()
            .collect();
        if self.utterances != other.utterances {
            differ.push("list".into());
        }
        differ.sort_unstable();
        differ.dedup();
        differ
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn origin(left_out: &[usize]) -> Origin {
        let shard = Shard::parse("2/3").unwrap();
        let work = json!({"model": "m", "window": 300.0});
        Origin { shard, utterances: 11, left_out: left_out.to_vec(), work }
    }

    #[test]
    fn metadata_come_back_if_they_fit_the_file() {
        let read = |origin: &Origin, embeddings: usize| {
            let text = serde_json::to_string(origin).unwrap();
            Origin::parse(Path::new("e"), &text, embeddings).map_err(|e| e.to_string())
        };
        // Its utterances are 1, 4, 7 and 10.
        assert_eq!(read(&origin(&[]), 4), Ok(origin(&[])));
        assert_eq!(read(&origin(&[4, 10]), 2), Ok(origin(&[4, 10])));
        for (left_out, embeddings) in
            [(&[][..], 3), (&[4], 4), (&[5], 3), (&[13], 3), (&[10, 4], 2), (&[4, 4], 2)]
        {
            let error = read(&origin(left_out), embeddings).unwrap_err();
            assert!(error.starts_with("e: damaged metadata: "), "{error}");
        }
        assert!(Origin::parse(Path::new("e"), "{}", 4).is_err());
    }

    #[test]
    fn works_differ_in_what_is_not_equal() {
        let (own, mut other) = (origin(&[]), origin(&[4]));
        assert!(own.differs_from(&other).is_empty());
        other.work = json!({"model": "n", "window": 300.0, "vad": true});
        assert_eq!(own.differs_from(&other), ["model", "vad"]);
        assert_eq!(other.differs_from(&own), ["model", "vad"]);
        other = Origin { utterances: 12, ..own.clone() };
        assert_eq!(own.differs_from(&other), ["list"]);
    }
}
