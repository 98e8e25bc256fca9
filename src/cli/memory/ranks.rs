//! What ranks send each other.

use serde_json::{Map, Value, json};

use crate::cli::values::within;
use crate::error::Result;
use crate::memory::{Exchange, LINKS, Link, Row, link_table};

/// Ranks of a training.
#[derive(Debug, clap::Args)]
pub(super) struct Ranks {
    /// Tell also what so many ranks (processes of a training) send each other in a step, with
    /// --batch crops on each: arithmetic, for several links.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=65_536))]
    ranks: Option<u32>,
    /// Floating-point operations that a device reaches in a step, in 10^12 a second. Sending is
    /// compared with computing.
    #[arg(long, value_name = "RATE", requires = "ranks", value_parser = tflops)]
    tflops: Option<f64>,
    /// The ranks divide the optimizer's states among them (train.shard_states of a recipe). The
    /// table is of the rank with most.
    #[arg(long, requires = "ranks")]
    shard_states: bool,
}

fn tflops(text: &str) -> Result<f64, String> {
    within(text, 1e-6..=1e6, "0.000001 to 1000000")
}

impl Ranks {
    /// Ranks that divide the optimizer's states among them.
    pub fn shards(&self) -> usize {
        self.ranks.filter(|_| self.shard_states).map_or(1, |ranks| ranks as usize)
    }

    /// How the title of a table tells of that.
    pub fn divided(&self) -> String {
        match self.shards() {
            1 => String::new(),
            ranks => format!(", states divided among {ranks} ranks"),
        }
    }

    /// Floating-point operations a second.
    fn rate(&self) -> Option<f64> {
        self.tflops.map(|tflops| 1e12 * tflops)
    }

    fn exchange(&self, row: &Row) -> Result<Option<Exchange>> {
        let of = |ranks: u32| Exchange::of(&row.setting, row.account.gradients, ranks as usize);
        self.ranks.map(of).transpose()
    }

    /// A table for these steps, if one is wanted.
    ///
    /// # Errors
    /// An impossible setting.
    pub fn table(&self, rows: &[&Row]) -> Result<Option<String>> {
        let Some(ranks) = self.ranks else { return Ok(None) };
        let mut exchanges = Vec::new();
        for row in rows {
            exchanges.extend(self.exchange(row)?.map(|exchange| (row.setting.name(), exchange)));
        }
        let table = link_table(&exchanges, self.rate());
        let title =
            format!("what each of {ranks} ranks sends in a step: arithmetic, f32, without latency");
        Ok(Some(format!("\n{title}\n{}", table.trim_end())))
    }

    /// The exchange of a step, by the links' names; null if none is wanted.
    ///
    /// # Errors
    /// An impossible setting.
    pub fn json(&self, row: &Row) -> Result<Value> {
        let Some(exchange) = self.exchange(row)? else { return Ok(Value::Null) };
        let by_link = |of: &dyn Fn(Link) -> f64| {
            let entry = |link: Link| (link.name.to_owned(), json!(of(link)));
            Value::Object(LINKS.map(entry).into_iter().collect::<Map<_, _>>())
        };
        let share = |rate: f64| by_link(&|link| exchange.share(link, rate));
        Ok(json!({
            "ranks": self.ranks,
            "bytes": exchange.bytes(),
            "seconds": by_link(&|link| exchange.seconds(link)),
            "even_tflops": by_link(&|link| exchange.even(link) / 1e12),
            "against_computing": self.rate().map(share),
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        ranks: Ranks,
    }

    #[test]
    fn ranks_divide_states_if_they_are_told_to() {
        let told = |words: &[&str]| {
            let line = Line::try_parse_from([&["memory"][..], words].concat());
            line.map(|Line { ranks }| (ranks.shards(), ranks.divided()))
        };
        assert_eq!(told(&[]).unwrap(), (1, String::new()));
        assert_eq!(told(&["--ranks", "8"]).unwrap(), (1, String::new()));
        let eight = (8, ", states divided among 8 ranks".to_owned());
        assert_eq!(told(&["--ranks", "8", "--shard-states"]).unwrap(), eight);
        assert!(told(&["--shard-states"]).is_err());
    }
}
