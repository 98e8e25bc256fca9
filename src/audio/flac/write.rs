//! Writes FLAC: one channel of 16 bits, with the predictors that need no coefficients (RFC 9639,
//! section 9.2.5) and Rice codes of the partition lengths that cost least.

use md5::{Digest, Md5};

use super::crc::{crc8, crc16};

/// Samples of a frame.
const BLOCK: usize = 4096;
/// The code for that many samples in a frame's header.
const BLOCK_CODE: u64 = 12;
/// The code for a number of samples that follows, less one, in 16 bits.
const SIZE_FOLLOWS: u64 = 7;
/// Highest order of a predictor.
const MOST_ORDER: usize = 4;
/// A block has at most 2^6 partitions.
const MOST_SPLITS: u32 = 6;
/// Rice parameters that four bits can say: 15 means something else.
const PARAMETERS: usize = 15;

/// Writes bits, the most significant one first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits that do not fill a byte yet, at the low end.
    held: u64,
    count: u32,
}

impl Bits {
    /// Appends the low `width` bits of a value, at most 32.
    fn put(&mut self, value: u64, width: u32) {
        self.held = (self.held << width) | (value & ((1 << width) - 1));
        self.count += width;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.held >> self.count) as u8);
        }
        self.held &= (1 << self.count) - 1;
    }

    /// Appends zeros, then a one.
    fn unary(&mut self, mut zeros: u64) {
        while zeros >= 32 {
            self.put(0, 32);
            zeros -= 32;
        }
        self.put(1, zeros as u32 + 1);
    }

    /// Fills the last byte with zeros.
    fn align(&mut self) {
        self.put(0, (8 - self.count) % 8);
    }
}

/// Residuals and how to write them at least cost.
struct Plan {
    order: usize,
    /// Residuals behind the first `order` samples, with the sign in the lowest bit.
    folded: Vec<u32>,
    splits: u32,
    /// The Rice parameter of each of the 2^splits partitions.
    parameters: Vec<u32>,
    bits: u64,
}

/// A FLAC file with the samples of one channel. `rate`, Hz, must be below 2^20 and not 0.
pub(crate) fn encode(samples: &[i16], rate: u32) -> Vec<u8> {
    let frames: Vec<Vec<u8>> =
        (0u32..).zip(samples.chunks(BLOCK)).map(|(i, block)| frame(i, block)).collect();
    let sizes = || frames.iter().map(|frame| frame.len() as u64);
    let mut out = Bits::default();
    out.bytes.extend(b"fLaC\x80\0\0\x22");
    out.put(BLOCK as u64, 16);
    out.put(BLOCK as u64, 16);
    out.put(sizes().min().unwrap_or(0), 24);
    out.put(sizes().max().unwrap_or(0), 24);
    out.put(rate.into(), 20);
    // One channel less one in three bits, 16 bits less one in five.
    out.put(15, 8);
    out.put((samples.len() as u64) >> 32, 4);
    out.put(samples.len() as u64, 32);
    let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    let digest: [u8; 16] = Md5::digest(bytes).into();
    out.bytes.extend(digest);
    frames.iter().for_each(|frame| out.bytes.extend(frame));
    out.bytes
}

fn frame(number: u32, block: &[i16]) -> Vec<u8> {
    let is_whole = block.len() == BLOCK;
    let mut out = Bits::default();
    // A frame of a stream with one block size.
    out.put(0xfff8, 16);
    out.put(if is_whole { BLOCK_CODE } else { SIZE_FOLLOWS }, 4);
    // The rate of the header, one channel.
    out.put(0, 8);
    // 16 bits, and a reserved bit.
    out.put(4 << 1, 4);
    put_number(&mut out, number);
    if !is_whole {
        out.put(block.len() as u64 - 1, 16);
    }
    out.put(crc8(&out.bytes).into(), 8);
    channel(&mut out, block);
    out.align();
    out.put(crc16(&out.bytes).into(), 16);
    out.bytes
}

/// A number as UTF-8 writes that of a character, up to 36 bits.
fn put_number(out: &mut Bits, number: u32) {
    let number = u64::from(number);
    if number < 0x80 {
        return out.put(number, 8);
    }
    // Each further byte holds 6 bits, and takes one from the 6 that the first one has.
    let further: u32 = (1..6).find(|n| number < 1 << (6 * n + (6 - n))).unwrap_or(6);
    let ones = (0xff << (7 - further)) & 0xff;
    out.put(ones | (number >> (6 * further)), 8);
    for i in (0..further).rev() {
        out.put(0x80 | ((number >> (6 * i)) & 0x3f), 8);
    }
}

fn channel(out: &mut Bits, block: &[i16]) {
    let sample = |x: i16| u64::from(x as u16);
    if block.iter().all(|x| *x == block[0]) {
        out.put(0, 8);
        return out.put(sample(block[0]), 16);
    }
    let plans = residuals(block).into_iter().enumerate().map(|(order, r)| plan(order, &r));
    match plans.min_by_key(|plan| plan.bits).filter(|plan| plan.bits < 16 * block.len() as u64) {
        None => {
            out.put(1 << 1, 8);
            block.iter().for_each(|&x| out.put(sample(x), 16));
        }
        Some(plan) => {
            out.put((8 + plan.order as u64) << 1, 8);
            block[..plan.order].iter().for_each(|&x| out.put(sample(x), 16));
            put_residuals(out, &plan);
        }
    }
}

/// The residuals of all predictors that a block has samples for, by order. Each one is the
/// difference of two of the order before.
fn residuals(block: &[i16]) -> Vec<Vec<i32>> {
    let mut all: Vec<Vec<i32>> = vec![block.iter().map(|&x| x.into()).collect()];
    for order in 0..MOST_ORDER.min(block.len() - 1) {
        let next = all[order].windows(2).map(|pair| pair[1] - pair[0]).collect();
        all.push(next);
    }
    all
}

