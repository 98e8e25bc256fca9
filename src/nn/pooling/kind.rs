//! Which poolings there are.

use serde::{Deserialize, Serialize};

/// Heads of a query of MQMHASTP.
pub(super) const HEADS: usize = 8;
/// Queries of MQMHASTP.
pub(super) const QUERIES: usize = 2;

/// Which statistics over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PoolingKind {
    /// Mean and standard deviation, sqrt(unbiased variance + 1e-7).
    #[default]
    Tstp,
    /// Mean.
    Tap,
    /// Standard deviation.
    Tsdp,
    /// Mean and standard deviation weighted by attention (softmax over time for each channel).
    Astp,
    /// ASTP whose attention also sees mean and standard deviation of all frames
    /// (arXiv 2005.07143).
    #[serde(rename = "ASTP-GLOBAL")]
    AstpGlobal,
    /// ASTP by two queries of eight heads each (arXiv 2110.05042).
    Mqmhastp,
    /// ASTP with ReLU and BatchNorm in its attention (WeSpeaker's `ASP`, of SimAM-ResNet).
    Asp,
}

impl PoolingKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Tstp,
        Self::Tap,
        Self::Tsdp,
        Self::Astp,
        Self::AstpGlobal,
        Self::Mqmhastp,
        Self::Asp,
    ];

    /// The name, as recipes and model files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tstp => "TSTP",
            Self::Tap => "TAP",
            Self::Tsdp => "TSDP",
            Self::Astp => "ASTP",
            Self::AstpGlobal => "ASTP-GLOBAL",
            Self::Mqmhastp => "MQMHASTP",
            Self::Asp => "ASP",
        }
    }

    /// Statistics of so many channels.
    pub fn outputs(self, channels: usize) -> usize {
        channels
            * match self {
                Self::Tap | Self::Tsdp => 1,
                Self::Tstp | Self::Astp | Self::AstpGlobal | Self::Asp => 2,
                Self::Mqmhastp => 2 * QUERIES,
            }
    }

    /// A number that must divide the channels.
    pub fn divisor(self) -> usize {
        match self {
            Self::Mqmhastp => HEADS,
            Self::Tstp | Self::Tap | Self::Tsdp | Self::Astp | Self::AstpGlobal | Self::Asp => 1,
        }
    }
}
