//! Dense matrices of f64 whose columns are vectors: factors and eigenvectors of symmetric ones.

use nalgebra::{Cholesky, DMatrix, SymmetricEigen};

use crate::error::{Error, Result};

/// A matrix, stored column by column.
pub(super) type Matrix = DMatrix<f64>;

/// Steps that an eigenvalue may take. Two or three are usual.
const PATIENCE: usize = 100;

/// Eigenvalues of a symmetric matrix from the largest to the smallest, and a column for each.
pub(super) struct Eigen {
    pub values: Vec<f64>,
    pub vectors: Matrix,
}

/// Two covariances made diagonal together: `transform * within * transform'` is the unit matrix,
/// and `transform * between * transform'` has `psi` on its diagonal.
pub(super) struct Diagonal {
    /// From the largest to the smallest, none negative.
    pub psi: Vec<f64>,
    pub transform: Matrix,
    pub inverse: Matrix,
}

/// The eigenvalues and eigenvectors of a symmetric matrix.
///
/// # Errors
/// Values that are not finite; a matrix without values.
pub(super) fn eigen(matrix: Matrix) -> Result<Eigen> {
    let undefined = |what: &str| Error::Undefined(format!("a covariance {what}"));
    let dim = matrix.nrows();
    if dim == 0 {
        return Err(undefined("has no values"));
    }
    if !matrix.iter().all(|x| x.is_finite()) {
        return Err(undefined("holds values that are not finite"));
    }
    let found = SymmetricEigen::try_new(matrix, f64::EPSILON, PATIENCE * (dim + 1))
        .ok_or_else(|| undefined("has no eigenvalues that could be computed"))?;
    let mut order: Vec<usize> = (0..dim).collect();
    order.sort_by(|&a, &b| found.eigenvalues[b].total_cmp(&found.eigenvalues[a]));
    Ok(Eigen {
        values: order.iter().map(|&i| found.eigenvalues[i]).collect(),
        vectors: found.eigenvectors.select_columns(&order),
    })
}

/// The lower factor `L` of a covariance `L L'`, if it is positive definite.
pub(super) fn lower_factor(matrix: &Matrix) -> Option<Matrix> {
    Cholesky::new(matrix.clone()).map(Cholesky::unpack)
}

/// The inverse of a lower factor.
pub(super) fn lower_inverse(lower: &Matrix) -> Option<Matrix> {
    let mut inverse = Matrix::identity(lower.nrows(), lower.nrows());
    lower.solve_lower_triangular_mut(&mut inverse).then_some(inverse)
}

/// Makes the covariances within and between speakers diagonal together: whitens the first by its
/// lower factor, and turns to the eigenvectors of the second.
///
/// # Errors
/// A covariance within speakers that is singular, or values that are not finite.
pub(super) fn diagonalise(within: &Matrix, between: &Matrix) -> Result<Diagonal> {
    let singular = || Error::Undefined("the covariance within speakers is singular".into());
    let lower = lower_factor(within).ok_or_else(singular)?;
    let whiten = lower_inverse(&lower).ok_or_else(singular)?;
    let Eigen { values, vectors } = eigen(symmetric(&(&whiten * between * whiten.transpose())))?;
    Ok(Diagonal {
        psi: values.into_iter().map(|value| value.max(0.0)).collect(),
        transform: vectors.transpose() * whiten,
        inverse: lower * vectors,
    })
}

/// The mean of a matrix and its transpose, which takes rounding out of a symmetric one.
pub(super) fn symmetric(matrix: &Matrix) -> Matrix {
    (matrix + matrix.transpose()) * 0.5
}

/// Multiplies each row by its factor.
pub(super) fn scale_rows(matrix: &mut Matrix, factors: &[f64]) {
    for column in vectors_mut(matrix) {
        column.iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor);
    }
}

/// Multiplies each column by its factor.
pub(super) fn scale_columns(matrix: &mut Matrix, factors: &[f64]) {
    for (column, factor) in vectors_mut(matrix).zip(factors) {
        column.iter_mut().for_each(|x| *x *= factor);
    }
}

/// Adds a vector to each column.
pub(super) fn add_to_columns(matrix: &mut Matrix, vector: &[f64]) {
    for column in vectors_mut(matrix) {
        column.iter_mut().zip(vector).for_each(|(x, y)| *x += y);
    }
}

