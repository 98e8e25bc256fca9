//! Which network of the zoo an ONNX graph is.

use std::sync::OnceLock;

use super::File;
use super::layers::{Net, Tally};
use super::matching::{Named, named};
use super::walk::Layer;
use crate::error::{Error, Remedy, Result};
use crate::model_file::import::{ImportOptions, likeness};
use crate::nn::PoolingKind;
use crate::zoo::{Architecture, ROWS};

/// More layers or activations of a kind than poolings and embedding layers have.
const TAIL: usize = 40;

/// Looks for the network of a file.
pub(super) struct Search<'a> {
    pub file: &'a File,
    pub net: &'a Net<Layer<'a>>,
    pub said: &'a ImportOptions,
}

impl Search<'_> {
    /// The file's tensors as those of this network, with any pooling and number of embedding
    /// layers.
    ///
    /// # Errors
    /// An impossible network; what differs first from the network as it is named.
    pub fn one(&self, arch: &Architecture, pooling: Option<PoolingKind>) -> Result<Named> {
        let mut first = None;
        for form in forms(arch, pooling) {
            match named(self.net, &form.layout()?, &self.file.content) {
                Ok(tensors) => return Ok(tensors),
                Err(e) => first = first.or(Some(e)),
            }
        }
        let what = first.unwrap_or_else(|| "no such form of the network".to_owned());
        Err(self.file.bad(&format!("not the graph of {}: {what}", arch.name)))
    }

    /// The only network of the zoo that fits, and its tensors.
    ///
    /// # Errors
    /// None fits, or several.
    pub fn all(&self) -> Result<(String, Named)> {
        let mut fitting: Vec<(usize, &str, Named)> = Vec::new();
        let mut paired = None;
        for (name, body) in bodies() {
            if !may_have(&self.net.tally, body) {
                continue;
            }
            let Ok(tensors) = self.one(&Architecture::named(name)?, self.said.pooling) else {
                continue;
            };
            let folded = tensors.folded;
            let checkpoint = self.file.checkpoint(tensors.tensors);
            match likeness::distance(&self.file.path, &checkpoint, name, self.said) {
                None => paired = paired.or(Some(*name)),
                Some(distance) => {
                    let tensors = Named { tensors: checkpoint.tensors, folded };
                    fitting.push((distance, *name, tensors));
                }
            }
        }
        let least = fitting.iter().map(|(distance, ..)| *distance).min();
        fitting.retain(|(distance, ..)| Some(*distance) == least);
        let names: Vec<&str> = fitting.iter().map(|(_, name, _)| *name).collect();
        if names.len() > 1 {
            return Err(self.file.several(&names));
        }
        match (fitting.pop(), paired) {
            (Some((_, name, tensors)), _) => Ok((name.to_owned(), tensors)),
            // Its sizes are wrong, and whoever compares them says which.
            (None, Some(name)) => {
                let arch = Architecture::named(name)?;
                Ok((name.to_owned(), self.one(&arch, self.said.pooling)?))
            }
            (None, None) => Err(self.none()),
        }
    }

    fn none(&self) -> Error {
        let all = self.net.tally.named().into_iter().filter(|(count, _)| *count > 0);
        let all: Vec<String> = all.map(|(count, what)| format!("{count} {what}")).collect();
        let all = if all.is_empty() { "no layers".to_owned() } else { all.join(", ") };
        let message = format!("no network of the zoo has such a graph ({all})");
        self.file.bad(&message).with(Remedy::SayArchitecture)
    }
}

/// Every form of a network that the tail may have, the published one first. Poolings of the same
/// layers are told apart by shapes.
fn forms(arch: &Architecture, pooling: Option<PoolingKind>) -> Vec<Architecture> {
    let class = |kind| match kind {
        PoolingKind::Tstp | PoolingKind::Tap | PoolingKind::Tsdp => 0,
        PoolingKind::Astp | PoolingKind::AstpGlobal => 1,
        PoolingKind::Mqmhastp => 2,
        PoolingKind::Asp => 3,
    };
    let mut poolings: Vec<PoolingKind> = vec![pooling.unwrap_or(arch.pooling)];
    for other in PoolingKind::ALL {
        if pooling.is_none() && !poolings.iter().any(|&one| class(one) == class(other)) {
            poolings.push(other);
        }
    }
    let two = arch.two_embedding_layers;
    let mut forms = Vec::new();
    for pooling in poolings {
        for two_embedding_layers in [two, !two] {
            forms.push(Architecture { pooling, two_embedding_layers, ..arch.clone() });
        }
    }
    forms.retain(|form| form.check().is_ok());
    forms
}

/// What each network has in front of its pooling, of those that are found by their graphs.
fn bodies() -> &'static [(&'static str, Tally)] {
    static BODIES: OnceLock<Vec<(&str, Tally)>> = OnceLock::new();
    BODIES.get_or_init(|| {
        let body = |name: &'static str| {
            let graph = Architecture::named(name).ok()?.layout().ok()?;
            Some((name, Net::of(&graph).ok()?.1))
        };
        ROWS.iter().filter_map(|row| body(row.name)).collect()
    })
}

/// Whether a network with this body may have this tally.
fn may_have(found: &Tally, body: &Tally) -> bool {
    let mut pairs = found.named().into_iter().zip(body.named());
    pairs.all(|((found, _), (body, _))| (body..body + TAIL).contains(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_networks_are_found_by_their_graphs() {
        let known: Vec<&str> = bodies().iter().map(|(name, _)| *name).collect();
        for name in ["resnet34", "resnet293", "ecapa-tdnn-glob-1024", "campplus", "tdnn"] {
            assert!(known.contains(&name), "{name}");
        }
        for (name, body) in bodies() {
            for form in forms(&Architecture::named(name).unwrap(), None) {
                let (net, _) = Net::of(&form.layout().unwrap()).unwrap();
                assert!(may_have(&net.tally, body), "{name} {:?}", form.pooling);
            }
        }
    }

    #[test]
    fn a_pooling_that_was_said_is_the_only_one() {
        let arch = Architecture::named("resnet34").unwrap();
        let of = |pooling| forms(&arch, pooling).into_iter().map(|form| form.pooling);
        assert!(of(Some(PoolingKind::Tap)).all(|kind| kind == PoolingKind::Tap));
        let all: Vec<PoolingKind> = of(None).collect();
        assert_eq!(all[0], PoolingKind::Tstp);
        assert!(all.contains(&PoolingKind::Astp) && all.contains(&PoolingKind::Mqmhastp));
    }
}
