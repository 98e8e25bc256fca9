//! Multi-stage fine-tuning (arXiv 2406.05359): quantizes one group of layers after another, with
//! training in between. We do not know which order the paper uses.

use std::collections::HashMap;

use super::Plan;
use super::config::Order;

/// Distributes a plan's tensors over stages, equally many to each. `names` are those of the
/// network's tensors in the order of [`Graph::tensors`](crate::nn::Graph::tensors); `costs` are the
/// perturbations at the planned bits, by name.
pub fn assign(
    plan: &mut Plan,
    order: Order,
    stages: usize,
    names: &[String],
    costs: &HashMap<String, f64>,
) {
    let mut sorted: Vec<&String> = names.iter().filter(|n| plan.contains_key(*n)).collect();
    // Sorting is stable: tensors that compare equal stay in the order of `names`.
    match order {
        Order::Front => {}
        Order::Bits => sorted.sort_by_key(|n| std::cmp::Reverse(plan[*n].scheme.bits)),
        Order::Sensitivity => sorted.sort_by(|a, b| costs[*b].total_cmp(&costs[*a])),
    }
    let count = sorted.len();
    for (i, name) in sorted.into_iter().enumerate() {
        plan.get_mut(name).expect("taken from the plan").stage = i * stages.min(count) / count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{Planned, TensorScheme};

    #[test]
    fn each_order_is_what_it_says() {
        let bits = [("a", 2, 0.5), ("b", 8, 0.1), ("c", 4, 0.9), ("d", 2, 0.7)];
        let names: Vec<String> = bits.iter().map(|b| b.0.to_owned()).collect();
        let costs = bits.iter().map(|b| (b.0.to_owned(), b.2)).collect();
        let stages = |order, stages| {
            let planned = |b: &(&str, usize, f64)| Planned {
                shape: vec![4, 4],
                scheme: TensorScheme::kmeans(b.1),
                stage: 0,
            };
            let mut plan: Plan = bits.iter().map(|b| (b.0.to_owned(), planned(b))).collect();
            assign(&mut plan, order, stages, &names, &costs);
            plan.values().map(|p| p.stage).collect::<Vec<_>>()
        };
        assert_eq!(stages(Order::Front, 2), [0, 0, 1, 1]);
        assert_eq!(stages(Order::Bits, 2), [1, 0, 0, 1]);
        assert_eq!(stages(Order::Sensitivity, 2), [1, 1, 0, 0]);
        assert_eq!(stages(Order::Sensitivity, 4), [2, 3, 0, 1]);
        assert_eq!(stages(Order::Front, 9), [0, 1, 2, 3]);
        assert_eq!(stages(Order::Front, 1), [0; 4]);
    }
}
