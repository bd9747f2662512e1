//! The binary `tintype`: starts the system, or is one of its functions.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request is some thousand small allocations, in the host and in the workers: with that of the C library they are a fifth of its time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tintype_local::cli::main()
}
