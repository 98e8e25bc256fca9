//! The holder of a lock, as written in its file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Most characters of another process's text that are shown.
const MOST_SHOWN: usize = 64;

/// The holder of a lock.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub pid: u32,
    pub host: String,
    /// A time by RFC 3339. It is only shown: clocks jump, and those of two machines differ.
    pub since: String,
}

/// The machine's name. A browser's page has none.
fn host() -> String {
    #[cfg(not(target_family = "wasm"))]
    return gethostname::gethostname().to_string_lossy().into_owned();
    #[cfg(target_family = "wasm")]
    String::new()
}

impl Holder {
    /// This process.
    pub fn own() -> Self {
        let host = host();
        let host = if host.is_empty() { "localhost".to_owned() } else { host };
        Self { pid: std::process::id(), host, since: stamp(SystemTime::now()) }
    }

    /// The holder in the text of a lock file, safe to show; none if the text is damaged.
    pub fn parse(text: &[u8]) -> Option<Self> {
        /// Keeps letters and digits of any script, and the signs of host names and times.
        fn plain(text: &str) -> String {
            text.chars()
                .filter(|c| c.is_alphanumeric() || "-_.:+".contains(*c))
                .take(MOST_SHOWN)
                .collect()
        }
        let found: Self = serde_json::from_slice(text).ok()?;
        let shown = Self { host: plain(&found.host), since: plain(&found.since), ..found };
        (!shown.host.is_empty() && !shown.since.is_empty()).then_some(shown)
    }
}

/// A time by RFC 3339, to the second, in UTC.
fn stamp(time: SystemTime) -> String {
    /// The end of the year 9999. RFC 3339 has no longer years.
    const LAST: u64 = 253_402_300_799;
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()).min(LAST);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_cannot_command_the_terminal() {
        let long = "h".repeat(500);
        let text = format!(
            r#"{{"pid":1,"host":"\u001b[2J\u202e{long}","since":"never\n\u0007","more":[]}}"#
        );
        let holder = Holder::parse(text.as_bytes()).unwrap();
        assert_eq!(holder.host, format!("2J{}", "h".repeat(MOST_SHOWN - 2)));
        assert_eq!(holder.since, "never");
        assert_eq!(Holder::parse(br#"{"pid":1,"host":"\u001b","since":"x"}"#), None);
    }

    #[test]
    fn any_clock_has_a_time() {
        assert_eq!(stamp(UNIX_EPOCH + Duration::from_secs(1_795_640_607)), "2026-11-25T21:03:27Z");
        assert_eq!(stamp(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
        assert_eq!(stamp(UNIX_EPOCH + Duration::from_secs(1 << 39)), "9999-12-31T23:59:59Z");
    }
}
