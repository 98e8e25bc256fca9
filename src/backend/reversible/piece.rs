//! A function in pieces, which the backward pass takes one after the other: the private tape of the
//! whole would hold the activations of all at once.

use burn::backend::DispatchTensor;
use burn::module::ParamId;

use super::fork::Fork;
use super::layer::{Again, AnyLayer, Streams};
use super::series;
use crate::backend::Mode;

/// The pieces of a function. Each has parameters of the function, which no other piece has.
pub enum Pieces {
    /// Two ways through it.
    Fork(Fork),
    /// Functions of one stream, one after the other. No input of one is kept while another one is
    /// differentiated: it is made again from the input of the first.
    Series(Vec<Box<dyn AnyLayer>>),
}

impl Pieces {
    /// [`AnyLayer::pull`] of the whole function, whose parameters have these ids.
    pub(super) fn pull(
        &self,
        again: Again,
        ids: &[ParamId],
        outputs: &mut dyn FnMut(Streams),
        gradients: &mut dyn FnMut(usize, DispatchTensor),
    ) -> Option<Streams> {
        match self {
            Self::Fork(fork) => fork.pull(again, ids, outputs, gradients),
            Self::Series(pieces) => series::pull(pieces, again, ids, outputs, gradients),
        }
    }
}

/// A piece, with the numbers of its parameters among those of the whole function.
pub(super) struct Piece<'a> {
    layer: &'a dyn AnyLayer,
    numbers: Vec<usize>,
}

impl<'a> Piece<'a> {
    pub fn of(layer: &'a dyn AnyLayer, ids: &[ParamId]) -> Self {
        let number = |id: &ParamId| {
            ids.iter().position(|own| own == id).expect("pieces have parameters of the whole")
        };
        Self { layer, numbers: layer.ids().iter().map(number).collect() }
    }
}

/// What all pieces share in a backward pass.
pub(super) struct Pull<'a> {
    mode: Mode,
    tracked: &'a [bool],
    /// Values of parameters of the whole function; each piece takes its own.
    lent: Vec<Option<DispatchTensor>>,
    gradients: &'a mut dyn FnMut(usize, DispatchTensor),
}

impl<'a> Pull<'a> {
    /// For a function with so many parameters.
    pub fn new(
        mode: Mode,
        tracked: &'a [bool],
        values: Vec<Option<DispatchTensor>>,
        gradients: &'a mut dyn FnMut(usize, DispatchTensor),
    ) -> Self {
        let lent = if values.is_empty() { vec![None; tracked.len()] } else { values };
        Self { mode, tracked, lent, gradients }
    }

    /// Runs a piece again without a tape.
    pub fn run(&self, piece: &Piece, x: Streams) -> Streams {
        let values = piece.numbers.iter().map(|&number| self.lent[number].clone()).collect();
        piece.layer.forward_with(values, x, self.mode.again())
    }

    /// Through a piece. Its inputs are given away. `outputs` is for the last one's: they are those
    /// of the whole.
    pub fn through(
        &mut self,
        piece: &Piece,
        [x, dy]: [Streams; 2],
        inputs: bool,
        outputs: Option<&mut dyn FnMut(Streams)>,
    ) -> Option<Streams> {
        let numbers = &piece.numbers;
        let tracked: Vec<bool> = numbers.iter().map(|&number| self.tracked[number]).collect();
        let values = numbers.iter().map(|&number| self.lent[number].take()).collect();
        let again = Again { x, dy, mode: self.mode, inputs, tracked: &tracked, values };
        let gradients = &mut |own: usize, gradient| (self.gradients)(numbers[own], gradient);
        piece.layer.pull_given(again, outputs, gradients)
    }
}
