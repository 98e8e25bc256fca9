//! Vorbis and Opus in Ogg files (RFC 3533, RFC 7845). A page says how many samples there are up to
//! its end: that of the first page tells what to drop in front, and that of the last one where the
//! recording ends.

mod head;
mod page;

use std::ops::Range;

use self::page::{Page, Pages};
use super::codec::{Codec, Coding};
use super::keep;
use crate::audio::blocks::Blocks;
use crate::audio::choose_channel;
use crate::audio::input::Input;
use crate::error::Result;

/// One channel of a stream in an Ogg file. Its blocks are the pages.
pub(super) struct Reader {
    pages: Pages,
    codec: Box<dyn Codec>,
    rate: u32,
    /// The beginning of a packet that ends on a later page.
    part: Vec<u8>,
    /// The first decoded sample that counts, by the header.
    skip: u64,
    /// Whether the first page may begin before the recording.
    early: bool,
    /// Samples decoded so far.
    decoded: u64,
    /// What pages count in front of the first decoded sample, once a page has told. It is negative
    /// if samples in front of the recording were decoded.
    base: Option<i64>,
    /// The decoded samples that are the recording, as far as it is known.
    kept: Range<u64>,
}

impl Reader {
    /// Opens the Vorbis stream that begins at byte `start`.
    ///
    /// # Errors
    /// Damaged headers; several channels of which none is chosen.
    pub fn vorbis(input: Input, start: u64, channel: Option<usize>) -> Result<Self> {
        let mut pages = Pages::new(input, start, "Ogg Vorbis")?;
        let [identification, _, setup] = headers::<3>(&mut pages)?;
        let head = head::vorbis(&pages, &identification, &setup)?;
        let channel = choose_channel(pages.input.path(), head.channels, channel)?;
        let coding = Coding::Vorbis { identification, setup };
        let codec = coding.decoder(pages.input.path(), channel)?;
        Ok(Self::new(pages, codec, head.rate, 0, true))
    }

    /// Opens the Opus stream that begins at byte `start`. Its rate is 48 kHz, whatever the encoder
    /// was given.
    ///
    /// # Errors
    /// Damaged headers; more than two channels; several channels of which none is chosen.
    pub fn opus(input: Input, start: u64, channel: Option<usize>) -> Result<Self> {
        let mut pages = Pages::new(input, start, "Ogg Opus")?;
        let [identification, _] = headers::<2>(&mut pages)?;
        let head = head::opus(&pages, &identification)?;
        let channel = choose_channel(pages.input.path(), head.channels, channel)?;
        let coding = Coding::Opus { channels: head.channels, gain: head.gain };
        let codec = coding.decoder(pages.input.path(), channel)?;
        Ok(Self::new(pages, codec, head::OPUS_RATE, head.skip, false))
    }

    fn new(pages: Pages, codec: Box<dyn Codec>, rate: u32, skip: u64, early: bool) -> Self {
        let (part, kept) = (Vec::new(), skip..u64::MAX);
        let mut reader =
            Self { pages, codec, rate, part, skip, early, decoded: 0, base: None, kept };
        reader.pages.read = (0, rate);
        reader
    }

    /// Appends what the packets that end on a page decode to.
    fn decode(&mut self, page: &Page, samples: &mut Vec<f32>) -> Result<()> {
        if page.is_continued() == self.part.is_empty() {
            return Err(self.pages.bad(page.begin, "a part of a packet is missing: damaged"));
        }
        let length = page.length();
        let body = &self.pages.input.at(page.body, length)?[..length];
        let (mut from, mut to) = (0, 0);
        let mut broken = None;
        for &bytes in &page.segments {
            to += usize::from(bytes);
            if bytes == 255 {
                continue;
            }
            let packet = if self.part.is_empty() {
                &body[from..to]
            } else {
                self.part.extend_from_slice(&body[from..to]);
                &self.part
            };
            if let Err(why) = self.codec.decode(packet, samples) {
                broken = Some(why);
                break;
            }
            self.part.clear();
            from = to;
        }
        if let Some(why) = broken {
            return Err(self.pages.bad(page.begin, format!("a packet cannot be decoded: {why}")));
        }
        self.part.extend_from_slice(&body[from..to]);
        Ok(())
    }

    /// Learns from a page which of the decoded samples are the recording.
    fn learn(&mut self, page: &Page) {
        let Some(granule) = page.granule.and_then(|granule| i64::try_from(granule).ok()) else {
            return;
        };
        let decoded = i64::try_from(self.decoded).unwrap_or(i64::MAX);
        // If the first page is the last one, it tells the end.
        let first = if page.is_last() { 0 } else { granule.saturating_sub(decoded) };
        let first = if self.early { first } else { first.max(0) };
        let base = *self.base.get_or_insert(first);
        self.kept.start = self.skip.max(base.min(0).unsigned_abs());
        if page.is_last() {
            self.kept.end = u64::try_from(granule.saturating_sub(base)).unwrap_or(0);
        }
    }
}

/// The first packets of a stream, which are no samples. The samples begin on a page of their own.
fn headers<const N: usize>(pages: &mut Pages) -> Result<[Vec<u8>; N]> {
    let mut headers = std::array::from_fn(|_| Vec::new());
    let mut count = 0;
    while count < N {
        let Some(page) = pages.next()? else {
            return Err(pages.bad(0, "it ends inside its headers: truncated"));
        };
        let length = page.length();
        let body = &pages.input.at(page.body, length)?[..length];
        let mut at = 0;
        for &bytes in &page.segments {
            if count == N {
                return Err(pages.bad(page.begin, "headers and samples share a page: damaged"));
            }
            headers[count].extend_from_slice(&body[at..at + usize::from(bytes)]);
            at += usize::from(bytes);
            count += usize::from(bytes < 255);
        }
    }
    pages.samples_begin();
    Ok(headers)
}

impl Blocks for Reader {
    fn rate(&self) -> u32 {
        self.rate
    }

    /// Only the last page tells.
    fn length(&self) -> Option<u64> {
        None
    }

    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        let before = samples.len();
        while samples.len() == before {
            let Some(page) = self.pages.next()? else { return Ok(false) };
            self.decode(&page, samples)?;
            if page.is_last() && !self.part.is_empty() {
                return Err(self.pages.bad(page.begin, "it ends inside a packet: truncated"));
            }
            let first = self.decoded;
            self.decoded += (samples.len() - before) as u64;
            self.pages.read.0 = self.decoded;
            self.learn(&page);
            keep(samples, before, first, &self.kept);
        }
        Ok(true)
    }

    fn rewind(&mut self) {
        self.codec.reset();
        self.pages.rewind();
        self.part.clear();
        (self.decoded, self.base, self.kept) = (0, None, self.skip..u64::MAX);
    }
}

#[cfg(test)]
mod tests;
