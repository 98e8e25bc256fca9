//! Real values as half as many complex ones: the even ones are the real parts.

use num_complex::Complex;

use crate::complex::Fft;
use crate::{ComplexToReal, FftError, FftNum, RealToComplex, root};

pub(crate) struct Plan<T> {
    fft: Fft<T>,
    /// The first half of the roots of unity, and the one in the middle.
    roots: Vec<Complex<T>>,
}

impl<T: FftNum> Plan<T> {
    /// # Panics
    /// If the length is odd or zero.
    pub fn new(len: usize) -> Self {
        assert!(len > 0 && len.is_multiple_of(2), "transforms of {len} real values are not here");
        Self { fft: Fft::new(len / 2), roots: (0..=len / 2).map(|k| root(k, len)).collect() }
    }

    fn half(&self) -> usize {
        self.roots.len() - 1
    }

    /// The scratch's part for the values, and the rest.
    fn parts<'a>(
        &self,
        real: usize,
        complex: usize,
        scratch: &'a mut [Complex<T>],
    ) -> Result<(&'a mut [Complex<T>], &'a mut [Complex<T>]), FftError> {
        let half = self.half();
        let least = half + self.fft.scratch();
        let found = scratch.len();
        let lengths = [(2 * half, real), (half + 1, complex), (least, found.min(least))];
        match lengths.into_iter().find(|(wanted, found)| wanted != found) {
            Some((wanted, found)) => Err(FftError { wanted, found }),
            None => Ok(scratch.split_at_mut(half)),
        }
    }
}

impl<T: FftNum> RealToComplex<T> for Plan<T> {
    fn process_with_scratch(
        &self,
        input: &mut [T],
        output: &mut [Complex<T>],
        scratch: &mut [Complex<T>],
    ) -> Result<(), FftError> {
        let (values, scratch) = self.parts(input.len(), output.len(), scratch)?;
        for (value, pair) in values.iter_mut().zip(input.chunks_exact(2)) {
            *value = Complex::new(pair[0], pair[1]);
        }
        self.fft.forward(values, scratch);
        let half = self.half();
        let two = T::one() + T::one();
        for (k, (place, turn)) in output.iter_mut().zip(&self.roots).enumerate() {
            let (value, mirrored) = (values[k % half], values[(half - k) % half].conj());
            // The transforms of the even values and of the odd ones.
            let (even, odd) = (value + mirrored, value - mirrored);
            let odd = Complex::new(odd.im, -odd.re) * turn;
            *place = (even + odd) / two;
        }
        Ok(())
    }

    fn len(&self) -> usize {
        2 * self.half()
    }

    fn get_scratch_len(&self) -> usize {
        self.half() + self.fft.scratch()
    }
}

impl<T: FftNum> ComplexToReal<T> for Plan<T> {
    fn process_with_scratch(
        &self,
        input: &mut [Complex<T>],
        output: &mut [T],
        scratch: &mut [Complex<T>],
    ) -> Result<(), FftError> {
        let (values, scratch) = self.parts(output.len(), input.len(), scratch)?;
        let half = self.half();
        // Those of real values have no imaginary part there.
        for end in [0, half] {
            input[end].im = T::zero();
        }
        for (k, value) in values.iter_mut().enumerate() {
            let mirrored = input[half - k].conj();
            let (even, odd) = (input[k] + mirrored, input[k] - mirrored);
            let odd = odd * self.roots[k].conj();
            *value = even + Complex::new(-odd.im, odd.re);
        }
        self.fft.inverse(values, scratch);
        for (pair, value) in output.chunks_exact_mut(2).zip(values) {
            pair.copy_from_slice(&[value.re, value.im]);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        2 * self.half()
    }

    fn get_scratch_len(&self) -> usize {
        self.half() + self.fft.scratch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealFftPlanner;

    fn wave(len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * i) as f32 * 0.37).sin() + 0.25).collect()
    }

    #[test]
    fn spectra_are_those_of_the_definition() {
        for len in [2, 4, 6, 10, 34, 128, 512, 882, 960, 2 * 997] {
            let forward = RealFftPlanner::<f32>::new().plan_fft_forward(len);
            let mut wave = wave(len);
            let mut found = forward.make_output_vec();
            forward.process(&mut wave, &mut found).unwrap();
            for (k, found) in found.iter().enumerate() {
                let term = |j: usize| root::<f64>(j * k % len, len) * f64::from(wave[j]);
                let wanted: Complex<f64> = (0..len).map(term).sum();
                let found = Complex::new(f64::from(found.re), f64::from(found.im));
                assert!((found - wanted).norm() < 2e-6 * len as f64, "{len}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn back_comes_what_went() {
        for len in [2, 6, 34, 512, 882, 2 * 5507] {
            let mut planner = RealFftPlanner::<f32>::new();
            let (forward, back) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
            let wanted = wave(len);
            let (mut spectrum, mut found) = (forward.make_output_vec(), back.make_output_vec());
            forward.process(&mut wanted.clone(), &mut spectrum).unwrap();
            back.process(&mut spectrum, &mut found).unwrap();
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found / len as f32 - wanted).abs() < 2e-6, "{len}: {found}");
            }
        }
    }

    #[test]
    fn buffers_of_other_lengths_are_errors() {
        let forward = RealFftPlanner::<f32>::new().plan_fft_forward(8);
        let (mut input, mut output) = (forward.make_input_vec(), forward.make_output_vec());
        let error = forward.process(&mut input[..7], &mut output).unwrap_err();
        assert_eq!(error.to_string(), "a buffer of 7 values where 8 are wanted");
        assert!(forward.process(&mut input, &mut output[..4]).is_err());
        assert!(forward.process_with_scratch(&mut input, &mut output, &mut []).is_err());
    }
}
