//! Where convolutions find their input: at fixed distances from a position, tap by tap. With a
//! stride over frames, neighbours in the output are none in the input, so the input is first copied
//! into phases: phase `s` of a row holds its frames `s`, `s + stride`, `s + 2 stride`, ...

use rayon::prelude::*;

use super::Geometry;
use crate::infer::plane::{GUARD, TAIL};

/// The input as the taps see it.
pub(in super::super) struct Grid {
    /// Values from a channel to the next one.
    pub plane: usize,
    /// Values from the input of an output row to that of the next one.
    pub row: usize,
    /// Where each tap lies, from the input of an output's position on.
    pub taps: Vec<isize>,
    /// Whether the output's rows lie as these do, so that positions of several rows, with their
    /// pads, are one run.
    pub is_flat: bool,
    /// The copies that must be made.
    pub phases: Option<Phases>,
}

/// The input, split by remainders of its rows and frames.
pub(in super::super) struct Phases {
    /// Remainders of rows and of frames that taps use.
    rows: Vec<usize>,
    frames: Vec<usize>,
    stride: [usize; 2],
    /// Rows of a phase, values from one to the next, and how many of them may be frames.
    height: usize,
    pitch: usize,
    most: usize,
    /// Channels, rows and frames of the input, and values from a row to the next one.
    size: [usize; 3],
    x_pitch: usize,
}

/// A tap's place over one axis: whole strides from the output's position on, and the phase.
fn places(kernel: usize, stride: usize, dilation: usize, padding: usize) -> Vec<(isize, usize)> {
    let at = |tap: usize| (tap * dilation) as isize - padding as isize;
    let stride = stride as isize;
    (0..kernel)
        .map(|tap| (at(tap).div_euclid(stride), at(tap).rem_euclid(stride) as usize))
        .collect()
}

/// The phases that occur, ascending. All are less than the stride.
fn phases(places: &[(isize, usize)], stride: usize) -> Vec<usize> {
    (0..stride).filter(|&phase| places.iter().any(|&(_, of)| of == phase)).collect()
}

impl Grid {
    /// The grid of an input of `[channels, mels, frames]` whose rows are followed by `pad` zeros.
    pub fn of(geometry: &Geometry, size: [usize; 3], pad: usize) -> Self {
        let [_, mels, frames] = size;
        let Geometry { kernel, stride, dilation, padding, .. } = *geometry;
        let [_, width] = geometry.made([mels, frames]);
        let x_pitch = frames + pad;
        let place = |axis: usize, stride: usize| {
            places(kernel[axis], stride, dilation[axis], padding[axis])
        };
        if stride[1] == 1 {
            let (rows, columns) = (place(0, 1), place(1, 1));
            let tap = |(row, _): (isize, usize), (column, _)| row * x_pitch as isize + column;
            let is_flat = stride[0] == 1 && width == frames;
            let taps = each(&rows, &columns, tap);
            return Self {
                plane: mels * x_pitch,
                row: stride[0] * x_pitch,
                taps,
                is_flat,
                phases: None,
            };
        }
        let (rows, columns) = (place(0, stride[0]), place(1, stride[1]));
        let (row_phases, frame_phases) = (phases(&rows, stride[0]), phases(&columns, stride[1]));
        let least = columns.iter().map(|&(at, _)| at).min().unwrap_or(0).min(0);
        let most = columns.iter().map(|&(at, _)| at).max().unwrap_or(0);
        // Frames of a phase that any output wants, and zeros that serve the next row as well.
        let most = (width as isize + most).max(0) as usize;
        let needed = most.max(width) + least.unsigned_abs();
        let is_flat = needed <= width + pad;
        let pitch = if is_flat { width + pad } else { needed };
        let height = mels.div_ceil(stride[0]);
        let tap = |(row, row_phase): (isize, usize), (column, frame_phase): (isize, usize)| {
            let place = |phases: &[usize], phase| phases.partition_point(|&p| p < phase);
            let phase = place(&row_phases, row_phase) * frame_phases.len()
                + place(&frame_phases, frame_phase);
            ((phase * height) as isize + row) * pitch as isize + column
        };
        let taps = each(&rows, &columns, tap);
        let phases = Phases {
            rows: row_phases,
            frames: frame_phases,
            stride,
            height,
            pitch,
            most,
            size,
            x_pitch,
        };
        Self { plane: phases.plane(), row: pitch, taps, is_flat, phases: Some(phases) }
    }

    /// Values of the copies, with guards.
    pub fn scratch(&self) -> usize {
        self.phases.as_ref().map_or(0, |phases| GUARD + phases.size[0] * self.plane + TAIL)
    }
}

/// A number for every row and column of a kernel.
fn each<T: Copy>(rows: &[T], columns: &[T], of: impl Fn(T, T) -> isize) -> Vec<isize> {
    rows.iter()
        .flat_map(|&row| columns.iter().map(move |&column| (row, column)))
        .map(|(row, column)| of(row, column))
        .collect()
}

impl Phases {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.rows.len() * self.frames.len()
    }

    /// Values of a channel.
    fn plane(&self) -> usize {
        self.count() * self.height * self.pitch
    }

    /// Copies the input, which has guards, into scratch of [`Grid::scratch`] values, one channel
    /// after the other. `zero` is what stands for 0.
    pub fn fill<T: Copy + Send + Sync>(&self, x: &[T], zero: T, scratch: &mut [T]) {
        let [channels, mels, _] = self.size;
        scratch[..GUARD].fill(zero);
        let plane = self.plane();
        let (all, tail) = scratch[GUARD..].split_at_mut(channels * plane);
        tail.fill(zero);
        let rows = |channel: usize| &x[GUARD + channel * mels * self.x_pitch..];
        let wide = all.par_chunks_mut(plane.max(1)).enumerate();
        wide.with_min_len((1 << 14) / plane.max(1) + 1)
            .for_each(|(channel, plane)| self.fill_channel(rows(channel), zero, plane));
    }

    /// Copies the rows of one channel.
    fn fill_channel<T: Copy>(&self, x: &[T], zero: T, plane: &mut [T]) {
        let [_, mels, frames] = self.size;
        let phases = self.rows.iter().flat_map(|&r| self.frames.iter().map(move |&s| (r, s)));
        for ((r, s), phase) in phases.zip(plane.chunks_mut(self.height * self.pitch)) {
            let count = frames.saturating_sub(s).div_ceil(self.stride[1]).min(self.most);
            for (i, to) in phase.chunks_mut(self.pitch).enumerate() {
                let row = i * self.stride[0] + r;
                let (to, zeros) = to.split_at_mut(if row < mels { count } else { 0 });
                zeros.fill(zero);
                if !to.is_empty() {
                    let from = &x[row * self.x_pitch + s..][..(count - 1) * self.stride[1] + 1];
                    gather(from, self.stride[1], to);
                }
            }
        }
    }
}

/// Every `stride`-th value.
fn gather<T: Copy>(from: &[T], stride: usize, to: &mut [T]) {
    if stride == 2 {
        // A loop of its own: a fixed stride becomes vector instructions.
        let (pairs, _) = from.as_chunks::<2>();
        to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
        if let (Some(to), Some(&last)) = (to.last_mut(), from.last()) {
            *to = last;
        }
    } else {
        to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, &value)| *to = value);
    }
}
