//! Parts of network and head by the beginnings of their tensors' names in the model file.

use super::check::Fault;
use super::{Recipe, is_within};
use crate::model_file::HEAD_PREFIX;
use crate::nn::{Init, names_and_shapes};

/// Of the parts that a tensor belongs to, the one with the longest name.
pub(in crate::train) fn longest<'a>(
    parts: impl Iterator<Item = &'a str>,
    tensor: &str,
) -> Option<&'a str> {
    parts.filter(|part| is_within(tensor, part)).max_by_key(|part| part.len())
}

impl Recipe {
    /// Refuses names of parts that no tensor has, and a training that would train nothing.
    pub(super) fn check_parts(&self) -> Result<(), Fault> {
        let (freeze, factors) = (&self.train.freeze, &self.schedule.factors);
        if freeze.is_empty() && factors.is_empty() {
            return Ok(());
        }
        let mut tensors: Vec<(String, bool)> = {
            let layout = self.model.layout().map_err(Fault::of("model"))?;
            layout.tensors.into_iter().map(|tensor| (tensor.name, tensor.trained)).collect()
        };
        let head = names_and_shapes(&self.loss.init(Init::blank(), 1, 2));
        tensors.extend(head.into_iter().map(|(name, _)| (format!("{HEAD_PREFIX}{name}"), true)));
        let named = freeze
            .iter()
            .map(|part| ("train.freeze", part))
            .chain(factors.keys().map(|part| ("schedule.factors", part)));
        for (key, part) in named {
            if !tensors.iter().any(|(tensor, _)| is_within(tensor, part)) {
                let message = format!(
                    "{key}: `{part}` is no part of {} and its head. There are {}; a longer name is \
                     a smaller part, as in `{}`",
                    self.model.name,
                    parts(&tensors).join(", "),
                    smaller(&tensors),
                );
                return Fault::refused(key, message);
            }
        }
        let is_frozen = |tensor: &str| freeze.iter().any(|part| is_within(tensor, part));
        match tensors.iter().all(|(tensor, is_trained)| !is_trained || is_frozen(tensor)) {
            true => Fault::refused("train.freeze", "train.freeze leaves nothing to train"),
            false => Ok(()),
        }
    }
}

/// The names up to their first dots, each once, in their order.
fn parts(tensors: &[(String, bool)]) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    for (tensor, _) in tensors {
        let part = tensor.split('.').next().unwrap_or(tensor);
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts
}

/// A part of a part.
fn smaller(tensors: &[(String, bool)]) -> &str {
    let deepest = tensors.iter().map(|(name, _)| name).max_by_key(|name| name.matches('.').count());
    deepest.and_then(|name| name.rsplit_once('.')).map_or("projection", |(part, _)| part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(changes: &[&str]) -> Result<Recipe, String> {
        let text = "[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"simam-resnet34\"\n\
                    width = 8\n";
        let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
        Recipe::parse(text, "r.toml".as_ref(), &changes).map_err(|e| e.to_string())
    }

    #[test]
    fn the_longest_name_counts() {
        let of = |tensor: &str| longest(["layer1", "layer1.0", "l"].into_iter(), tensor);
        assert_eq!(of("layer1.0.conv1.weight"), Some("layer1.0"));
        assert_eq!(of("layer1.1.conv1.weight"), Some("layer1"));
        assert_eq!(of("layer10.weight"), None);
        assert_eq!(of("l"), Some("l"));
    }

    #[test]
    fn names_are_those_of_the_model_file() {
        for name in ["front", "front.layer1", "front.layer1.0.bn1", "bottleneck", "projection"] {
            parse(&[&format!("train.freeze=[\"{name}\"]")]).unwrap();
        }
        parse(&["schedule.factors.projection=10", "schedule.factors.front=0"]).unwrap();
        let error = parse(&["train.freeze=[\"fornt\"]"]).unwrap_err();
        for wanted in [
            "train.freeze: `fornt` is no part of simam-resnet34 and its head",
            "There are front, ",
            ", projection; a longer name",
        ] {
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
        let error = parse(&["schedule.factors.heads=2"]).unwrap_err();
        assert!(error.contains("schedule.factors: `heads` is no part of"), "{error}");
        // Half of a name is none.
        assert!(parse(&["train.freeze=[\"fron\"]"]).is_err());
        assert!(parse(&["train.freeze=[\"\"]"]).is_err());
    }

    #[test]
    fn something_is_left_to_train() {
        let all = "train.freeze=[\"front\", \"pooling\", \"bottleneck\"]";
        parse(&[all]).unwrap();
        let error = parse(&[&all.replace(']', ", \"projection\"]")]).unwrap_err();
        assert!(error.contains("leaves nothing to train"), "{error}");
    }

    #[test]
    fn every_network_has_parts() {
        for name in crate::zoo::names() {
            let text = format!("[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"{name}\"\n");
            let read = |part: &str| {
                let changes = [format!("train.freeze=[\"{part}\"]")];
                Recipe::parse(&text, "r.toml".as_ref(), &changes).map_err(|e| e.to_string())
            };
            let error = read("none").unwrap_err();
            let (_, list) = error.split_once("There are ").unwrap();
            let (list, last) =
                list.split_once("; a longer name is a smaller part, as in `").unwrap();
            let all: Vec<&str> = list.split(", ").collect();
            assert!(all.len() > 1 && all.contains(&"projection"), "{error}");
            read("projection").unwrap();
            read(last.trim_end_matches('`')).unwrap();
        }
    }
}
