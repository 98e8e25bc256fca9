//! The test as burn-train wants it.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;

use super::DevSet;

/// The test as a loader for burn-train. It has one item, the whole dev set.
pub struct DevLoader(pub Arc<DevSet>);

struct Once(Option<Arc<DevSet>>);

impl Iterator for Once {
    type Item = Result<Arc<DevSet>, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl DataLoaderIterator<Arc<DevSet>> for Once {
    fn progress(&self) -> Progress {
        Progress::new(usize::from(self.0.is_none()), 1, Some("tests".to_owned()))
    }
}

impl DataLoader<Arc<DevSet>> for DevLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Arc<DevSet>> + 'a> {
        Box::new(Once(Some(self.0.clone())))
    }

    fn num_items(&self) -> usize {
        1
    }

    fn to_device(&self, _device: &Device) -> Arc<dyn DataLoader<Arc<DevSet>>> {
        Arc::new(Self(self.0.clone()))
    }

    fn slice(&self, _start: usize, _end: usize) -> Arc<dyn DataLoader<Arc<DevSet>>> {
        unreachable!("only multi-device strategies slice, and this training runs on one device")
    }
}
