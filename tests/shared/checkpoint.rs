//! What a checkpoint says of its training.
#![allow(dead_code, reason = "each test program uses a part")]

use safetensors::SafeTensors;

/// The metadata with the training's state.
pub const STATE: &str = "revox-checkpoint";

/// The training state of a checkpoint, as JSON text.
pub fn state_text(file: &[u8]) -> String {
    let (_, header) = SafeTensors::read_metadata(file).expect("a header");
    header.metadata().as_ref().expect("metadata")[STATE].clone()
}

/// The training state of a checkpoint.
pub fn state(file: &[u8]) -> serde_json::Value {
    serde_json::from_str(&state_text(file)).expect("a state")
}

/// Epoch and batch that a checkpoint goes on with.
pub fn position(file: &[u8]) -> (u64, u64) {
    let state = state(file);
    let number = |key: &str| state[key].as_u64().unwrap_or_else(|| panic!("{key} of {state}"));
    (number("epoch"), number("batch"))
}
