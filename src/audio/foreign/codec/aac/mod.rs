//! What has to be known of AAC before it is decoded (ISO 14496-3).

#[cfg(feature = "formats")]
mod drawing;
#[cfg(feature = "formats")]
mod noise;

use std::path::Path;

use crate::audio::foreign::bits::Bits;
use crate::audio::kind::unsupported;
use crate::error::{Error, Result};

#[cfg(feature = "formats")]
pub(super) use drawing::drawing;
#[cfg(feature = "formats")]
pub(super) use noise::{draws, may_have_noise};
#[cfg(all(test, feature = "formats"))]
pub(super) use tests::packed;

/// Samples of a packet.
pub(in crate::audio::foreign) const SAMPLES: u64 = 1024;

/// Samples per second by their number.
pub(in crate::audio::foreign) const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

const HE: &str = "HE-AAC audio (AAC with spectral band replication, SBR)";
const HE2: &str = "HE-AAC v2 audio (AAC with parametric stereo, PS)";
/// Marks of extensions behind a configuration that older decoders understand.
const SBR_MARK: u32 = 0x2b7;
const PS_MARK: u32 = 0x548;

/// What a configuration says of a recording that can be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::audio::foreign) struct Config {
    /// Samples per second.
    pub rate: u32,
    /// Channels: 1 or 2.
    pub channels: usize,
}

/// Reads an AudioSpecificConfig.
///
/// # Errors
/// A configuration that is cut off; any AAC but that of low complexity, by its name.
pub(in crate::audio::foreign) fn config(path: &Path, bytes: &[u8]) -> Result<Config> {
    match parse(bytes) {
        Some(Ok(config)) => Ok(config),
        Some(Err(name)) => Err(unsupported(path, &name)),
        None => Err(Error::file(path, "its AAC configuration is cut off or damaged")),
    }
}

/// Samples per second by an AudioSpecificConfig of what can be decoded.
#[cfg(feature = "formats")]
pub(super) fn rate_of(config: &[u8]) -> Option<u32> {
    parse(config)?.ok().map(|config| config.rate)
}

/// None if the bytes end too early or make no sense; an error with the name of what is not decoded.
fn parse(bytes: &[u8]) -> Option<Result<Config, String>> {
    let mut bits = Bits::new(bytes);
    let object = object(&mut bits)?;
    let rate = rate(&mut bits)?;
    let channels = bits.take(4)?;
    let named = |name: &str| Some(Err(name.to_owned()));
    match object {
        2 => {}
        1 => return named("AAC audio of the profile Main"),
        3 => return named("AAC audio with a scalable sampling rate (SSR)"),
        4 => return named("AAC audio with long-term prediction (LTP)"),
        5 => return named(HE),
        29 => return named(HE2),
        17 | 19 | 20 | 22 => return named("AAC audio of an error-resilient profile (ER AAC)"),
        23 => return named("AAC-LD audio (low delay)"),
        39 => return named("AAC-ELD audio (enhanced low delay)"),
        42 => return named("xHE-AAC audio (USAC)"),
        32..=34 => return named("MPEG audio of layer I to III in an MP4 file"),
        36 => return named("MPEG-4 ALS audio"),
        other => return Some(Err(format!("MPEG-4 audio of object type {other}"))),
    }
    let short = bits.take(1)? == 1;
    if bits.take(1)? == 1 {
        bits.skip(14)?;
    }
    bits.skip(1)?;
    if short {
        return named("AAC audio with packets of 960 samples");
    }
    match channels {
        1 | 2 => {}
        0 => return named("AAC audio with a channel layout of its own (PCE)"),
        7 => return named("AAC audio of 8 channels"),
        n => return Some(Err(format!("AAC audio of {n} channels"))),
    }
    if bits.take(11) == Some(SBR_MARK) && bits.take(5) == Some(5) && bits.take(1) == Some(1) {
        let escaped = bits.take(4) == Some(15);
        let ps = (!escaped || bits.skip(24).is_some())
            && bits.take(11) == Some(PS_MARK)
            && bits.take(1) == Some(1);
        return named(if ps { HE2 } else { HE });
    }
    (rate > 0).then_some(Ok(Config { rate, channels: channels as usize }))
}

