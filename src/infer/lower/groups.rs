//! Which nodes run as one step: a layer, the BatchNorm behind it, a sum, and ReLU.

use super::planes::is_vector;
use crate::nn::graph::{Graph, Op, Value};
use crate::nn::{Combine, Map};

/// How a node runs.
pub(super) enum Role {
    /// As a step of its own.
    Alone,
    /// Within the step of a later node. Nobody else reads what it makes.
    Inside,
    /// As the last of a group, which runs in its place: all that the group reads is there then.
    Last(Group),
}

/// Nodes that run as one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::infer) struct Group {
    /// The layer: a convolution, a linear layer, or BatchNorm alone.
    pub layer: usize,
    /// The BatchNorm layer: the one behind the layer, or the layer itself.
    pub norm: Option<usize>,
    /// What is added.
    pub add: Option<Value>,
    /// Whether ReLU is last.
    pub relu: bool,
}

/// The role of each node.
pub(super) fn roles(graph: &Graph, compact: &[bool]) -> Vec<Role> {
    let count = graph.nodes.len();
    let mut readers = vec![Vec::new(); count + 1];
    for (n, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|value| readers[value.0].push(n));
    }
    // Whoever runs the network reads the embedding.
    readers[graph.output.0].push(count);
    let grouping = Grouping { graph, compact, readers };
    let mut roles: Vec<Role> = (0..count).map(|_| Role::Alone).collect();
    for n in 0..count {
        if let Role::Alone = roles[n]
            && let Some((group, members)) = grouping.begin(n, &roles)
        {
            let last = members.last().copied().unwrap_or(n);
            roles[n] = Role::Inside;
            members.into_iter().for_each(|member| roles[member] = Role::Inside);
            roles[last] = Role::Last(group);
        }
    }
    roles
}

struct Grouping<'a> {
    graph: &'a Graph,
    compact: &'a [bool],
    /// The nodes that read each value.
    readers: Vec<Vec<usize>>,
}

impl Grouping<'_> {
    /// The group that begins with a layer, and its other nodes.
    fn begin(&self, layer: usize, roles: &[Role]) -> Option<(Group, Vec<usize>)> {
        let node = &self.graph.nodes[layer];
        let mut group = Group { layer, norm: None, add: None, relu: false };
        let mut members = Vec::new();
        let mut last = layer;
        match node.op {
            Op::Norm { relu, .. } => (group.norm, group.relu) = (Some(layer), relu),
            Op::Conv1d(_) | Op::Conv2d(_) | Op::Linear => {
                if let Some(next) = self.next(last, roles)
                    && let Op::Norm { relu, .. } = self.graph.nodes[next].op
                {
                    (group.norm, group.relu, last) = (Some(next), relu, next);
                    members.push(next);
                }
                let adds = !group.relu && !is_vector(self.graph, self.compact, node);
                if adds
                    && let Some(next) = self.next(last, roles)
                    && let Some(other) = self.added(last, next)
                {
                    (group.add, last) = (Some(other), next);
                    members.push(next);
                }
            }
            _ => return None,
        }
        if !group.relu
            && let Some(next) = self.next(last, roles)
            && let Op::Map(Map::Relu) = self.graph.nodes[next].op
        {
            group.relu = true;
            members.push(next);
        }
        Some((group, members))
    }

    /// The only reader of what a node makes, if no group has it.
    fn next(&self, node: usize, roles: &[Role]) -> Option<usize> {
        let [only] = self.readers[node + 1][..] else { return None };
        matches!(roles.get(only)?, Role::Alone).then_some(only)
    }

    /// What the node `sum` adds to what another one makes, if it is a sum of values of one layout.
    fn added(&self, node: usize, sum: usize) -> Option<Value> {
        let made = Value(node + 1);
        let Op::Combine(Combine::Add) = self.graph.nodes[sum].op else { return None };
        let [a, b] = self.graph.nodes[sum].inputs[..] else { return None };
        let other = if a == made { b } else { a };
        let fits = self.graph.size(other) == self.graph.size(made) && !self.compact[other.0];
        fits.then_some(other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::planes::compact;
    use super::*;
    use crate::zoo::Architecture;

    fn groups(name: &str) -> (usize, Vec<Group>) {
        let graph = Architecture::named(name).unwrap().layout().unwrap();
        let roles = roles(&graph, &compact(&graph));
        let alone = roles.iter().filter(|role| matches!(role, Role::Alone)).count();
        let last = |role| match role {
            Role::Last(group) => Some(group),
            Role::Alone | Role::Inside => None,
        };
        (alone, roles.into_iter().filter_map(last).collect())
    }

    /// ResNet34 has 36 convolutions and a linear layer; all but reshaping and pooling is in them.
    #[test]
    fn a_resnet_is_convolutions_alone() {
        let (alone, groups) = groups("resnet34");
        assert_eq!((alone, groups.len()), (2, 37));
        let convolutions = &groups[..36];
        assert!(convolutions.iter().all(|group| group.norm.is_some()));
        assert_eq!(convolutions.iter().filter(|group| group.add.is_some()).count(), 16);
        // Projections have none.
        assert_eq!(convolutions.iter().filter(|group| group.relu).count(), 33);
    }

    /// The layer in front of ECAPA's BatchNorm is behind ReLU, which no factor passes.
    #[test]
    fn what_is_behind_relu_is_not_folded() {
        let (_, groups) = groups("ecapa-tdnn-512");
        let alone = groups.iter().filter(|group| group.norm == Some(group.layer)).count();
        assert!(alone > 20, "{alone}");
        assert!(groups.iter().all(|group| !group.relu || group.norm.is_none()));
    }
}
