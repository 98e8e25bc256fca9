//! One part of a list, for several processes.

use std::fmt;

use serde_json::Value;

use super::List;
use crate::bytes::counted;
use crate::corpus::Shard;
use crate::error::{Error, Result};
use crate::scoring::{Embeddings, Origin};

/// Which part of the list is embedded.
#[derive(Debug, clap::Args)]
pub(super) struct Sharded {
    /// Embed one of N equal parts of the list alone, such as in a job of an array: `3/16` is every
    /// sixteenth utterance from the third on. `revox merge` joins the outputs to that of one run.
    #[arg(
        long,
        value_name = "I/N",
        value_parser = Shard::parse,
        conflicts_with_all = ["features", "mean", "mean_by"]
    )]
    pub shard: Option<Shard>,
}

/// A part of a list.
pub(super) struct Part {
    shard: Shard,
    /// Utterances of the whole list.
    utterances: usize,
    /// What work on the whole list it is part of.
    work: Value,
}

impl Sharded {
    /// Leaves the utterances of the shard in the list, if one is wanted. `described` says what work
    /// on the whole list it is.
    ///
    /// # Errors
    /// A shard without utterances; those of `described`.
    pub fn divide(
        &self,
        list: Option<&mut List>,
        described: impl FnOnce(&List) -> Result<Value>,
    ) -> Result<Option<Part>> {
        let Some((shard, list)) = self.shard.zip(list) else { return Ok(None) };
        let (work, utterances) = (described(list)?, list.len());
        list.keep(shard);
        match list.len() {
            0 => Err(Error::invalid(format!(
                "shard {shard} is empty: the list has {}",
                counted(utterances, "utterance")
            ))),
            _ => Ok(Some(Part { shard, utterances, work })),
        }
    }
}

impl Part {
    /// What work on the whole list it is part of.
    pub fn work(&self) -> &Value {
        &self.work
    }

    /// The place in the whole list of each utterance that is left.
    pub fn places(&self) -> Vec<usize> {
        self.shard.indices(self.utterances).collect()
    }

    /// What the file of embeddings says, made of what is left of the list.
    pub fn origin(&self, list: &List, all: &Embeddings) -> Origin {
        let Self { shard, utterances, ref work } = *self;
        let places = self.places().into_iter().enumerate();
        let left_out = places.filter(|(i, _)| all.position(list.id(*i)).is_none());
        let left_out = left_out.map(|(_, place)| place).collect();
        Origin { shard, utterances, left_out, work: work.clone() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "shard {} of {}", self.shard, counted(self.utterances, "utterance"))
    }
}
