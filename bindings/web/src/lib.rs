//! revox in a browser: models, recordings and verdicts for JavaScript.
//!
//! The crate is thin: `revox::portable` does the work, as for programs in other languages. Errors
//! are JavaScript's `Error`. All of it runs on the thread that calls, so a page calls it in a Web
//! Worker; `package/index.js` does that.

#![deny(missing_docs)]

mod model;
mod recording;
mod utterance;
mod verdict;

pub use model::VoiceModel;
pub use recording::Recording;
use revox::portable::advice;
pub use utterance::Heard;
pub use verdict::Comparison;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn log(message: &str);
}

/// Shows what a panic says: JavaScript sees only that the program stopped.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| log(&panic.to_string())));
}

/// The version of revox.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// An error of the library in JavaScript's manner, with what would help. A page has one recording
/// at a time, so its number in a list goes.
fn error(error: revox::Error) -> JsError {
    let text = error.to_string();
    let text = text.strip_prefix("recording 1: ").unwrap_or(&text);
    match advice(&error) {
        Some(advice) => JsError::new(&format!("{text}; {advice}")),
        None => JsError::new(text),
    }
}
