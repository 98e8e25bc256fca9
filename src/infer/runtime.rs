//! Features to embeddings.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kernels::Level;
use super::layer::Layers;
use super::lower::lower;
use super::program::{Arena, Program};
use super::weights::Tensors;
use crate::bytes::counted;
use crate::error::{Error, Result};
use crate::model_file::Model;
use crate::zoo::Architecture;

/// Lengths whose programs are kept.
const PROGRAMS: usize = 32;

/// A model's network without Burn. Any number of threads may use it at one time; each pass uses the
/// threads of Rayon's pool, and gives the same bits with any number of them.
pub struct Runtime {
    arch: Architecture,
    /// Fewest frames of an utterance.
    least: usize,
    layers: Layers,
    level: Level,
    /// The programs that were used last, the newest one at the end.
    programs: Mutex<Vec<Arc<Program>>>,
    /// Memory that no pass uses now.
    pub(super) arenas: Mutex<Vec<Arena>>,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime {
    /// The runtime of a model's network, with the best instructions that the processor has. Packed
    /// weights stay packed.
    ///
    /// # Errors
    /// Those of [`Runtime::with_level`].
    pub fn of(model: &Model) -> Result<Self> {
        Self::with_level(model, Level::best())
    }

    /// The runtime of a model's network, with other instructions.
    ///
    /// # Errors
    /// A network with an operation that the runtime lacks; a network with a quantizer attached, as
    /// in training; instructions that the processor lacks.
    pub fn with_level(model: &Model, level: Level) -> Result<Self> {
        if !level.is_available() {
            return Err(Error::Backend(format!("the processor has no {level:?} instructions")));
        }
        let arch = model.header.arch.clone();
        let (graph, mut tensors) = (arch.layout()?, Tensors::of(model)?);
        let layers = Layers::make(&graph, lower(&graph)?.recipes(), &mut tensors, level)?;
        let least = model.network.least_frames();
        let (programs, arenas) = (Mutex::default(), Mutex::default());
        Ok(Self { arch, least, layers, level, programs, arenas })
    }

    /// The embedding `[embedding_dim]` of features `[frames, mels]`, row-major, as
    /// [`Features`](crate::inference::Features) has them.
    ///
    /// The first pass of a length makes its program; the programs of the last 32 lengths are kept.
    /// Later passes allocate little more than the embedding.
    ///
    /// # Errors
    /// Fewer frames than the network takes; another number of values.
    pub fn embed(&self, features: &[f32], frames: usize) -> Result<Vec<f32>> {
        let (count, mels) = (features.len(), self.arch.mels);
        if frames.checked_mul(mels) != Some(count) {
            let (values, frames) = (counted(count, "value"), counted(frames, "frame"));
            let mels = counted(mels, "mel");
            return Err(Error::Invalid(format!("{values} are not {frames} of {mels}")));
        }
        let program = self.program(frames)?;
        // No lock is held while the network runs.
        let mut arena = lock(&self.arenas).pop().unwrap_or_default();
        let embedding = program.run(&mut arena, features);
        lock(&self.arenas).push(arena);
        Ok(embedding)
    }

    /// Bytes of the weights.
    pub fn weight_bytes(&self) -> usize {
        self.layers.bytes()
    }

    /// Bytes of memory beside the weights that a pass over so many frames needs.
    ///
    /// # Errors
    /// Fewer frames than the network takes.
    pub fn arena_bytes(&self, frames: usize) -> Result<usize> {
        Ok(self.program(frames)?.arena_bytes())
    }

    /// The program for so many frames.
    fn program(&self, frames: usize) -> Result<Arc<Program>> {
        if frames < self.least {
            let (frames, least) = (counted(frames, "frame"), self.least);
            let message = format!("{frames} of speech; the network takes {least} or more");
            return Err(Error::Undefined(message));
        }
        if let Some(program) = last_used(&mut lock(&self.programs), frames) {
            return Ok(program);
        }
        let made = Arc::new(Program::new(&self.arch.graph(frames)?, &self.layers, self.level)?);
        let mut programs = lock(&self.programs);
        // Another thread may have made it too.
        if let Some(program) = last_used(&mut programs, frames) {
            return Ok(program);
        }
        if programs.len() == PROGRAMS {
            programs.remove(0);
        }
        programs.push(Arc::clone(&made));
        Ok(made)
    }
}

/// The program of a length, if it is there. It becomes the newest one.
fn last_used(programs: &mut [Arc<Program>], frames: usize) -> Option<Arc<Program>> {
    let place = programs.iter().position(|program| program.frames == frames)?;
    programs[place..].rotate_left(1);
    programs.last().cloned()
}
