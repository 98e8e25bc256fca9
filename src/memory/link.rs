//! What the ranks of data-parallel training send each other in a step, by arithmetic.

use super::{Setting, human};
use crate::error::Result;

/// A link between ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Its name.
    pub name: &'static str,
    /// Bytes a second, in each direction at the same time.
    pub rate: f64,
}

/// Usual links. That of NVLink is an A100's: NVIDIA gives 600 GB/s for both directions together
/// (<https://www.nvidia.com/en-us/data-center/nvlink/>).
pub const LINKS: [Link; 4] = [
    Link { name: "1 Gb/s", rate: 1e9 / 8.0 },
    Link { name: "10 Gb/s", rate: 10e9 / 8.0 },
    Link { name: "100 Gb/s", rate: 100e9 / 8.0 },
    Link { name: "NVLink", rate: 300e9 },
];

/// The gradients of a step among ranks, and the work that each rank has with a step. Ranks that
/// divide the optimizer's states send new values of their parameters, too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exchange {
    ranks: usize,
    /// Whether ranks divide the optimizer's states.
    is_sharded: bool,
    /// Bytes of all gradients, f32.
    gradients: usize,
    /// Multiplications of a rank's part of the step.
    multiplications: f64,
}

impl Exchange {
    /// The exchange among so many ranks, each of which makes the step of the setting. Its gradients
    /// have so many bytes ([`Breakdown::gradients`](super::Breakdown::gradients)).
    ///
    /// # Errors
    /// An impossible setting.
    pub fn of(setting: &Setting, gradients: usize, ranks: usize) -> Result<Self> {
        let Setting { arch, batch, frames, speakers, shards, .. } = setting;
        let head = arch.embedding_dim * speakers;
        let forward = (arch.account(*frames)?.macs() + head) as f64 * *batch as f64;
        // The gradients of weights and of inputs take a forward pass each, recomputing takes one.
        let passes = if setting.is_reversible() { 4.0 } else { 3.0 };
        let (is_sharded, multiplications) = (*shards > 1, passes * forward);
        Ok(Self { ranks, is_sharded, gradients, multiplications })
    }

    /// Bytes that each rank sends and receives: 2 (n - 1) / n times the gradients, which is the
    /// least there can be, and what a ring takes (Patarasuk and Yuan 2009,
    /// <https://doi.org/10.1016/j.jpdc.2008.09.002>). New values of parameters are as many bytes
    /// as gradients, and take (n - 1) / n of these.
    pub fn bytes(&self) -> f64 {
        let ranks = self.ranks as f64;
        let times = if self.is_sharded { 3.0 } else { 2.0 };
        times * (ranks - 1.0) / ranks * self.gradients as f64
    }

    /// Seconds that this takes if nothing but the link's rate counts.
    pub fn seconds(&self, link: Link) -> f64 {
        self.bytes() / link.rate
    }

    /// Floating-point operations a second at which a rank computes as long as it sends. A
    /// multiplication has an addition beside it, so it counts twice.
    pub fn even(&self, link: Link) -> f64 {
        self.work() / self.seconds(link)
    }

    /// Sending against computing, in time, for a device that reaches so many floating-point
    /// operations a second. Below 1, sending takes less time than computing.
    pub fn share(&self, link: Link, rate: f64) -> f64 {
        self.seconds(link) * rate / self.work()
    }

    /// Floating-point operations of a rank's step.
    fn work(&self) -> f64 {
        2.0 * self.multiplications
    }
}

/// A table of exchanges by the names of their networks. `rate`, floating-point operations a second,
/// adds a line that compares sending with computing.
pub fn link_table(exchanges: &[(String, Exchange)], rate: Option<f64>) -> String {
    let share = rate.map(|rate| format!("  against {} TFLOP/s", rate / 1e12));
    let firsts = exchanges.iter().map(|(name, _)| name.as_str()).chain([EVEN]);
    let firsts = firsts.chain(share.as_deref()).map(|first| first.chars().count());
    let width = firsts.max().unwrap_or(0);
    let mut text = String::new();
    let mut line = |first: &str, bytes: &str, cells: [String; LINKS.len()]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>9}")).collect();
        text += &format!("{first:<width$}{bytes:>12}{cells}\n");
    };
    line("", "bytes", LINKS.map(|link| link.name.to_owned()));
    for (name, exchange) in exchanges {
        let bytes = human(exchange.bytes() as usize);
        line(name, &bytes, LINKS.map(|link| time(exchange.seconds(link))));
        line(EVEN, "", LINKS.map(|link| format!("{:.1}", exchange.even(link) / 1e12)));
        if let Some((first, rate)) = share.as_deref().zip(rate) {
            let percent = |link| format!("{:.1} %", 100.0 * exchange.share(link, rate));
            line(first, "", LINKS.map(percent));
        }
    }
    text
}

