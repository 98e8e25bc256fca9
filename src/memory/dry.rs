//! Dry runs: training steps of the user's size without a GPU's memory.
//!
//! CubeCL's dry run makes every kernel and drops its launch, and reserves pages that are never
//! mapped. So the allocator goes through the same sequence of requests as on a card, and says what
//! it would have reserved. The device is wgpu's that executes nothing, with the alignment and the
//! limits of the backend that is planned for.
//!
//! What CUDA does otherwise:
//!
//! * Its tensors' rows have a pitch. Kernels of ours take none; what Burn allocates (pooling, head,
//!   loss) has it. What that adds to the bytes in use, and how many pages more, is arithmetic.
//! * One allocation takes a quarter of the card at most ([`Card::largest`]).
//! * On a card that is nearly full CubeCL moves tensors together before it asks for another page.
//!   The dry run reserves that page.
//!
//! In a build with autotune, Burn's own products and sums (embedding layer, head, pooling, loss)
//! are tuned in the first step, on the device that executes nothing: that takes seconds, and memory
//! of this machine for the pages that they touch. Kernels of ours are not tuned.

use super::Setting;
use super::account::{Pitch, pitch};
use super::card::{Card, Dry};
use crate::backend::BackendKind;
use crate::error::Result;

/// Replays two training steps of a setting in f32 on a card. It takes seconds, for the largest
/// networks up to a minute, and about as much memory of this machine as the weights take.
///
/// Until it returns, launches on any device by any thread of this process are dropped too: nothing
/// else may use a GPU meanwhile, and what is queued on one must be waited for before
/// ([`Device::sync`](burn::tensor::Device::sync)).
///
/// # Errors
/// An impossible setting, a card of a CPU backend, and a build without GPU backends.
pub fn dry(setting: &Setting, card: Card) -> Result<Dry> {
    setting.check()?;
    card.check()?;
    let pitch = match card.backend {
        BackendKind::Cuda => pitch(setting, card.largest())?,
        BackendKind::Wgpu | BackendKind::Flex | BackendKind::Ndarray => Pitch::NONE,
    };
    replayed(setting, card, pitch)
}

#[cfg(not(feature = "wgpu-bare"))]
fn replayed(_: &Setting, _: Card, _: Pitch) -> Result<Dry> {
    use crate::error::{Error, Remedy};
    let lacks = "dry runs need the backend wgpu, which is not in this build";
    Err(Error::Backend(lacks.into()).with(Remedy::RebuildWith { feature: "wgpu" }))
}

#[cfg(feature = "wgpu-bare")]
use replay::replayed;

#[cfg(feature = "wgpu-bare")]
mod replay {
    use std::sync::{Mutex, PoisonError};

    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::{Device, StreamId, Tensor};
    use burn_cubecl::cubecl::dry_run::DryRun;

    use crate::backend::{BackendKind, failure, use_pages};
    use crate::error::{Error, Result};
    use crate::losses::HeadConfig;
    use crate::memory::account::{Pitch, largest_tensor};
    use crate::memory::card::{Card, Dry};
    use crate::memory::watch::{Seen, Watch};
    use crate::memory::{Setting, noop, page};
    use crate::optim::Gate;
    use crate::panics::quietly;
    use crate::train::{Trainee, gate};

    /// The devices that were made, by the backends that they stand for. One dry run at a time uses
    /// them. They keep the kernels they have made.
    static DEVICES: Mutex<Vec<(BackendKind, Device)>> = Mutex::new(Vec::new());

