//! A module of one parameter, which stands where the parameter stands in a larger module.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

/// The parameter, with the names of the modules around it.
#[derive(Debug, Clone)]
pub struct One<const D: usize> {
    pub path: String,
    pub parameter: Param<Tensor<D>>,
}

impl<const D: usize> One<D> {
    fn with(self, change: impl FnOnce(Param<Tensor<D>>) -> Param<Tensor<D>>) -> Self {
        Self { parameter: change(self.parameter), path: self.path }
    }
}

/// The kind of module that visitors and mappers are told of.
const KIND: &str = "One";

impl<const D: usize> Module for One<D> {
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        Module::collect_devices(&self.parameter, devices)
    }

    fn fork(self, device: &Device) -> Self {
        self.with(|parameter| Module::fork(parameter, device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(|parameter| Module::to_device(parameter, device))
    }

    fn train(self) -> Self {
        self.with(Module::train)
    }

    fn valid(&self) -> Self {
        Self { path: self.path.clone(), parameter: Module::valid(&self.parameter) }
    }

    fn materialize(self) -> Self {
        self.with(Module::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.enter_module(&self.path, KIND);
        Module::visit(&self.parameter, visitor);
        visitor.exit_module(&self.path, KIND);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        mapper.enter_module(&self.path, KIND);
        let parameter = Module::map(self.parameter, mapper);
        mapper.exit_module(&self.path, KIND);
        Self { parameter, path: self.path }
    }
}
