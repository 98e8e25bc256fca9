//! The samples of a FLAC frame, all channels of it.

use super::bits::{Bits, CUT};
use super::crc::crc16;
use super::header::{Header, Stereo};
use super::subframe::{self, BEFORE};

/// The samples of the frame that was decoded last. Its memory serves every frame.
#[derive(Default)]
pub(super) struct Block(Vec<Channel>);

/// The samples of a channel, behind [`BEFORE`] zeros.
#[derive(Default)]
pub(super) struct Channel(Vec<i64>);

impl Channel {
    /// The samples.
    pub fn samples(&self) -> &[i64] {
        self.0.get(BEFORE..).unwrap_or(&[])
    }
}

impl AsRef<[i64]> for Channel {
    fn as_ref(&self) -> &[i64] {
        self.samples()
    }
}

impl Block {
    /// The channels.
    pub fn channels(&self) -> &[Channel] {
        &self.0
    }

    /// Decodes the frame at the beginning of `bytes`, with samples of `width` bits. Gives the
    /// length of the frame in bytes.
    ///
    /// # Errors
    /// [`CUT`] if it goes on behind `bytes`; a frame with another checksum than its bytes, or with
    /// values that no intact frame holds.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        header: &Header,
        width: u32,
    ) -> Result<usize, &'static str> {
        let mut bits = Bits::new(&bytes[header.length..]);
        let side = header.stereo.side();
        self.0.resize_with(header.channels, Channel::default);
        for (i, Channel(samples)) in self.0.iter_mut().enumerate() {
            samples.resize(BEFORE + header.samples, 0);
            subframe::decode(&mut bits, samples, width + u32::from(side == Some(i)))?;
        }
        let end = header.length + bits.bytes_read();
        let checksum = bytes.get(end..end + 2).ok_or(CUT)?;
        if crc16(&bytes[..end]).to_be_bytes() != checksum {
            return Err("its checksum (CRC-16) is not that of its bytes");
        }
        if let [Channel(a), Channel(b)] = self.0.as_mut_slice() {
            left_and_right(header.stereo, &mut a[BEFORE..], &mut b[BEFORE..]);
        }
        let mut all = self.0.iter().flat_map(Channel::samples);
        if side.is_some() && all.any(|&x| !subframe::fits(x, width)) {
            return Err("a sample does not fit in its bits");
        }
        Ok(end + 2)
    }
}

/// Puts the samples of the left and the right channel in place of the two numbers in the file.
fn left_and_right(stereo: Stereo, a: &mut [i64], b: &mut [i64]) {
    let pairs = a.iter_mut().zip(b);
    match stereo {
        Stereo::Independent => {}
        Stereo::LeftSide => pairs.for_each(|(a, b)| *b = *a - *b),
        Stereo::SideRight => pairs.for_each(|(a, b)| *a += *b),
        Stereo::MidSide => pairs.for_each(|(a, b)| {
            // The halved sum lacks its lowest bit, which equals that of the difference.
            let sum = (*a << 1) | (*b & 1);
            (*a, *b) = ((sum + *b) >> 1, (sum - *b) >> 1);
        }),
    }
}

/// Writes the samples of a frame as the file's MD5 covers them: interleaved, little-endian, each in
/// as many bytes as its bits need.
pub(super) fn interleave<C: AsRef<[i64]>>(channels: &[C], bits: u32, bytes: &mut Vec<u8>) {
    let width = bits.div_ceil(8) as usize;
    let put: fn(&[i64], usize, usize, &mut [u8]) = match width {
        1 => put::<1>,
        2 => put::<2>,
        3 => put::<3>,
        _ => put::<4>,
    };
    let samples = channels.first().map_or(0, |channel| channel.as_ref().len());
    bytes.resize(width * samples * channels.len(), 0);
    for (i, channel) in channels.iter().enumerate() {
        put(channel.as_ref(), i, channels.len(), bytes);
    }
}

/// Writes the samples of channel `first` in `W` bytes each, at every `step`th place from its own.
fn put<const W: usize>(samples: &[i64], first: usize, step: usize, bytes: &mut [u8]) {
    let (places, _) = bytes.as_chunks_mut::<W>();
    let write = |(place, sample): (&mut [u8; W], &i64)| {
        place.copy_from_slice(&sample.to_le_bytes()[..W]);
    };
    // A step that is known makes vectors of a loop.
    match step {
        1 => places.iter_mut().zip(samples).for_each(write),
        _ => places.iter_mut().skip(first).step_by(step).zip(samples).for_each(write),
    }
}
