//! Progress of a training where there is no dashboard: a bar on a terminal, a line an epoch elsewhere, all on stderr.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use kdam::{Bar, BarExt};

/// The renderer.
pub(super) struct Lines {
    quiet: bool,
    names: BTreeMap<String, String>,
    sums: BTreeMap<String, (f64, usize)>,
    bar: Option<Bar>,
    epoch: usize,
    epochs: usize,
}

impl Lines {
    pub fn new(quiet: bool) -> Self {
        Self { quiet, names: BTreeMap::new(), sums: BTreeMap::new(), bar: None, epoch: 1, epochs: 1 }
    }

    fn key(id: &MetricId) -> String {
        format!("{id:?}")
    }

    fn note(&mut self, state: &MetricState) {
        if let MetricState::Numeric(entry, Some(value)) = state {
            let name = self.names.get(&Self::key(&entry.metric_id)).cloned().unwrap_or_default();
            let value = match value {
                NumericEntry::Value(v) | NumericEntry::Final(v) => *v,
                NumericEntry::Aggregated { aggregated_value, .. } => *aggregated_value,
            };
            let sum = self.sums.entry(name).or_default();
            (sum.0, sum.1) = (sum.0 + value, sum.1 + 1);
        }
    }

    /// Means of what was noted since the epoch began.
    fn summary(&self) -> String {
        let number = |(sum, n): (f64, usize)| {
            let mean = sum / n.max(1) as f64;
            if mean != 0.0 && mean.abs() < 1e-3 { format!("{mean:.2e}") } else { format!("{mean:.3}") }
        };
        let parts: Vec<String> = self.sums.iter().map(|(name, &s)| format!("{name} {}", number(s))).collect();
        parts.join("  ")
    }
}

impl TrainingProgressLogger for Lines {
    fn start(&mut self, total_epochs: usize, starting_epoch: usize, _items: Option<usize>, _label: Option<&str>) {
        (self.epochs, self.epoch) = (total_epochs, starting_epoch);
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        if !self.quiet && std::io::stderr().is_terminal() && total_items > 1 {
            let mut bar =
                kdam::tqdm!(total = total_items, desc = format!("epoch {} {split}", self.epoch), leave = false);
            let _ = bar.refresh();
            self.bar = Some(bar);
        }
    }

    fn update_split(&mut self, items_processed: usize) {
        let summary = self.summary();
        if let Some(bar) = &mut self.bar {
            bar.set_postfix(summary);
            let _ = bar.update_to(items_processed);
        }
    }

    fn end_split(&mut self) {
        if let Some(mut bar) = self.bar.take() {
            let _ = bar.clear();
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        if !self.quiet {
            eprintln!("epoch {epoch}/{}  {}", self.epochs, self.summary());
        }
        self.sums.clear();
        self.epoch = epoch + 1;
    }

    fn end(&mut self) {}

    fn log_event_training(&mut self, _event: String) {}
}

impl MetricsRendererTraining for Lines {
    fn update_train(&mut self, state: MetricState) {
        self.note(&state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.note(&state);
    }
}

impl MetricsRenderer for Lines {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names.insert(Self::key(&definition.metric_id), definition.name.to_string());
    }
}

// burn-train asks every renderer for these; training has no separate evaluation.
impl MetricsRendererEvaluation for Lines {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl EvaluationProgressLogger for Lines {
    fn start_global_progress(&mut self, _total_tests: usize) {}
    fn start_test(&mut self, _name: &str, _total_items: usize) {}
    fn update_test_progress(&mut self, _items_processed: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}
