//! Two ways through a function, in pieces.

use burn::backend::DispatchTensor;
use burn::module::ParamId;

use super::grid::sum;
use super::layer::{Again, AnyLayer, Streams};
use super::piece::{Piece, Pull};

/// A function of one stream with two ways through it, `last(main(x), other(x))`. Each piece makes
/// one stream.
pub struct Fork {
    /// Functions of one stream, one after the other.
    pub main: Vec<Box<dyn AnyLayer>>,
    /// A function of one stream.
    pub other: Box<dyn AnyLayer>,
    /// A function of both: of what `main` makes, and of what `other` makes.
    pub last: Box<dyn AnyLayer>,
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
        let main: Vec<Piece> = self.main.iter().map(|layer| Piece::of(&**layer, ids)).collect();
        let [other, last] = [&self.other, &self.last].map(|layer| Piece::of(&**layer, ids));
        let mut pull = Pull::new(mode, tracked, values, gradients);
        // Of each piece of the main way its input alone.
        let mut kept = vec![x.clone()];
        for piece in &main {
            let made = pull.run(piece, kept[kept.len() - 1].clone());
            kept.push(made);
        }
        let mut both = kept.pop().unwrap_or_default();
        both.extend(pull.run(&other, x.clone()));
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
