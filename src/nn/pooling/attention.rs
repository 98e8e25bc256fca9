//! Weights of frames by attention.

use burn::module::Module;

use super::kind::{HEADS, QUERIES};
use super::moments::{Floor, Statistics};
use crate::nn::{BatchNorm, Conv1d, Conv1dConfig, Exec, Init, Map};

/// Inner channels of ASTP's and ASP's attention.
const INNER: usize = 128;
/// Inner channels of a head of MQMHASTP.
const HEAD: usize = 64;
fn conv(init: &Init, name: &str, input: usize, output: usize) -> Conv1d {
    Conv1dConfig::new(input, output, 1).biased().init(init.at(name))
}

/// Attentive statistics: softmax over time of `linear2 tanh(linear1 x)`.
#[derive(Module, Debug)]
pub(super) struct Astp {
    linear1: Conv1d,
    linear2: Conv1d,
    #[module(skip)]
    global: bool,
    #[module(skip)]
    channels: usize,
}

impl Astp {
    pub fn new(init: &Init, channels: usize, global: bool) -> Self {
        let seen = if global { 3 * channels } else { channels };
        let linear1 = conv(init, "linear1", seen, INNER);
        Self { linear1, linear2: conv(init, "linear2", INNER, channels), global, channels }
    }

    /// `[batch, channels, frames]` -> `[batch, 2 * channels]`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<2> {
        let seen = if self.global {
            let all = e.pool(Statistics::Both, x.clone(), None);
            let all: E::Value<3> = e.reshape(all, [0, 2 * self.channels as i32, 1]);
            let all = e.spread(all, &x);
            e.concat(vec![x.clone(), all], 1)
        } else {
            x.clone()
        };
        weighted(e, [&self.linear1, &self.linear2], seen, x)
    }
}

/// Statistics of `x`, weighted by `second tanh(first seen)`.
fn weighted<E: Exec>(
    e: &mut E,
    [first, second]: [&Conv1d; 2],
    seen: E::Value<3>,
    x: E::Value<3>,
) -> E::Value<2> {
    let y = e.conv1d(first, seen);
    let y = e.map(Map::Tanh, y);
    let y = e.conv1d(second, y);
    let alpha = e.map(Map::Softmax, y);
    e.pool(Statistics::Weighted(Floor::E7), x, Some(alpha))
}

/// Several queries, each of which sees all channels.
#[derive(Module, Debug)]
pub(super) struct Mqmhastp {
    n_query: Vec<Query>,
}

/// Heads, each of which sees its own channels.
#[derive(Module, Debug)]
struct Query {
    heads_att_trans: Vec<Head>,
}

#[derive(Module, Debug)]
struct Head {
    att_0: Conv1d,
    att_1: Conv1d,
}

impl Mqmhastp {
    /// The number of channels is a multiple of [`HEADS`].
    pub fn new(init: &Init, channels: usize) -> Self {
        let share = channels / HEADS;
        let head = |init: Init| Head {
            att_0: conv(&init, "att_0", share, HEAD),
            att_1: conv(&init, "att_1", HEAD, share),
        };
        let query = |q: usize| {
            let init = init.at("n_query").at(q).at("heads_att_trans");
            Query { heads_att_trans: (0..HEADS).map(|h| head(init.at(h))).collect() }
        };
        Self { n_query: (0..QUERIES).map(query).collect() }
    }

    /// `[batch, channels, frames]` -> `[batch, 2 * QUERIES * channels]`: mean and standard
    /// deviation of each head, query by query.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<2> {
        let mut all = Vec::new();
        for query in &self.n_query {
            for (h, head) in query.heads_att_trans.iter().enumerate() {
                let share = head.att_0.config().input;
                let own = e.channels(&x, h * share..(h + 1) * share);
                all.push(weighted(e, [&head.att_0, &head.att_1], own.clone(), own));
            }
        }
        e.concat(all, 1)
    }
}

/// conv - ReLU - BatchNorm - conv - softmax, as the `Sequential` of WeSpeaker's `ASP`.
#[derive(Module, Debug)]
pub(super) struct Asp {
    /// Convolution, nothing (the ReLU), BatchNorm, convolution.
    attention: (Conv1d, Option<BatchNorm>, BatchNorm, Conv1d),
}

impl Asp {
    pub fn new(init: &Init, channels: usize) -> Self {
        let init = init.at("attention");
        let norm = BatchNorm::new(init.at(2), INNER);
        let last = conv(&init, "3", INNER, channels);
        Self { attention: (conv(&init, "0", channels, INNER), None, norm, last) }
    }

    /// `[batch, channels, frames]` -> `[batch, 2 * channels]`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<2> {
        let (first, _, norm, last) = &self.attention;
        let y = e.conv1d(first, x.clone());
        let y = e.map(Map::Relu, y);
        let y = e.norm(norm, y, false);
        let y = e.conv1d(last, y);
        let alpha = e.map(Map::Softmax, y);
        e.pool(Statistics::Weighted(Floor::E5), x, Some(alpha))
    }
}
