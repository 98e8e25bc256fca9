//! The pages of CubeCL's allocator, by arithmetic.
//!
//! CubeCL reserves memory in pages of one size and cuts tensors out of them. The size follows the
//! largest tensor so far: one MiB more, in whole MiB. Small tensors have pages of their own. A
//! tensor takes the first free place that is large enough; neighbouring free places become one; a
//! page is kept once it is reserved. Source: `dynamic/adaptive.rs`, `dynamic/arena.rs` and
//! `memory_pool` of cubecl-server 0.11.3, in their default configuration.

mod pool;

use std::collections::HashMap;

use pool::Pool;

const MIB: usize = 1 << 20;
/// The largest tensor that counts as small.
const SMALL: usize = 64 << 10;
/// A page for small tensors.
const SMALL_PAGE: usize = 8 * MIB;
/// The smallest page for others.
const SMALLEST: usize = 2 * MIB;
/// Every tensor begins at a multiple of so many bytes (CUDA's; other backends have 256 or less).
const ALIGNMENT: usize = 512;

/// A change of the memory in use. Buffers are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A buffer is made.
    Take { buffer: usize, bytes: usize },
    /// A buffer is not used any more.
    Give { buffer: usize },
}

/// Pages for a step, and what they come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Bytes of a page.
    pub page: usize,
    /// Those of them that the plan fills; the rest is spare.
    size: usize,
    order: Order,
    /// Bytes of all pages that the step needs.
    pub reserved: usize,
    /// Bytes of the largest tensor in them.
    pub largest: usize,
}

/// Parts of a page that a plan leaves free, so that a step that runs a little otherwise needs no
/// further page.
const SPARE: usize = 64;
/// What tensors may take more than the events say: so many parts of their bytes.
const MORE: usize = 20;
/// Where the order is known, a plan that holds with larger tensors may need one part in so many
/// more than the least one. A further page would cost more.
const NEAR: usize = 16;

/// How well events tell what a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Tensors are freed where the events say: reversible bodies are nodes of ours.
    Known,
    /// Burn's tape holds some tensors a little longer, and a few more of them.
    Loose,
}

/// The page size with which these events, one after another, need the fewest bytes. Pages have
/// `most` bytes at most.
///
/// CubeCL's own choice, the largest tensor, leaves a page half empty wherever a smaller tensor
/// lives long. Few large pages have room for both. The page is the one that needs the fewest bytes
/// in the worst of several sizes of tensors and, where the order is loose, of several orders.
pub(super) fn plan(events: &[Event], order: Order, most: usize) -> Plan {
    let largest = largest(events);
    let own = page(largest);
    let peak = peak(events);
    let late = late(events);
    let [more, late_and_more] = [larger(events), larger(&late)];
    let few = (1..=8).flat_map(|pages| (0..=12).map(move |more| (pages, more)));
    let sizes = few.map(|(pages, more)| {
        let size = (peak / pages + peak / pages * more / 50).next_multiple_of(MIB);
        (size, size + size / SPARE)
    });
    let fits = |&(size, page): &(usize, usize)| size > own && page <= most;
    let plans = sizes.filter(fits).chain([(own, own)]).map(|(size, page)| {
        let (mut told, mut worst) = (count(events, size), count(&more, page));
        if order == Order::Loose {
            told = told.max(count(&late, size));
            worst = worst.max(count(&late_and_more, page));
        }
        let plan = Plan { page, size, order, reserved: page * told, largest };
        (page * told.max(worst), plan)
    });
    let mut plans: Vec<(usize, Plan)> = plans.collect();
    if order == Order::Known {
        let least = plans.iter().map(|(_, plan)| plan.reserved).min().unwrap_or(0);
        plans.retain(|(_, plan)| plan.reserved <= least + least / NEAR);
    }
    let least = plans.into_iter().min_by_key(|(worst, plan)| (*worst, plan.reserved, plan.page));
    let (_, plan) = least.expect("CubeCL's own choice is one");
    Plan { reserved: plan.reserved + SMALL_PAGE * small(events), ..plan }
}

