//! Formats numbers, units and times.

use std::time::Duration;

/// Whether a metric follows a schedule, so that its mean over an epoch says nothing.
pub(super) fn is_scheduled(name: &str) -> bool {
    matches!(name, "lr" | "margin")
}

/// A metric's value with its unit: `2.60 %`, `9.1e-4` for a learning rate, `2.131`.
pub(super) fn value(name: &str, unit: Option<&str>, value: f64) -> String {
    match unit {
        Some("%") => format!("{value:.2} %"),
        Some(unit) => format!("{} {unit}", plain(value)),
        None if name == "lr" && value != 0.0 => format!("{value:.1e}"),
        None => {
            let text = plain(value);
            match is_scheduled(name) && !text.contains('e') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
    }
}

fn plain(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        format!("{value:.3e}")
    } else if value != 0.0 && size < 1e-3 {
        format!("{value:.1e}")
    } else {
        format!("{value:.3}")
    }
}

/// A time in its two largest units: `42s`, `1m02s`, `2h05m`, `3d04h`.
pub(super) fn duration(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86400, s % 86400 / 3600),
    }
}

/// An estimated time, rounded up, without seconds from a minute on.
pub(super) fn rough(time: Duration) -> String {
    let s = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match s {
        0..60 => format!("{s}s"),
        60..=3540 => format!("{}m", s.div_ceil(60)),
        _ => duration(Duration::from_secs(s.next_multiple_of(60))),
    }
}

/// The first of several texts, longest first, that fits into `room` columns, or the last one if
/// none fits.
pub(super) fn fitting<'a>(texts: &[&'a str], room: usize) -> &'a str {
    let fits = texts.iter().find(|t| t.chars().count() <= room);
    fits.or(texts.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_carry_their_units() {
        assert_eq!(value("accuracy", Some("%"), 2.604), "2.60 %");
        assert_eq!(value("EER", Some("%"), 100.0), "100.00 %");
        assert_eq!(value("minDCF(0.01)", None, 0.3149), "0.315");
        assert_eq!(value("loss", None, 2.1309), "2.131");
        assert_eq!(value("loss", None, 0.000_041), "4.1e-5");
        assert_eq!(value("loss", None, 0.0), "0.000");
        assert_eq!(value("loss", None, 1.25e20), "1.250e20");
        assert_eq!(value("lr", None, 0.000_912), "9.1e-4");
        assert_eq!(value("lr", None, 0.1), "1.0e-1");
        assert_eq!(value("margin", None, 0.2), "0.2");
        assert_eq!(value("margin", None, 0.1372), "0.137");
        assert_eq!(value("margin", None, 1e-10), "1.0e-10");
        assert_eq!(["lr", "margin"].map(|name| value(name, None, 0.0)), ["0", "0"]);
        assert_eq!(value("time", Some("ms"), 12.5), "12.500 ms");
    }

    #[test]
    fn times_are_short() {
        let all =
            |text: fn(Duration) -> String, s: [u64; 6]| s.map(|s| text(Duration::from_secs(s)));
        let exact = all(duration, [0, 59, 62, 3599, 7500, 273_600]);
        assert_eq!(exact, ["0s", "59s", "1m02s", "59m59s", "2h05m", "3d04h"]);
        assert_eq!(rough(Duration::from_millis(1)), "1s");
        let rounded = all(rough, [59, 60, 601, 3541, 7201, 273_600]);
        assert_eq!(rounded, ["59s", "1m", "11m", "1h00m", "2h01m", "3d04h"]);
    }

    #[test]
    fn the_longest_text_that_fits_is_taken() {
        assert_eq!(fitting(&["←→ long", "←→", ""], 7), "←→ long");
        assert_eq!(fitting(&["←→ long", "←→", ""], 6), "←→");
        assert_eq!(fitting(&["long", "short"], 2), "short");
    }
}
