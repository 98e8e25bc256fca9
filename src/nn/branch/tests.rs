use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::backend::Again;
use crate::nn::names_and_shapes;
use crate::nn::pulled::{Pulled, bits};
use crate::rng::Stream;

const WIDTH: usize = 6;

fn branch(kind: BranchKind, seed: u64) -> Branch {
    let inner = kind.channels(4).0;
    Branch::new(Init::new(&Device::default(), seed), kind, Order::PreActivation, WIDTH, inner)
}

fn noise(seed: u64) -> Tensor<4> {
    let mut stream = Stream::new(seed, "branch", &[]);
    let shape = [3, WIDTH, 8, 10];
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

/// `frozen` parameters have no gradient; the others of a lender are in the place of the branch's
/// own.
fn pulled(branch: &Branch, inputs: bool, frozen: &str, lender: Option<&Branch>) -> Pulled {
    let names = names_and_shapes(branch);
    let is_tracked = |name: &str| !name.contains("running") && !name.contains(frozen);
    let tracked: Vec<bool> = names.iter().map(|(name, _)| is_tracked(name)).collect();
    let values = lender.map_or_else(Vec::new, |lender| {
        let all = AnyLayer::parameters(lender);
        all.into_iter().zip(&tracked).map(|(value, &lent)| lent.then_some(value)).collect()
    });
    let (x, dy) = (vec![noise(1)], vec![noise(2)]);
    let again = Again { x, dy, mode: Mode::Train, inputs, tracked: &tracked, values };
    let (mut output, mut parameters) = (Vec::new(), Vec::new());
    let dx = AnyLayer::pull(
        branch,
        again,
        &mut |mut y: Vec<Tensor<4>>| output = bits(y.remove(0).into_dispatch(), 4),
        &mut |number: usize, gradient| {
            parameters.push((number, bits(gradient, names[number].1.len())));
        },
    );
    parameters.sort_unstable();
    let input = dx.map(|mut dx| bits(dx.remove(0).into_dispatch(), 4));
    Pulled { output, input, parameters }
}

/// The gradients of pieces are those of the whole, to the bit, with own parameters, with some that
/// have no gradients, and with those that someone else lends. Running statistics stay.
#[test]
fn pieces_give_the_gradients_of_the_whole() {
    for kind in [BranchKind::Basic, BranchKind::Bottleneck, BranchKind::Inverted] {
        let (own, other) = (branch(kind, 1), branch(kind, 2).in_pieces());
        let names = names_and_shapes(&own);
        let state = || {
            let values = AnyLayer::parameters(&own).into_iter().zip(&names);
            values.map(|(value, (_, shape))| bits(value, shape.len())).collect::<Vec<_>>()
        };
        let before = state();
        for inputs in [true, false] {
            let lent = pulled(&other, inputs, "none", Some(&own));
            assert!(lent == pulled(&own, inputs, "none", None), "{kind:?}, lent, inputs {inputs}");
            for frozen in ["none", "convs.0", "convs", "norms.1.bias"] {
                let whole = pulled(&own, inputs, frozen, None);
                let pieces = own.clone().in_pieces();
                let case = format!("{kind:?}, inputs {inputs}, without {frozen}");
                assert!(pulled(&pieces, inputs, frozen, None) == whole, "{case}");
                assert_eq!(whole.input.is_some(), inputs);
                let missing = names.iter().filter(|(name, _)| name.contains(frozen)).count();
                let all = 3 * own.convs.len();
                assert_eq!(whole.parameters.len(), all - missing, "{case}");
            }
        }
        assert!(state() == before, "{kind:?}: parameters or statistics have moved");
    }
}

/// Others are differentiated as a whole.
#[test]
fn only_what_was_asked_for_comes_in_pieces() {
    let plain = branch(BranchKind::Inverted, 1);
    assert!(Part::pieces(&plain).is_none());
    let Some(Pieces::Series(pieces)) = Part::pieces(&plain.clone().in_pieces()) else {
        panic!("a series")
    };
    assert_eq!(pieces.len(), 3);
    let init = Init::new(&Device::default(), 1);
    let order = Order::PostActivation;
    let other = Branch::new(init, BranchKind::Inverted, order, WIDTH, 16).in_pieces();
    assert!(Part::pieces(&other).is_none());
}