    pub(super) fn replayed(setting: &Setting, card: Card, pitch: Pitch) -> Result<Dry> {
        let kind = card.backend;
        let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = devices.iter().find(|(of, _)| *of == kind).map(|(_, device)| device.clone());
        let device = match known {
            Some(device) => device,
            None => {
                let device = noop::device(kind)?;
                devices.push((kind, device.clone()));
                device
            }
        };
        let steps = quietly(|| replay(setting, card, &device))
            .unwrap_or_else(|panic| Err(failure(&panic)))
            // Nobody knows what a device holds that has failed.
            .inspect_err(|_| devices.retain(|(of, _)| *of != kind))?;
        let ([first, second], Pitch { in_use, reserved, page }) = (steps, pitch);
        // What is in use has whole pages, however they are counted.
        let reserved = |seen: Seen| {
            let (told, least) = (seen.reserved + reserved, seen.in_use + in_use);
            told + least.saturating_sub(told).div_ceil(page) * page
        };
        let dry = Dry {
            card,
            peak_in_use: second.in_use + in_use,
            reserved: reserved(second),
            first_reserved: reserved(first),
            pitch: in_use,
            // The allocator counts the page that was asked for among its tensors.
            largest: largest_tensor(setting, kind)?,
            launches: second.launches,
            fits: false,
        };
        Ok(dry.judged())
    }

    fn sync(device: &Device) -> Result<()> {
        device.sync().map_err(|e| Error::Backend(e.to_string()))
    }

    /// Both steps, on a stream of its own: its pages begin small.
    fn replay(setting: &Setting, card: Card, device: &Device) -> Result<[Seen; 2]> {
        let _dry = DryRun::new();
        device.memory_cleanup();
        let steps = StreamId::allocate().executes(|| {
            let steps = steps(setting, card, device)?;
            // What was dropped is freed.
            sync(device).map(|()| steps)
        });
        device.memory_cleanup();
        steps
    }

    /// Two steps as the training loop makes them on a GPU.
    fn steps(setting: &Setting, card: Card, device: &Device) -> Result<[Seen; 2]> {
        let watch = Watch::new(device)
            .ok_or_else(|| Error::Backend("the device of dry runs cannot be watched".into()))?;
        watch.look();
        let before = watch.seen();
        let trainee =
            Trainee::new(&setting.arch, &HeadConfig::default(), setting.speakers, device, 1)?;
        let mut trainee = setting.prepared(trainee, card.backend)?.lasting().train();
        draw(&trainee);
        let mut optimizer = setting.optimizer.init()?;
        let autodiff = device.clone().autodiff();
        // The next batch is on the device before its turn. Both are uploaded before pages are
        // large: a page to which something is uploaded takes this machine's memory.
        let batch = setting.noise().upload(&autodiff);
        let _ahead = setting.noise().upload(&autodiff);
        sync(device)?;
        // As a training does.
        if let Some(page) = page(setting, card.backend, card.largest())? {
            use_pages(device, page);
        }
        let mut seen = [Seen::default(); 2];
        for (number, seen) in seen.iter_mut().enumerate() {
            sync(device)?;
            watch.forget();
            if setting.release_gradients {
                let (pending, halfway) = trainee.halfway(batch.clone());
                let (model, checks) = halfway.step(trainee, &mut optimizer, 1e-3);
                trainee = model;
                sync(device)?;
                // What the loop would read.
                drop((pending, checks));
            } else {
                let (pending, gradients) = trainee.weigh(batch.clone(), 1.0, 1.0);
                let (open, bad) = gate(&trainee, &gradients, &pending.loss, 1.0);
                // What the loop would read, a step later.
                let outcome = pending.with(bad);
                let gradients = setting.own_gradients(&trainee, gradients);
                trainee = optimizer.step(1e-3, trainee, gradients, Gate::Device(open));
                sync(device)?;
                drop(outcome);
            }
            watch.look();
            *seen = watch.seen();
            seen.in_use = seen.in_use.saturating_sub(before.in_use);
            seen.reserved = seen.reserved.saturating_sub(before.reserved);
            if number == 0 {
                // As training does, behind what only the first step needs.
                device.memory_cleanup();
            }
        }
        Ok(seen)
    }

    /// Draws the weights, which else happens when they are first used: between the activations.
    fn draw(trainee: &Trainee) {
        struct Draw;

        impl ModuleVisitor for Draw {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                drop(param.val());
            }
        }

        trainee.visit(&mut Draw);
    }
}
