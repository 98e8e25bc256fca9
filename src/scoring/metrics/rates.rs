//! Priors and false-accept rates that are reported.

/// Priors of targets at which minDCF is reported.
pub const PRIORS: [f64; 2] = [0.01, 0.05];

/// False-accept rates whose thresholds are of use, and who has them: reports, model files.
const RATES: [(f64, [bool; 2]); 5] = [
    (0.1, [true, true]),
    (0.05, [false, true]),
    (0.01, [true, true]),
    (0.001, [true, true]),
    (0.0001, [true, false]),
];

/// False-accept rates at which thresholds are reported.
pub const FALSE_ACCEPT_RATES: [f64; 4] = rates(0);

/// False-accept rates whose thresholds a model file holds.
pub const MODEL_FALSE_ACCEPT_RATES: [f64; 4] = rates(1);

/// The rates of one column of [`RATES`].
const fn rates(column: usize) -> [f64; 4] {
    let mut chosen = [0.0; 4];
    let (mut row, mut count) = (0, 0);
    while row < RATES.len() {
        if RATES[row].1[column] {
            chosen[count] = RATES[row].0;
            count += 1;
        }
        row += 1;
    }
    chosen
}
