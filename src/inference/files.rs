//! Embeddings of many utterances in bounded memory.

use std::ops::Range;

use rayon::prelude::*;

use super::batches::Batches;
use super::reading::{Opened, Reading};
use super::windows::OfWindows;
use super::{Facts, Features};
use crate::audio::Source;
use crate::error::Result;

/// Bytes of features after which embeddings are handed over, unless a test says otherwise. The
/// number of threads and the length of a window bound the decoded audio, so memory grows neither
/// with the number of recordings nor with their lengths.
pub(crate) const WAITING: usize = 16 << 20;

/// Bytes that an error counts as.
const ERROR: usize = 1 << 10;

/// Receives each file's place, and its facts and embedding or its error.
pub type Taker<'a> = dyn FnMut(usize, Result<(Facts, Vec<f32>)>) -> Result<()> + 'a;

/// Opens the recording at a place of a list, at this rate. This channel, from 0, is read. Several
/// threads call it at once.
pub type Opener<'a> = dyn Fn(usize, u32, Option<usize>) -> Result<Source> + Sync + 'a;

/// Receives the embeddings of utterances, in their order.
pub trait Receiver {
    /// Takes the facts and the embedding `[dim]` of the utterance at a place of the list, or its
    /// error.
    ///
    /// # Errors
    /// An error ends the work.
    fn take(&mut self, place: usize, result: Result<(Facts, Vec<f32>)>) -> Result<()>;

    /// All utterances before this place have been taken, and none behind it has begun. Work that
    /// begins anew at this place gives the same embeddings, to the bit.
    ///
    /// # Errors
    /// An error ends the work.
    fn reached(&mut self, place: usize) -> Result<()> {
        let _ = place;
        Ok(())
    }
}

/// Embeddings of the utterances at `places` of a list, as
/// [`Embedder::utterances`](super::Embedder::utterances) says. They are handed over after so many
/// bytes of features (`waiting`).
pub(crate) fn embed(
    reading: &Reading,
    batches: Batches<Features>,
    waiting: usize,
    places: Range<usize>,
    open: &Opener,
    receiver: &mut dyn Receiver,
) -> Result<()> {
    let mut queue = Queue { reading, batches, files: Vec::new(), bytes: 0 };
    let (rate, channel) = (reading.rate(), reading.channel);
    let at_once = 2 * rayon::current_num_threads();
    for first in places.clone().step_by(at_once) {
        let wave = first..places.end.min(first + at_once);
        let opened: Vec<Result<Opened>> = wave
            .clone()
            .into_par_iter()
            .map(|place| reading.begin(open(place, rate, channel)?))
            .collect();
        for (place, opened) in wave.zip(opened) {
            queue.add(place, opened);
            // Batches depend on the utterances only, not on the number of threads: Burn rounds
            // differently in batches of other sizes.
            if queue.bytes > waiting {
                queue.flush(receiver)?;
                receiver.reached(place + 1)?;
            }
        }
    }
    queue.flush(receiver)
}

/// A recording that was read.
struct Read {
    facts: Facts,
    windows: usize,
    /// The windows whose embeddings were taken away already. A recording of many hours has many.
    begun: OfWindows,
}

/// Utterances on their way through the network.
struct Queue<'a> {
    reading: &'a Reading<'a>,
    batches: Batches<'a, Features>,
    /// Places of utterances, each with what was read.
    files: Vec<(usize, Result<Read>)>,
    /// Bytes of their features, gone or not.
    bytes: usize,
}

impl Queue<'_> {
    /// Takes the next utterance.
    fn add(&mut self, place: usize, opened: Result<Opened>) {
        // An f32 a mel filter.
        let frame = 4 * self.reading.extractor.fbank().config().mels;
        let Self { reading, batches, .. } = self;
        let (before, mut begun) = (batches.count(), OfWindows::default());
        let facts = opened.and_then(|opened| match opened {
            Opened::Short(facts, features) => {
                batches.add(features);
                Ok(facts)
            }
            Opened::Long(mut source) => reading.windows(&mut source, &mut |window| {
                batches.add(window);
                while let Some(row) = batches.take(before + begun.count()) {
                    begun.add(row);
                }
            }),
        });
        match &facts {
            Ok(facts) => self.bytes += frame * facts.frames,
            Err(_) => {
                self.batches.truncate(before);
                self.bytes += ERROR;
            }
        }
        let windows = self.batches.count() - before;
        self.files.push((place, facts.map(|facts| Read { facts, windows, begun })));
    }

    /// Hands over all embeddings.
    fn flush(&mut self, receiver: &mut dyn Receiver) -> Result<()> {
        let mut rows = self.batches.finish().into_iter();
        self.bytes = 0;
        for (place, read) in self.files.drain(..) {
            let result = read.map(|Read { facts, windows, mut begun }| {
                let left = rows.by_ref().take(windows).skip(begun.count());
                left.for_each(|row| begun.add(row));
                (facts, begun.embedding())
            });
            receiver.take(place, result)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
