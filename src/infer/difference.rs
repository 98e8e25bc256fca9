//! How far two embeddings are apart.

/// The largest difference, in units of the largest wanted value. It is infinite where a value is
/// not finite.
pub(crate) fn difference(found: &[f32], wanted: &[f32]) -> f64 {
    if !found.iter().chain(wanted).all(|x| x.is_finite()) {
        return f64::INFINITY;
    }
    let largest = wanted.iter().fold(0.0, |most: f64, &x| most.max(f64::from(x).abs()));
    let apart = found.iter().zip(wanted).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs());
    match apart.fold(0.0, f64::max) {
        0.0 => 0.0,
        most => most / largest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_parts_of_the_largest_value() {
        assert_eq!(difference(&[1.0, -4.0], &[1.0, -2.0]), 1.0);
        assert_eq!(difference(&[0.0], &[0.0]), 0.0);
        assert_eq!(difference(&[1.0], &[0.0]), f64::INFINITY);
        assert_eq!(difference(&[f32::NAN], &[1.0]), f64::INFINITY);
    }
}
