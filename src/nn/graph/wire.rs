//! Graphs as bytes, for model files: JSON, compressed by zlib.
//!
//! Sizes of values are left out; they follow from the operations. Values and tensors are counted
//! from where they are used, so that equal blocks look alike.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use super::{Function, Graph, Info, Node, Op, Step, Value};
use crate::error::{Error, Result};
use crate::nn::Stage;

/// The form's version.
const VERSION: u32 = 1;
/// Most bytes of JSON: ten times those of our largest network.
const MOST_BYTES: u64 = 8 << 20;
/// Most nodes and most tensors.
const MOST_NODES: usize = 1 << 14;
/// Most values of a tensor.
const MOST_VALUES: usize = 1 << 28;
/// Most values that a node reads.
const MOST_INPUTS: usize = 32;
/// Most mel filters, and most frames of the graph that is stored.
const MOST_SIZE: usize = 1024;

/// A graph as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    least_frames: usize,
    /// Mels and frames.
    input: [usize; 2],
    /// Name, shape, and whether training changes it.
    tensors: Vec<(String, Vec<usize>, bool)>,
    stages: Vec<Stage>,
    /// Operation, how far back the values are that it reads, how far its tensors are behind the
    /// last one that was named, place of its stage.
    nodes: Vec<(Op, Vec<usize>, Vec<isize>, usize)>,
    output: Value,
    steps: Vec<(String, Step)>,
    tail: Function,
}

/// A graph for any number of frames, and the fewest that the network takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The graph, recorded where all its zeros were needed; see [`Graph::resized`].
    pub graph: Graph,
    /// Fewest frames of an utterance.
    pub least_frames: usize,
}

impl Stored {
    /// The bytes, as a model file has them.
    ///
    /// # Errors
    /// A graph that [`Graph::resized`] refuses.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(&self.wire()?).map_err(|e| damaged(&e))?;
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        let written = encoder.write_all(&json).and_then(|()| encoder.finish());
        written.map_err(|e| damaged(&e))
    }

    fn wire(&self) -> Result<Wire> {
        let graph = &self.graph;
        let &[_, mels, frames] = graph.input.as_slice() else {
            return Err(damaged(&"its input is no image"));
        };
        let (mut stages, mut next) = (Vec::<Stage>::new(), 0isize);
        let node = |(place, node): (usize, &Node)| {
            // Node `place` makes value `place + 1`.
            let back: Vec<usize> = node.inputs.iter().map(|value| place + 1 - value.0).collect();
            let mut ahead = |&place: &usize| {
                let ahead = place as isize - next;
                next = place as isize + 1;
                ahead
            };
            let tensors: Vec<isize> = node.tensors.iter().map(&mut ahead).collect();
            let known = stages.iter().position(|stage| *stage == node.stage);
            let stage = known.unwrap_or_else(|| {
                stages.push(node.stage);
                stages.len() - 1
            });
            (node.op.clone(), back, tensors, stage)
        };
        let nodes = graph.nodes.iter().enumerate().map(node).collect();
        let tensor = |info: &Info| (info.name.clone(), info.shape.clone(), info.trained);
        Ok(Wire {
            version: VERSION,
            least_frames: self.least_frames,
            input: [mels, frames],
            tensors: graph.tensors.iter().map(tensor).collect(),
            stages,
            nodes,
            output: graph.output,
            steps: graph.steps.clone(),
            tail: graph.tail.clone(),
        })
    }

    /// The graph of these bytes. What it says fits together, whatever they are, and no more memory
    /// is taken than a large network needs.
    ///
    /// # Errors
    /// Bytes that are no graph; a graph whose parts do not fit each other, or that a later version
    /// has written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut json = Vec::new();
        let mut decoder = ZlibDecoder::new(bytes).take(MOST_BYTES + 1);
        decoder.read_to_end(&mut json).map_err(|e| damaged(&e))?;
        let is_whole = decoder.get_ref().total_in() == bytes.len() as u64;
        if !is_whole || json.len() as u64 > MOST_BYTES {
            return Err(damaged(&"more bytes than it should have"));
        }
        let version = |json: &[u8]| {
            #[derive(Deserialize)]
            struct Version {
                version: u32,
            }
            serde_json::from_slice::<Version>(json).map(|found| found.version)
        };
        match version(&json) {
            Ok(VERSION) => serde_json::from_slice::<Wire>(&json).map_err(|e| damaged(&e))?.stored(),
            Ok(version) => Err(damaged(&format!(
                "form {version}, this version reads {VERSION}: a later revox has written it"
            ))),
            Err(e) => Err(damaged(&e)),
        }
    }
}

impl Wire {
    fn stored(self) -> Result<Stored> {
        let [mels, frames] = self.input;
        let within = |count: usize, most: usize| (1..=most).contains(&count);
        if !within(mels, MOST_SIZE) || !within(frames, MOST_SIZE) {
            return Err(damaged(&format!("an input of {mels} mels and {frames} frames")));
        }
        if !within(self.nodes.len(), MOST_NODES) || self.tensors.len() > MOST_NODES {
            return Err(damaged(&"more nodes or tensors than any network of ours has, or none"));
        }
        let values = |shape: &[usize]| shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        let is_large = |shape: &[usize]| values(shape).is_none_or(|values| values > MOST_VALUES);
        if self.tensors.iter().any(|(_, shape, _)| is_large(shape)) {
            return Err(damaged(&"a tensor larger than any of ours"));
        }
        if self.nodes.iter().any(|(_, inputs, ..)| inputs.len() > MOST_INPUTS) {
            return Err(damaged(&"a node that reads more values than any of ours does"));
        }
        if !within(self.least_frames, frames) {
            return Err(damaged(&format!("{} frames or more", self.least_frames)));
        }
        let tensor = |(name, shape, trained)| Info { name, shape, trained };
        let mut next = 0isize;
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (place, (op, back, ahead, stage)) in self.nodes.into_iter().enumerate() {
            let input = |back: usize| (place + 1).checked_sub(back).map(Value);
            let inputs: Option<Vec<Value>> = back.into_iter().map(input).collect();
            let mut tensors = Vec::with_capacity(ahead.len());
            for ahead in ahead {
                let found = next.checked_add(ahead).filter(|&place| place >= 0);
                let found = found.ok_or_else(|| damaged(&"a tensor in front of the first"))?;
                tensors.push(found as usize);
                next = found.saturating_add(1);
            }
            let (Some(inputs), Some(&stage)) = (inputs, self.stages.get(stage)) else {
                return Err(damaged(&"a node without its inputs or its stage"));
            };
            // The size comes when it is made for its number of frames.
            nodes.push(Node { op, inputs, tensors, size: Vec::new(), stage });
        }
        let graph = Graph {
            tensors: self.tensors.into_iter().map(tensor).collect(),
            input: vec![1, mels, frames],
            nodes,
            output: self.output,
            steps: self.steps,
            tail: self.tail,
        };
        Ok(Stored { graph: graph.resized(frames)?, least_frames: self.least_frames })
    }
}

fn damaged(what: &dyn std::fmt::Display) -> Error {
    Error::Invalid(format!("the network's graph is damaged: {what}"))
}
