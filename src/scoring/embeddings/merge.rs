//! Several files of embeddings become one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{Embeddings, Origin, file, tensors};
use crate::archive::Output;
use crate::corpus::{Shard, Words, read_ids};
use crate::error::{Error, Result};
use crate::fs;

/// Most missing shards that an error names.
const NAMED: usize = 10;

/// What was joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Embeddings that were written.
    pub embeddings: usize,
    /// Values of each.
    pub dim: usize,
    /// Utterances that the shards have left out.
    pub left_out: usize,
    /// Whether the files are shards. Of other files nobody can tell whether they are of one model,
    /// and whether one is missing.
    pub are_shards: bool,
}

/// Joins safetensors files of embeddings into one, which gets the bytes that one run over the whole
/// list would have given it. Embeddings come in the order of the ids in the list `order`. Without
/// one, those of shards come in the order of their list, and those of other files one file behind
/// the other.
///
/// Values of long files stay in these files, which are mapped into memory. Ids are held in memory.
///
/// # Errors
/// Files of another format; embeddings of different dimensions, or of one utterance in two files;
/// shards of different models, lists or settings, a shard that is there twice, and a missing one;
/// an id that only `order` has or only a file, except that `order` may name what shards have left
/// out; otherwise those of [`Embeddings::load`] and [`Embeddings::save`].
pub fn merge(paths: &[PathBuf], order: Option<&Path>, output: &Path) -> Result<Merged> {
    if Output::parse(output)?.is_some() {
        return Err(Error::file(output, "joined embeddings are written as safetensors alone"));
    }
    fs::check_ending(output, &["safetensors"])?;
    let parts = Parts::load(paths)?;
    let origins: Option<Vec<&Origin>> = parts.origins.iter().map(Option::as_ref).collect();
    origins.as_deref().map_or(Ok(()), refuse_missing)?;
    let left_out: usize = origins.iter().flatten().map(|origin| origin.left_out.len()).sum();
    let rows = match (order, &origins) {
        (Some(list), _) => parts.in_order_of(list, left_out)?,
        (None, Some(origins)) => parts.in_order_of_shards(origins),
        (None, None) => (0..parts.ids.len() as u32).collect(),
    };
    parts.write(&rows, output)?;
    let (embeddings, dim) = (rows.len(), parts.sets[0].dim());
    Ok(Merged { embeddings, dim, left_out, are_shards: origins.is_some() })
}

/// The files that are joined.
struct Parts<'a> {
    paths: &'a [PathBuf],
    sets: Vec<Embeddings>,
    /// Of all sets or of none.
    origins: Vec<Option<Origin>>,
    /// Of all sets, one behind the other. The line of an id is the place of its file.
    ids: Words,
    /// The number of each set's first id.
    starts: Vec<usize>,
}

impl<'a> Parts<'a> {
    fn load(paths: &'a [PathBuf]) -> Result<Self> {
        if paths.is_empty() {
            return Err(Error::invalid("there are no files to be joined"));
        }
        let (sets, origins, starts) = (Vec::new(), Vec::new(), Vec::new());
        let mut parts = Self { paths, sets, origins, ids: Words::default(), starts };
        paths.iter().try_for_each(|path| parts.add(path))?;
        Ok(parts)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let (set, origin) = file::load_shard(path)?;
        if let Some(first) = self.sets.first().filter(|first| first.dim() != set.dim()) {
            let (own, other, name) = (set.dim(), first.dim(), self.paths[0].display());
            let message = format!("has embeddings of {own} values, {name} of {other}");
            return Err(Error::file(path, message));
        }
        self.check_origin(path, origin.as_ref())?;
        self.starts.push(self.ids.len());
        for id in set.ids() {
            let count = self.ids.len();
            match self.ids.intern(id, self.sets.len()) {
                Some(number) if number as usize == count => {}
                Some(number) => {
                    let other = self.paths[self.ids.line(number)].display();
                    let message = format!("has an embedding of `{id}`, as {other} has");
                    return Err(Error::file(path, message));
                }
                None => return Err(Error::file(path, format!("is behind {count} embeddings"))),
            }
        }
        self.sets.push(set);
        self.origins.push(origin);
        Ok(())
    }