/// Gives each column this length. The number of the first column that has none is the error.
pub(super) fn normalise(matrix: &mut Matrix, length: f64) -> Result<(), usize> {
    for (i, column) in vectors_mut(matrix).enumerate() {
        let norm = column.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm == 0.0 || !norm.is_finite() {
            return Err(i);
        }
        column.iter_mut().for_each(|x| *x = *x * length / norm);
    }
    Ok(())
}

/// The mean of the columns.
pub(super) fn mean_column(matrix: &Matrix) -> Vec<f64> {
    let mut mean = vec![0.0; matrix.nrows()];
    for column in vectors(matrix) {
        mean.iter_mut().zip(column).for_each(|(m, x)| *m += x);
    }
    mean.iter_mut().for_each(|m| *m /= matrix.ncols().max(1) as f64);
    mean
}

/// The product with a vector, `[rows]`.
pub(super) fn times(matrix: &Matrix, vector: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; matrix.nrows()];
    for (column, x) in vectors(matrix).zip(vector) {
        product.iter_mut().zip(column).for_each(|(p, m)| *p += m * x);
    }
    product
}

/// The columns.
pub(super) fn vectors(matrix: &Matrix) -> impl Iterator<Item = &[f64]> {
    matrix.as_slice().chunks_exact(matrix.nrows().max(1))
}

/// The columns, to be changed.
fn vectors_mut(matrix: &mut Matrix) -> impl Iterator<Item = &mut [f64]> {
    let rows = matrix.nrows().max(1);
    matrix.as_mut_slice().chunks_exact_mut(rows)
}

/// The values row by row.
pub(super) fn row_major(matrix: &Matrix) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn random(stream: &mut Stream, rows: usize, columns: usize) -> Matrix {
        Matrix::from_fn(rows, columns, |_, _| stream.normal())
    }

    fn near(a: &Matrix, b: &Matrix) -> bool {
        (a - b).iter().all(|x| x.abs() < 1e-10)
    }

    #[test]
    fn covariances_become_diagonal_together() {
        let mut stream = Stream::new(3, "linear", &[]);
        for dim in [1, 2, 3, 9, 24] {
            let (a, b) =
                (random(&mut stream, dim, dim + 4), random(&mut stream, dim, dim.div_ceil(2)));
            let (within, between) = (&a * a.transpose(), &b * b.transpose());
            let found = diagonalise(&within, &between).unwrap();
            let (t, unit) = (&found.transform, Matrix::identity(dim, dim));
            assert!(near(&(t * &within * t.transpose()), &unit), "{dim}");
            assert!(near(&(t * &found.inverse), &unit), "{dim}");
            let mut diagonal = unit;
            scale_rows(&mut diagonal, &found.psi);
            assert!(near(&(t * &between * t.transpose()), &diagonal), "{dim}");
            assert!(found.psi.is_sorted_by(|a, b| a >= b) && found.psi.iter().all(|&p| p >= 0.0));
        }
    }

    #[test]
    fn what_has_no_factor_is_refused() {
        let flat = Matrix::from_row_slice(2, 2, &[1.0, 1.0, 1.0, 1.0]);
        let error = diagonalise(&flat, &flat).err().unwrap().to_string();
        assert!(error.contains("singular"), "{error}");
        let error = eigen(Matrix::from_element(2, 2, f64::NAN)).err().unwrap().to_string();
        assert!(error.contains("not finite"), "{error}");
        assert!(eigen(Matrix::zeros(0, 0)).is_err());
    }

    #[test]
    fn columns_are_vectors() {
        let mut matrix = Matrix::from_row_slice(2, 3, &[3.0, 0.0, 1.0, 4.0, 2.0, 0.0]);
        assert_eq!(mean_column(&matrix), [4.0 / 3.0, 2.0]);
        assert_eq!(times(&matrix, &[1.0, 2.0, 3.0]), [6.0, 8.0]);
        assert_eq!(row_major(&matrix), [3.0, 0.0, 1.0, 4.0, 2.0, 0.0]);
        normalise(&mut matrix, 5.0).unwrap();
        assert_eq!(matrix.as_slice(), [3.0, 4.0, 0.0, 5.0, 5.0, 0.0]);
        scale_columns(&mut matrix, &[1.0, 0.0, 2.0]);
        add_to_columns(&mut matrix, &[1.0, -1.0]);
        assert_eq!(matrix.as_slice(), [4.0, 3.0, 1.0, -1.0, 11.0, -1.0]);
        matrix.fill_column(1, 0.0);
        assert_eq!(normalise(&mut matrix, 1.0), Err(1));
    }
}
