//! The networks, as tables of stages. A name of the table, a width, a number of mels, an embedding
//! size and a pooling make an [`Architecture`], from which come the module ([`Architecture::init`])
//! and its costs ([`Architecture::account`]).

mod account;
mod df_resnet;
mod resnet;
pub mod reversible;
pub mod sketch;

pub use account::{Account, LayerCost};
pub use df_resnet::DfResNet;
pub use resnet::ResNet;
pub use reversible::{RevNet, ReversibleOptions, ReversibleType};
pub use sketch::Sketch;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::backend::norm::rectify;
use crate::backend::reversible::Execution;
use crate::error::{Error, Result};
use crate::nn::{BatchNorm, Init, Linear, Mode, PoolingKind};

/// The residual block of a ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3, 1x1 with four times as many output channels.
    Bottleneck,
}

/// Where a DF-ResNet loses resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DfLayout {
    /// Three downsampling layers before stages 2 to 4, halving mels and frames. A reconstruction:
    /// the family's depths are published, this layout is not; its parameter counts agree with the
    /// published ones where those are known to 3 digits, except for DF-ResNet56.
    Original,
    /// Four downsampling layers, one before each stage: mels halve four times, frames once (Golden
    /// Gemini; WeSpeaker).
    Gemini,
}

/// A family member: blocks for each of four stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// `resnet*`.
    ResNet(BlockKind, [usize; 4]),
    /// `df-resnet*` and `gemini-df-resnet*`.
    DfResNet(DfLayout, [usize; 4]),
}

/// Every name. Sources: WeSpeaker `resnet.py`, `gemini_dfresnet.py`; `resnet10` and `df-resnet32`
/// are ours, small members of their families for quick runs.
pub const ZOO: [(&str, Body); 17] = {
    use BlockKind::{Basic, Bottleneck};
    use Body::{DfResNet, ResNet};
    use DfLayout::{Gemini, Original};
    [
        ("resnet10", ResNet(Basic, [1, 1, 1, 1])),
        ("resnet18", ResNet(Basic, [2, 2, 2, 2])),
        ("resnet34", ResNet(Basic, [3, 4, 6, 3])),
        ("resnet50", ResNet(Bottleneck, [3, 4, 6, 3])),
        ("resnet101", ResNet(Bottleneck, [3, 4, 23, 3])),
        ("resnet152", ResNet(Bottleneck, [3, 8, 36, 3])),
        ("resnet221", ResNet(Bottleneck, [6, 16, 48, 3])),
        ("resnet293", ResNet(Bottleneck, [10, 20, 64, 3])),
        ("df-resnet32", DfResNet(Original, [2, 2, 4, 2])),
        ("df-resnet56", DfResNet(Original, [3, 3, 9, 3])),
        ("df-resnet110", DfResNet(Original, [3, 3, 27, 3])),
        ("df-resnet179", DfResNet(Original, [3, 8, 45, 3])),
        ("df-resnet233", DfResNet(Original, [3, 8, 63, 3])),
        ("gemini-df-resnet60", DfResNet(Gemini, [3, 3, 9, 3])),
        ("gemini-df-resnet114", DfResNet(Gemini, [3, 3, 27, 3])),
        ("gemini-df-resnet183", DfResNet(Gemini, [3, 8, 45, 3])),
        ("gemini-df-resnet237", DfResNet(Gemini, [3, 8, 63, 3])),
    ]
};

/// A network's full configuration; what the model file records as `arch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// A name of [`ZOO`], or one of those behind `rev1-` or `rev2-`.
    pub name: String,
    /// Channels of the stem; stages have 1, 2, 4, 8 times as many.
    #[serde(default = "default_width")]
    pub width: usize,
    /// Mel filters of the input.
    #[serde(default = "default_mels")]
    pub mels: usize,
    /// Values of an embedding.
    #[serde(default = "default_embedding_dim")]
    pub embedding_dim: usize,
    /// Pooling over time.
    #[serde(default = "default_pooling")]
    pub pooling: PoolingKind,
    /// A second linear layer behind ReLU and BatchNorm (WeSpeaker's `two_emb_layer`); the embedding
    /// is its output.
    #[serde(default)]
    pub two_embedding_layers: bool,
    /// Choices within a reversible type.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reversible: ReversibleOptions,
}

