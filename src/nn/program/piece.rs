//! A part of a program, as a module of the layers in it.

use std::collections::HashMap;
use std::sync::Arc;

use burn::backend::DispatchTensor;
use burn::module::Module;
use burn::tensor::Tensor;

use super::record::{Code, Layer, Line};
use crate::backend::reversible::{Reversible, Step};
use crate::backend::{self, Mode, Streams};
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
    /// What is read and what is made, each with its axes.
    ends: [(Value, usize); 2],
}

/// A line without its layer.
#[derive(Debug)]
struct Computed {
    inputs: Vec<Value>,
    output: Value,
    code: Code,
}

impl Piece {
    /// The lines between two values, which are given with their axes.
    pub fn new(lines: Vec<Line>, ends: [(Value, usize); 2]) -> Self {
        let divided = lines.into_iter().map(|line| {
            let Line { inputs, output, code, layer, axes: _ } = line;
            (layer, Computed { inputs, output, code })
        });
        let (layers, lines): (Vec<_>, Vec<_>) = divided.unzip();
        Self { layers, plan: Plan { lines: lines.into(), ends } }
    }

    /// The last value of the first one. Values are freed behind their last use.
    ///
    /// # Panics
    /// A line reads what was made elsewhere.
    pub fn compute(&self, x: DispatchTensor, mode: Mode) -> DispatchTensor {
        let Plan { lines, ends: [(input, _), (output, _)] } = &self.plan;
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
