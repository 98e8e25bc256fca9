//! Recordings without a container: frames of MP3, or of AAC in ADTS, one behind the other. The
//! header of a frame gives its length. All headers are read first, so that the length is known and
//! nothing between two frames is lost silently.

mod adts;
mod gapless;
mod mp3;

use std::ops::Range;

use super::codec::{Codec, Coding, aac};
use super::keep;
use crate::audio::blocks::Blocks;
use crate::audio::input::Input;
use crate::audio::{choose_channel, tags};
use crate::error::{Error, Result};

/// Most bytes that the header of a frame needs.
const HEADER: usize = 16;
/// Frames that are looked at before the first one is decoded.
const FIRST: usize = 8;

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// Bytes of the frame.
    bytes: usize,
    /// Bytes in front of its packet.
    before: usize,
    /// Samples of each channel.
    samples: u64,
    /// Samples per second.
    rate: u32,
    channels: usize,
}

/// A way to write frames.
struct Syntax {
    /// The name for errors.
    name: &'static str,
    /// The header at the beginning of some bytes, or nothing if there is none.
    parse: fn(&[u8]) -> Option<Head>,
}

/// One channel of a recording that consists of frames.
pub(super) struct Reader {
    input: Input,
    syntax: &'static Syntax,
    codec: Box<dyn Codec>,
    rate: u32,
    /// Where the frames begin.
    begin: u64,
    /// Where they end.
    end: u64,
    /// Where the next one is.
    at: u64,
    /// Samples decoded so far.
    decoded: u64,
    /// The first sample that counts, and the one behind the last.
    kept: Range<u64>,
}

/// Opens an MP3 file whose frames begin at byte `start`.
///
/// # Errors
/// Something between two frames, with its place; a cut frame; fewer frames than the file promises.
pub(super) fn mp3(mut input: Input, start: u64, channel: Option<usize>) -> Result<Reader> {
    let syntax = &mp3::SYNTAX;
    let head = first(&mut input, syntax, start)?;
    let channel = choose_channel(input.path(), head.channels, channel)?;
    let frame = input.at(start, head.bytes)?;
    let frame = &frame[..head.bytes.min(frame.len())];
    let info = gapless::info(frame);
    let begin = if info.is_some() { start + head.bytes as u64 } else { start };
    let (frames, end) = walk(&mut input, syntax, head, begin)?;
    let info = info.unwrap_or_default();
    // Some encoders count the frame that holds the information.
    if let Some(promised) = info.frames
        && frames + 1 < u64::from(promised)
    {
        let why = format!(
            "its first frame promises {promised} frames, the file holds {frames}: \
             truncated or damaged"
        );
        return Err(input.unreadable(syntax.name, why));
    }
    let samples = frames * head.samples;
    let kept = info.skip.min(samples)..samples.saturating_sub(info.padding);
    let codec = Coding::Mp3.decoder(input.path(), channel)?;
    Ok(Reader { input, syntax, codec, rate: head.rate, begin, end, at: begin, decoded: 0, kept })
}

/// Opens an ADTS file whose frames begin at byte `start`. All its samples count: it has no place to
/// say how many an encoder put in front.
///
/// # Errors
/// Something between two frames, with its place; a cut frame; another AAC than that of low
/// complexity, by its name.
pub(super) fn adts(mut input: Input, start: u64, channel: Option<usize>) -> Result<Reader> {
    let syntax = &adts::SYNTAX;
    let config = adts::config(input.at(start, HEADER)?);
    let Some(config) = config else { return Err(neither(&input, syntax, start, 0.0)) };
    let found = aac::config(input.path(), &config)?;
    let head = first(&mut input, syntax, start)?;
    let channel = choose_channel(input.path(), found.channels, channel)?;
    let (frames, end) = walk(&mut input, syntax, head, start)?;
    let (mut packets, mut at) = (Vec::new(), start);
    while at < end && packets.len() < FIRST {
        let Some(head) = (syntax.parse)(input.at(at, HEADER)?) else { break };
        packets.push(input.at(at, head.bytes)?[head.before..head.bytes].to_vec());
        at += head.bytes as u64;
    }
    aac::refuse_sbr(input.path(), &packets)?;
    let coding = Coding::Aac { config, channels: found.channels };
    let codec = coding.decoder(input.path(), channel)?;
    let (rate, kept) = (head.rate, 0..frames * head.samples);
    Ok(Reader { input, syntax, codec, rate, begin: start, end, at: start, decoded: 0, kept })
}

/// The header of the first frame.
fn first(input: &mut Input, syntax: &Syntax, start: u64) -> Result<Head> {
    let head = (syntax.parse)(input.at(start, HEADER)?);
    head.ok_or_else(|| neither(input, syntax, start, 0.0))
}

/// The number of frames from byte `at` on, and the place of their end.
fn walk(input: &mut Input, syntax: &Syntax, like: Head, mut at: u64) -> Result<(u64, u64)> {
    let mut frames = 0;
    loop {
        let seconds = (frames * like.samples) as f64 / f64::from(like.rate);
        let Some(head) = (syntax.parse)(input.at(at, HEADER)?) else {
            if tags::only_tags(input, at)? {
                return Ok((frames, at));
            }
            return Err(neither(input, syntax, at, seconds));
        };
        if (head.rate, head.channels) != (like.rate, like.channels) {
            let why = format!(
                "at byte {at} ({seconds:.3} s) the frame is of another recording: {} Hz and {} \
                 channel(s) follow {} Hz and {} channel(s)",
                head.rate, head.channels, like.rate, like.channels
            );
            return Err(input.unreadable(syntax.name, why));
        }
        let end = at + head.bytes as u64;
        if end > input.length() {
            let why = format!("it ends inside the frame at byte {at} ({seconds:.3} s): truncated");
            return Err(input.unreadable(syntax.name, why));
        }
        frames += 1;
        at = end;
    }
}

fn neither(input: &Input, syntax: &Syntax, at: u64, seconds: f64) -> Error {
    let why = format!(
        "at byte {at} ({seconds:.3} s) there is neither a frame nor a tag: damaged or cut off"
    );
    input.unreadable(syntax.name, why)
}

impl Blocks for Reader {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn length(&self) -> Option<u64> {
        Some(self.kept.end.saturating_sub(self.kept.start))
    }

    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        while self.at < self.end && self.decoded < self.kept.end {
            let seconds = self.decoded as f64 / f64::from(self.rate);
            let Some(head) = (self.syntax.parse)(self.input.at(self.at, HEADER)?) else {
                return Err(neither(&self.input, self.syntax, self.at, seconds));
            };
            let frame = self.input.at(self.at, head.bytes)?;
            let before = samples.len();
            let result = match frame.get(head.before..head.bytes) {
                Some(packet) => self.codec.decode(packet, samples),
                None => Err("it is cut off".into()),
            };
            let found = samples.len() - before;
            let result = result.and_then(|()| match found as u64 == head.samples {
                true => Ok(()),
                false => Err(format!("it holds {found} samples, not {}", head.samples)),
            });
            if let Err(why) = result {
                let why = format!(
                    "the frame at byte {} ({seconds:.3} s) cannot be decoded: {why}",
                    self.at
                );
                return Err(self.input.unreadable(self.syntax.name, why));
            }
            keep(samples, before, self.decoded, &self.kept);
            self.decoded += head.samples;
            self.at += head.bytes as u64;
            if samples.len() > before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn rewind(&mut self) {
        self.codec.reset();
        (self.at, self.decoded) = (self.begin, 0);
    }
}
