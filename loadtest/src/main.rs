//! The command `distributary-loadtest`.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadtest::cli::main(std::env::args_os())
}