impl Plan {
    /// Bytes of all its pages that other events need.
    #[cfg_attr(not(feature = "wgpu-bare"), allow(dead_code, reason = "dry runs tell it"))]
    pub fn reserved_of(&self, events: &[Event]) -> usize {
        let late = match self.order {
            Order::Known => Vec::new(),
            Order::Loose => late(events),
        };
        let pages = count(events, self.size).max(count(&late, self.size));
        self.page * pages + SMALL_PAGE * small(events)
    }
}

/// The same events, each tensor freed behind the next one that is made.
fn late(events: &[Event]) -> Vec<Event> {
    let (mut late, mut freed) = (Vec::with_capacity(events.len()), Vec::new());
    for &event in events {
        match event {
            Event::Take { .. } => {
                late.push(event);
                late.append(&mut freed);
            }
            Event::Give { .. } => freed.push(event),
        }
    }
    late.append(&mut freed);
    late
}

/// The same events with larger tensors. The largest ones stay: they would not fit CubeCL's pages.
fn larger(events: &[Event]) -> Vec<Event> {
    let most = largest(events);
    let larger = |&event: &Event| match event {
        Event::Take { buffer, bytes } if bytes > SMALL => {
            Event::Take { buffer, bytes: (bytes + bytes / MORE).min(most) }
        }
        other => other,
    };
    events.iter().map(larger).collect()
}

/// Bytes of tensors that have memory of their own.
pub(super) fn lasting(tensors: impl IntoIterator<Item = usize>) -> usize {
    tensors.into_iter().map(|bytes| bytes.next_multiple_of(ALIGNMENT)).sum()
}

/// Tensors that share pages, in their order.
fn taken(events: &[Event]) -> impl Iterator<Item = usize> {
    events.iter().filter_map(|event| match event {
        Event::Take { bytes, .. } => Some(*bytes),
        Event::Give { .. } => None,
    })
}

fn largest(events: &[Event]) -> usize {
    taken(events).max().unwrap_or(0)
}

/// The most bytes of tensors that are not small, at one time.
fn peak(events: &[Event]) -> usize {
    let (mut now, mut most, mut sizes) = (0, 0, HashMap::new());
    for &event in events {
        match event {
            Event::Take { buffer, bytes } if bytes > SMALL => {
                now += bytes.next_multiple_of(ALIGNMENT);
                most = most.max(now);
                sizes.insert(buffer, bytes.next_multiple_of(ALIGNMENT));
            }
            Event::Take { .. } => (),
            Event::Give { buffer } => now -= sizes.remove(&buffer).unwrap_or(0),
        }
    }
    most
}

/// Pages of this size that tensors need which are not small.
fn count(events: &[Event], size: usize) -> usize {
    filled(events, size, |bytes| bytes > SMALL)
}

/// Pages of small tensors.
fn small(events: &[Event]) -> usize {
    filled(events, SMALL_PAGE, |bytes| bytes <= SMALL)
}

fn filled(events: &[Event], size: usize, mine: impl Fn(usize) -> bool) -> usize {
    let mut pool = Pool::new(size);
    for &event in events {
        match event {
            Event::Take { buffer, bytes } if mine(bytes) => pool.take(buffer, bytes),
            Event::Take { .. } => (),
            Event::Give { buffer } => pool.give(buffer),
        }
    }
    pool.count()
}

