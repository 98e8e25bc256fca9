//! Features to embeddings.

#[cfg(feature = "burn")]
mod of_network;
mod source;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kernels::Level;
use super::layer::Layers;
use super::lower::lower;
use super::program::{Arena, Program};
use super::strips::divided;
use super::weights::Tensors;
use crate::bytes::counted;
use crate::error::{Error, Result};
use crate::model_file::Plain;
use crate::quant::Activations;
use source::Source;

/// Lengths whose programs are kept.
const PROGRAMS: usize = 32;

/// Bytes of the largest arena that is kept for later passes. If larger ones were kept too, each
/// thread would have one of the longest utterance in the end.
const KEPT: usize = 64 << 20;

/// A model's network without Burn. Any number of threads may use it at one time; each pass uses the
/// threads of Rayon's pool, and gives the same bits with any number of them.
pub struct Runtime {
    source: Source,
    /// Fewest frames of an utterance.
    least: usize,
    pub(super) layers: Layers,
    level: Level,
    /// Ranges of the layers that compute in integers.
    activations: Option<Activations>,
    /// The programs that were used last, the newest one at the end.
    programs: Mutex<Vec<Arc<Program>>>,
    /// Memory that no pass uses now.
    pub(super) arenas: Mutex<Vec<Arena>>,
    /// Bytes of the largest arena that is kept.
    kept: usize,
    /// Whether layers run together where they can, and strip by strip.
    joins: bool,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime {
    /// The runtime of a model as its file has it, with the best instructions that the processor
    /// has. Packed weights stay packed. Layers that have ranges in the header compute in integers.
    ///
    /// # Errors
    /// A network with an operation that the runtime lacks; ranges of a layer that cannot compute
    /// in integers.
    pub fn of_plain(model: Plain) -> Result<Self> {
        let Plain { header, network, tensors, .. } = model;
        let source = Source::Graph(Box::new(network.graph));
        let (least, tensors) = (network.least_frames, Tensors::of_plain(tensors));
        Self::make(source, least, tensors, Level::best(), header.activations)
    }

    /// Fewest frames of an utterance.
    pub fn least_frames(&self) -> usize {
        self.least
    }

    fn make(
        source: Source,
        least: usize,
        mut tensors: Tensors,
        level: Level,
        activations: Option<Activations>,
    ) -> Result<Self> {
        if !level.is_available() {
            return Err(Error::Backend(format!(
                "the processor has no {} instructions",
                level.name()
            )));
        }
        // A network has the same layers at every length.
        let graph = source.graph(least)?;
        let lowered = lower(&graph, activations.as_ref())?;
        let layers = Layers::make(&graph, lowered.recipes(), &mut tensors, level)?;
        let (programs, arenas, kept) = (Mutex::default(), Mutex::default(), KEPT);
        let joins = true;
        Ok(Self { source, least, layers, level, activations, programs, arenas, kept, joins })
    }

    /// The embedding `[embedding_dim]` of features `[frames, mels]`, row-major, as
    /// [`Features`](crate::inference::Features) has them.
    ///
    /// The first pass of a length makes its program; the programs of the last 32 lengths are kept.
    /// Later passes allocate little more than the embedding, unless they need more memory than is
    /// kept: 64 MiB for each pass that runs at one time.
    ///
    /// # Errors
    /// Fewer frames than the network takes; another number of values.
    pub fn embed(&self, features: &[f32], frames: usize) -> Result<Vec<f32>> {
        let program = self.program_for(features, frames)?;
        // No lock is held while the network runs.
        if program.arena_bytes() > self.kept {
            return Ok(program.run(&mut Arena::default(), features));
        }
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

    /// The program for features `[frames, mels]`.
    pub(super) fn program_for(&self, features: &[f32], frames: usize) -> Result<Arc<Program>> {
        let (count, mels) = (features.len(), self.source.mels());
        if frames.checked_mul(mels) != Some(count) {
            let (values, frames) = (counted(count, "value"), counted(frames, "frame"));
            let mels = counted(mels, "mel");
            return Err(Error::Invalid(format!("{values} are not {frames} of {mels}")));
        }
        self.program(frames)
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
        let (graph, activations) = (self.source.graph(frames)?, self.activations.as_ref());
        let (layers, joins) = (&self.layers, self.joins);
        let level = self.level;
        let whole = Program::new(&graph, layers, level, activations, joins)?;
        let strips = match activations {
            None if joins => divided(&whole, &graph, layers, level)?,
            _ => None,
        };
        let made = Arc::new(strips.unwrap_or(whole));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::tests::{model, noise};
    use crate::model_file::Model;
    use crate::zoo::tests::small;

    fn small_model(name: &str) -> Model {
        model(&small(16).find(|arch| arch.name == name).unwrap())
    }

    #[test]
    fn a_network_alone_gives_the_embeddings_of_its_model() {
        for name in ["resnet10", "df-resnet32", "rev1-resnet10", "ecapa-tdnn-512", "tdnn"] {
            let model = small_model(name);
            let mels = model.header.arch.mels;
            let alone = Runtime::of_network(&model.network, mels).unwrap();
            let whole = Runtime::of(&model).unwrap();
            for frames in [20, 37] {
                let features = noise(frames, mels);
                let embed = |runtime: &Runtime| runtime.embed(&features, frames).unwrap();
                assert_eq!(embed(&alone), embed(&whole), "{name}, {frames} frames");
            }
        }
    }

    #[test]
    fn arenas_that_are_too_large_go_back() {
        let model = small_model("resnet10");
        let mels = model.header.arch.mels;
        let mut runtime = Runtime::of_network(&model.network, mels).unwrap();
        let embed = |runtime: &Runtime, frames| {
            runtime.embed(&noise(frames, mels), frames).unwrap();
            lock(&runtime.arenas).len()
        };
        runtime.kept = runtime.arena_bytes(40).unwrap();
        assert_eq!([41, 40, 41].map(|frames| embed(&runtime, frames)), [0, 1, 1]);
    }
}
