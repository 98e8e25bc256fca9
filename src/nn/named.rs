//! A network as named tensors: the bridge between modules and files. Names are field paths joined
//! by dots, which by construction are the reference implementation's state_dict keys.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor, TensorData};

/// The dotted path of the place a traversal is at. An enum's variant is a choice of type, not a
/// place; nor is a field called `unnamed`. Behind a name that ends in `_` stands no dot: `stage_`
/// and 0 give `stage0`.
#[derive(Default)]
pub(crate) struct Place(Vec<String>);

impl Place {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        let is_place = !container.starts_with("Enum:") && name != "unnamed";
        self.0.push(if is_place { name.to_owned() } else { String::new() });
    }

    pub(crate) fn exit(&mut self) {
        self.0.pop();
    }

    pub(crate) fn name(&self) -> String {
        let mut path = String::new();
        for name in self.0.iter().filter(|name| !name.is_empty()) {
            match path.pop() {
                None | Some('_') => {}
                Some(last) => path.extend([last, '.']),
            }
            path.push_str(name);
        }
        path
    }
}

/// A parameter or buffer that a traversal meets.
pub(super) struct Met<'a> {
    pub name: String,
    pub id: ParamId,
    pub shape: Vec<usize>,
    values: &'a dyn Fn() -> TensorData,
    gradient: &'a dyn Fn(&Gradients) -> Option<TensorData>,
}

/// What is made of every parameter and buffer, in the order of the fields. Nothing is initialised
/// unless its values or its gradient are asked for.
pub(super) fn collect<M: Module, T>(module: &M, of: impl Fn(Met) -> Option<T>) -> Vec<T> {
    struct Visit<F>(Place, F);
    impl<F: FnMut(Met)> ModuleVisitor for Visit<F> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            (self.1)(Met {
                name: self.0.name(),
                id: param.id,
                shape: param.lazy_shape().to_vec(),
                values: &|| param.val().into_data(),
                gradient: &|gradients| Some(param.val().grad(gradients)?.into_data()),
            });
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.exit();
        }
    }
    let mut all = Vec::new();
    module.visit(&mut Visit(Place::default(), |met: Met| all.extend(of(met))));
    all
}

/// Every parameter and buffer with its values, in the order of the fields.
pub fn collect_named<M: Module>(module: &M) -> Vec<(String, TensorData)> {
    collect(module, |met| Some((met.name, (met.values)())))
}

/// Every parameter's and buffer's name and shape, without initialising anything.
pub fn names_and_shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    collect(module, |met| Some((met.name, met.shape)))
}

/// Every parameter's and buffer's name by its id.
pub fn ids_named<M: Module>(module: &M) -> HashMap<ParamId, String> {
    collect(module, |met| Some((met.id, met.name))).into_iter().collect()
}

/// The gradient of every parameter that has one.
pub fn gradients_named<M: Module>(module: &M, gradients: &Gradients) -> Vec<(String, TensorData)> {
    collect(module, |met| Some((met.name, (met.gradient)(gradients)?)))
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
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.exit();
        }
    }
    module.map(&mut Assign(Place::default(), values))
}
