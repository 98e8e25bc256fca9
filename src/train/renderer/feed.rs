//! Turns burn-train's calls of a renderer into events. No other file uses its renderer traits.

use std::time::Instant;

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricAttributes, MetricDefinition, MetricId, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};

/// Something that happens in a training. Metrics are numbered in the order of their registration.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// A metric is registered.
    Metric { name: String, unit: Option<String>, higher_is_better: bool },
    /// The training begins in epoch `epoch` of `epochs`.
    Start { epochs: usize, epoch: usize },
    /// A pass over the training data begins.
    Train { examples: usize },
    /// A metric of a step, whose `Done` follows.
    Step { metric: usize, value: f64 },
    /// A step is done. `examples` of the epoch are done now.
    Done { examples: usize },
    /// The pass over the training data is done.
    Trained,
    /// A dev test begins.
    Test,
    /// A metric of the dev test.
    Tested { metric: usize, value: f64 },
    /// An epoch is done.
    Epoch(usize),
    /// The training ends, complete or not.
    End,
}

/// Receives events.
pub(super) trait Sink: Send + Sync {
    /// Takes an event and the time at which it happened.
    fn take(&mut self, event: Event, now: Instant);
}

/// A renderer for burn-train that passes events to a sink.
pub(super) struct Feed<S> {
    sink: S,
    metrics: Vec<MetricId>,
    testing: bool,
}

/// burn-train's name of the learning rate.
const LEARNING_RATE: &str = "Learning Rate";

impl<S: Sink> Feed<S> {
    /// A renderer that passes events to `sink`.
    pub fn new(sink: S) -> Self {
        Self { sink, metrics: Vec::new(), testing: false }
    }

    fn send(&mut self, event: Event) {
        self.sink.take(event, Instant::now());
    }

    fn number(&self, id: &MetricId) -> Option<usize> {
        self.metrics.iter().position(|known| known == id)
    }
}

impl<S: Sink> TrainingProgressLogger for Feed<S> {
    fn start(
        &mut self,
        total_epochs: usize,
        starting_epoch: usize,
        _items: Option<usize>,
        _label: Option<&str>,
    ) {
        self.send(Event::Start { epochs: total_epochs, epoch: starting_epoch });
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.testing = split != "train";
        self.send(if self.testing { Event::Test } else { Event::Train { examples: total_items } });
    }

    fn update_split(&mut self, items_processed: usize) {
        // The whole dev set is one item, so there is no progress within a test.
        if !self.testing {
            self.send(Event::Done { examples: items_processed });
        }
    }

    fn end_split(&mut self) {
        if !self.testing {
            self.send(Event::Trained);
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.send(Event::Epoch(epoch));
    }

    fn end(&mut self) {
        self.send(Event::End);
    }

    fn log_event_training(&mut self, _event: String) {}
}

impl<S: Sink> MetricsRendererTraining for Feed<S> {
    fn update_train(&mut self, state: MetricState) {
        let MetricState::Numeric(entry, Some(value)) = state else { return };
        // The final value of an epoch is the mean of its steps, which the board computes itself.
        let value = match value {
            NumericEntry::Value(value)
            | NumericEntry::Aggregated { aggregated_value: value, .. } => value,
            NumericEntry::Final(_) => return,
        };
        if let Some(metric) = self.number(&entry.metric_id) {
            self.send(Event::Step { metric, value });
        }
    }

    fn update_valid(&mut self, state: MetricState) {
        let MetricState::Numeric(entry, Some(NumericEntry::Final(value))) = state else { return };
        if let Some(metric) = self.number(&entry.metric_id) {
            self.send(Event::Tested { metric, value });
        }
    }
}

impl<S: Sink> MetricsRenderer for Feed<S> {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        let name = match definition.name.as_str() {
            LEARNING_RATE => "lr".to_owned(),
            name => name.to_owned(),
        };
        let (unit, higher_is_better) = match definition.attributes {
            MetricAttributes::Numeric(numeric) => (numeric.unit, numeric.higher_is_better),
            MetricAttributes::None => (None, true),
        };
        self.metrics.push(definition.metric_id);
        self.send(Event::Metric { name, unit, higher_is_better });
    }
}

