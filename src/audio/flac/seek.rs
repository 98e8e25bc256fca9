//! Finds the frame that holds a sample without reading all those before it.
//!
//! A frame is found by its header and believed once all of it is decoded and its checksum is right.
//! Frames are left out only in a file whose last frame ends at the sample that the file's header
//! promises. In a cut or joined file, or without a promise, the way to a sample leads through all
//! frames before it, so that the fault is found.

use super::Reader;
use super::bits::CUT;
use super::header::Header;
use super::position::{Numbering, Position};
use crate::audio::blocks::Blocks;
use crate::audio::tags;
use crate::error::Result;

#[cfg(test)]
mod tests;

/// As many samples are decoded and left out rather than searched: about two frames.
const NEAR: u64 = 1 << 13;
/// Bytes that are searched for headers at a time.
const WINDOW: u64 = 1 << 12;
/// Bytes at the end of the file in which its last frame begins, unless there are long tags.
const TAIL: u64 = 1 << 16;
/// Bytes from a place on that are searched for a frame.
const REACH: u64 = 1 << 20;
/// Bytes beyond which no frame goes on: eight channels of 65,535 samples of 32 bits have half.
const LARGEST: usize = 1 << 22;

/// What is known of a file in which frames may be left out.
#[derive(Clone, Copy)]
pub(super) struct Whole {
    numbering: Numbering,
    last: Mark,
}

/// A frame.
#[derive(Clone, Copy)]
struct Mark {
    /// Its first byte.
    at: u64,
    position: Position,
}

impl Mark {
    /// Its first sample.
    fn sample(&self) -> u64 {
        self.position.samples
    }
}

impl Reader {
    /// Goes to the frame that holds a sample, or to one before it.
    pub(super) fn go_to(&mut self, sample: u64) -> Result<()> {
        self.rewind();
        if sample < NEAR {
            return Ok(());
        }
        let whole = match self.whole {
            Some(whole) => whole,
            None => {
                let whole = self.survey()?;
                self.whole = Some(whole);
                whole
            }
        };
        let Some(whole) = whole else { return Ok(()) };
        let found = self.search(sample, whole)?;
        if found.at > self.begin {
            (self.at, self.next, self.digest) = (found.at, found.position, None);
        }
        Ok(())
    }

    /// Looks at the ends of the file.
    fn survey(&mut self) -> Result<Option<Whole>> {
        let Some(total) = self.info.total else { return Ok(None) };
        let Some(first) = Header::parse(self.input.at(self.begin, Header::LONGEST)?) else {
            return Ok(None);
        };
        let numbering = Numbering::of(&first);
        if first.number != 0 || first.contradicts(&self.info).is_some() || self.is_joined()? {
            return Ok(None);
        }
        let end = self.input.length();
        let least = self.begin.max(end.saturating_sub(TAIL));
        let mut to = end;
        while to > least {
            let from = least.max(to.saturating_sub(WINDOW));
            for (mark, header) in self.candidates(from, to, numbering)?.into_iter().rev() {
                if mark.sample() + header.samples as u64 == total
                    && let Some(length) = self.believed(mark.at, &header)?
                    && tags::only_tags(&mut self.input, mark.at + length)?
                {
                    return Ok(Some(Whole { numbering, last: mark }));
                }
            }
            to = from;
        }
        Ok(None)
    }

    /// Whether a file in memory goes on with another. It may end at the same sample as this one.
    fn is_joined(&mut self) -> Result<bool> {
        let length = self.input.length();
        let bytes = self.input.at(self.begin, 1)?;
        if self.begin + (bytes.len() as u64) < length {
            return Ok(false);
        }
        // Few parts hold the two letters, and all are compared with them at once.
        let starts = bytes.len().saturating_sub(3);
        let mut parts = (0..starts).step_by(64).map(|at| at..starts.min(at + 64));
        Ok(parts.any(|mut part| {
            let pairs = bytes[part.clone()].iter().zip(&bytes[part.start + 1..]);
            let is_likely = pairs.fold(false, |any, (a, b)| any | ((*a == b'f') & (*b == b'L')));
            is_likely && part.any(|at| bytes[at..].starts_with(b"fLaC"))
        }))
    }

    /// The last frame found that begins at the sample or before it.
    fn search(&mut self, sample: u64, whole: Whole) -> Result<Mark> {
        let mut low = Mark { at: self.begin, position: Position::default() };
        let mut high = whole.last;
        if sample >= high.sample() {
            return Ok(high);
        }
        // The frame begins before this byte.
        let mut to = high.at;
        let mut in_the_middle = false;
        while sample - low.sample() >= NEAR && to > low.at + 1 {
            let from = if in_the_middle {
                low.at + (to - low.at) / 2
            } else {
                // The place of a sample a frame before it, if all take the same number of bytes.
                let ahead = sample - low.sample() - NEAR / 2;
                let share = ahead as f64 / (high.sample() - low.sample()) as f64;
                low.at + ((high.at - low.at) as f64 * share) as u64
            };
            let from = from.clamp(low.at + 1, to - 1);
            in_the_middle = !in_the_middle;
            match self.first_frame(from, to, [low, high], whole.numbering)? {
                Some(found) if found.sample() <= sample => low = found,
                found => (high, to) = (found.unwrap_or(high), from),
            }
        }
        Ok(low)
    }

    /// The first frame that begins at byte `from` or behind it, before byte `to`. It must lie
    /// between two others.
    fn first_frame(
        &mut self,
        mut from: u64,
        to: u64,
        [low, high]: [Mark; 2],
        numbering: Numbering,
    ) -> Result<Option<Mark>> {
        let end = to.min(from + REACH);
        while from < end {
            let next = end.min(from + WINDOW);
            for (mark, header) in self.candidates(from, next, numbering)? {
                // Only the last frame may be shorter than the others.
                let is_full = match numbering {
                    Numbering::Frames(block) => header.samples as u64 == block,
                    Numbering::Samples => true,
                };
                let behind = mark.sample() + header.samples as u64;
                if is_full
                    && mark.sample() > low.sample()
                    && behind <= high.sample()
                    && self.believed(mark.at, &header)?.is_some()
                {
                    return Ok(Some(mark));
                }
            }
            from = next;
        }
        Ok(None)
    }

    /// What may be the frames of this file that begin at byte `from` or behind it, before byte
    /// `to`, by their headers.
    fn candidates(
        &mut self,
        from: u64,
        to: u64,
        numbering: Numbering,
    ) -> Result<Vec<(Mark, Header)>> {
        let bytes = self.input.at(from, (to - from) as usize + Header::LONGEST)?;
        let starts = bytes.len().min((to - from) as usize);
        let mut found = Vec::new();
        for i in (0..starts).filter(|&i| bytes[i] == 0xff) {
            if let Some(header) = Header::parse(&bytes[i..])
                && header.contradicts(&self.info).is_none()
                && let Some(position) = numbering.position(&header)
            {
                found.push((Mark { at: from + i as u64, position }, header));
            }
        }
        Ok(found)
    }

    /// The length in bytes of the frame that begins at a byte, if it is one.
    fn believed(&mut self, at: u64, header: &Header) -> Result<Option<u64>> {
        let length = self.input.length();
        let mut least = Header::LONGEST;
        loop {
            let bytes = self.input.at(at, least)?;
            let is_rest = at + bytes.len() as u64 == length;
            least = 2 * bytes.len();
            match self.block.decode(bytes, header, self.info.bits) {
                Ok(length) => return Ok(Some(length as u64)),
                Err(CUT) if !is_rest && bytes.len() < LARGEST => {}
                Err(_) => return Ok(None),
            }
        }
    }
}
