//! Upper bounds of the cosines of one unit vector with many, by products of whole numbers.
//!
//! A voice's unit vector x is rounded to x', whose values are whole multiples, -127 to 127, of a
//! step, and a query y to y' with multiples from -1023 to 1023. Of the products x'.y' only the two
//! steps are no whole numbers. The rest, x.y - x'.y' = (x - x').y + x'.(y - y'), is at most
//! |x - x'| + (1 + |x - x'|) |y - y'| (Cauchy and Schwarz, |y| = 1).

#![allow(unsafe_code, reason = "vector instructions are used where the processor has them")]

/// Most values of a vector. Sums of as many products fit into 32 bits.
pub(super) const MOST: usize = 1 << 14;

/// The largest multiple of a voice's step.
const VOICE: f64 = 127.0;
/// The largest multiple of a query's step.
const QUERY: f64 = 1023.0;
/// A row's values are filled up with zeros to a multiple of this, so that vectors are whole.
const WIDTH: usize = 32;
/// More than all that is rounded to f32 on the way to a bound.
const ROUNDING: f32 = 1e-5;

/// Rounded voices.
pub(super) struct Codes {
    /// `[voices, width]`.
    values: Vec<i8>,
    /// Step and error of each voice.
    sides: Vec<[f32; 2]>,
    width: usize,
}

/// A rounded query.
struct Query {
    values: Vec<i16>,
    step: f32,
    error: f32,
}

/// The whole multiples of a step nearest to the values of a unit vector, the step, and the length
/// of the difference.
fn rounded(unit: &[f64], largest: f64) -> (impl Iterator<Item = f64>, f32, f32) {
    let most = unit.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    // The step as it is kept, so that the error is that of what is kept.
    let step = (most / largest) as f32;
    let wide = f64::from(step);
    let whole = move |x: f64| (x / wide).round().clamp(-largest, largest);
    let square: f64 = unit.iter().map(|&x| (x - wide * whole(x)).powi(2)).sum();
    (unit.iter().map(move |&x| whole(x)), step, square.sqrt() as f32)
}

impl Codes {
    /// No voices yet. Each will have so many values, at most [`MOST`].
    pub fn new(dim: usize) -> Self {
        Self { values: Vec::new(), sides: Vec::new(), width: dim.next_multiple_of(WIDTH) }
    }

    /// Adds a voice's unit vector.
    pub fn push(&mut self, unit: &[f64]) {
        let (values, step, error) = rounded(unit, VOICE);
        self.values.extend(values.map(|x| x as i8));
        self.sides.push([step, error]);
        self.values.resize(self.sides.len() * self.width, 0);
    }

    /// A bound for each voice, which the cosine of its unit vector with this one does not exceed.
    pub fn bounds(&self, unit: &[f64]) -> Vec<f32> {
        let (values, step, error) = rounded(unit, QUERY);
        let mut values: Vec<i16> = values.map(|x| x as i16).collect();
        values.resize(self.width, 0);
        let query = Query { values, step, error };
        let mut bounds = Vec::with_capacity(self.sides.len());
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has these instructions.
            unsafe { self.with_256_bits(&query, &mut bounds) };
            return bounds;
        }
        self.plain(&query, &mut bounds);
        bounds
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn with_256_bits(&self, query: &Query, bounds: &mut Vec<f32>) {
        self.plain(query, bounds);
    }

    #[inline(always)]
    fn plain(&self, query: &Query, bounds: &mut Vec<f32>) {
        let rows = self.values.chunks_exact(self.width).zip(&self.sides);
        bounds.extend(rows.map(|(row, &[step, error])| {
            let products =
                row.iter().zip(&query.values).map(|(&x, &y)| i32::from(x) * i32::from(y));
            let product = products.sum::<i32>() as f32 * (step * query.step);
            product + error + (1.0 + error) * query.error + ROUNDING
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// A unit vector: values all alike, or one much larger than the others.
    fn unit(stream: &mut Stream, dim: usize) -> Vec<f64> {
        let mut values: Vec<f64> = (0..dim).map(|_| stream.normal()).collect();
        values[0] *= [1.0, 1e3, 0.0][stream.below(3)];
        values[dim - 1] += 1e-3;
        let length = values.iter().map(|x| x * x).sum::<f64>().sqrt();
        values.into_iter().map(|x| x / length).collect()
    }

    #[test]
    fn no_cosine_exceeds_its_bound_and_bounds_are_close() {
        let mut stream = Stream::new(1, "test", &[]);
        for dim in [1, 2, 31, 32, 33, 192, 256] {
            let voices: Vec<Vec<f64>> = (0..40).map(|_| unit(&mut stream, dim)).collect();
            let mut codes = Codes::new(dim);
            voices.iter().for_each(|voice| codes.push(voice));
            // A query near a voice has the largest cosine.
            for query in [unit(&mut stream, dim), voices[3].clone()] {
                for (voice, bound) in voices.iter().zip(codes.bounds(&query)) {
                    let cosine: f64 = voice.iter().zip(&query).map(|(x, y)| x * y).sum();
                    let above = f64::from(bound) - cosine;
                    // Each of the two errors is at most half a step in every value.
                    let most = 2.1 * (dim as f64).sqrt() * (0.5 / VOICE + 0.5 / QUERY) + 2e-5;
                    assert!((0.0..most).contains(&above), "{dim} values: {above}");
                }
            }
        }
    }

    #[test]
    fn sums_fit() {
        assert!((MOST as f64) * VOICE * QUERY < f64::from(i32::MAX));
    }

    #[test]
    fn vector_instructions_change_no_bit() {
        let mut stream = Stream::new(2, "test", &[]);
        let mut codes = Codes::new(70);
        (0..9).for_each(|_| codes.push(&unit(&mut stream, 70)));
        let query = unit(&mut stream, 70);
        let (values, step, error) = rounded(&query, QUERY);
        let mut values: Vec<i16> = values.map(|x| x as i16).collect();
        values.resize(codes.width, 0);
        let mut plain = Vec::new();
        codes.plain(&Query { values, step, error }, &mut plain);
        assert_eq!(codes.bounds(&query), plain);
    }
}
