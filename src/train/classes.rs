//! The classes of a training head by name, and what a new head takes over from an old one.

use std::collections::HashMap;
use std::fmt;

use burn::tensor::TensorData;

/// Names of the classes, in the order of their labels: all speakers at the first speed, then at the
/// next one. At speed 1 a class has the name of its speaker. At another speed a blank, `x` and the
/// speed follow, as in `id10001 x0.9`. Names of speakers hold no blanks.
pub(super) fn class_names(speakers: &[String], speeds: &[f64]) -> Vec<String> {
    let at = |speed: f64| {
        speakers.iter().map(move |speaker| match speed == 1.0 {
            true => speaker.clone(),
            false => format!("{speaker} x{speed}"),
        })
    };
    speeds.iter().flat_map(|&speed| at(speed)).collect()
}

/// How the classes of a new head were found among those of an old one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadMatch {
    /// Classes whose weights were taken over.
    pub kept: usize,
    /// Classes that begin with random weights.
    pub added: usize,
    /// Classes of the old head that the new one lacks.
    pub dropped: usize,
    /// Some of the classes are speakers at other speeds.
    pub at_speeds: bool,
    /// Why the classes were not found by their names, if they were not.
    pub caution: Option<String>,
}

impl fmt::Display for HeadMatch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let what =
            if self.at_speeds { "classes (speakers, each at each speed)" } else { "speakers" };
        write!(f, "{} {what} kept, {} added, {} dropped", self.kept, self.added, self.dropped)
    }
}

/// For each class of a new head, the class of the old one whose weights it takes.
pub(super) struct Correspondence {
    pub of: Vec<Option<usize>>,
    old: usize,
    at_speeds: bool,
}

impl Correspondence {
    /// Classes of the same name.
    pub fn by_name(old: &[String], new: &[String]) -> Self {
        let places: HashMap<&str, usize> =
            old.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let of = new.iter().map(|name| places.get(name.as_str()).copied()).collect();
        let at_speeds = old.iter().chain(new).any(|name| name.contains(' '));
        Self { of, old: old.len(), at_speeds }
    }

    /// Classes in the same order.
    pub fn by_place(new: &[String]) -> Self {
        Self { of: (0..new.len()).map(Some).collect(), ..Self::none(new.len(), new) }
    }

    /// Nothing in common with `old` classes.
    pub fn none(old: usize, new: &[String]) -> Self {
        Self {
            of: vec![None; new.len()],
            old,
            at_speeds: new.iter().any(|name| name.contains(' ')),
        }
    }

    /// Fresh values with those rows of `old` that correspond, `[classes * rows of a class, ...]`.
    pub fn rows(&self, fresh: &TensorData, old: &TensorData) -> TensorData {
        let mut values: Vec<f32> = fresh.iter::<f32>().collect();
        let old: Vec<f32> = old.iter::<f32>().collect();
        let count = values.len() / self.of.len();
        for (place, from) in values.chunks_exact_mut(count).zip(&self.of) {
            if let Some(from) = from {
                place.copy_from_slice(&old[from * count..(from + 1) * count]);
            }
        }
        TensorData::new(values, fresh.shape().to_vec())
    }

    /// Counts of kept, added and dropped classes.
    pub fn summary(&self, caution: Option<String>) -> HeadMatch {
        let kept = self.of.iter().flatten().count();
        let (added, dropped) = (self.of.len() - kept, self.old - kept);
        HeadMatch { kept, added, dropped, at_speeds: self.at_speeds, caution }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::corpus::synth::{SynthConfig, make};
    use crate::train::{Recipe, TrainSet};

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn classes_are_named_in_the_order_of_their_labels() {
        let dir = tempfile::tempdir().unwrap();
        let corpus = dir.path().join("c");
        let config = SynthConfig {
            speakers: 3,
            dev_speakers: 2,
            utterances: 2,
            seconds: 0.5,
            ..SynthConfig::new(&corpus)
        };
        make(&config, &AtomicBool::new(false), &|_, _| ()).unwrap();
        let [train, dev] =
            ["train", "dev"].map(|name| corpus.join(name).to_str().unwrap().to_owned());
        let text = format!(
            "[data]\ntrain = {train:?}\ndev = {dev:?}\nframes = 20\nspeeds = [1.0, 0.9]\n\
             [model]\nname = \"resnet10\"\n"
        );
        let recipe = Recipe::parse(&text, "r.toml".as_ref(), &[]).unwrap();
        let set = TrainSet::new(&recipe, Arc::new(|_: &str| ()), &|_, _| ()).unwrap();
        let classes = class_names(&set.corpus().speakers, &recipe.data.speeds);
        assert_eq!(classes.len(), set.classes());
        assert_eq!(classes[..2], ["s00000", "s00001"]);
        assert_eq!(classes[5], "s00002 x0.9");
        let mut seen = std::collections::BTreeSet::new();
        for (utterance, entry) in set.corpus().utterances.iter().enumerate() {
            for epoch in 1..20 {
                let class = &classes[set.example(epoch, utterance, 0).unwrap().label];
                let speaker = class.split(' ').next().unwrap();
                assert_eq!(speaker, set.corpus().speakers[entry.speaker as usize]);
                seen.insert(class);
            }
        }
        assert_eq!(seen.len(), 6, "every class has examples");
    }

    #[test]
    fn rows_go_by_name_whatever_their_order() {
        let (old, new) = (names(&["a", "b", "c"]), names(&["c", "d", "a"]));
        let found = Correspondence::by_name(&old, &new);
        // Two rows a class, as with two centers.
        let old_rows = TensorData::new((0..12).map(|i| i as f32).collect::<Vec<f32>>(), [6, 2]);
        let fresh = TensorData::new(vec![-1.0f32; 12], [6, 2]);
        let rows: Vec<f32> = found.rows(&fresh, &old_rows).iter::<f32>().collect();
        assert_eq!(rows, [8.0, 9.0, 10.0, 11.0, -1.0, -1.0, -1.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(found.summary(None).to_string(), "2 speakers kept, 1 added, 1 dropped");
    }

    #[test]
    fn a_speaker_at_another_speed_is_another_class() {
        let old = class_names(&names(&["a", "b"]), &[1.0, 0.9]);
        let found = Correspondence::by_name(&old, &class_names(&names(&["a", "b"]), &[1.0, 1.1]))
            .summary(None);
        assert_eq!((found.kept, found.added, found.dropped), (2, 2, 2));
        assert!(found.to_string().starts_with("2 classes (speakers"), "{found}");
    }
}
