//! What the program has asked of the card, and the report of it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, MutexGuard};

/// What the program has asked of the card.
#[derive(Default)]
pub struct Card {
    pub pages: HashMap<usize, usize>,
    pub reserved: u64,
    pub peak: u64,
    pub waits: u64,
    /// By the handles that were given out, less one.
    pub kernels: Vec<Kernel>,
    pub faults: Vec<String>,
    /// Bytes that the next launch reads and writes.
    pub bound: [u64; 2],
}

pub struct Kernel {
    pub name: String,
    pub launches: u64,
    pub bytes: [u64; 2],
}

impl Card {
    /// Launches, bytes read, bytes written.
    pub fn totals(&self) -> [u64; 3] {
        self.kernels.iter().fold([0; 3], |[launches, read, written], kernel| {
            [launches + kernel.launches, read + kernel.bytes[0], written + kernel.bytes[1]]
        })
    }
}

static CARD: LazyLock<Mutex<Card>> = LazyLock::new(Mutex::default);

pub fn card() -> MutexGuard<'static, Card> {
    CARD.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub fn arch() -> u64 {
    setting("STAND_IN_ARCH", 80)
}

pub fn memory() -> u64 {
    setting("STAND_IN_MEMORY", 80 << 30)
}

/// After how many launches the card is lost.
pub fn lost() -> u64 {
    setting("STAND_IN_LOST", u64::MAX)
}

pub extern "C" fn report() {
    let Ok(path) = std::env::var("STAND_IN_REPORT") else { return };
    let card = card();
    let mut text = String::new();
    for (what, number) in
        [("peak", card.peak), ("launches", card.totals()[0]), ("waits", card.waits)]
    {
        let _ = writeln!(text, "{what} {number}");
    }
    for Kernel { name, launches, bytes: [read, written] } in &card.kernels {
        let _ = writeln!(text, "kernel {launches} {read} {written} {name}");
    }
    for fault in &card.faults {
        let _ = writeln!(text, "fault {fault}");
    }
    if let Err(error) = std::fs::write(&path, text) {
        eprintln!("{path}: {error}");
    }
}

/// Says how many bytes the next launch reads and writes.
#[unsafe(no_mangle)]
pub extern "C" fn standInBound(read: u64, written: u64) {
    card().bound = [read, written];
}

/// Gives launches, bytes read and bytes written so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn standInTotals(totals: *mut [u64; 3]) {
    unsafe { *totals = card().totals() };
}

/// Gives how often the program has waited for the card so far.
#[unsafe(no_mangle)]
pub extern "C" fn standInWaits() -> u64 {
    card().waits
}
