//! The commands that speak with a running server, over its control socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use schemas::shown::shown;
use serde_json::Value;

use crate::cli::say;
use crate::control::{Question, SOCKET};

/// Longer than a server waits for any client.
const PATIENCE: Duration = Duration::from_secs(90);

/// `inventory`.
pub(crate) fn inventory(directory: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let inventory = call(directory, "GET /inventory", "")?;
    if json {
        say(&serde_json::to_string_pretty(&inventory)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(["client", "below", "assets", "last contact", "state"]);
    for client in list(&inventory["clients"]) {
        let assets: Vec<String> = list(&client["assets"]).iter().map(asset).collect();
        let state = match (client["connected"].as_bool(), client["stale"].as_bool()) {
            (Some(true), _) => "connected",
            (_, Some(true)) => "stale",
            _ => "",
        };
        table.add_row([
            text(&client["client"]),
            above(list(&client["path"])),
            assets.join("\n"),
            text(&client["last_contact"]),
            state.to_owned(),
        ]);
    }
    say(&format!("{table}\n{} clients", list(&inventory["clients"]).len()));
    Ok(ExitCode::SUCCESS)
}

/// `ask`. Fails if anything was answered other than Succeeded.
pub(crate) fn ask(directory: &Path, question: &Question, json: bool) -> anyhow::Result<ExitCode> {
    let answer = call(directory, "POST /ask", &serde_json::to_string(question)?)?;
    let succeeded = list(&answer["replies"]).iter().all(|reply| reply["status"] == "Succeeded");
    if json {
        say(&serde_json::to_string_pretty(&answer)?);
    } else {
        let mut replies = table(["reply to", "status", "why"]);
        for reply in list(&answer["replies"]) {
            replies.add_row([&reply["reply_id"], &reply["status"], &reply["description"]].map(text));
        }
        say(&replies.to_string());
        let mut delivered = table(["from", "message", "assets"]);
        for part in list(&answer["delivered"]) {
            for message in list(&part["messages"]) {
                let assets: Vec<String> = list(&message["assets"]).iter().map(asset).collect();
                let kind = format!("{}:{}", text(&message["major"]), text(&message["minor"]));
                delivered.add_row([text(&part["hop"]["client"]), kind, assets.join("\n")]);
            }
        }
        if delivered.row_count() > 0 {
            say(&delivered.to_string());
        }
    }
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One request, one answer. HTTP/1.0: the answer ends with the connection.
fn call(directory: &Path, request: &str, body: &str) -> anyhow::Result<Value> {
    let path = directory.join(SOCKET);
    let mut stream = UnixStream::connect(&path)
        .with_context(|| format!("no server answers at {}; is it running, with this configuration?", path.display()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{request} HTTP/1.0\r\nHost: control\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the server broke off")?;
    let value: Value =
        serde_json::from_str(body).with_context(|| head.lines().next().unwrap_or_default().to_owned())?;
    match value["error"].as_str() {
        Some(why) => bail!("{}", shown(why)),
        None => Ok(value),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    shown(value.as_str().unwrap_or_default()).into_owned()
}

/// The clients between this server and the one that is listed.
fn above(path: &[Value]) -> String {
    let between = path.split_last().map(|(_, above)| above).unwrap_or_default();
    between.iter().map(|hop| text(&hop["client"])).collect::<Vec<_>>().join("\n")
}

fn asset(asset: &Value) -> String {
    let (name, version) = (text(&asset["product"]), text(&asset["version"]));
    let components = list(&asset["components"]).len();
    let name = match name.as_str() {
        "" if asset["everything"] == true => "everything",
        "" => "a filter",
        name => name,
    };
    format!("{name} {version} ({components} components)")
}

fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    table
}
