//! Gradients that are released in the backward pass, and weights in fewer bits.

use revox::memory::{Setting, account};
use revox::train::{OptimizerConfig, Weights};

use super::{alone, count, off_from, setting};

/// Gradients of a reversible body are never there together, and its weights only once. The account
/// knows what that saves.
#[test]
fn released_gradients_take_no_memory() {
    let _guard = alone();
    count(&setting("resnet10", None));
    let mut worst = 0.0f64;
    for (name, optimizer, frames) in [
        ("rev1-resnet18", "sgd8bit", 200),
        // With few frames weights decide the peak.
        ("rev2-resnet18", "adamw8bit", 80),
        ("rev2-resnet50", "sgd", 80),
        ("resnet18", "sgd8bit", 200),
    ] {
        let optimizer = OptimizerConfig::named(optimizer).unwrap();
        let usual = Setting { optimizer, batch: 2, frames, ..setting(name, None) };
        let released = Setting { release_gradients: true, ..usual.clone() };
        let counted = count(&released);
        worst = worst.max(off_from(&released, &counted));
        if !usual.is_reversible() {
            continue;
        }
        let (with, without) = (account(&usual).unwrap(), account(&released).unwrap());
        let (saved, all) = (count(&usual).peak.saturating_sub(counted.peak), with.gradients);
        eprintln!("{}: {saved} of {all} bytes of gradients saved", released.label());
        assert!(without.gradients < all / 2, "{} of {all} at one time", without.gradients);
        // The peak moves to a place with fewer gradients and more of something else.
        let expected = with.peak.saturating_sub(without.peak);
        assert!(10 * saved + 1_000_000 > 8 * expected, "{saved}, by arithmetic {expected}");
    }
    assert!(worst < 0.1, "off by {:.1} %", 100.0 * worst);
}

/// Weights in 24 bits: what the account says is what is counted, and it is less than in f32.
#[test]
fn weights_in_24_bits_take_less() {
    let _guard = alone();
    count(&setting("resnet10", None));
    for (name, optimizer) in [
        ("rev1-resnet18", "sgd8bit"),
        ("rev2-resnet50", "sgd8bit"),
        ("rev2-resnet50", "adamw8bit"),
        ("rev2-resnet50", "sgd"),
    ] {
        let optimizer = OptimizerConfig::named(optimizer).unwrap();
        let whole = Setting { optimizer, batch: 2, release_gradients: true, ..setting(name, None) };
        let packed = Setting { weights: Weights::Bf16Plus8, ..whole.clone() };
        let accounts = [&whole, &packed].map(|setting| account(setting).unwrap());
        let counted = [&whole, &packed].map(|setting| count(setting).peak);
        let peaks = accounts.map(|account| account.peak);
        let off = peaks[1] as f64 / counted[1] as f64 - 1.0;
        let label = packed.label();
        eprintln!("{label}: peaks {peaks:?}, counted {counted:?}, {:+.1} %", 100.0 * off);
        assert!(off.abs() < 0.1, "{label}: off by {:.1} %", 100.0 * off);
        assert!(peaks[1] < peaks[0] && counted[1] < counted[0], "{label}");
    }
}
