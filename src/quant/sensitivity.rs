//! How much the quantization of each tensor disturbs the loss: the perturbation `Omega(b) = mean
//! trace * |Q_b(W) - W|^2`. The mean trace is the trace of the loss's Hessian over a tensor's
//! weights, divided by their number (HAWQ-V2, arXiv 1911.03852). arXiv 2406.05359 uses a
//! Hessian-based measure too; we do not know its formula.
//!
//! Traces are estimated by Hutchinson's method: for random signs v, the expectation of `v . Hv` is
//! the trace. With one v for all tensors, each tensor's part of the product has its own trace as
//! its expectation. `Hv` is a difference of gradients, `(g(W + eps v) - g(W - eps v)) / (2 eps)`.
//!
//! A network of rectifiers is piecewise linear: in front of them, the difference depends on its
//! length, which is an option (`epsilon`).

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::{assign_named, collect_named};
use crate::rng::{Stream, fnv1a64};

/// A gradient's values by the names of tensors.
pub type Gradients = HashMap<String, Vec<f32>>;

/// How the cost of a layer's quantization is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Mean trace of the Hessian times squared error.
    Hessian,
    /// Squared error divided by the tensor's sum of squares. It needs no data.
    Error,
}

/// How traces are estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SensitivityConfig {
    /// How costs are measured.
    pub measure: Measure,
    /// The most probes (random v) that are made.
    pub probes: usize,
    /// Probing ends when every tensor's standard error is below this fraction of its mean trace.
    pub tolerance: f64,
    /// Training batches over which the loss is taken.
    pub batches: usize,
    /// Length of the difference, relative to the root mean square of the weights.
    pub epsilon: f64,
}

impl Default for SensitivityConfig {
    fn default() -> Self {
        Self { measure: Measure::Hessian, probes: 50, tolerance: 0.1, batches: 4, epsilon: 0.01 }
    }
}

impl SensitivityConfig {
    /// Refuses the impossible.
    ///
    /// # Errors
    /// A value is out of range.
    pub fn check(&self) -> Result<()> {
        let counts = self.probes >= 2 && self.batches >= 1;
        if !(counts && self.tolerance >= 0.0 && self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(Error::invalid(
                "quantize.sensitivity: wanted probes >= 2, batches >= 1, tolerance >= 0, \
                 epsilon > 0",
            ));
        }
        Ok(())
    }
}

/// An estimate of one tensor's mean Hessian trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The trace divided by the number of weights.
    pub mean: f64,
    /// Its standard error over the probes.
    pub error: f64,
    /// Probes made.
    pub probes: usize,
}

impl Trace {
    /// The trace that allocation counts with: an estimate below its standard error is taken to be
    /// that.
    pub fn weight(&self) -> f64 {
        self.mean.max(self.error)
    }
}

/// Hutchinson's estimates for the tensors of these names. `gradients` gives the loss's gradients at
/// a module's weights, by name. Equal weights must have equal gradients: the same batches, no
/// dropout, statistics at rest. `done` is called after each probe with the number of probes and the
/// largest relative standard error so far.
///
/// # Errors
/// Options out of range; an error of `gradients`; a name without gradient; gradients that are not
/// finite.
pub fn traces<M: Module>(
    module: &M,
    names: &[String],
    config: &SensitivityConfig,
    seed: u64,
    gradients: &mut dyn FnMut(&M) -> Result<Gradients>,
    done: &mut dyn FnMut(usize, f64),
) -> Result<Vec<Trace>> {
    config.check()?;
    let all: HashMap<String, TensorData> = collect_named(module).into_iter().collect();
    let weights: Vec<Vec<f32>> = names.iter().map(|n| all[n].iter::<f32>().collect()).collect();
    let count: usize = weights.iter().map(Vec::len).sum();
    let squares: f64 = weights.iter().flatten().map(|&w| f64::from(w).powi(2)).sum();
    // Weights that are all 0 have no size to which the difference could be relative.
    let size = if squares > 0.0 { (squares / count as f64).sqrt() } else { 1.0 };
    let epsilon = (config.epsilon * size) as f32;
    let mut sums = vec![[0.0f64; 2]; names.len()];
    let mut probes = 0;
    while probes < config.probes {
        let signs: Vec<Vec<f32>> =
            names.iter().zip(&weights).map(|(n, w)| signs(seed, probes, n, w.len())).collect();
        let mut at = |side: f32| {
            let moved = names.iter().zip(weights.iter().zip(&signs)).map(|(name, (w, v))| {
                let values: Vec<f32> =
                    w.iter().zip(v).map(|(w, v)| w + side * epsilon * v).collect();
                (name.clone(), TensorData::new(values, all[name].shape().to_vec()))
            });
            gradients(&assign_named(module.clone(), moved.collect()))
        };
        let (above, below) = (at(1.0)?, at(-1.0)?);
        for (i, name) in names.iter().enumerate() {
            let [Some(above), Some(below)] = [above.get(name), below.get(name)] else {
                return Err(Error::Invalid(format!("tensor `{name}` has no gradient")));
            };
            // The length after the moved weights were rounded to f32.
            let product = |((&w, &v), (&a, &b)): ((&f32, &f32), (&f32, &f32))| {
                let length = f64::from(w + epsilon * v) - f64::from(w - epsilon * v);
                f64::from(a - b) / length
            };
            let terms = weights[i].iter().zip(&signs[i]).zip(above.iter().zip(below));
            let sample = terms.map(product).sum::<f64>() / weights[i].len() as f64;
            if !sample.is_finite() {
                return Err(Error::Training(format!("the gradient of `{name}` is not finite")));
            }
            sums[i] = [sums[i][0] + sample, sums[i][1] + sample * sample];
        }
        probes += 1;
        let worst = sums
            .iter()
            .map(|s| trace(*s, probes))
            .map(|t| t.error / t.mean.abs())
            .fold(0.0, f64::max);
        done(probes, worst);
        // A few probes may agree by chance.
        if probes >= 5 && worst < config.tolerance {
            break;
        }
    }
    Ok(sums.into_iter().map(|s| trace(s, probes)).collect())
}

