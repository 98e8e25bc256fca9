//! Writes FLAC files for the tests of the reader.

use md5::{Digest, Md5};

use super::block::interleave;
use super::crc::{crc8, crc16};
use super::header::Stereo;

/// Writes numbers of any width.
#[derive(Default)]
pub(super) struct Writer {
    pub bytes: Vec<u8>,
    /// Bits of the last byte that are used; 0 for all.
    used: u32,
}

impl Writer {
    pub fn put(&mut self, value: i64, width: u32) {
        for i in (0..width).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> i) as u8 & 1) << (7 - self.used);
            self.used = (self.used + 1) % 8;
        }
    }
}

/// How a channel is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Verbatim,
    Fixed(usize),
    /// A predictor of order 2 with its coefficients: 3/2 and -1/2.
    Linear,
}

/// How residuals are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Code {
    Rice,
    /// Unencoded numbers, in two partitions if their count is even.
    Plain,
}

fn channel(out: &mut Writer, samples: &[i64], width: u32, form: Form, code: Code) {
    let wasted = samples.iter().fold(0i64, |all, x| all | x).trailing_zeros().min(width - 1);
    let constant = samples.iter().all(|x| *x == samples[0]);
    let wasted = if constant { 0 } else { wasted };
    let samples: Vec<i64> = samples.iter().map(|x| x >> wasted).collect();
    let width = width - wasted;
    let (kind, order) = match form {
        _ if constant => (0, 1),
        Form::Fixed(order) if order <= samples.len() => (8 + order as i64, order),
        Form::Linear if samples.len() >= 2 => (33, 2),
        _ => (1, samples.len()),
    };
    out.put(kind, 7);
    out.put(i64::from(wasted > 0), 1);
    if wasted > 0 {
        out.put(1, wasted);
    }
    samples[..order].iter().for_each(|&x| out.put(x, width));
    if kind < 8 {
        return;
    }
    let mut left = samples.clone();
    if kind == 33 {
        [(4 - 1, 4), (1, 5), (3, 4), (-1, 4)]
            .iter()
            .for_each(|&(value, width)| out.put(value, width));
        for i in order..samples.len() {
            left[i] = samples[i] - ((3 * samples[i - 1] - samples[i - 2]) >> 1);
        }
    } else {
        for _ in 0..order {
            left =
                left.iter().scan(0, |before, &x| Some(x - std::mem::replace(before, x))).collect();
        }
    }
    residual(out, &left, order, code);
}

fn residual(out: &mut Writer, left: &[i64], order: usize, code: Code) {
    let folded: Vec<i64> = left.iter().map(|&x| (x << 1) ^ (x >> 63)).collect();
    let most = folded[order..].iter().copied().max().unwrap_or(0);
    match code {
        Code::Rice => {
            let low = (most + 1).ilog2().saturating_sub(1).min(30);
            let (method, width) = if low < 15 { (0, 4) } else { (1, 5) };
            [(method, 2), (0, 4), (i64::from(low), width)]
                .iter()
                .for_each(|&(value, width)| out.put(value, width));
            for &x in &folded[order..] {
                (0..x >> low).for_each(|_| out.put(0, 1));
                out.put(1, 1);
                out.put(x, low);
            }
        }
        Code::Plain => {
            let halves = left.len().is_multiple_of(2) && left.len() / 2 >= order;
            let length = if halves { left.len() / 2 } else { left.len() };
            let width = (most + 1).ilog2() + 1;
            out.put(0, 2);
            out.put(i64::from(halves), 4);
            for (i, part) in left.chunks(length).enumerate() {
                out.put(15, 4);
                out.put(i64::from(width), 5);
                part[if i == 0 { order } else { 0 }..].iter().for_each(|&x| out.put(x, width));
            }
        }
    }
}

/// Samples, and how to write them.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub channels: Vec<Vec<i64>>,
    pub bits: u32,
    pub rate: i64,
    pub block: usize,
    pub stereo: Stereo,
    pub form: Form,
    pub code: Code,
    /// Whether the header gives the number of samples and their MD5.
    pub known: bool,
    /// Whether frames are numbered by their first sample.
    pub variable: bool,
}