fn is_default(options: &ReversibleOptions) -> bool {
    *options == ReversibleOptions::default()
}

/// Every name: those of [`ZOO`], and each as Type I and Type II.
pub fn names() -> impl Iterator<Item = String> {
    let prefixes = ["", ReversibleType::Partial.prefix(), ReversibleType::Full.prefix()];
    prefixes
        .into_iter()
        .flat_map(|prefix| ZOO.iter().map(move |(name, _)| format!("{prefix}{name}")))
}

fn default_width() -> usize {
    32
}
fn default_mels() -> usize {
    80
}
fn default_embedding_dim() -> usize {
    256
}
fn default_pooling() -> PoolingKind {
    PoolingKind::Tstp
}

impl Architecture {
    /// A zoo member with its published settings: width 32, 80 mels, 256-d embedding, TSTP.
    pub fn named(name: &str) -> Result<Self> {
        let arch = Self {
            name: name.to_owned(),
            width: default_width(),
            mels: default_mels(),
            embedding_dim: default_embedding_dim(),
            pooling: default_pooling(),
            two_embedding_layers: false,
            reversible: ReversibleOptions::default(),
        };
        arch.check().map(|()| arch)
    }

    /// The stages of this name, or of the network it is a reversible type of.
    pub fn body(&self) -> Result<Body> {
        let base = self.base_name();
        ZOO.iter().find(|(name, _)| *name == base).map(|&(_, body)| body).ok_or_else(|| {
            let names: Vec<&str> = ZOO.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            Error::invalid(format!(
                "no architecture `{}`; there are: {names}, each also as rev1-... and rev2-...",
                self.name
            ))
        })
    }

    /// The reversible type, if the name asks for one.
    pub fn reversible_type(&self) -> Option<ReversibleType> {
        [ReversibleType::Partial, ReversibleType::Full]
            .into_iter()
            .find(|t| self.name.starts_with(t.prefix()))
    }

    /// The name without the type.
    pub fn base_name(&self) -> &str {
        let prefix = self.reversible_type().map_or("", ReversibleType::prefix);
        &self.name[prefix.len()..]
    }

    /// The reversible network's table of stages; none for an ordinary network.
    pub fn plan(&self) -> Result<Option<reversible::Plan>> {
        let body = self.body()?;
        self.reversible_type().map(|kind| reversible::Plan::new(self, kind, body)).transpose()
    }

    /// Refuses unknown names and impossible sizes.
    pub fn check(&self) -> Result<()> {
        self.body()?;
        for (what, value, most) in [
            ("width", self.width, 1024),
            ("mels", self.mels, 1024),
            ("embedding_dim", self.embedding_dim, 1 << 16),
        ] {
            if value == 0 || value > most {
                return Err(Error::invalid(format!("{what} = {value}: must be 1 to {most}")));
            }
        }
        if self.reversible_type().is_none() && !is_default(&self.reversible) {
            let name = &self.name;
            return Err(Error::invalid(format!(
                "`{name}` has no reversible options; rev1-{name} and rev2-{name} have"
            )));
        }
        self.plan().map(|_| ())
    }

    /// The network on a device, in evaluation state, its weights drawn under `seed` when first
    /// used.
    pub fn init(&self, device: &Device, seed: u64) -> Result<Network> {
        self.check()?;
        let init = Init::new(device, seed);
        if let Some(plan) = self.plan()? {
            return Ok(Network::Reversible(RevNet::new(init, self, &plan)));
        }
        Ok(match self.body()? {
            Body::ResNet(block, blocks) => Network::ResNet(ResNet::new(init, self, block, blocks)),
            Body::DfResNet(layout, depths) => {
                Network::DfResNet(DfResNet::new(init, self, layout, depths))
            }
        })
    }

    /// Operations and sizes for one utterance of `frames` frames.
    pub fn sketch(&self, frames: usize) -> Result<Sketch> {
        if let Some(plan) = self.plan()? {
            return Ok(plan.sketch(self, frames));
        }
        Ok(match self.body()? {
            Body::ResNet(block, blocks) => resnet::sketch(self, block, blocks, frames),
            Body::DfResNet(layout, depths) => df_resnet::sketch(self, layout, depths, frames),
        })
    }

