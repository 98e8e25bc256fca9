//! Metrics of a speaker-verification training for burn-train. They are numbers of the outcomes of
//! steps and tests.

use std::sync::Arc;

use burn::tensor::TensorReadError;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};

use super::dev_set::DevOutcome;
use super::step::StepOutcome;

/// A metric that is a number of an outcome `I`.
pub struct Picked<I> {
    name: MetricName,
    unit: Option<&'static str>,
    higher_is_better: bool,
    pick: fn(&I) -> f64,
    state: NumericMetricState,
}

impl<I> Picked<I> {
    fn new(
        name: &str,
        unit: Option<&'static str>,
        higher_is_better: bool,
        pick: fn(&I) -> f64,
    ) -> Self {
        Self {
            name: Arc::new(name.to_owned()),
            unit,
            higher_is_better,
            pick,
            state: NumericMetricState::new(),
        }
    }

    fn format(&self) -> FormatOptions {
        let options = FormatOptions::new(self.name.clone()).precision(3);
        match self.unit {
            Some(unit) => options.unit(unit),
            None => options,
        }
    }
}

/// Mean cross-entropy.
pub fn loss() -> Picked<StepOutcome> {
    Picked::new("loss", None, false, |s| s.loss)
}

/// Training accuracy, percent.
pub fn accuracy() -> Picked<StepOutcome> {
    Picked::new("accuracy", Some("%"), true, |s| 100.0 * s.accuracy)
}

/// Margin.
pub fn margin() -> Picked<StepOutcome> {
    Picked::new("margin", None, true, |s| s.margin)
}

/// Equal error rate on the dev trials, percent.
pub fn eer() -> Picked<DevOutcome> {
    Picked::new("EER", Some("%"), false, |d| 100.0 * d.rates().0)
}

/// minDCF(0.01) on the dev trials.
pub fn min_dcf() -> Picked<DevOutcome> {
    Picked::new("minDCF(0.01)", None, false, |d| d.rates().1[0])
}

impl<I> Clone for Picked<I> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), state: self.state.clone(), ..*self }
    }
}

impl<I> Metric for Picked<I> {
    type Input = I;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        let unit = self.unit.map(str::to_owned);
        NumericAttributes { unit, higher_is_better: self.higher_is_better }.into()
    }

    fn update(
        &mut self,
        item: &I,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        self.state.update((self.pick)(item), 1);
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl<I> Numeric for Picked<I> {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