fn trace([sum, squares]: [f64; 2], probes: usize) -> Trace {
    let n = probes as f64;
    let mean = sum / n;
    let variance = (squares / n - mean * mean).max(0.0) * n / (n - 1.0).max(1.0);
    Trace { mean, error: if probes < 2 { f64::INFINITY } else { (variance / n).sqrt() }, probes }
}

fn signs(seed: u64, probe: usize, name: &str, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed, "probe", &[probe as u64, fnv1a64(name.as_bytes())]);
    (0..count).map(|_| if stream.below(2) == 0 { -1.0 } else { 1.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, Linear, gradients_named};
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{Device, Tensor};

    const INPUT: usize = 5;
    const CLASSES: usize = 3;
    const BATCH: usize = 4;

    fn inputs() -> Vec<f32> {
        let mut stream = Stream::new(4, "inputs", &[]);
        (0..BATCH * INPUT).map(|_| stream.normal() as f32).collect()
    }

    /// Softmax regression: the Hessian's trace is known, mean over examples of sum_k p_k (1 - p_k)
    /// |x|^2 for the weights, without |x|^2 for the biases.
    #[test]
    fn the_trace_of_a_softmax_regression_is_found() {
        let device = Device::default();
        let layer = Linear::new(Init::new(&device, 3), INPUT, CLASSES);
        let loss = |layer: &Linear, device: &Device| {
            let x = Tensor::<2>::from_data(TensorData::new(inputs(), [BATCH, INPUT]), device);
            -log_softmax(layer.forward(x), 1).slice([0..BATCH, 0..1]).mean()
        };
        let p = {
            let x = Tensor::<2>::from_data(TensorData::new(inputs(), [BATCH, INPUT]), &device);
            log_softmax(layer.forward(x), 1).exp().into_data().try_to_vec::<f32>().unwrap()
        };
        let spread = |i: usize| {
            p[i * CLASSES..][..CLASSES].iter().map(|p| f64::from(p * (1.0 - p))).sum::<f64>()
        };
        let norm =
            |i: usize| inputs()[i * INPUT..][..INPUT].iter().map(|x| f64::from(x * x)).sum::<f64>();
        let exact = [
            (0..BATCH).map(|i| spread(i) * norm(i)).sum::<f64>()
                / BATCH as f64
                / (INPUT * CLASSES) as f64,
            (0..BATCH).map(spread).sum::<f64>() / BATCH as f64 / CLASSES as f64,
        ];
        let mut gradients = |layer: &Linear| {
            let layer = layer.clone().train();
            let gradients = loss(&layer, &device.clone().autodiff()).backward();
            let named = gradients_named(&layer, &gradients);
            Ok(named.into_iter().map(|(n, d)| (n, d.try_to_vec::<f32>().unwrap())).collect())
        };
        let names = ["weight".to_owned(), "bias".to_owned()];
        let config =
            SensitivityConfig { probes: 400, tolerance: 0.0, ..SensitivityConfig::default() };
        let mut told = 0;
        let ours =
            traces(&layer, &names, &config, 1, &mut gradients, &mut |n, _| told = n).unwrap();
        for (ours, exact) in ours.iter().zip(exact) {
            assert!(
                (ours.mean - exact).abs() < 4.0 * ours.error + 1e-3 * exact,
                "{ours:?}, exact {exact}"
            );
            assert!(ours.error < 0.1 * exact && ours.probes == 400, "{ours:?}, exact {exact}");
        }
        assert_eq!(told, 400);
        // Seeded, and ended by the tolerance.
        let mut run = |seed, tolerance| {
            let config =
                SensitivityConfig { probes: 400, tolerance, ..SensitivityConfig::default() };
            traces(&layer, &names, &config, seed, &mut gradients, &mut |_, _| ()).unwrap()
        };
        let early = run(1, 0.2);
        assert!(
            early[0].probes < 400 && early.iter().all(|t| t.error < 0.2 * t.mean.abs()),
            "{early:?}"
        );
        assert_eq!(run(1, 0.2), early);
        assert_ne!(run(2, 0.2), early);
        let error = traces(&layer, &names, &config, 1, &mut |_| Ok(HashMap::new()), &mut |_, _| ())
            .unwrap_err();
        assert!(error.to_string().contains("`weight` has no gradient"), "{error}");
    }

    /// The loss is half the squared length, whose Hessian is the identity.
    #[test]
    fn weights_that_are_all_zero_have_a_trace() {
        let zeros = TensorData::new(vec![0f32; INPUT * CLASSES], [CLASSES, INPUT]);
        let layer = Linear::new(Init::new(&Device::default(), 3), INPUT, CLASSES);
        let layer = assign_named(layer, HashMap::from([("weight".to_owned(), zeros)]));
        let mut gradients = |layer: &Linear| {
            Ok(collect_named(layer)
                .into_iter()
                .map(|(n, d)| (n, d.iter::<f32>().collect()))
                .collect())
        };
        let (names, config) = (["weight".to_owned()], SensitivityConfig::default());
        let ours = traces(&layer, &names, &config, 1, &mut gradients, &mut |_, _| ()).unwrap();
        assert!((ours[0].mean - 1.0).abs() < 1e-6 && ours[0].error < 1e-6, "{ours:?}");
    }
}
