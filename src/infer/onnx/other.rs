//! A runtime that is not ours, rten, to check files with, and to compare with.

use std::fmt::Display;
use std::sync::Arc;

use rten::{RunOptions, ThreadPool, ValueView};

use crate::error::{Error, Result};
use crate::panics::quietly;

/// Why rten has no embedding.
pub(crate) enum Failure {
    /// It lacks an operation, or a form of one.
    Lack(String),
    /// The file is wrong.
    Fault(String),
}

impl Failure {
    /// rten says in words alone what it lacks: "not supported" or "unsupported".
    fn of(error: impl Display) -> Self {
        let words = error.to_string();
        if words.contains("support") { Self::Lack(words) } else { Self::Fault(words) }
    }
}

/// Has rten work, and gives what comes of it, or what rten lacks. A panic is a lack.
///
/// # Errors
/// A file that rten finds wrong.
pub(crate) fn tried<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<Result<T, String>> {
    match quietly(work) {
        Ok(Ok(found)) => Ok(Ok(found)),
        Ok(Err(Failure::Lack(words))) | Err(words) => Ok(Err(words)),
        Ok(Err(Failure::Fault(words))) => {
            Err(Error::invalid(format!("rten does not run the ONNX file: {words}")))
        }
    }
}

/// An ONNX file of [`export`](super::export), loaded by rten. It may panic.
pub(crate) struct Other {
    model: rten::Model,
    options: RunOptions,
}

impl Other {
    /// Takes the bytes of a file. It runs with so many threads.
    pub fn load(bytes: &[u8], threads: usize) -> Result<Self, Failure> {
        let model = rten::Model::load(bytes.to_vec()).map_err(Failure::of)?;
        let pool = Arc::new(ThreadPool::with_num_threads(threads));
        Ok(Self { model, options: RunOptions::default().with_thread_pool(Some(pool)) })
    }

    /// The embedding, `[dim]`, of an input of this shape.
    pub fn embed(&self, shape: &[usize], input: &[f32], dim: usize) -> Result<Vec<f32>, Failure> {
        let input = ValueView::from_shape(shape, input).map_err(Failure::of)?;
        let options = Some(self.options.clone());
        let output = self.model.run_one(input.into(), options).map_err(Failure::of)?;
        let (shape, found) = output.into_shape_vec::<f32, 2>().map_err(Failure::of)?;
        if shape != [1, dim] {
            let words = format!("an embedding has size {shape:?} in the place of [1, {dim}]");
            return Err(Failure::Fault(words));
        }
        Ok(found)
    }
}