/// The cheapest way to write residuals.
fn plan(order: usize, residuals: &[i32]) -> Plan {
    let length = order + residuals.len();
    let folded: Vec<u32> = residuals.iter().map(|&x| ((x << 1) ^ (x >> 31)) as u32).collect();
    let can_split = |splits: &u32| length.is_multiple_of(1 << splits) && length >> splits > order;
    let most = (0..=MOST_SPLITS).rev().find(can_split).unwrap_or(0);
    // The bits of each partition with each parameter, for the shortest partitions first.
    let mut costs: Vec<[u64; PARAMETERS]> = partitions(&folded, order, most)
        .map(|part| {
            let cost = |k: usize| part.iter().map(|&x| u64::from(x >> k) + k as u64 + 1).sum();
            std::array::from_fn(cost)
        })
        .collect();
    let mut best: Option<(u64, u32, Vec<u32>)> = None;
    for splits in (0..=most).rev() {
        // Parameter and bits.
        let chosen: Vec<(u32, u64)> = costs
            .iter()
            .filter_map(|cost| (0..).zip(cost.iter().copied()).min_by_key(|(_, bits)| *bits))
            .collect();
        let bits: u64 = chosen.iter().map(|(_, bits)| 4 + bits).sum();
        if best.as_ref().is_none_or(|best| bits < best.0) {
            best = Some((bits, splits, chosen.iter().map(|(k, _)| *k).collect()));
        }
        let merged = |pair: &[[u64; PARAMETERS]]| {
            std::array::from_fn(|k| pair.iter().map(|cost| cost[k]).sum())
        };
        costs = costs.chunks(2).map(merged).collect();
    }
    let (bits, splits, parameters) = best.unwrap_or_default();
    Plan { order, folded, splits, parameters, bits: bits + 14 + 16 * order as u64 }
}

/// The 2^splits partitions of residuals. The samples in front count for the first one.
fn partitions(folded: &[u32], order: usize, splits: u32) -> impl Iterator<Item = &[u32]> {
    let size = (order + folded.len()) >> splits;
    let (first, others) = folded.split_at(size - order);
    std::iter::once(first).chain(others.chunks(size))
}

fn put_residuals(out: &mut Bits, plan: &Plan) {
    // Parameters of four bits.
    out.put(0, 2);
    out.put(plan.splits.into(), 4);
    let parts = partitions(&plan.folded, plan.order, plan.splits);
    for (part, &parameter) in parts.zip(&plan.parameters) {
        out.put(parameter.into(), 4);
        for &x in part {
            out.unary((x >> parameter).into());
            out.put(x.into(), parameter);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::Source;

    fn decoded(flac: Vec<u8>, rate: u32) -> Vec<i16> {
        let source = Source::of_bytes(Path::new("a.flac"), flac, rate, None);
        source.unwrap().read(usize::MAX).unwrap().iter().map(|x| (x * 32_768.0) as i16).collect()
    }

    /// Signals of several kinds: tones, noise, steps, extremes.
    fn signal(kind: u32, length: usize, scale: f64) -> Vec<i16> {
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
        };
        let value = |i: usize| match kind {
            0 => (i as f64 * 0.05).sin() * scale,
            1 => noise() * scale,
            2 => (i / 50 % 3) as f64 * scale / 3.0,
            3 => [32_767.0, -32_768.0][i % 2],
            _ => (i as f64 * 0.01).sin() * scale + noise() * if i > 3000 { 300.0 } else { 1.0 },
        };
        (0..length).map(value).map(|x| x as i16).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind in 0u32..5,
            length in prop_oneof![1usize..40, 1usize..20_000],
            scale in 0.0f64..40_000.0,
            rate in 1000u32..400_000,
        ) {
            let samples = signal(kind, length, scale);
            prop_assert_eq!(decoded(encode(&samples, rate), rate), samples);
        }

        #[test]
        fn any_samples_are_kept(samples in prop::collection::vec(any::<i16>(), 1..200)) {
            prop_assert_eq!(decoded(encode(&samples, 16_000), 16_000), samples);
        }
    }

    #[test]
    fn numbers_of_frames_are_those_of_characters() {
        for number in [0u32, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xffff, 0x1_0000, 0x10_ffff] {
            let mut out = Bits::default();
            put_number(&mut out, number);
            assert_eq!(out.bytes, char::from_u32(number).unwrap().to_string().as_bytes());
        }
        let mut out = Bits::default();
        put_number(&mut out, u32::MAX);
        assert_eq!(out.bytes, [0xfe, 0x83, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf]);
    }

    /// Signals that can be predicted get shorter, too.
    #[test]
    fn ffmpeg_reads_the_same() {
        if Command::new("ffmpeg").arg("-version").output().is_err() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "in CI ffmpeg must be there");
            return eprintln!("skipped: no ffmpeg here");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.flac");
        for kind in 0..5 {
            let samples = signal(kind, 30_001, 9000.0);
            let flac = encode(&samples, 16_000);
            assert!(kind % 2 == 1 || flac.len() < 2 * samples.len(), "kind {kind} is long");
            std::fs::write(&path, flac).unwrap();
            let run = Command::new("ffmpeg")
                .args(["-v", "error", "-xerror", "-err_detect", "crccheck+explode", "-i"])
                .arg(&path)
                .args(["-f", "s16le", "-"])
                .output()
                .unwrap();
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
            let found: Vec<i16> =
                run.stdout.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
            assert!(found == samples, "kind {kind}");
        }
    }
}
