//! The passes from range to range of classes, without a tape around them.

use std::fmt::Debug;
use std::ops::Range;

use burn::tensor::{Int, Tensor};

use crate::backend::columns::{add_at, pick};
use crate::backend::reversible::{in_order, root};

/// Which examples have their own class in a range.
#[derive(Debug, Clone)]
pub struct Own {
    /// The own class, counted from the start of the range; any class of the range for examples
    /// whose own class is elsewhere. `[batch, 1]`.
    pub at: Tensor<2, Int>,
    /// 1 where the own class is in the range, else 0. `[batch, 1]`.
    pub here: Tensor<2>,
}

/// Both for the classes of a range.
#[derive(Debug, Clone)]
pub struct Scored {
    /// What the loss is computed from, `[batch, range]`.
    pub logits: Tensor<2>,
    /// What tells the most likely class, `[batch, range]`.
    pub scores: Tensor<2>,
}

/// Makes logits. It must be differentiable on Burn's tape, and give the same values again.
pub trait Logits: Clone + Debug + Send + 'static {
    /// Inputs `[batch, dim]` and the weights of a range of classes, `[rows, dim]`, give the logits
    /// of these classes.
    fn logits(&self, x: Tensor<2>, weight: Tensor<2>, own: &Own) -> Scored;
}

/// What a loss is over.
#[derive(Debug, Clone)]
pub struct Classes<L> {
    /// Makes the logits.
    pub logits: L,
    /// The own class of each example, `[batch]`, without a tape.
    pub labels: Tensor<1, Int>,
    /// Rows of weights that a class has.
    pub rows: usize,
    /// Classes at a time.
    pub part: usize,
}

impl<L> Classes<L> {
    /// The ranges of classes.
    fn ranges(&self, weight: &Tensor<2>) -> impl Iterator<Item = Range<usize>> + use<L> {
        let (all, part) = (weight.dims()[0] / self.rows, self.part.max(1));
        (0..all).step_by(part).map(move |start| start..all.min(start + part))
    }

    /// The weights of a range.
    fn weights(&self, weight: &Tensor<2>, range: &Range<usize>) -> Tensor<2> {
        weight.clone().narrow(0, self.rows * range.start, self.rows * range.len())
    }

    fn own(&self, range: &Range<usize>) -> Own {
        let at = self.labels.clone().sub_scalar(range.start as i64).unsqueeze_dim::<2>(1);
        let within = at.clone().clamp(0i64, range.len() as i64 - 1);
        Own { here: within.clone().equal(at).float(), at: within }
    }
}

/// What the forward pass finds.
pub(super) struct Found {
    /// The mean loss, `[1]`.
    pub loss: Tensor<1>,
    /// How many examples have their own class's score as the highest, `[1]`.
    pub right: Tensor<1>,
    /// The logarithm of the sum of all exponentials, `[batch, 1]`.
    pub sums: Tensor<2>,
}

/// `log(sum(exp(x)))` of each row, `[batch, 1]`, without overflow.
fn log_sum(x: Tensor<2>) -> Tensor<2> {
    let most = x.clone().max_dim(1);
    (x - most.clone()).exp().sum_dim(1).log() + most
}

/// Loss and sums of inputs `[batch, dim]` and weights `[rows, dim]`.
pub(super) fn forward<L: Logits>(x: &Tensor<2>, weight: &Tensor<2>, of: &Classes<L>) -> Found {
    let [batch, _] = x.dims();
    // Of each range, `[batch, 1]`.
    let (mut sums, mut targets, mut best, mut places) = (vec![], vec![], vec![], vec![]);
    for range in of.ranges(weight) {
        let own = of.own(&range);
        let Scored { logits, scores } =
            of.logits.logits(x.clone(), of.weights(weight, &range), &own);
        let (score, place) = scores.max_dim_with_indices(1);
        best.push(score);
        places.push(place.add_scalar(range.start as i64));
        targets.push(pick(logits.clone(), own.at) * own.here);
        sums.push(log_sum(logits));
        in_order(Some(&x.device()));
    }
    let sums = log_sum(Tensor::cat(sums, 1));
    let target = Tensor::cat(targets, 1).sum_dim(1);
    // Of equal scores the first counts, as it does among all classes at once.
    let (_, range) = Tensor::cat(best, 1).max_dim_with_indices(1);
    // As floats, which are exact for numbers of classes.
    let place = pick(Tensor::cat(places, 1).float(), range).reshape([batch]);
    Found {
        loss: (sums.clone() - target).mean(),
        right: place.equal(of.labels.clone().float()).float().sum(),
        sums,
    }
}

/// A tensor of the private tape.
fn leaf(x: Tensor<2>, wanted: bool) -> Tensor<2> {
    match wanted {
        true => x.autodiff().require_grad(),
        false => x.autodiff(),
    }
}

/// The gradients of inputs and weights, where wanted, from the sums and the gradient `[1]` of the
/// mean loss.
pub(super) fn backward<L: Logits>(
    x: &Tensor<2>,
    weight: &Tensor<2>,
    of: &Classes<L>,
    sums: &Tensor<2>,
    dy: Tensor<1>,
    wanted: [bool; 2],
) -> [Option<Tensor<2>>; 2] {
    let [batch, dim] = x.dims();
    let each = dy.reshape([1, 1]) / batch as f64;
    let mut dx: Option<Tensor<2>> = None;
    // Every row is written below. On CPUs Burn's zeros take the memory twice for a moment.
    let mut dweight = wanted[1].then(|| weight.clone().mul_scalar(0.0));
    for range in of.ranges(weight) {
        let own = of.own(&range);
        let inputs = leaf(x.clone(), wanted[0]);
        let weights = leaf(of.weights(weight, &range), wanted[1]);
        let logits = of.logits.logits(inputs.clone(), weights.clone(), &own).logits;
        // The softmax, less 1 for the own class.
        let share = (logits.clone().inner() - sums.clone()).exp();
        let share = add_at(share, own.at, own.here.neg());
        let mut found = root(logits, share * each.clone()).backward();
        if let Some(more) = inputs.grad_remove(&mut found) {
            dx = Some(match dx {
                None => more,
                Some(sum) => sum + more,
            });
        }
        let rows = of.rows * range.start..of.rows * range.end;
        dweight = dweight.map(|all| match weights.grad_remove(&mut found) {
            Some(part) => all.slice_assign([rows, 0..dim], part),
            None => all,
        });
        in_order(Some(&x.device()));
    }
    [dx, dweight]
}