fn object(bits: &mut Bits) -> Option<u32> {
    match bits.take(5)? {
        31 => Some(32 + bits.take(6)?),
        object => Some(object),
    }
}

fn rate(bits: &mut Bits) -> Option<u32> {
    match bits.take(4)? {
        15 => bits.take(24),
        number => RATES.get(number as usize).copied(),
    }
}

/// Whether these first packets carry spectral band replication that the configuration does not
/// mention. Its data are the last element of every packet.
///
/// # Errors
/// They do: the name of the codec.
pub(in crate::audio::foreign) fn refuse_sbr(path: &Path, packets: &[Vec<u8>]) -> Result<()> {
    // A few packets may end in such bits by chance.
    let found = packets.len() >= 4 && packets.iter().all(|packet| ends_in_sbr(packet));
    if found { Err(unsupported(path, HE)) } else { Ok(()) }
}

/// Whether the last element before the end mark of a packet may be one of SBR: the type "fill", a
/// count of bytes, and the kind of their content.
fn ends_in_sbr(packet: &[u8]) -> bool {
    let Some(last) = packet.last().filter(|last| **last != 0) else { return false };
    // The end mark is three ones; zeros fill up its byte.
    let end = 8 * packet.len() - last.trailing_zeros() as usize;
    let Some(end) = end.checked_sub(3) else { return false };
    if Bits::from(packet, end).take(3) != Some(7) {
        return false;
    }
    (1..270usize).any(|bytes| {
        let head = if bytes < 15 { 7 } else { 15 };
        let Some(at) = end.checked_sub(8 * bytes + head) else { return false };
        let mut bits = Bits::from(packet, at);
        let count = |bits: &mut Bits| match bits.take(4)? {
            15 => Some(14 + bits.take(8)? as usize),
            count => Some(count as usize),
        };
        bits.take(3) == Some(6)
            && count(&mut bits) == Some(bytes)
            && matches!(bits.take(4), Some(0xd | 0xe))
    })
}

/// Refuses a packet without the channels of the recording, which would decode to silence, or to
/// what was decoded before.
///
/// # Errors
/// What the packet holds instead.
#[cfg_attr(not(feature = "formats"), allow(dead_code, reason = "there are no decoders"))]
pub(super) fn check(packet: &[u8], channels: usize) -> Result<(), String> {
    let mut bits = Bits::new(packet);
    loop {
        match (first(&mut bits), channels) {
            (Some(Element::Other), _) => {}
            (Some(Element::Single), 1) | (Some(Element::Pair), 2) => return Ok(()),
            (Some(Element::Single | Element::Pair), _) => {
                return Err(format!("it does not begin with {channels} channel(s)"));
            }
            (Some(Element::End) | None, _) => return Err("it holds no samples".into()),
        }
    }
}

enum Element {
    Single,
    Pair,
    /// Data or filling, which was left out.
    Other,
    End,
}

/// The next element of a packet. None if the packet ends in it, or if its kind is not read.
fn first(bits: &mut Bits) -> Option<Element> {
    Some(match bits.take(3)? {
        0 => Element::Single,
        1 => Element::Pair,
        4 => {
            bits.skip(4)?;
            let aligned = bits.take(1)? == 1;
            let count = bits.take(8)?;
            let count = if count == 255 { count + bits.take(8)? } else { count };
            if aligned {
                bits.align();
            }
            bits.skip(8 * count as usize)?;
            Element::Other
        }
        6 => {
            let count = bits.take(4)?;
            let count = if count == 15 { 14 + bits.take(8)? } else { count };
            bits.skip(8 * count as usize)?;
            Element::Other
        }
        7 => Element::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
