//! What an archive holds under a key.

/// The shape of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A vector.
    Vector {
        /// Number of values.
        length: usize,
    },
    /// A matrix. Without columns it has no rows either.
    Matrix {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        columns: usize,
    },
}

/// A vector or matrix of f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its shape.
    pub shape: Shape,
    /// Its values, row by row.
    pub values: Vec<f32>,
}

impl Array {
    /// A vector.
    pub(super) fn vector(values: Vec<f32>) -> Self {
        Self { shape: Shape::Vector { length: values.len() }, values }
    }

    /// A matrix of `values.len() / columns` rows.
    pub(super) fn matrix(values: Vec<f32>, columns: usize) -> Self {
        let rows = values.len().checked_div(columns).unwrap_or(0);
        Self { shape: Shape::Matrix { rows, columns }, values }
    }

    /// The same array, borrowed.
    pub fn view(&self) -> View<'_> {
        match self.shape {
            Shape::Vector { .. } => View::Vector(&self.values),
            Shape::Matrix { columns, .. } => View::Matrix { values: &self.values, columns },
        }
    }
}

/// An array to be written.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// A vector.
    Vector(&'a [f32]),
    /// A matrix.
    Matrix {
        /// Its values, row by row.
        values: &'a [f32],
        /// Number of columns.
        columns: usize,
    },
}
