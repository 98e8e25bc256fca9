//! Symmetric matrices of a few rows.

/// The rows and columns of a symmetric matrix `[n, n]` that are no linear combinations of earlier
/// ones, and the rows of its Cholesky factor for them. A combination is what leaves less than
/// `least` of its diagonal.
pub(super) fn independent(matrix: &[f64], n: usize, least: f64) -> (Vec<usize>, Vec<Vec<f64>>) {
    let (mut kept, mut factor): (Vec<usize>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    for j in 0..n {
        let mut row: Vec<f64> = Vec::with_capacity(kept.len() + 1);
        for (&k, above) in kept.iter().zip(&factor) {
            let sum: f64 = row.iter().zip(above).map(|(a, b)| a * b).sum();
            row.push((matrix[j * n + k] - sum) / above[row.len()]);
        }
        let diagonal = matrix[j * n + j];
        let pivot = diagonal - row.iter().map(|x| x * x).sum::<f64>();
        // False where either is not a number.
        if pivot > least * diagonal {
            row.push(pivot.sqrt());
            factor.push(row);
            kept.push(j);
        }
    }
    (kept, factor)
}

/// Solves a system with a symmetric positive definite matrix `[n, n]`, by Cholesky's factor.
/// Nothing where rounding leaves the matrix singular.
pub(super) fn solve(matrix: &[f64], right: &[f64]) -> Option<Vec<f64>> {
    let n = right.len();
    let (kept, factor) = independent(matrix, n, 1e-15);
    if kept.len() < n {
        return None;
    }
    let mut solution: Vec<f64> = Vec::with_capacity(n);
    for (row, b) in factor.iter().zip(right) {
        let sum: f64 = row.iter().zip(&solution).map(|(l, y)| l * y).sum();
        solution.push((b - sum) / row[solution.len()]);
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| factor[k][i] * solution[k]).sum();
        solution[i] = (solution[i] - sum) / factor[i][i];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_system_is_solved() {
        let matrix = [4.0, 2.0, 0.6, 2.0, 5.0, 1.0, 0.6, 1.0, 3.0];
        let wanted = [1.0, -2.0, 0.5];
        let right: Vec<f64> =
            matrix.chunks(3).map(|row| row.iter().zip(&wanted).map(|(a, x)| a * x).sum()).collect();
        let found = solve(&matrix, &right).unwrap();
        assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-14), "{found:?}");
    }

    #[test]
    fn combinations_are_found() {
        // The covariance of x, y, x - y, z for independent x, y, z of variance 1.
        #[rustfmt::skip]
        let matrix = [
            1.0, 0.0, 1.0, 0.0,
            0.0, 1.0, -1.0, 0.0,
            1.0, -1.0, 2.0, 0.0,
            0.0, 0.0, 0.0, 1.0,
        ];
        assert_eq!(independent(&matrix, 4, 1e-8).0, [0, 1, 3]);
        assert_eq!(solve(&matrix, &[1.0; 4]), None);
    }
}
