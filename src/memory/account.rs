//! The arithmetic: a step played on the [`Ledger`], operation by operation, without a tensor.

use burn::tensor::Device;

use super::Setting;
use super::head::Head;
use super::ledger::{Ledger, Use};
use super::machine::Machine;
use super::pages::{self, Event, Order, Plan};
use super::plan::plan;
use super::play::Player;
use super::way::Way;
use crate::backend::reversible::Execution;
use crate::backend::{BackendKind, largest_allocation, use_pages};
use crate::error::Result;
use crate::nn::graph::{Graph, Info};
use crate::optim::BYTES;
use crate::train::largest_share;

/// Where the bytes of one training step go, f32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breakdown {
    /// Weights of network and head, with BatchNorm's running statistics. Where weights are held in
    /// 24 bits: what they take during the passes, while nothing computes with them.
    pub weights: usize,
    /// The optimizer's state; of the rank with most of it where ranks divide it.
    pub optimizer: usize,
    /// Gradients of all weights, before the optimizer's step. Where they are released: the most at
    /// one time.
    pub gradients: usize,
    /// Activations kept between the passes.
    pub activations: usize,
    /// The part of them behind each step of the network: name and bytes.
    pub stages: Vec<(String, usize)>,
    /// What the most bytes at one time consist of, beside weights and optimizer.
    pub at_peak: Use,
    /// Where in the step that is.
    pub place: String,
    /// The head's share of activations, at the end of the forward pass and on the way back. Many
    /// classes come in parts, of which it has one at a time.
    pub head: usize,
    /// The most bytes at one time.
    pub peak: usize,
    /// The pages that a GPU backend's allocator reserves for it; none on CPUs.
    pub pages: Option<usize>,
}

impl Breakdown {
    /// The bytes that a device must have: in pages where there are pages.
    pub fn needed(&self) -> usize {
        self.pages.unwrap_or(self.peak)
    }
}

/// Accounts for a step as the default CPU backend runs it.
///
/// # Errors
/// An impossible setting.
pub fn account(setting: &Setting) -> Result<Breakdown> {
    account_on(setting, BackendKind::Flex)
}

/// Accounts for a step as a backend runs it: on CPUs by the default backend's operations, on GPUs
/// by our kernels, which have no columns and make no copies in another order. On CUDA, tensors that
/// Burn allocates have filled-up rows.
///
/// # Errors
/// An impossible setting.
pub fn account_on(setting: &Setting, kind: BackendKind) -> Result<Breakdown> {
    played(setting, kind, usize::MAX).map(|(breakdown, _)| breakdown)
}

/// The pages with which a step on a GPU needs the fewest bytes, if a tensor has `most` bytes at
/// most: the size of a page. Nothing on CPUs.
///
/// # Errors
/// An impossible setting.
pub fn page(setting: &Setting, kind: BackendKind, most: u64) -> Result<Option<u64>> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    played(setting, kind, most).map(|(_, plan)| plan.map(|plan| plan.page as u64))
}

/// Gives a GPU the pages of [`page`]; nothing on CPUs.
///
/// # Errors
/// An impossible setting.
pub fn use_best_pages(setting: &Setting, kind: BackendKind, device: &Device) -> Result<()> {
    let Some(most) = largest_allocation(device) else { return Ok(()) };
    page(setting, kind, most)?.into_iter().for_each(|bytes| use_pages(device, bytes));
    Ok(())
}

/// The largest tensor of a step on a GPU that shares pages, in bytes.
///
/// # Errors
/// An impossible setting.
#[cfg_attr(not(feature = "wgpu-bare"), allow(dead_code, reason = "dry runs tell it"))]
pub(super) fn largest_tensor(setting: &Setting, kind: BackendKind) -> Result<u64> {
    let (_, plan) = played(setting, kind, usize::MAX)?;
    Ok(plan.map_or(0, |plan| plan.largest as u64))
}

fn played(setting: &Setting, kind: BackendKind, most: usize) -> Result<(Breakdown, Option<Plan>)> {
    let (breakdown, plan, _) = played_with_events(setting, kind, most)?;
    Ok((breakdown, plan))
}

/// What CUDA's row pitch adds to a step, in bytes.
#[cfg_attr(not(feature = "wgpu-bare"), allow(dead_code, reason = "dry runs tell it"))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Pitch {
    /// To the most in use.
    pub in_use: u64,
    /// To what is reserved.
    pub reserved: u64,
    /// A page that is planned with it.
    pub page: u64,
}

impl Pitch {
    /// Rows are not filled up.
    pub const NONE: Self = Self { in_use: 0, reserved: 0, page: 1 };
}

