//! One channel of a FLAC frame (RFC 9639, section 9.2).

use super::bits::Bits;

/// Samples before the first one, all 0: as many as the longest predictor takes. With them, a
/// predictor may have more coefficients than it was written with, if those are 0.
pub(super) const BEFORE: usize = 32;

/// Coefficients of the fixed predictors, by order. The last is for the latest sample.
const FIXED: [&[i64]; 5] = [&[], &[1], &[-1, 2], &[1, -3, 3], &[-1, 4, -6, 4]];

/// Decodes a channel of samples of `width` bits (33 at most) to `samples`, behind the [`BEFORE`]
/// ones at its start.
///
/// # Errors
/// Values that no intact frame holds, such as a sample that does not fit in its bits.
pub(super) fn decode(bits: &mut Bits, samples: &mut [i64], width: u32) -> Result<(), &'static str> {
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
    match kind {
        0 => {
            let value = bits.signed(width)?;
            samples[BEFORE..].fill(value);
        }
        1 => plain(bits, &mut samples[BEFORE..], width)?,
        8..=12 => {
            let order = kind - 8;
            first_samples(bits, samples, width, order)?;
            predicted(bits, samples, &Predictor::new(FIXED[order], 0, width))?;
        }
        32..=63 => linear(bits, samples, width, kind - 31)?,
        _ => return Err("a channel is of a reserved kind"),
    }
    if wasted > 0 {
        samples[BEFORE..].iter_mut().for_each(|x| *x <<= wasted);
    }
    Ok(())
}

/// Numbers of `width` bits, one after the other.
fn plain(bits: &mut Bits, numbers: &mut [i64], width: u32) -> Result<(), &'static str> {
    for number in numbers {
        *number = bits.signed(width)?;
    }
    Ok(())
}

fn linear(
    bits: &mut Bits,
    samples: &mut [i64],
    width: u32,
    order: usize,
) -> Result<(), &'static str> {
    first_samples(bits, samples, width, order)?;
    let precision = bits.unsigned(4)? as u32 + 1;
    if precision > 15 {
        return Err("the precision of its predictor is a reserved value");
    }
    let shift = bits.signed(5)?;
    if shift < 0 {
        return Err("the shift of its predictor is negative");
    }
    let mut coefficients = [0; BEFORE];
    let coefficients = &mut coefficients[..order];
    plain(bits, coefficients, precision)?;
    coefficients.reverse();
    predicted(bits, samples, &Predictor::new(coefficients, shift as u32, width))
}

/// The first samples, from which the prediction starts.
fn first_samples(
    bits: &mut Bits,
    samples: &mut [i64],
    width: u32,
    order: usize,
) -> Result<(), &'static str> {
    match samples.get_mut(BEFORE..BEFORE + order) {
        Some(first) => plain(bits, first, width),
        None => Err("its predictor takes more samples than it has"),
    }
}

/// How a sample is predicted from those before it.
struct Predictor {
    order: usize,
    /// Zeros, then the coefficients. The last is for the latest sample.
    coefficients: [i64; BEFORE],
    shift: u32,
    /// Bits of a sample.
    width: u32,
}

impl Predictor {
    fn new(coefficients: &[i64], shift: u32, width: u32) -> Self {
        let mut all = [0; BEFORE];
        all[BEFORE - coefficients.len()..].copy_from_slice(coefficients);
        Self { order: coefficients.len(), coefficients: all, shift, width }
    }

    /// Decodes the residuals of `samples` and adds to each the prediction from the `N` samples
    /// before it. `samples` begin with `N` known ones. `group` residuals have about 56 bits.
    ///
    /// Nothing overflows: the sum of 32 products of 15 by 33 bits has 53.
    #[inline(always)]
    fn restore<const N: usize>(
        &self,
        bits: &mut Bits,
        samples: &mut [i64],
        group: usize,
        residual: impl Fn(&mut Bits) -> Result<i64, &'static str>,
    ) -> Result<(), &'static str> {
        // Local variables stay in registers, and so does the latest sample: the next one waits
        // for nothing else.
        let mut local = *bits;
        let mut coefficients = [0; N];
        coefficients.copy_from_slice(&self.coefficients[BEFORE - N..]);
        let (shift, width) = (self.shift, self.width);
        let half = 1i64 << (width - 1);
        let mut latest = samples[N - 1];
        let mut i = N;
        while i < samples.len() {
            local.load();
            let end = samples.len().min(i + group);
            while i < end {
                let earlier: i64 =
                    coefficients.iter().zip(&samples[i - N..i - 1]).map(|(c, x)| c * x).sum();
                let prediction = (earlier + coefficients[N - 1] * latest) >> shift;
                latest = residual(&mut local)? + prediction;
                if ((latest + half) as u64) >> width != 0 {
                    return Err("a sample does not fit in its bits");
                }
                samples[i] = latest;
                i += 1;
            }
        }
        *bits = local;
        Ok(())
    }
}

