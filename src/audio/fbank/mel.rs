//! The filters of a filter bank: triangles on the mel scale.

/// One triangular filter.
pub(super) struct Filter {
    /// Its first bin of the spectrum.
    pub first: usize,
    /// Its weights from that bin on.
    pub weights: Vec<f32>,
}

/// `mels` triangles on the mel scale, 1127 ln(1 + f/700) (`mel-computations.cc`), from `low` to
/// `high` Hz, over the bins below the Nyquist frequency of a spectrum of `padded` points.
pub(super) fn filters(mels: usize, padded: usize, rate: f64, low: f64, high: f64) -> Vec<Filter> {
    let mel = |hertz: f64| 1127.0 * (1.0 + hertz / 700.0).ln();
    let (low, high) = (mel(low), mel(high));
    let step = (high - low) / (mels + 1) as f64;
    let bins: Vec<f64> = (0..padded / 2).map(|i| mel(i as f64 * rate / padded as f64)).collect();
    (0..mels)
        .map(|m| {
            let (left, center, right) =
                (low + m as f64 * step, low + (m + 1) as f64 * step, low + (m + 2) as f64 * step);
            let weight =
                |x: f64| ((x - left) / (center - left)).min((right - x) / (right - center));
            let first = bins.partition_point(|&b| b <= left);
            let weights = bins[first..]
                .iter()
                .take_while(|&&b| b < right)
                .map(|&b| weight(b) as f32)
                .collect();
            Filter { first, weights }
        })
        .collect()
}