impl Stream {
    pub fn mono(samples: &[i64], block: usize) -> Self {
        Self {
            channels: vec![samples.to_vec()],
            bits: 16,
            rate: 16_000,
            block,
            stereo: Stereo::Independent,
            form: Form::Verbatim,
            code: Code::Rice,
            known: false,
            variable: false,
        }
    }

    fn total(&self) -> usize {
        self.channels[0].len()
    }

    pub fn head(&self) -> Vec<u8> {
        // Sizes of blocks and frames are wrong on purpose.
        let mut out = Writer { bytes: b"fLaC\x80\0\0\x22".to_vec(), used: 0 };
        let total = if self.known { self.total() as i64 } else { 0 };
        let fields = [
            (self.rate, 20),
            (self.channels.len() as i64 - 1, 3),
            (i64::from(self.bits) - 1, 5),
            (total, 36),
        ];
        [(0, 16), (1, 16), (9, 24), (2, 24)]
            .iter()
            .chain(&fields)
            .for_each(|&(value, width)| out.put(value, width));
        let digest: [u8; 16] = if self.known {
            let mut bytes = Vec::new();
            interleave(&self.channels, self.bits, &mut bytes);
            Md5::digest(bytes).into()
        } else {
            [0; 16]
        };
        out.bytes.extend(digest);
        out.bytes
    }

    pub fn frame(&self, index: usize) -> Vec<u8> {
        let first = index * self.block;
        let range = first..self.total().min(first + self.block);
        let layout = match self.stereo {
            Stereo::Independent => self.channels.len() as i64 - 1,
            Stereo::LeftSide => 8,
            Stereo::SideRight => 9,
            Stereo::MidSide => 10,
        };
        let size = [(8, 1), (12, 2), (16, 4), (20, 5), (24, 6), (32, 7)];
        let size = size.iter().find(|(bits, _)| *bits == self.bits).map_or(0, |&(_, code)| code);
        let mut out = Writer::default();
        let sync = 0xfff8 + i64::from(self.variable);
        [(sync, 16), (7, 4), (0, 4), (layout, 4), (size, 3), (0, 1)]
            .iter()
            .for_each(|&(v, width)| out.put(v, width));
        let number = if self.variable { first } else { index };
        let character = char::from_u32(number as u32).expect("a small number");
        out.bytes.extend(character.to_string().bytes());
        out.put(range.len() as i64 - 1, 16);
        out.put(i64::from(crc8(&out.bytes)), 8);
        let mut written: Vec<Vec<i64>> =
            self.channels.iter().map(|c| c[range.clone()].to_vec()).collect();
        if let (Some(side), [a, b]) = (self.stereo.side(), written.as_mut_slice()) {
            for (left, right) in a.iter_mut().zip(b) {
                let (difference, middle) = (*left - *right, (*left + *right) >> 1);
                match self.stereo {
                    Stereo::MidSide => (*left, *right) = (middle, difference),
                    _ if side == 0 => *left = difference,
                    _ => *right = difference,
                }
            }
        }
        for (i, samples) in written.iter().enumerate() {
            let width = self.bits + u32::from(self.stereo.side() == Some(i));
            channel(&mut out, samples, width, self.form, self.code);
        }
        out.used = 0;
        out.put(i64::from(crc16(&out.bytes)), 16);
        out.bytes
    }

    pub fn frames(&self) -> Vec<Vec<u8>> {
        (0..self.total().div_ceil(self.block)).map(|i| self.frame(i)).collect()
    }

    pub fn file(&self) -> Vec<u8> {
        [self.head(), self.frames().concat()].concat()
    }

    /// The samples that the reader should find in a channel.
    pub fn wanted(&self, channel: usize) -> Vec<f32> {
        let full = (1i64 << (self.bits - 1)) as f64;
        self.channels[channel].iter().map(|&x| (x as f64 / full) as f32).collect()
    }
}
