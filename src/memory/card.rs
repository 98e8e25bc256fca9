//! Cards to plan for, and what a dry run finds out about one.

use super::human;
use crate::backend::BackendKind;
use crate::error::{Error, Result};

/// A card, and the backend that is to run on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// Bytes of its memory.
    pub bytes: u64,
    /// The backend: a GPU's.
    pub backend: BackendKind,
}

impl Card {
    /// Refuses CPU backends.
    ///
    /// # Errors
    /// Such a backend.
    pub fn check(self) -> Result<()> {
        match self.backend {
            BackendKind::Wgpu | BackendKind::Cuda => Ok(()),
            BackendKind::Flex | BackendKind::Ndarray => Err(Error::Invalid(format!(
                "a dry run is for GPU backends (cuda, wgpu), not for {}",
                self.backend.name()
            ))),
        }
    }

    /// The most bytes that one allocation may have: on CUDA CubeCL takes a quarter of the card, and
    /// wgpu binds 2 GiB at most.
    pub fn largest(self) -> u64 {
        match self.backend {
            BackendKind::Cuda => self.bytes / 4,
            BackendKind::Wgpu => self.bytes.min(i32::MAX as u64),
            BackendKind::Flex | BackendKind::Ndarray => self.bytes,
        }
    }

    /// About what the driver keeps for itself: CUDA's context with the kernels. It is no figure of
    /// a dry run.
    pub fn context(self) -> u64 {
        match self.backend {
            BackendKind::Cuda => 400 << 20,
            BackendKind::Wgpu => 100 << 20,
            BackendKind::Flex | BackendKind::Ndarray => 0,
        }
    }
}

/// What a dry run of two training steps finds out: bytes, and kernels of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dry {
    /// The card that it was made for.
    pub card: Card,
    /// The most that tensors use at one time in the second step.
    pub peak_in_use: u64,
    /// The most that the allocator reserves in the second step, and in all that follow.
    pub reserved: u64,
    /// The same in the first step. Behind it, training gives back what is not used.
    pub first_reserved: u64,
    /// What CUDA's row pitch adds to the bytes in use, by arithmetic. It is part of the figures
    /// above; what is reserved grows by whole pages.
    pub pitch: u64,
    /// The largest tensor.
    pub largest: u64,
    /// Launches of kernels in the second step.
    pub launches: u64,
    /// Whether the card has memory for it.
    pub fits: bool,
}

impl Dry {
    /// The most bytes of the card that the allocator reserves.
    pub fn needed(&self) -> u64 {
        self.reserved.max(self.first_reserved)
    }

    /// Why it does not fit, if it does not.
    pub fn lacks(&self) -> Option<String> {
        let Self { card, largest, .. } = *self;
        if largest > card.largest() {
            return Some(format!(
                "one tensor takes {}, and {} allocates at most {} at a time",
                human(largest as usize),
                card.backend.name(),
                human(card.largest() as usize)
            ));
        }
        let needed = self.needed();
        (needed + card.context() > card.bytes).then(|| {
            format!(
                "{} are reserved, and the driver takes about {}",
                human(needed as usize),
                human(card.context() as usize)
            )
        })
    }

    /// The same with the verdict.
    #[cfg(any(feature = "wgpu-bare", test))]
    pub(super) fn judged(self) -> Self {
        Self { fits: self.lacks().is_none(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn dry(backend: BackendKind, reserved: u64, largest: u64) -> Dry {
        Dry {
            card: Card { bytes: 11 * GIB, backend },
            peak_in_use: reserved,
            reserved,
            first_reserved: 2 * GIB,
            pitch: 0,
            largest,
            launches: 1000,
            fits: false,
        }
        .judged()
    }

    #[test]
    fn a_card_must_have_room_for_all_of_it_and_for_the_largest_tensor() {
        let fits = dry(BackendKind::Cuda, 10 * GIB, GIB);
        assert!(fits.fits && fits.lacks().is_none() && fits.needed() == 10 * GIB);
        // The driver needs some of the card too.
        let full = dry(BackendKind::Cuda, 11 * GIB - 1, GIB);
        assert!(!full.fits && full.lacks().unwrap().contains("11.00 GiB are reserved"));
        let large = dry(BackendKind::Cuda, 10 * GIB, 3 * GIB);
        assert_eq!(
            large.lacks().unwrap(),
            "one tensor takes 3.00 GiB, and cuda allocates at most 2.75 GiB at a time"
        );
        assert!(!large.fits);
        // The first step counts too.
        assert_eq!(dry(BackendKind::Wgpu, GIB, GIB).needed(), 2 * GIB);
        assert!(!dry(BackendKind::Wgpu, 4 * GIB, 3 * GIB).fits);
    }

    #[test]
    fn only_gpus_have_dry_runs() {
        let check = |backend| Card { bytes: GIB, backend }.check();
        check(BackendKind::Cuda).unwrap();
        check(BackendKind::Wgpu).unwrap();
        let error = check(BackendKind::Flex).unwrap_err().to_string();
        assert_eq!(error, "a dry run is for GPU backends (cuda, wgpu), not for flex");
    }
}
