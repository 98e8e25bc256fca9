//! Makes a module for browsers of what cargo built: `bindgen INPUT.wasm FOLDER`.
//!
//! `wasm-bindgen-cli` does the same, with servers and clients of web that take minutes to build.

use std::error::Error;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, folder] = arguments.as_slice() else {
        return Err("name the input and the output folder".into());
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(input).web(true)?.typescript(true).omit_default_module_path(true);
    bindgen.generate(folder)?;
    Ok(())
}
