//! Does one step so many times, for `scripts/bench`: `step NUMBER TIMES`. Without arguments it names the steps.

use std::io::{self, Write};
use std::process::ExitCode;

use bench::steps::STEPS;

fn main() -> ExitCode {
    let numbers: Option<Vec<usize>> = std::env::args().skip(1).map(|word| word.parse().ok()).collect();
    let chosen = match numbers.as_deref() {
        Some([]) => {
            let names: String = STEPS.iter().map(|(name, _)| format!("{name}\n")).collect();
            return if io::stdout().write_all(names.as_bytes()).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Some([number, times]) => STEPS.get(*number).map(|(_, ready)| (ready, *times)),
        Some(_) | None => None,
    };
    let Some((ready, times)) = chosen else { return ExitCode::FAILURE };
    let mut step = ready();
    (0..times).for_each(|_| step());
    ExitCode::SUCCESS
}
