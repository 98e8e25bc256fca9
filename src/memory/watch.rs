//! How much a GPU's allocator has in use and reserved at most, looked at before every launch.
//!
//! CubeCL tells an observer of each launch before the kernel goes to the device: the tensors that
//! it reads and writes are there by then. So the most bytes in use are those before some launch.
//! The observer asks the thread that owns the device's memory, and waits for it. That thread never
//! waits for the observer, so nothing can lock.

#[cfg(feature = "cube")]
mod cube {
    use std::sync::{Arc, Mutex, PoisonError};

    use burn::backend::DispatchDevice;
    use burn::tensor::Device;
    use burn_cubecl::cubecl;
    use cubecl::MemoryScope;
    use cubecl::client::Client;
    use cubecl::logging::{LaunchObservation, LaunchObserver};

    use super::Seen;

    /// Watches a device as long as it lives.
    pub(in crate::memory) struct Watch {
        eye: Arc<Eye>,
        _observation: LaunchObservation,
    }

    struct Eye {
        client: Client,
        seen: Mutex<Seen>,
    }

    impl Watch {
        /// Begins; nothing for a device without such an allocator.
        pub fn new(device: &Device) -> Option<Self> {
            let device = device.clone().inner();
            let DispatchDevice::Cube(device) = device.as_dispatch() else { return None };
            let eye = Arc::new(Eye { client: device.client(), seen: Mutex::default() });
            Some(Self { eye: eye.clone(), _observation: LaunchObservation::new(eye) })
        }

        /// Looks now.
        pub fn look(&self) {
            self.eye.look(0);
        }

        /// Forgets what was seen.
        pub fn forget(&self) {
            *self.eye.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
        }

        /// What was seen so far.
        pub fn seen(&self) -> Seen {
            *self.eye.seen.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Eye {
        fn look(&self, launches: u64) {
            let report = self.client.memory_report(MemoryScope::Device);
            let usage = report.usage();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.launches += launches;
            seen.in_use = seen.in_use.max(usage.bytes_in_use);
            seen.reserved = seen.reserved.max(usage.bytes_reserved);
        }
    }

    impl LaunchObserver for Eye {
        fn launched(&self, _: &'static str) {
            self.look(1);
        }
    }
}

#[cfg(feature = "cube")]
pub(super) use cube::Watch;

/// The most at one time, in bytes, and the launches.
#[cfg_attr(not(feature = "cube"), allow(dead_code, reason = "nothing is seen without a watch"))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Launches of kernels, by any device.
    pub launches: u64,
    /// What tensors used.
    pub in_use: u64,
    /// What the allocator had reserved.
    pub reserved: u64,
}

/// There is nothing to watch in a build without GPU backends.
#[cfg(not(feature = "cube"))]
pub(super) enum Watch {}

#[cfg(not(feature = "cube"))]
impl Watch {
    /// Nothing.
    pub fn new(_: &burn::tensor::Device) -> Option<Self> {
        None
    }

    /// Looks now.
    pub fn look(&self) {
        match *self {}
    }

    /// Forgets what was seen.
    pub fn forget(&self) {
        match *self {}
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        match *self {}
    }
}
