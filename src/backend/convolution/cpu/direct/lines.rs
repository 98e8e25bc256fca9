//! A group's source rows, padded, stretched and sorted by phase.

use super::Walk;

/// Rows of a group's padded, stretched source, of each channel. A row is stored in as many phases
/// as the stride over frames has steps: phase a holds places a, a + stride, a + 2 stride and so on.
/// So what a tap reads for neighbouring target places lies side by side.
#[derive(Debug, Default)]
pub(super) struct Lines {
    values: Vec<f32>,
    /// Values of a row, all phases.
    row: usize,
    /// Which rows of a channel hold values of the source.
    present: Vec<bool>,
    /// Where in a row each tap begins.
    taps: Vec<usize>,
}

impl Lines {
    /// Takes the source rows under target rows `first` to `first + rows` from `planes`, `[input,
    /// mels, frames]`.
    pub fn fill(&mut self, walk: &Walk, planes: &[f32], first: usize, rows: usize) {
        let ([mels, frames], phase, hop) = (walk.source, walk.phase(), walk.stride[1]);
        let (held, start) = (walk.held(rows), first * walk.stride[0]);
        self.row = hop * phase;
        let taps = (0..walk.kernel[1]).map(|tap| tap * walk.dilation[1]);
        self.taps.clear();
        self.taps.extend(taps.map(|place| place % hop * phase + place / hop));
        self.present.clear();
        self.present.extend((start..start + held).map(|place| walk.source_row(place).is_some()));
        self.values.clear();
        self.values.resize(walk.values(rows), 0.0);
        for (channel, lines) in self.values.chunks_exact_mut(held * self.row).enumerate() {
            for (h, line) in lines.chunks_exact_mut(self.row).enumerate() {
                let Some(mel) = walk.source_row(start + h) else { continue };
                let from = &planes[(channel * mels + mel) * frames..][..frames];
                spread(from, line, phase, [hop, walk.stretch[1]], walk.before[1]);
            }
        }
    }

    /// Row `h` of a channel, if it holds anything but zeros.
    #[inline(always)]
    pub fn row(&self, channel: usize, h: usize) -> Option<&[f32]> {
        let row = channel * self.present.len() + h;
        self.present[h].then(|| &self.values[row * self.row..][..self.row])
    }

    /// Where each tap begins in a row.
    #[inline(always)]
    pub fn taps(&self) -> &[usize] {
        &self.taps
    }
}

/// Writes a source row to the places of its values in a line of zeros: value f belongs to place
/// `f * stretch + before` of the padded row.
fn spread(from: &[f32], line: &mut [f32], phase: usize, [hop, stretch]: [usize; 2], before: isize) {
    if hop == 1 && stretch == 1 {
        let skipped = before.min(0).unsigned_abs().min(from.len());
        let start = (before.max(0) as usize).min(phase);
        let count = (from.len() - skipped).min(phase - start);
        line[start..start + count].copy_from_slice(&from[skipped..skipped + count]);
        return;
    }
    for (f, &value) in from.iter().enumerate() {
        let Ok(place) = usize::try_from((f * stretch) as isize + before) else { continue };
        if place / hop >= phase {
            break;
        }
        line[place % hop * phase + place / hop] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn values_stand_at_their_places() {
        let spread = |phase: usize, steps: [usize; 2], before: isize| {
            let mut line = vec![0.0; phase * steps[0]];
            spread(&[1.0, 2.0, 3.0, 4.0], &mut line, phase, steps, before);
            line
        };
        assert_eq!(spread(7, [1, 1], 2), [0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 0.0]);
        assert_eq!(spread(3, [1, 1], 1), [0.0, 1.0, 2.0]);
        assert_eq!(spread(4, [1, 1], -2), [3.0, 4.0, 0.0, 0.0]);
        assert_eq!(spread(2, [1, 1], -9), [0.0, 0.0]);
        // Two phases of a row padded by one: places 0, 2, 4 and 1, 3, 5.
        assert_eq!(spread(3, [2, 1], 1), [0.0, 2.0, 4.0, 1.0, 3.0, 0.0]);
        assert_eq!(spread(6, [1, 2], -1), [0.0, 2.0, 0.0, 3.0, 0.0, 4.0]);
    }
}
