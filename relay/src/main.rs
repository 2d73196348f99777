//! The command `distributary`.

use std::process::ExitCode;

fn main() -> ExitCode {
    relay::cli::main(std::env::args_os())
}