// burn-train requires these of every renderer. Our trainings have no separate evaluation.
impl<S: Sink> MetricsRendererEvaluation for Feed<S> {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl<S: Sink> EvaluationProgressLogger for Feed<S> {
    fn start_global_progress(&mut self, _total_tests: usize) {}
    fn start_test(&mut self, _name: &str, _total_items: usize) {}
    fn update_test_progress(&mut self, _items_processed: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

#[cfg(test)]
mod tests {
    use burn::train::metric::{LearningRateMetric, Metric, MetricEntry, SerializedEntry};

    use super::*;
    use crate::train::trial_metric;

    struct Kept(Vec<Event>);

    impl Sink for Kept {
        fn take(&mut self, event: Event, _now: Instant) {
            self.0.push(event);
        }
    }

    fn register<M: Metric>(feed: &mut Feed<Kept>, metric: &M) -> MetricId {
        let id = MetricId::new(metric.name());
        feed.register_metric(MetricDefinition::new(id.clone(), metric));
        id
    }

    fn numeric(id: &MetricId, value: NumericEntry) -> MetricState {
        let entry =
            MetricEntry::new(id.clone(), SerializedEntry::new(String::new(), String::new()));
        MetricState::Numeric(entry, Some(value))
    }

    #[test]
    fn metrics_have_the_names_of_the_field_and_their_units() {
        let mut feed = Feed::new(Kept(Vec::new()));
        register(&mut feed, &trial_metric::loss());
        register(&mut feed, &trial_metric::accuracy());
        register(&mut feed, &trial_metric::margin());
        register(&mut feed, &LearningRateMetric::new());
        register(&mut feed, &trial_metric::eer());
        register(&mut feed, &trial_metric::min_dcf());
        let named = feed.sink.0.iter().map(|e| match e {
            Event::Metric { name, unit, higher_is_better } => {
                (name.as_str(), unit.as_deref(), *higher_is_better)
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(
            named.collect::<Vec<_>>(),
            [
                ("loss", None, false),
                ("accuracy", Some("%"), true),
                ("margin", None, true),
                ("lr", None, false),
                ("EER", Some("%"), false),
                ("minDCF(0.01)", None, false)
            ]
        );
    }

    #[test]
    fn an_epoch_of_burn_train_becomes_events() {
        let mut feed = Feed::new(Kept(Vec::new()));
        let loss = register(&mut feed, &trial_metric::loss());
        let eer = register(&mut feed, &trial_metric::eer());
        feed.start(14, 3, None, None);
        feed.start_split("train", 8);
        feed.update_train(numeric(
            &loss,
            NumericEntry::Aggregated { aggregated_value: 2.5, count: 1 },
        ));
        feed.update_split(4);
        feed.log_event_training("Iteration".into());
        feed.update_train(numeric(&loss, NumericEntry::Final(2.5)));
        feed.end_split();
        feed.start_split("valid", 1);
        feed.update_valid(numeric(
            &eer,
            NumericEntry::Aggregated { aggregated_value: 8.0, count: 1 },
        ));
        feed.update_split(1);
        feed.update_valid(numeric(&eer, NumericEntry::Final(8.0)));
        feed.end_split();
        feed.update_epoch(3);
        feed.end();
        assert_eq!(
            feed.sink.0[2..],
            [
                Event::Start { epochs: 14, epoch: 3 },
                Event::Train { examples: 8 },
                Event::Step { metric: 0, value: 2.5 },
                Event::Done { examples: 4 },
                Event::Trained,
                Event::Test,
                Event::Tested { metric: 1, value: 8.0 },
                Event::Epoch(3),
                Event::End
            ]
        );
    }
}
