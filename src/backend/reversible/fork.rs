//! A function in pieces, which the backward pass takes one after the other: the private tape of the
//! whole would hold the activations of all at once.

use burn::backend::DispatchTensor;
use burn::module::ParamId;

use super::grid::sum;
use super::layer::{Again, AnyLayer, Streams};
use crate::backend::Mode;

/// A function of one stream with two ways through it, `last(main(x), other(x))`. Each piece makes
/// one stream and has parameters of the function, which no other piece has.
pub struct Fork {
    /// Functions of one stream, one after the other.
    pub main: Vec<Box<dyn AnyLayer>>,
    /// A function of one stream.
    pub other: Box<dyn AnyLayer>,
    /// A function of both: of what `main` makes, and of what `other` makes.
    pub last: Box<dyn AnyLayer>,
}

/// A piece, with the numbers of its parameters among those of the whole function.
struct Piece<'a> {
    layer: &'a dyn AnyLayer,
    numbers: Vec<usize>,
}

impl<'a> Piece<'a> {
    fn of(layer: &'a dyn AnyLayer, ids: &[ParamId]) -> Self {
        let number = |id: &ParamId| {
            ids.iter().position(|own| own == id).expect("pieces have parameters of the whole")
        };
        Self { layer, numbers: layer.ids().iter().map(number).collect() }
    }

    /// Runs it again without a tape.
    fn run(&self, x: Streams, mode: Mode, lent: &[Option<DispatchTensor>]) -> Streams {
        let values = self.numbers.iter().map(|&number| lent[number].clone()).collect();
        self.layer.forward_with(values, x, mode.again())
    }
}

/// What all pieces share in a backward pass.
struct Pull<'a> {
    mode: Mode,
    tracked: &'a [bool],
    /// Values of parameters of the whole function; each piece takes its own.
    lent: Vec<Option<DispatchTensor>>,
    gradients: &'a mut dyn FnMut(usize, DispatchTensor),
}

impl Pull<'_> {
    /// Through a piece. The outputs of the last one are those of the whole, and its inputs are
    /// needed nowhere else.
    fn through(
        &mut self,
        piece: &Piece,
        [x, dy]: [Streams; 2],
        inputs: bool,
        whole: Option<&mut dyn FnMut(Streams)>,
    ) -> Option<Streams> {
        let numbers = &piece.numbers;
        let tracked: Vec<bool> = numbers.iter().map(|&number| self.tracked[number]).collect();
        let values = numbers.iter().map(|&number| self.lent[number].take()).collect();
        let again = Again { x, dy, mode: self.mode, inputs, tracked: &tracked, values };
        let gradients = &mut |own: usize, gradient| (self.gradients)(numbers[own], gradient);
        match whole {
            Some(outputs) => piece.layer.pull_given(again, outputs, gradients),
            None => piece.layer.pull(again, &mut drop, gradients),
        }
    }
}

impl Fork {
    /// [`AnyLayer::pull`] of the whole function, whose parameters have these ids.
    pub(super) fn pull(
        &self,
        again: Again,
        ids: &[ParamId],
        outputs: &mut dyn FnMut(Streams),
        gradients: &mut dyn FnMut(usize, DispatchTensor),
    ) -> Option<Streams> {
        let Again { x, dy, mode, inputs, tracked, values } = again;
        let lent = if values.is_empty() { vec![None; ids.len()] } else { values };
        let main: Vec<Piece> = self.main.iter().map(|layer| Piece::of(&**layer, ids)).collect();
        let [other, last] = [&self.other, &self.last].map(|layer| Piece::of(&**layer, ids));
        // Of each piece of the main way its input alone.
        let mut kept = vec![x.clone()];
        for piece in &main {
            let made = piece.run(kept[kept.len() - 1].clone(), mode, &lent);
            kept.push(made);
        }
        let mut both = kept.pop().unwrap_or_default();
        both.extend(other.run(x.clone(), mode, &lent));
        let mut pull = Pull { mode, tracked, lent, gradients };
        let mut d = pull.through(&last, [both, dy], true, Some(outputs))?;
        let aside = vec![d.remove(1)];
        let aside = pull.through(&other, [x, aside], inputs, None);
        for piece in main.iter().rev() {
            let x = kept.pop()?;
            let wanted = inputs || !kept.is_empty();
            d = pull.through(piece, [x, d], wanted, None)?;
        }
        Some(vec![sum(d.remove(0), aside?.remove(0))])
    }
}