/// The line of [`Exchange::even`].
const EVEN: &str = "  even at TFLOP/s";

/// Seconds with a unit.
fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 1.0 => format!("{seconds:.2} s"),
        _ if seconds >= 1e-3 => format!("{:.1} ms", 1e3 * seconds),
        _ => format!("{:.0} us", 1e6 * seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::reversible::Execution;
    use crate::memory::account;
    use crate::train::OptimizerConfig;
    use crate::zoo::Architecture;

    fn setting(name: &str) -> Setting {
        Setting {
            batch: 32,
            ..Setting::new(
                Architecture::named(name).unwrap(),
                OptimizerConfig::named("sgd").unwrap(),
            )
        }
    }

    fn exchange(name: &str, ranks: usize) -> Exchange {
        let setting = setting(name);
        Exchange::of(&setting, account(&setting).unwrap().gradients, ranks).unwrap()
    }

    /// ResNet34 has 6 634 336 parameters and 4.55 G multiplications (2 s), its head 5994 x 256.
    #[test]
    fn two_ranks_send_their_gradients_once() {
        let parameters = (6_634_336 + 5994 * 256) as f64;
        let two = exchange("resnet34", 2);
        assert_eq!(two.bytes(), 4.0 * parameters);
        assert_eq!(exchange("resnet34", 4).bytes(), 1.5 * 4.0 * parameters);
        let second = two.seconds(LINKS[0]);
        assert!((second - 32.0 * parameters / 1e9).abs() < 1e-9, "{second}");
        // At this rate, computing 32 crops takes as long.
        let even = two.even(LINKS[0]);
        let computing = 2.0 * 3.0 * 32.0 * 4.55e9 / even;
        assert!((computing / second - 1.0).abs() < 0.02, "{computing} {second}");
        assert!((two.share(LINKS[0], even) - 1.0).abs() < 1e-12);
        assert!((two.share(LINKS[1], even) - 0.1).abs() < 1e-12);
        // With the optimizer's states divided, parameters come on top.
        let sharded = Setting { shards: 4, ..setting("resnet34") };
        let account = account(&sharded).unwrap();
        let exchange = Exchange::of(&sharded, account.gradients, 4).unwrap();
        assert_eq!(exchange.bytes(), 1.5 * 1.5 * 4.0 * parameters);
        // The head is the largest tensor, and smaller than a quarter of all.
        let least = parameters as usize;
        assert!((least..least + least / 20).contains(&account.optimizer), "{account:?}");
        // Recomputing is one pass more.
        let reversible = setting("rev1-resnet34");
        let taped = Setting { execution: Some(Execution::Taped), ..reversible.clone() };
        let [more, usual] = [reversible, taped].map(|s| Exchange::of(&s, 4, 2).unwrap().work());
        assert!((3.0 * more - 4.0 * usual).abs() < 1e-9 * more, "{more} {usual}");
    }

    #[test]
    fn tables_have_eighty_columns() {
        let names = ["resnet34", "redimnet2-b6", "rev2-gemini-df-resnet237"];
        let rows: Vec<(String, Exchange)> =
            names.map(|name| (name.to_owned(), exchange(name, 8))).into();
        for (rate, lines) in [(None, 7), (Some(12.5e12), 10)] {
            let text = link_table(&rows, rate);
            assert_eq!(text.lines().count(), lines, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert_eq!(text.contains("against 12.5 TFLOP/s"), rate.is_some(), "{text}");
        }
        assert_eq!([2.5, 0.0123, 0.000_456].map(time), ["2.50 s", "12.3 ms", "456 us"]);
    }
}
