//! Pieces one after the other: of all activations those of one piece are there at a time, and no
//! output of a piece but the last one's is made on a tape. For that, pieces in front run once more
//! for each piece behind them.

use burn::backend::DispatchTensor;
use burn::module::ParamId;

use super::layer::{Again, AnyLayer, Streams};
use super::piece::{Piece, Pull};

/// [`AnyLayer::pull`] of a function in pieces, whose parameters have these ids.
pub(super) fn pull(
    pieces: &[Box<dyn AnyLayer>],
    again: Again,
    ids: &[ParamId],
    outputs: &mut dyn FnMut(Streams),
    gradients: &mut dyn FnMut(usize, DispatchTensor),
) -> Option<Streams> {
    let Again { x, dy, mode, inputs, tracked, values } = again;
    let pieces: Vec<Piece> = pieces.iter().map(|layer| Piece::of(&**layer, ids)).collect();
    let (last, before) = pieces.split_last()?;
    let mut pull = Pull::new(mode, tracked, values, gradients);
    let behind = |pull: &Pull, pieces: &[Piece]| {
        pieces.iter().fold(x.clone(), |x, piece| pull.run(piece, x))
    };
    let input = behind(&pull, before);
    let wanted = inputs || !before.is_empty();
    let mut d = pull.through(last, [input, dy], wanted, Some(outputs))?;
    for (i, piece) in before.iter().enumerate().rev() {
        let input = behind(&pull, &before[..i]);
        d = pull.through(piece, [input, d], inputs || i > 0, None)?;
    }
    Some(d)
}
