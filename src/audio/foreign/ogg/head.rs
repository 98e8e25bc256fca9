//! The headers of Vorbis and Opus streams.

use super::page::Pages;
use crate::audio::foreign::codec::vorbis;
use crate::audio::kind::unsupported;
use crate::error::Result;

/// Samples per second of every Opus stream.
pub(super) const OPUS_RATE: u32 = 48_000;

/// What a header says.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub channels: usize,
    /// Samples per second.
    pub rate: u32,
    /// Samples in front of the recording.
    pub skip: u64,
    /// A factor for all samples.
    pub gain: f32,
}

/// Reads the first and the third packet of a Vorbis stream.
///
/// # Errors
/// Headers that are damaged, or whose tables no encoder writes.
pub(super) fn vorbis(pages: &Pages, identification: &[u8], setup: &[u8]) -> Result<Head> {
    let head = identification.strip_prefix(b"\x01vorbis").and_then(|rest| {
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let (&channels, rest) = rest.split_first()?;
        let rate = u32::from_le_bytes(*rest.first_chunk::<4>()?);
        let is_possible = *version == [0; 4] && (1..=8).contains(&channels) && rate > 0;
        is_possible.then_some(Head { channels: channels.into(), rate, skip: 0, gain: 1.0 })
    });
    let Some(head) = head else {
        return Err(pages.bad(0, "the header of Vorbis is damaged"));
    };
    match setup.strip_prefix(b"\x05vorbis").map(vorbis::check_books) {
        Some(Ok(())) => Ok(head),
        Some(Err(why)) => Err(pages.bad(0, why)),
        None => Err(pages.bad(0, "the setup of Vorbis is damaged")),
    }
}

/// Reads the first packet of an Opus stream (RFC 7845, section 5.1).
///
/// # Errors
/// A damaged header; a version or a layout of channels that is not read.
pub(super) fn opus(pages: &Pages, identification: &[u8]) -> Result<Head> {
    let fields = identification.strip_prefix(b"OpusHead").and_then(|rest| rest.first_chunk::<11>());
    let Some(&[version, channels, skip, above, _, _, _, _, gain, gain_above, family]) = fields
    else {
        return Err(pages.bad(0, "the header of Opus is cut off"));
    };
    let path = pages.input.path();
    if version >> 4 != 0 {
        return Err(unsupported(path, &format!("Opus audio of version {version}")));
    }
    if family != 0 {
        let what = format!("Opus audio of {channels} channels in layout {family}");
        return Err(unsupported(path, &what));
    }
    if !(1..=2).contains(&channels) {
        return Err(pages.bad(0, format!("the header of Opus says {channels} channels")));
    }
    // Decibels in units of 1/256.
    let decibels = f64::from(i16::from_le_bytes([gain, gain_above])) / 256.0;
    Ok(Head {
        channels: channels.into(),
        rate: OPUS_RATE,
        skip: u16::from_le_bytes([skip, above]).into(),
        gain: 10f64.powf(decibels / 20.0) as f32,
    })
}
