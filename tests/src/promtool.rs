//! Prometheus' own reader of metrics, which also knows the conventions for their names.

use std::io::Write;
use std::process::{Command, Stdio};

/// Whether `promtool check metrics` takes a page without complaint.
///
/// # Errors
///
/// What it complains of; or it is not installed: scripts/test does that.
pub fn check_metrics(page: &str) -> Result<(), String> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let missing = |error| format!("promtool, of the Debian package prometheus: {error}; scripts/test brings it");
    let mut child = command.spawn().map_err(missing)?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    stdin.write_all(page.as_bytes()).map_err(|error| error.to_string())?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if output.status.success() && said.trim().is_empty() { Ok(()) } else { Err(said.into_owned()) }
}