/// The size of pages that serve tensors of so many bytes and smaller ones.
fn page(largest: usize) -> usize {
    match largest.next_multiple_of(ALIGNMENT) <= SMALLEST {
        true => SMALLEST,
        false => (largest + MIB).next_multiple_of(MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(buffer: usize, mib: usize) -> Event {
        Event::Take { buffer, bytes: mib * MIB }
    }

    fn give(buffer: usize) -> Event {
        Event::Give { buffer }
    }

    #[test]
    fn pages_follow_the_largest_tensor() {
        assert_eq!([0, 1, 2].map(|mib| page(mib * MIB)), [2 * MIB; 3]);
        // A byte more than a page of two MiB holds.
        assert_eq!(page(2 * MIB + 1), 4 * MIB);
        assert_eq!(page(10 * MIB), 11 * MIB);
        // Small tensors do not share pages with others.
        assert_eq!((count(&[take(0, 10)], 11 * MIB), small(&[take(0, 10)])), (1, 0));
        let tiny = [Event::Take { buffer: 0, bytes: SMALL }];
        assert_eq!((count(&tiny, 11 * MIB), small(&tiny)), (0, 1));
    }

    #[test]
    fn free_neighbours_become_one_place() {
        let mut events = vec![take(0, 4), take(1, 4), take(2, 11)];
        assert_eq!(count(&events, 12 * MIB), 2);
        events.extend([give(0), give(1), take(3, 12)]);
        assert_eq!(count(&events, 13 * MIB), 2, "a page of 13 MiB was free as a whole");
        // The other way round too, and between two free places.
        let events = [
            take(0, 4),
            take(1, 4),
            take(2, 4),
            give(2),
            give(0),
            give(1),
            take(3, 12),
            give(3),
            take(4, 12),
        ];
        assert_eq!(count(&events, 13 * MIB), 1);
    }

    #[test]
    fn a_tensor_in_use_divides_its_page() {
        let events = [take(0, 2), take(1, 1), take(2, 2), give(0), give(2), take(3, 4)];
        assert_eq!(count(&events, 5 * MIB), 2, "4 MiB are free in two places, not in one");
        let events = [take(0, 2), take(1, 1), take(2, 2), give(0), give(2), give(1), take(3, 4)];
        assert_eq!(count(&events, 5 * MIB), 1);
    }

    /// A small tensor that lives long keeps CubeCL's own pages from serving large ones.
    #[test]
    fn a_plan_is_never_worse_than_the_largest_tensor() {
        let events = [take(0, 10), take(1, 100), take(2, 100), give(1), take(3, 100)];
        let own = page(100 * MIB) * count(&events, page(100 * MIB));
        let free = plan(&events, Order::Known, usize::MAX);
        assert!(free.reserved < own && free.page > 101 * MIB, "{free:?} {own}");
        assert_eq!(count(&events, free.page) * free.page, free.reserved);
        // A card that allocates no more than the largest tensor leaves no choice.
        let largest = 100 * MIB;
        let size = 101 * MIB;
        let order = Order::Known;
        let limited = Plan { page: size, size, order, reserved: own, largest };
        assert_eq!(plan(&events, Order::Known, 101 * MIB), limited);
        let (size, order) = (2 * MIB, Order::Loose);
        let nothing = Plan { page: size, size, order, reserved: 0, largest: 0 };
        assert_eq!(plan(&[], Order::Loose, usize::MAX), nothing);
    }

    /// Pages that are just large enough would need another one if a tensor were freed later.
    #[test]
    fn a_loose_plan_holds_in_another_order() {
        let mut events = Vec::new();
        for i in 0..20 {
            events.extend([take(2 * i, 90), take(2 * i + 1, 30), give(2 * i)]);
        }
        let pages = |events: &[Event], plan: Plan| plan.page * count(events, plan.page);
        let late = late(&events);
        assert_eq!(late.len(), events.len());
        let [known, loose] =
            [Order::Known, Order::Loose].map(|order| plan(&events, order, usize::MAX));
        assert!(pages(&late, loose) <= loose.reserved, "{loose:?}");
        assert!(pages(&late, loose) < pages(&late, known), "{loose:?} {known:?}");
        assert!(pages(&larger(&late), loose) <= loose.reserved, "{loose:?}");
    }
}
