//! A part of a program, as a module of the layers in it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use burn::backend::DispatchTensor;
use burn::module::Module;
use burn::tensor::Tensor;

use super::record::{Code, Layer, Line};
use crate::backend::reversible::{Pieces, Reversible, Step};
use crate::backend::{self, AnyLayer, Mode, Streams};
use crate::nn::Run;
use crate::nn::graph::Value;

/// Lines from one value to another.
#[derive(Module, Debug)]
pub(super) struct Piece {
    /// The layer of each line that has one.
    layers: Vec<Option<Layer>>,
    #[module(skip)]
    plan: Plan,
}

/// What is no module.
#[derive(Debug, Clone)]
struct Plan {
    lines: Arc<[Computed]>,
    /// Which of them are the part's.
    own: Range<usize>,
    /// What is read and what is made, each with its axes.
    ends: [End; 2],
    /// Values in between at which the backward pass takes the part apart.
    cuts: Vec<End>,
}

/// A value with its axes.
type End = (Value, usize);

/// A line without its layer.
#[derive(Debug)]
struct Computed {
    inputs: Vec<Value>,
    output: Value,
    code: Code,
}

impl Piece {
    /// The lines between two values. The backward pass takes them apart at `cuts`.
    pub fn new(lines: Vec<Line>, ends: [End; 2], cuts: Vec<End>) -> Self {
        let divided = lines.into_iter().map(|line| {
            let Line { inputs, output, code, layer, axes: _ } = line;
            (layer, Computed { inputs, output, code })
        });
        let (layers, lines): (Vec<_>, Vec<_>) = divided.unzip();
        let own = 0..lines.len();
        Self { layers, plan: Plan { lines: lines.into(), own, ends, cuts } }
    }

    /// The lines up to a value, which are the first ones, and those behind it.
    fn divided(self, at: End) -> [Self; 2] {
        let Self { mut layers, plan: Plan { lines, own, ends: [from, to], cuts } } = self;
        let first = lines[own.clone()].iter().take_while(|line| line.output <= at.0).count();
        let middle = own.start + first;
        let behind = layers.split_off(first);
        let plan = |own: Range<usize>, ends: [End; 2], cuts: Vec<End>| Plan {
            lines: lines.clone(),
            own,
            ends,
            cuts,
        };
        [
            Self { layers, plan: plan(own.start..middle, [from, at], Vec::new()) },
            Self { layers: behind, plan: plan(middle..own.end, [at, to], cuts) },
        ]
    }

    /// The last value of the first one. Values are freed behind their last use.
    ///
    /// # Panics
    /// A line reads what was made elsewhere.
    pub fn compute(&self, x: DispatchTensor, mode: Mode) -> DispatchTensor {
        let Plan { lines, own, ends: [(input, _), (output, _)], .. } = &self.plan;
        let lines = &lines[own.clone()];
        let mut uses = HashMap::<Value, usize>::new();
        let read = lines.iter().flat_map(|line| &line.inputs).chain([output]);
        read.for_each(|&v| *uses.entry(v).or_default() += 1);
        let mut values = HashMap::from([(*input, x)]);
        let mut take = |values: &mut HashMap<Value, DispatchTensor>, v: Value| {
            let left = uses.get_mut(&v).expect("every use was counted");
            *left -= 1;
            let value = match left {
                0 => values.remove(&v),
                _ => values.get(&v).cloned(),
            };
            value.unwrap_or_else(|| panic!("value {} was made elsewhere", v.0))
        };
        let mut run = Run::new(mode);
        for (line, layer) in lines.iter().zip(&self.layers) {
            let given = line.inputs.iter().map(|&v| take(&mut values, v)).collect();
            values.insert(line.output, line.code.run(&mut run, layer.as_ref(), given));
        }
        take(&mut values, *output)
    }
}

impl backend::Layer for Piece {
    fn forward(&self, mut x: Streams, mode: Mode) -> Streams {
        let [(_, before), (_, behind)] = self.plan.ends;
        let y = self.compute(narrow(x.remove(0), before), mode);
        vec![widen(y, behind)]
    }

    fn pieces(&self) -> Option<Pieces> {
        let mut pieces: Vec<Box<dyn AnyLayer>> = Vec::new();
        let mut rest = self.clone();
        for cut in std::mem::take(&mut rest.plan.cuts) {
            let [piece, behind] = rest.divided(cut);
            pieces.push(Box::new(piece));
            rest = behind;
        }
        if pieces.is_empty() {
            return None;
        }
        pieces.push(Box::new(rest));
        Some(Pieces::Series(pieces))
    }
}

/// One step, which keeps its input.
impl Reversible for Piece {
    fn steps(&self) -> Vec<Step<'_>> {
        vec![Step::Keep(self)]
    }

    fn grid(&self) -> Option<i32> {
        None
    }
}

/// A tensor of two to four axes with further ones of size 1, up to four.
pub(super) fn widen(x: DispatchTensor, axes: usize) -> Tensor<4> {
    match axes {
        2 => {
            let x = Tensor::<2>::from_dispatch(x);
            let [batch, values] = x.dims();
            x.reshape([batch, values, 1, 1])
        }
        3 => {
            let x = Tensor::<3>::from_dispatch(x);
            let [batch, channels, frames] = x.dims();
            x.reshape([batch, channels, frames, 1])
        }
        _ => Tensor::from_dispatch(x),
    }
}

/// Undoes [`widen`].
pub(super) fn narrow(x: Tensor<4>, axes: usize) -> DispatchTensor {
    let [batch, channels, frames, _] = x.dims();
    match axes {
        2 => x.reshape([batch, channels]).into_dispatch(),
        3 => x.reshape([batch, channels, frames]).into_dispatch(),
        _ => x.into_dispatch(),
    }
}
