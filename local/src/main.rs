//! The binary `tintype`: starts the system, or is one of its functions.

use std::process::ExitCode;

fn main() -> ExitCode {
    tintype_local::cli::main()
}
