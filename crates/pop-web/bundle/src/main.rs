//! Writes the JavaScript around a compiled wasm file: `bundle <in.wasm> <out directory>`.

use std::env::args;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let (Some(input), Some(out)) = (args().nth(1), args().nth(2)) else {
        eprintln!("usage: bundle <in.wasm> <out directory>");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(input).out_name("pop_web").typescript(false);
    bindgen.remove_name_section(true).remove_producers_section(true);
    // One file for the window and for the worker, without a bundler.
    let done = bindgen.web(true).and_then(|bindgen| bindgen.generate(out));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
