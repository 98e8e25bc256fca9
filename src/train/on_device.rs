//! Batches whose features are computed on the device that trains: the host sends samples.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::error::Result;
use crate::inference::DeviceExtractor;
use crate::model_file::Frontend;

/// A front-end on each device that needs it.
pub(super) struct Extractors {
    frontend: Frontend,
    made: Mutex<HashMap<String, Arc<DeviceExtractor>>>,
}

impl Extractors {
    /// None is made yet.
    ///
    /// # Errors
    /// Settings that [`DeviceExtractor::new`] refuses.
    pub fn new(frontend: &Frontend) -> Result<Self> {
        DeviceExtractor::check(frontend)?;
        Ok(Self { frontend: frontend.clone(), made: Mutex::default() })
    }

    /// That of a device.
    fn on(&self, device: &Device) -> Arc<DeviceExtractor> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{:?}", device.clone().inner());
        made.entry(name)
            .or_insert_with(|| {
                let extractor = DeviceExtractor::new(&self.frontend, device);
                Arc::new(extractor.expect("the settings were checked"))
            })
            .clone()
    }
}

/// What features on a device need besides the samples of a batch.
#[derive(Clone)]
pub struct OnDevice {
    pub(super) extractors: Arc<Extractors>,
    /// The place of each frame's dither, `[batch, frames]`; empty without dither.
    pub(super) dither: Vec<i64>,
    /// 0 where features are masked, else 1, `[batch, frames, mels]`; empty without masks.
    pub(super) masks: Vec<f32>,
    /// Frames and mels.
    pub(super) shape: [usize; 2],
}

impl std::fmt::Debug for OnDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnDevice").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl OnDevice {
    /// The same for a range of the batch's examples.
    pub(super) fn part(&self, range: &Range<usize>) -> Self {
        let [frames, mels] = self.shape;
        let of = |each: usize| range.start * each..range.end * each;
        Self {
            extractors: self.extractors.clone(),
            dither: self.dither.get(of(frames)).unwrap_or_default().to_vec(),
            masks: self.masks.get(of(frames * mels)).unwrap_or_default().to_vec(),
            shape: self.shape,
        }
    }

    /// Features `[batch, frames, mels]` of samples `[batch, samples]`.
    pub(super) fn features(self, samples: Tensor<2>, device: &Device) -> Tensor<3> {
        let [batch, _] = samples.dims();
        let [frames, mels] = self.shape;
        let dither = (!self.dither.is_empty()).then(|| {
            let data = TensorData::new(self.dither, [batch, frames]);
            Tensor::<2, Int>::from_data(data, device)
        });
        let features = self.extractors.on(device).features(samples, dither);
        match self.masks.is_empty() {
            true => features,
            false => {
                let masks = TensorData::new(self.masks, [batch, frames, mels]);
                features * Tensor::<3>::from_data(masks, device)
            }
        }
    }
}