/// What CUDA's row pitch adds to a step, if a tensor has `most` bytes at most.
///
/// # Errors
/// An impossible setting.
#[cfg_attr(not(feature = "wgpu-bare"), allow(dead_code, reason = "dry runs tell it"))]
pub(super) fn pitch(setting: &Setting, most: u64) -> Result<Pitch> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let (filled, plan, filled_events) = played_with_events(setting, BackendKind::Cuda, most)?;
    let (plain, _, events) = played_with_events(setting, BackendKind::Wgpu, most)?;
    let reserved = |events: &[Event]| plan.map_or(0, |plan| plan.reserved_of(events));
    Ok(Pitch {
        in_use: filled.peak.saturating_sub(plain.peak) as u64,
        reserved: reserved(&filled_events).saturating_sub(reserved(&events)) as u64,
        page: plan.map_or(1, |plan| plan.page as u64),
    })
}

fn played_with_events(
    setting: &Setting,
    kind: BackendKind,
    most: usize,
) -> Result<(Breakdown, Option<Plan>, Vec<Event>)> {
    setting.check()?;
    if Machine::of(kind).is_gpu() {
        setting.weights.check_gpu()?;
    }
    let graph = setting.arch.graph(setting.frames)?;
    if setting.execution == Some(Execution::Checkpointed) {
        let spans = plan(setting, kind)?.spans;
        let ways = spans.iter().map(Way::of).collect();
        return Ok(played_in(setting, kind, most, &graph.in_spans(&spans), ways));
    }
    let way = if setting.is_reversible() { Way::Recomputed } else { Way::Kept };
    let ways = vec![way; graph.steps.len()];
    Ok(played_in(setting, kind, most, &graph, ways))
}

/// The account of a possible step whose network walks through these steps, and what becomes of
/// each.
pub(super) fn account_in(
    setting: &Setting,
    kind: BackendKind,
    graph: &Graph,
    ways: Vec<Way>,
) -> Breakdown {
    played_in(setting, kind, usize::MAX, graph, ways).0
}

/// What plays the step.
pub(super) fn player<'g>(
    setting: &'g Setting,
    kind: BackendKind,
    graph: &'g Graph,
    ways: Vec<Way>,
) -> Player<'g> {
    Player {
        graph,
        ledger: Ledger::default(),
        batch: setting.batch,
        machine: Machine::of(kind),
        reversible: setting.is_reversible(),
        ways,
        stages: Vec::new(),
        tapes: Vec::new(),
        release: setting.release_gradients.then_some(&setting.optimizer),
        packed: !setting.weights.is_default(),
    }
}

fn played_in(
    setting: &Setting,
    kind: BackendKind,
    most: usize,
    graph: &Graph,
    ways: Vec<Way>,
) -> (Breakdown, Option<Plan>, Vec<Event>) {
    let mut step = player(setting, kind, graph, ways);
    let machine = step.machine;
    let head = Head::of(setting.batch, setting.speakers, setting.arch.embedding_dim, machine);
    let layers = graph.nodes.iter().map(|node| graph.node_parameters(node));
    let tensors: Vec<usize> =
        std::iter::once(head.weights / 4).chain(layers.filter(|&n| n > 0)).collect();
    let statistics: usize = graph.tensors.iter().filter(|t| !t.trained).map(Info::elements).sum();
    let parameters = 4 * tensors.iter().sum::<usize>();
    let held = step.step(head);
    let optimizer = largest_share(&setting.optimizer, &tensors, setting.shards);
    let packed = step.packed;
    let saved = if packed { (4 - BYTES) * parameters / 4 } else { 0 };
    let resident = parameters - saved + 4 * statistics;
    let order = if setting.is_reversible() { Order::Known } else { Order::Loose };
    let plan = machine.is_gpu().then(|| pages::plan(&step.ledger.events, order, most));
    let pages = plan.map(|plan| {
        let kept = pages::lasting(step.ledger.lasting.iter().copied());
        resident + optimizer + kept + plan.reserved
    });
    let (gradients, at_the_end) = match setting.release_gradients {
        true => (step.ledger.most_gradients, step.ledger.now.gradients),
        false => (parameters, parameters),
    };
    // The optimizer's step behind the backward pass: all gradients that are left, and on CPUs one
    // tensor's new values at a time.
    let workspace = machine.step_scratch(&setting.optimizer, tensors.iter().copied());
    let last = Use { gradients: at_the_end, activations: 0, workspace };
    // Before and behind the passes weights are in f32, but for the last one on its way.
    let largest = tensors.iter().max().copied().unwrap_or(0);
    let between = saved + if packed { BYTES * largest } else { 0 };
    let between = Use { workspace: between, ..Use::default() };
    let mut peak = (step.ledger.peak, step.ledger.place);
    for (other, place) in [(last, "optimizer"), (between, "weights")] {
        if other.total() > peak.0.total() {
            peak = (other, place.to_owned());
        }
    }
    let (at_peak, place) = peak;
    let breakdown = Breakdown {
        weights: resident,
        optimizer,
        gradients,
        activations: held,
        stages: step.stages,
        at_peak,
        place,
        head: head.activations,
        peak: resident + optimizer + at_peak.total(),
        pages,
    };
    (breakdown, plan, step.ledger.events)
}
