//! One channel of a FLAC frame (RFC 9639, section 9.2).

use super::bits::Bits;

/// Coefficients of the fixed predictors, by order. The first is for the latest sample.
const FIXED: [&[i64]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];

/// Decodes a channel of `count` samples of `width` bits (33 at most).
///
/// # Errors
/// Values that no intact frame holds, such as a sample that does not fit in its bits.
pub(super) fn decode(bits: &mut Bits, count: usize, width: u32) -> Result<Vec<i64>, &'static str> {
    if bits.unsigned(1)? != 0 {
        return Err("a channel begins with a reserved bit");
    }
    let kind = bits.unsigned(6)? as usize;
    // The file leaves out low bits that are 0 in all samples.
    let wasted = if bits.unsigned(1)? == 1 { bits.zeros()? + 1 } else { 0 };
    if wasted >= u64::from(width) {
        return Err("a channel has no bits");
    }
    let wasted = wasted as u32;
    let width = width - wasted;
    let mut samples = match kind {
        0 => vec![bits.signed(width)?; count],
        1 => verbatim(bits, count, width)?,
        8..=12 => fixed(bits, count, width, kind - 8)?,
        32..=63 => linear(bits, count, width, kind - 31)?,
        _ => return Err("a channel is of a reserved kind"),
    };
    if wasted > 0 {
        samples.iter_mut().for_each(|x| *x <<= wasted);
    }
    Ok(samples)
}

fn verbatim(bits: &mut Bits, count: usize, width: u32) -> Result<Vec<i64>, &'static str> {
    (0..count).map(|_| bits.signed(width)).collect()
}

fn fixed(
    bits: &mut Bits,
    count: usize,
    width: u32,
    order: usize,
) -> Result<Vec<i64>, &'static str> {
    let mut samples = first_samples(bits, count, width, order)?;
    residuals(bits, count, &mut samples)?;
    let coefficients: Vec<i64> = FIXED[order].iter().rev().copied().collect();
    predict(&mut samples, &coefficients, 0, width)?;
    Ok(samples)
}

fn linear(
    bits: &mut Bits,
    count: usize,
    width: u32,
    order: usize,
) -> Result<Vec<i64>, &'static str> {
    let mut samples = first_samples(bits, count, width, order)?;
    let precision = bits.unsigned(4)? as u32 + 1;
    if precision > 15 {
        return Err("the precision of its predictor is a reserved value");
    }
    let shift = bits.signed(5)?;
    if shift < 0 {
        return Err("the shift of its predictor is negative");
    }
    let mut coefficients = verbatim(bits, order, precision)?;
    coefficients.reverse();
    residuals(bits, count, &mut samples)?;
    predict(&mut samples, &coefficients, shift, width)?;
    Ok(samples)
}

/// The first samples, from which the prediction starts.
fn first_samples(
    bits: &mut Bits,
    count: usize,
    width: u32,
    order: usize,
) -> Result<Vec<i64>, &'static str> {
    if order > count {
        return Err("its predictor takes more samples than it has");
    }
    verbatim(bits, order, width)
}

/// Appends the residuals of the prediction, up to `count` samples in all.
fn residuals(bits: &mut Bits, count: usize, samples: &mut Vec<i64>) -> Result<(), &'static str> {
    let parameter_width = match bits.unsigned(2)? {
        0 => 4,
        1 => 5,
        _ => return Err("its residual is coded in a reserved way"),
    };
    let partitions = 1 << bits.unsigned(4)?;
    let length = count / partitions;
    if !count.is_multiple_of(partitions) || length < samples.len() {
        return Err("its residual does not divide into its partitions");
    }
    for partition in 1..=partitions {
        let missing = partition * length - samples.len();
        let parameter = bits.unsigned(parameter_width)? as u32;
        if parameter == (1 << parameter_width) - 1 {
            let width = bits.unsigned(5)? as u32;
            for _ in 0..missing {
                samples.push(bits.signed(width)?);
            }
        } else {
            for _ in 0..missing {
                samples.push(rice(bits, parameter)?);
            }
        }
    }
    Ok(())
}

/// A number in Rice's code: the high part as a count of zeros before a 1, then the `low` low bits.
/// Even numbers stand for 0, 1, 2, ..., odd ones for -1, -2, -3, ...
fn rice(bits: &mut Bits, low: u32) -> Result<i64, &'static str> {
    let high = bits.zeros()?;
    if high >> (32 - low) != 0 {
        return Err("a residual has more than 32 bits");
    }
    let folded = ((high << low) | bits.unsigned(low)?) as i64;
    Ok((folded >> 1) ^ -(folded & 1))
}

/// Adds to each residual the prediction from the samples before it. The last coefficient is for the
/// latest sample. Nothing overflows: the sum of 32 products of 15 by 33 bits has 53.
fn predict(
    samples: &mut [i64],
    coefficients: &[i64],
    shift: i64,
    width: u32,
) -> Result<(), &'static str> {
    let order = coefficients.len();
    for i in order..samples.len() {
        let sum: i64 = coefficients.iter().zip(&samples[i - order..i]).map(|(c, x)| c * x).sum();
        let value = samples[i] + (sum >> shift);
        if !fits(value, width) {
            return Err("a sample does not fit in its bits");
        }
        samples[i] = value;
    }
    Ok(())
}

/// True for numbers of `width` bits in two's complement.
pub(super) fn fits(value: i64, width: u32) -> bool {
    let half = 1 << (width - 1);
    (-half..half).contains(&value)
}
