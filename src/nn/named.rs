//! A network as named tensors: the bridge between modules and files. Names are field paths joined
//! by dots, which by construction are the reference implementation's state_dict keys.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor, TensorData};

/// The dotted path of the place a traversal is at. An enum's variant is a choice of type, not a
/// place.
#[derive(Default)]
pub(crate) struct Place(Vec<String>);

impl Place {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.0.push(name.to_owned());
        }
    }

    pub(crate) fn exit(&mut self, container: &str) {
        if !container.starts_with("Enum:") {
            self.0.pop();
        }
    }

    pub(crate) fn name(&self) -> String {
        self.0.join(".")
    }
}

struct Collect<F>(Place, F);

impl<F: FnMut(String, &dyn Fn() -> TensorData, Vec<usize>)> ModuleVisitor for Collect<F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        (self.1)(self.0.name(), &|| param.val().into_data(), param.lazy_shape().to_vec());
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, container: &str) {
        self.0.exit(container);
    }
}

/// Every parameter and buffer with its values, in the order of the fields.
pub fn collect_named<M: Module>(module: &M) -> Vec<(String, TensorData)> {
    let mut all = Vec::new();
    module.visit(&mut Collect(Place::default(), |name, data: &dyn Fn() -> TensorData, _| {
        all.push((name, data()))
    }));
    all
}

/// Every parameter's and buffer's name and shape, without initialising anything.
pub fn names_and_shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    module.visit(&mut Collect(Place::default(), |name, _: &dyn Fn() -> TensorData, shape| {
        all.push((name, shape))
    }));
    all
}

/// Every parameter's and buffer's name by its id.
pub fn ids_named<M: Module>(module: &M) -> HashMap<ParamId, String> {
    struct Visit(Place, HashMap<ParamId, String>);
    impl ModuleVisitor for Visit {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.insert(param.id, self.0.name());
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.0.exit(container);
        }
    }
    let mut visit = Visit(Place::default(), HashMap::new());
    module.visit(&mut visit);
    visit.1
}

/// The gradient of every parameter that has one.
pub fn gradients_named<M: Module>(module: &M, gradients: &Gradients) -> Vec<(String, TensorData)> {
    struct Visit<'a>(Place, &'a Gradients, Vec<(String, TensorData)>);
    impl ModuleVisitor for Visit<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.1) {
                self.2.push((self.0.name(), gradient.into_data()));
            }
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.0.exit(container);
        }
    }
    let mut visit = Visit(Place::default(), gradients, Vec::new());
    module.visit(&mut visit);
    visit.2
}

/// Replaces parameters and buffers by the values of the same name. Names without values stay as
/// they are; shapes must have been compared before ([`names_and_shapes`]).
pub fn assign_named<M: Module>(module: M, values: HashMap<String, TensorData>) -> M {
    struct Assign(Place, HashMap<String, TensorData>);
    impl ModuleMapper for Assign {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(data) = self.1.remove(&self.0.name()) else { return param };
            let (device, id) = (param.lazy_device(), param.id);
            param.transform_for_load(Tensor::from_data(data, &device), id)
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.0.exit(container);
        }
    }
    module.map(&mut Assign(Place::default(), values))
}