/// Decodes the samples behind the first ones, which are there already.
fn predicted(
    bits: &mut Bits,
    samples: &mut [i64],
    predictor: &Predictor,
) -> Result<(), &'static str> {
    // Each length has a loop of its own, without a branch for each coefficient.
    match predictor.order {
        0..=2 => partitions::<2>(bits, samples, predictor),
        3..=4 => partitions::<4>(bits, samples, predictor),
        5..=6 => partitions::<6>(bits, samples, predictor),
        7..=8 => partitions::<8>(bits, samples, predictor),
        9..=12 => partitions::<12>(bits, samples, predictor),
        _ => partitions::<BEFORE>(bits, samples, predictor),
    }
}

fn partitions<const N: usize>(
    bits: &mut Bits,
    samples: &mut [i64],
    predictor: &Predictor,
) -> Result<(), &'static str> {
    let parameter_width = match bits.unsigned(2)? {
        0 => 4,
        1 => 5,
        _ => return Err("its residual is coded in a reserved way"),
    };
    let partitions = 1 << bits.unsigned(4)?;
    let count = samples.len() - BEFORE;
    let length = count / partitions;
    if !count.is_multiple_of(partitions) || length < predictor.order {
        return Err("its residual does not divide into its partitions");
    }
    let mut begin = BEFORE + predictor.order;
    for partition in 1..=partitions {
        let end = BEFORE + partition * length;
        let samples = &mut samples[begin - N..end];
        let parameter = bits.unsigned(parameter_width)? as u32;
        if parameter == (1 << parameter_width) - 1 {
            let width = bits.unsigned(5)? as u32;
            predictor.restore::<N>(bits, samples, 1, |bits| bits.signed(width))?;
        } else {
            // A code has two or three bits more than its low ones, most often.
            let group = 48 / (parameter as usize + 4);
            predictor.restore::<N>(bits, samples, group, |bits| bits.rice(parameter))?;
        }
        begin = end;
    }
    Ok(())
}

/// True for numbers of `width` bits in two's complement.
pub(super) fn fits(value: i64, width: u32) -> bool {
    let half = 1 << (width - 1);
    (-half..half).contains(&value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::encoder::Writer;
    use super::*;

    proptest! {
        #[test]
        fn predictors_of_every_order(
            (order, shift, low) in (1usize..33, 8u32..16, 0u32..12),
            coefficients in prop::collection::vec(-8i64..9, 32),
            values in prop::collection::vec(-500i64..500, 32..300),
        ) {
            let coefficients = &coefficients[..order];
            let mut out = Writer::default();
            out.put(31 + order as i64, 7);
            out.put(0, 1);
            values[..order].iter().for_each(|&x| out.put(x, 24));
            out.put(5 - 1, 4);
            out.put(i64::from(shift), 5);
            coefficients.iter().for_each(|&c| out.put(c, 5));
            [(0, 2), (0, 4), (i64::from(low), 4)].iter().for_each(|&(x, width)| out.put(x, width));
            let mut wanted = values[..order].to_vec();
            for &residual in &values[order..] {
                let past = wanted.iter().rev().zip(coefficients);
                let sum: i64 = past.map(|(x, c)| x * c).sum();
                wanted.push(residual + (sum >> shift));
                let folded = (residual << 1) ^ (residual >> 63);
                (0..folded >> low).for_each(|_| out.put(0, 1));
                out.put(1, 1);
                out.put(folded, low);
            }
            let mut samples = vec![0; BEFORE + values.len()];
            let mut bits = Bits::new(&out.bytes);
            prop_assert_eq!(decode(&mut bits, &mut samples, 24), Ok(()));
            prop_assert_eq!(&samples[BEFORE..], &wanted[..]);
            prop_assert_eq!(bits.bytes_read(), out.bytes.len());
        }
    }
}