    /// Refuses a file that does not belong to the first one, and a shard that is there.
    fn check_origin(&self, path: &Path, origin: Option<&Origin>) -> Result<()> {
        let Some(first) = self.origins.first() else { return Ok(()) };
        let name = self.paths[0].display();
        let wrong = |message: String| Err(Error::file(path, message));
        let (first, own) = match (first, origin) {
            (Some(first), Some(own)) => (first, own),
            (None, None) => return Ok(()),
            (Some(first), None) => {
                return wrong(format!("is no shard, and {name} is shard {}", first.shard));
            }
            (None, Some(own)) => {
                return wrong(format!("is shard {}, and {name} is no shard", own.shard));
            }
        };
        let differ = own.differs_from(first);
        if !differ.is_empty() {
            return wrong(format!("is of another {} than {name}", differ.join(", ")));
        }
        if own.shard.count() != first.shard.count() {
            return wrong(format!("is shard {}, and {name} is shard {}", own.shard, first.shard));
        }
        let is_same = |other: &Option<Origin>| other.as_ref().is_some_and(|o| o.shard == own.shard);
        match self.origins.iter().position(is_same) {
            Some(twice) => {
                wrong(format!("is shard {}, as {} is", own.shard, self.paths[twice].display()))
            }
            None => Ok(()),
        }
    }

    /// The numbers of ids in the order of the list that the shards were made of.
    fn in_order_of_shards(&self, origins: &[&Origin]) -> Vec<u32> {
        let count = origins.len();
        // By shard, the number of its next id, and the places that it has left out.
        let mut next: Vec<(u32, &[usize])> = vec![(0, &[][..]); count];
        for (origin, &start) in origins.iter().zip(&self.starts) {
            next[origin.shard.index()] = (start as u32, origin.left_out.as_slice());
        }
        let mut numbers = Vec::with_capacity(self.ids.len());
        for place in 0..origins[0].utterances {
            let (number, left_out) = &mut next[place % count];
            match left_out.split_first() {
                Some((&first, rest)) if first == place => *left_out = rest,
                _ => {
                    numbers.push(*number);
                    *number += 1;
                }
            }
        }
        numbers
    }

    /// The numbers of ids in the order of a list, which may name so many utterances more.
    fn in_order_of(&self, list: &Path, left_out: usize) -> Result<Vec<u32>> {
        let wanted = read_ids(list)?;
        let (mut numbers, mut absent) = (Vec::with_capacity(self.ids.len()), Vec::new());
        for (id, line) in wanted.iter() {
            match self.ids.find(id) {
                Some(number) => numbers.push(number),
                None => absent.push((id, line)),
            }
        }
        if let Some((id, line)) = absent.first().filter(|_| absent.len() > left_out) {
            let mut message = format!("no file has an embedding of `{id}`");
            if left_out > 0 {
                let lacks = absent.len();
                message += &format!(": {lacks} are not there, and {left_out} were left out");
            }
            return Err(Error::line(list, *line, message));
        }
        let unnamed = self.ids.iter().find(|(id, _)| wanted.find(id).is_none());
        match unnamed {
            Some((id, file)) => {
                let list = list.display();
                let message = format!("has an embedding of `{id}`, which {list} does not name");
                Err(Error::file(&self.paths[file], message))
            }
            None => Ok(numbers),
        }
    }

    /// The embedding `[dim]` of the id with this number.
    fn row(&self, number: u32) -> &[f32] {
        let place = number as usize;
        // The first set begins at 0.
        let set = self.starts.partition_point(|&start| start <= place) - 1;
        self.sets[set].row(place - self.starts[set])
    }

    /// Writes the embeddings of these ids.
    fn write(&self, numbers: &[u32], output: &Path) -> Result<()> {
        let values: Vec<&[f32]> = numbers.iter().map(|&number| self.row(number)).collect();
        let ids = numbers.iter().map(|&number| self.ids.get(number));
        tensors::write(output, ids, self.sets[0].dim(), values.into(), None)
    }
}

/// Refuses shards, all different, of which some are missing.
fn refuse_missing(origins: &[&Origin]) -> Result<()> {
    let count = origins[0].shard.count();
    let missing = count - origins.len();
    if missing == 0 {
        return Ok(());
    }
    let there: HashSet<usize> = origins.iter().map(|origin| origin.shard.index()).collect();
    let absent = (0..count).filter(|index| !there.contains(index)).take(NAMED);
    let named: Vec<String> = absent.map(|index| Shard::of(index, count).to_string()).collect();
    let more = match missing - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Error::invalid(format!("shards are missing: {}{more}", named.join(", "))))
}

#[cfg(test)]
mod tests;
