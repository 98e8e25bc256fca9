//! The same network by rten, a runtime for ONNX files.

use super::{Measured, Subject, off, weigh};
use crate::error::Result;
use crate::infer::onnx::other::{Other, tried};
use crate::infer::onnx::{Options, export};
use crate::model_file::Model;

impl Subject<'_> {
    /// Passes by rten over the file that `export` makes of a model with f32 weights. Gives what
    /// rten lacks, if it cannot run the file.
    ///
    /// # Errors
    /// A file that rten finds wrong.
    pub(super) fn measure_other(
        &mut self,
        model: &Model,
        floats: &Measured,
    ) -> Result<Option<String>> {
        let file = export(model, &Options::default())?;
        let (shape, dim) = ([1, self.bench.frames, self.arch.mels], floats.embedding.len());
        let begun = tried(|| {
            let other = Other::load(&file, rayon::current_num_threads())?;
            let embedding = other.embed(&shape, &self.features, dim)?;
            Ok((other, embedding))
        })?;
        let (other, embedding) = match begun {
            Ok(begun) => begun,
            Err(lack) => return Ok(Some(lack)),
        };
        let pass = || drop(other.embed(&shape, &self.features, dim));
        let seconds = weigh(0, pass, self.bench.runs, self.device)?.seconds;
        self.figure("rten", "rten", seconds, "s");
        self.figure(
            "rten",
            "rten/off",
            off(&embedding, &floats.embedding)?,
            "of the largest value",
        );
        let of_other = floats.runtime / seconds;
        self.figure(self.bench.level.name(), "runtime/of-rten", of_other, "runtime / rten");
        Ok(None)
    }
}
