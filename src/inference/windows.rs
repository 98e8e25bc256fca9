//! Embeddings of recordings that are cut into windows.

/// The embedding of a recording, from those of its windows: the mean of these, each scaled to unit
/// length. That of a single window stays as it is.
#[derive(Debug, Default)]
pub(super) struct OfWindows {
    first: Vec<f32>,
    /// Of unit vectors.
    sum: Vec<f64>,
    count: usize,
}

impl OfWindows {
    /// Takes the embedding of the next window.
    pub fn add(&mut self, row: Vec<f32>) {
        let length =
            row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        self.sum.resize(row.len(), 0.0);
        self.sum.iter_mut().zip(&row).for_each(|(s, &x)| *s += f64::from(x) / length);
        if self.count == 0 {
            self.first = row;
        }
        self.count += 1;
    }

    /// Number of windows so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The embedding of the recording.
    pub fn embedding(self) -> Vec<f32> {
        match self.count {
            0 | 1 => self.first,
            count => self.sum.into_iter().map(|s| (s / count as f64) as f32).collect(),
        }
    }
}

/// The embedding of a recording, from those of all its windows.
#[cfg(feature = "burn")]
pub(super) fn of_windows(rows: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let mut windows = OfWindows::default();
    rows.for_each(|row| windows.add(row));
    windows.embedding()
}
