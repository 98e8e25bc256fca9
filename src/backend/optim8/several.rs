//! Lists of tensors as arguments and results of one operation. Burn's macros take tensors one by
//! one, or types of one's own that say how they travel between backends: these.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{
    Backend, BackendTensor, Dispatch, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
    ExtensionType,
};

/// Float tensors of one device, of any shapes.
pub struct Floats<B: Backend>(pub Vec<FloatTensor<B>>);

/// Integer tensors of one device, of any shapes.
pub struct Ints<B: Backend>(pub Vec<IntTensor<B>>);

/// The way to and from high-level tensors.
macro_rules! dispatched {
    ($list:ident, $variant:ident, $take:ident, $float:expr) => {
        impl<B: Backend> ExtensionType<B> for $list<B> {
            type Target = $list<Dispatch>;

            fn map_to_dispatch<F>(
                self,
                map_kind: F,
                autodiff: DispatchAutodiffContext,
            ) -> Self::Target
            where
                F: Fn(BackendTensor<B>) -> DispatchTensorKind,
            {
                let lifted = |x| {
                    let kind = map_kind(BackendTensor::<B>::$variant(x));
                    DispatchTensor { kind, autodiff }
                };
                $list(self.0.into_iter().map(lifted).collect())
            }

            fn map_from_dispatch<F>(target: Self::Target, unwrap_kind: F) -> Self
            where
                F: Fn(DispatchTensor) -> BackendTensor<B>,
            {
                Self(target.0.into_iter().map(|x| unwrap_kind(x).$take()).collect())
            }

            fn routing_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
                target.0.first()
            }

            fn routing_float_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
                target.0.first().filter(|_| $float)
            }

            fn autodiff_context(target: &Self::Target) -> DispatchAutodiffContext {
                let none = DispatchAutodiffContext::Disabled;
                target.0.iter().fold(none, |context, x| context.merge(x.autodiff))
            }
        }
    };
}

dispatched!(Floats, Float, float, true);
dispatched!(Ints, Int, int, false);

/// The way through the queue of a fusing backend.
#[cfg(all(feature = "cube", feature = "fusion"))]
mod fused {
    use burn::backend::fusion::custom::{
        Float, FusionValueAdapter, HandleContainer, Int, OutputTensor, TensorId, TensorIr,
        TensorSpec,
    };
    use burn::backend::fusion::{
        ExecutionError, Fusion, FusionBackend, FusionRuntime, FusionTensor,
    };

    use super::{Floats, Ints};

    type Handles<B> =
        HandleContainer<<<B as FusionBackend>::FusionRuntime as FusionRuntime>::FusionHandle>;

    macro_rules! queued {
        ($list:ident, $each:ident) => {
            impl<B: FusionBackend> FusionValueAdapter<B> for $list<B> {
                type Metadata = Vec<TensorSpec>;
                type Input = Vec<TensorIr>;
                type Output = Vec<OutputTensor>;
                type Inner = Self;
                type Fused = $list<Fusion<B>>;

                fn to_metadata(value: &Self::Fused) -> Self::Metadata {
                    value
                        .0
                        .iter()
                        .map(|x| <$each as FusionValueAdapter<B>>::to_metadata(x))
                        .collect()
                }

                fn visit_fused_tensors(
                    value: &Self::Fused,
                    visit: &mut impl FnMut(&FusionTensor<B::FusionRuntime>),
                ) {
                    for x in &value.0 {
                        visit(x);
                    }
                }

                fn tensor_count(meta: &Self::Metadata) -> usize {
                    meta.len()
                }

                fn append_input_ir(value: Self::Fused, inputs: &mut Vec<TensorIr>) -> Self::Input {
                    let mut all = Vec::with_capacity(value.0.len());
                    for x in value.0 {
                        all.push(<$each as FusionValueAdapter<B>>::append_input_ir(x, inputs));
                    }
                    all
                }

                fn resolve_inputs(input: &Self::Input, handles: &mut Handles<B>) -> Self {
                    let mut all = Vec::with_capacity(input.len());
                    for x in input {
                        all.push(<$each as FusionValueAdapter<B>>::resolve_inputs(x, handles));
                    }
                    Self(all)
                }

                fn append_output_ir(
                    meta: &Self::Metadata,
                    out: &mut Vec<TensorIr>,
                    create: &mut impl FnMut() -> TensorId,
                ) -> Self::Output {
                    let mut all = Vec::with_capacity(meta.len());
                    for spec in meta {
                        let output =
                            <$each as FusionValueAdapter<B>>::append_output_ir(spec, out, create);
                        all.push(output);
                    }
                    all
                }

                fn validate_outputs(
                    value: &Self,
                    output: &Self::Output,
                    device: Option<&B::Device>,
                ) -> Result<(), ExecutionError> {
                    if value.0.len() != output.len() {
                        return Err(ExecutionError::generic(format!(
                            "{} tensors came of an operation that makes {}",
                            value.0.len(),
                            output.len()
                        )));
                    }
                    for (x, output) in value.0.iter().zip(output) {
                        <$each as FusionValueAdapter<B>>::validate_outputs(x, output, device)?;
                    }
                    Ok(())
                }

                fn register_output_handles(
                    value: Self,
                    output: &Self::Output,
                    handles: &mut Handles<B>,
                ) {
                    for (x, output) in value.0.into_iter().zip(output) {
                        <$each as FusionValueAdapter<B>>::register_output_handles(
                            x, output, handles,
                        );
                    }
                }

                fn build_fused_output(
                    meta: &Self::Metadata,
                    tensors: &mut std::vec::IntoIter<FusionTensor<B::FusionRuntime>>,
                ) -> Self::Fused {
                    let mut all = Vec::with_capacity(meta.len());
                    for spec in meta {
                        let x = <$each as FusionValueAdapter<B>>::build_fused_output(spec, tensors);
                        all.push(x);
                    }
                    $list(all)
                }
            }
        };
    }

    queued!(Floats, Float);
    queued!(Ints, Int);
}
