//! FLAC files (RFC 9639), written and taken apart.

use std::ops::Range;

use crate::checksums::{crc8, crc16, md5};

/// Bits in a row, most significant first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits that are free in the last byte.
    free: u32,
}

impl Bits {
    /// The lowest `count` bits of a value, 32 at most.
    fn put(&mut self, value: i64, count: u32) {
        for i in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= (((value >> i) & 1) as u8) << self.free;
            }
        }
    }

    fn align(&mut self) {
        self.free = 0;
    }
}

/// Ways to write the samples of a channel in a frame.
#[derive(Clone, Copy)]
enum Form {
    Verbatim,
    /// A fixed predictor of order 2.
    Fixed,
    /// The same predictor, its coefficients written out.
    Linear,
}

fn subframe(out: &mut Bits, samples: &[i32], bits: u32, form: Form) {
    let put_all =
        |out: &mut Bits, samples: &[i32]| samples.iter().for_each(|&x| out.put(i64::from(x), bits));
    if samples.iter().all(|x| *x == samples[0]) {
        out.put(0, 8);
        return out.put(i64::from(samples[0]), bits);
    }
    if samples.len() < 4 || matches!(form, Form::Verbatim) {
        out.put(1 << 1, 8);
        return put_all(out, samples);
    }
    match form {
        Form::Verbatim | Form::Fixed => {
            out.put((8 + 2) << 1, 8);
            put_all(out, &samples[..2]);
        }
        Form::Linear => {
            out.put((32 + 1) << 1, 8);
            put_all(out, &samples[..2]);
            // Coefficients of 3 bits, not shifted: 2 and -1.
            [(3 - 1, 4), (0, 5), (2, 3), (-1, 3)]
                .into_iter()
                .for_each(|(value, count)| out.put(value, count));
        }
    }
    let x = |i: usize| i64::from(samples[i]);
    let folded: Vec<i64> = (2..samples.len())
        .map(|i| x(i) - 2 * x(i - 1) + x(i - 2))
        .map(|r| (r << 1) ^ (r >> 63))
        .collect();
    let mean = folded.iter().sum::<i64>() / folded.len() as i64;
    let low = (mean + 1).ilog2().min(14);
    // One Rice partition with a parameter of 4 bits.
    [(0, 2), (0, 4), (i64::from(low), 4)]
        .into_iter()
        .for_each(|(value, count)| out.put(value, count));
    for value in folded {
        (0..(value >> low)).for_each(|_| out.put(0, 1));
        out.put(1, 1);
        out.put(value, low);
    }
}

/// A file of at most 128 frames of `block` samples. Every third frame is of each form.
pub fn encode(
    channels: &[Vec<i32>],
    bits: u32,
    rate: u32,
    block: usize,
    total_known: bool,
) -> Vec<u8> {
    let samples = channels[0].len();
    let wide = bits.div_ceil(8) as usize;
    let interleaved: Vec<u8> = (0..samples)
        .flat_map(|i| channels.iter().flat_map(move |c| c[i].to_le_bytes().into_iter().take(wide)))
        .collect();
    let count = channels.len() as i64;
    let mut out = Bits { bytes: b"fLaC\x80\0\0\x22".to_vec(), free: 0 };
    let (block_bits, total) = (block as i64, if total_known { samples as i64 } else { 0 });
    let information = [(block_bits, 16), (block_bits, 16), (0, 24), (0, 24), (i64::from(rate), 20)];
    let sizes = [(count - 1, 3), (i64::from(bits) - 1, 5), (total >> 32, 4), (total, 32)];
    information.into_iter().chain(sizes).for_each(|(value, count)| out.put(value, count));
    out.bytes.extend(md5(&interleaved));
    for number in 0..samples.div_ceil(block) {
        let range = number * block..samples.min((number + 1) * block);
        let mut frame = Bits::default();
        // Fixed block size, written in 16 bits behind the number; the rate is the file's.
        let size = match bits {
            8 => 1,
            16 => 4,
            _ => 6,
        };
        let header =
            [(0xfff8, 16), (7 << 4, 8), (count - 1, 4), (size << 1, 4), (number as i64, 8)];
        header.into_iter().for_each(|(value, count)| frame.put(value, count));
        frame.put(range.len() as i64 - 1, 16);
        frame.put(i64::from(crc8(&frame.bytes)), 8);
        let form = [Form::Verbatim, Form::Fixed, Form::Linear][number % 3];
        channels.iter().for_each(|c| subframe(&mut frame, &c[range.clone()], bits, form));
        frame.align();
        frame.put(i64::from(crc16(&frame.bytes)), 16);
        out.bytes.extend(frame.bytes);
    }
    out.bytes
}

/// Bytes of a frame's header with its checksum, if these bytes begin like one.
fn header_length(frame: &[u8]) -> Option<usize> {
    let &[0xff, second, sizes, _, number, ..] = frame else { return None };
    if second & 0xfe != 0xf8 {
        return None;
    }
    let number = match number.leading_ones() {
        0 => 1,
        n @ 2..=7 => n as usize,
        _ => return None,
    };
    let block = match sizes >> 4 {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let rate = match sizes & 15 {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let length = 4 + number + block + rate + 1;
    (frame.len() >= length).then_some(length)
}

/// Where the frames of a whole file lie.
pub fn frames(file: &[u8]) -> Vec<Range<usize>> {
    let begins = |at: usize| {
        header_length(&file[at..]).is_some_and(|n| crc8(&file[at..at + n - 1]) == file[at + n - 1])
    };
    let starts: Vec<usize> = (42..file.len()).filter(|&at| begins(at)).collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for (i, &start) in starts.iter().enumerate() {
        if found.last().is_some_and(|last| start < last.end) {
            continue;
        }
        let whole = |end: usize| {
            end > start + 2 && crc16(&file[start..end - 2]).to_be_bytes() == file[end - 2..end]
        };
        let end = starts[i + 1..].iter().copied().find(|&end| whole(end)).unwrap_or(file.len());
        found.push(start..end);
    }
    found
}

/// Makes a frame's checksums those of its bytes.
pub fn fix(frame: &mut [u8]) {
    if let Some(n) = header_length(frame) {
        frame[n - 1] = crc8(&frame[..n - 1]);
    }
    if frame.len() > 2 {
        let end = frame.len() - 2;
        let sum = crc16(&frame[..end]).to_be_bytes();
        frame[end..].copy_from_slice(&sum);
    }
}