    /// Parameters, multiplications and kept activations of one utterance of `frames` frames.
    pub fn account(&self, frames: usize) -> Result<Account> {
        Ok(self.sketch(frames)?.account())
    }
}

impl Sketch {
    /// What the network costs.
    pub fn account(&self) -> Account {
        Account::of(self)
    }
}

/// Any network of the zoo.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one network in a program, not an array of them"
)]
pub enum Network {
    /// ResNet.
    ResNet(ResNet),
    /// DF-ResNet, either layout.
    DfResNet(DfResNet),
    /// Reversible, either type.
    Reversible(RevNet),
}

impl Network {
    /// Chooses how a reversible network trains. An ordinary one has no choice and is refused.
    pub fn with_execution(self, execution: Execution) -> Result<Self> {
        match self {
            Self::Reversible(net) => Ok(Self::Reversible(net.with_execution(execution))),
            _ => {
                Err(Error::invalid("only rev1- and rev2- architectures have a choice of execution"))
            }
        }
    }

    /// Mean-subtracted features `[batch, frames, mels]` -> embeddings `[batch, embedding_dim]`.
    pub fn forward(&self, features: Tensor<3>, mode: Mode) -> Tensor<2> {
        // The networks see an image of height mels and width frames.
        let image = features.swap_dims(1, 2).unsqueeze_dim::<4>(1);
        match self {
            Network::ResNet(net) => net.forward(image, mode),
            Network::DfResNet(net) => net.forward(image, mode),
            Network::Reversible(net) => net.forward(image, mode),
        }
    }
}

/// Pooled statistics `[batch, statistics]` to embeddings: a linear layer, and behind ReLU and
/// BatchNorm perhaps another.
fn embedding(
    pooled: Tensor<2>,
    first: &Linear,
    second: Option<(&BatchNorm, &Linear)>,
    mode: Mode,
) -> Tensor<2> {
    let embedding = first.forward(pooled);
    match second {
        Some((bn, linear)) => linear.forward(bn.forward(rectify(embedding), mode)),
        None => embedding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::names_and_shapes;

    #[test]
    fn arithmetic_and_modules_agree_on_parameters() {
        for name in names() {
            for pooling in
                [PoolingKind::Tstp, PoolingKind::Tap, PoolingKind::Tsdp, PoolingKind::Astp]
            {
                let arch = Architecture {
                    width: 8,
                    mels: 48,
                    embedding_dim: 20,
                    pooling,
                    two_embedding_layers: pooling == PoolingKind::Tap,
                    ..Architecture::named(&name).unwrap()
                };
                let network = arch.init(&Device::default(), 0).unwrap();
                let counted: usize = names_and_shapes(&network)
                    .iter()
                    .filter(|(name, _)| !name.contains("running_"))
                    .map(|(_, shape)| shape.iter().product::<usize>())
                    .sum();
                assert_eq!(counted, arch.account(200).unwrap().parameters(), "{name} {pooling:?}");
            }
        }
    }

    /// Equal parameters: within 1 % for basic blocks and DF-ResNets, 1.1 % where bottlenecks leave
    /// nothing nearer.
    #[test]
    fn reversible_types_have_the_ordinary_networks_parameters() {
        let parameters = |name: &str| {
            Architecture::named(name).unwrap().account(200).unwrap().parameters() as f64
        };
        for (name, body) in ZOO {
            let most =
                if matches!(body, Body::ResNet(BlockKind::Bottleneck, _)) { 0.011 } else { 0.01 };
            for kind in [ReversibleType::Partial, ReversibleType::Full] {
                let reversible = format!("{}{name}", kind.prefix());
                let off = parameters(&reversible) / parameters(name) - 1.0;
                assert!(off.abs() <= most, "{reversible}: {:+.2} %", 100.0 * off);
            }
        }
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        let error = Architecture::named("resnet35").unwrap_err().to_string();
        assert!(error.contains("resnet35") && error.contains("gemini-df-resnet114"), "{error}");
        let zero = Architecture { width: 0, ..Architecture::named("resnet18").unwrap() };
        assert!(zero.check().is_err());
    }
}
