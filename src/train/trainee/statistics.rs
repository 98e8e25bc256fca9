//! The running statistics of all BatchNorms, as one list of numbers.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use super::Trainee;
use crate::nn::Place;

/// Whether the name is that of a running statistic.
fn is_statistic(place: &Place) -> bool {
    let name = place.name();
    ["running_mean", "running_var"].iter().any(|end| name.ends_with(end))
}

/// Gathers the statistics.
#[derive(Default)]
struct Read {
    place: Place,
    all: Vec<Tensor<1>>,
}

impl ModuleVisitor for Read {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if is_statistic(&self.place) {
            let value = param.val();
            let count = value.shape().num_elements();
            self.all.push(value.reshape([count]));
        }
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
}

/// Puts statistics in the place of the present ones.
struct Write<'a> {
    place: Place,
    left: &'a [f64],
}

impl ModuleMapper for Write<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !is_statistic(&self.place) {
            return param;
        }
        param.map(|old| {
            let (ours, left) = self.left.split_at(old.shape().num_elements());
            self.left = left;
            let values: Vec<f32> = ours.iter().map(|&x| x as f32).collect();
            Tensor::from_data(TensorData::new(values, old.dims()), &old.device())
        })
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
}

impl Trainee {
    /// The running statistics in the order of the fields. It waits for the device once.
    pub(in crate::train) fn statistics(&self) -> Vec<f64> {
        let mut read = Read::default();
        self.visit(&mut read);
        match read.all.is_empty() {
            true => Vec::new(),
            false => Tensor::cat(read.all, 0).into_data().iter::<f64>().collect(),
        }
    }

    /// The same with other running statistics, as many as [`Trainee::statistics`] gives.
    #[must_use]
    pub(in crate::train) fn with_statistics(self, values: &[f64]) -> Self {
        self.map(&mut Write { place: Place::default(), left: values })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::losses::HeadConfig;
    use crate::nn::collect_named;
    use crate::zoo::Architecture;

    /// What is put in comes out, is where names say, and nothing else changes.
    #[test]
    fn statistics_go_in_and_out() {
        let arch = Architecture {
            width: 4,
            mels: 16,
            embedding_dim: 6,
            ..Architecture::named("rev1-resnet10").unwrap()
        };
        let device = Device::default();
        let trainee = Trainee::new(&arch, &HeadConfig::default(), 3, &device, 1).unwrap().train();
        let before = collect_named(&trainee.valid());
        let old = trainee.statistics();
        assert!(old.iter().all(|x| [0.0, 1.0].contains(x)), "{old:?}");
        let new: Vec<f64> = (0..old.len()).map(|i| 0.25 * i as f64).collect();
        let trainee = trainee.with_statistics(&new);
        assert_eq!(trainee.statistics(), new);
        let mut left = new.as_slice();
        for ((name, data), (_, old)) in collect_named(&trainee.valid()).iter().zip(&before) {
            if !name.contains("running_") {
                assert_eq!(data, old, "{name}");
                continue;
            }
            let (ours, rest) = left.split_at(data.iter::<f64>().count());
            assert_eq!(data.iter::<f64>().collect::<Vec<_>>(), ours, "{name}");
            left = rest;
        }
        assert!(left.is_empty() && !new.is_empty());
    }
}
