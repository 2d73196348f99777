//! What a person or a program sees of a tree: a table in place, lines, or JSON; and the sums at the end.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};
use indicatif::{BinaryBytes, HumanCount};
use serde_json::{Value, json};

use super::board::{Board, Seen, sum};
use super::observe::{COALESCED, Counts, DOWN_IN, DOWN_OUT, PUSHED, UP_IN, UP_OUT, WITHOUT_CACHE};

/// More servers are shown by their tier.
const SERVERS_SHOWN_MAX: usize = 16;
/// Events below the table.
const EVENTS_SHOWN: usize = 6;
/// Seconds between two lines where no terminal is.
const LINES_EVERY: Duration = Duration::from_secs(5);

/// Where and how it is shown.
pub(super) struct Screen {
    form: Form,
    /// What happened, oldest first.
    events: Vec<String>,
}

enum Form {
    /// Drawn over the last one, which has so many lines.
    Table { lines: usize },
    /// One every few seconds.
    Lines { last: Option<Duration> },
    /// One object a look.
    Json { told: usize },
}

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        let form = match (json, std::io::stdout().is_terminal()) {
            (true, _) => Form::Json { told: 0 },
            (false, true) => Form::Table { lines: 0 },
            (false, false) => Form::Lines { last: None },
        };
        Self { form, events: Vec::new() }
    }

    /// Something happened.
    pub(super) fn event(&mut self, at: Duration, what: &str) {
        let text = format!("{:6.1} s  {what}", at.as_secs_f64());
        if matches!(self.form, Form::Lines { .. }) {
            write(&text);
        }
        self.events.push(text);
    }

    /// Something for people, before or after the play.
    pub(super) fn say(&mut self, text: &str) {
        match &mut self.form {
            Form::Table { lines } => {
                *lines = 0;
                write(text);
            }
            Form::Lines { .. } => write(text),
            Form::Json { .. } => {}
        }
    }

    /// The newest look.
    pub(super) fn show(&mut self, board: &Board) {
        match &mut self.form {
            Form::Table { lines } => {
                let text = format!("{}\n{}\n{}", table(board), agents(board), last(&self.events).join("\n"));
                // Up to where the last one began, and away with it.
                let back = if *lines > 0 { format!("\x1b[{lines}A\x1b[J") } else { String::new() };
                write(&format!("{back}{}", text.trim_end()));
                *lines = lines_of(text.trim_end());
            }
            Form::Lines { last } => {
                if last.is_none_or(|last| board.at >= last + LINES_EVERY) {
                    *last = Some(board.at);
                    write(&line(board));
                }
            }
            Form::Json { told } => {
                let events: Vec<&String> = self.events.iter().skip(*told).collect();
                write(&object(board, &events).to_string());
                *told = self.events.len();
            }
        }
    }

    /// The sums at the end, and what is wrong.
    pub(super) fn summary(&mut self, board: &Board, wrong: &[String]) {
        if let Form::Json { told } = &self.form {
            let mut summary = object(board, &self.events.iter().skip(*told).collect::<Vec<_>>());
            let tiers: Vec<Value> = tiers(board).iter().map(Row::json).collect();
            summary["summary"] = json!({ "tiers": tiers, "held": wrong.is_empty(), "wrong": wrong });
            return write(&summary.to_string());
        }
        self.say(&format!("\nafter {:.1} s, all lives of all servers together:", board.at.as_secs_f64()));
        let head = [
            "tier",
            "servers",
            "ready",
            "items",
            "up in",
            "up out",
            "down in",
            "down out",
            "saved",
            "pushed",
            "coalesced",
        ];
        let mut sums = framed(&head);
        for row in tiers(board) {
            let bytes = |index: usize| shown(row.totals[index], |bytes| BinaryBytes(bytes).to_string());
            let count = |index: usize| shown(row.totals[index], |count| HumanCount(count).to_string());
            sums.add_row(right([
                row.name.clone(),
                row.servers.to_string(),
                row.ready.to_string(),
                shown(row.items, |items| HumanCount(items).to_string()),
                bytes(UP_IN),
                bytes(UP_OUT),
                bytes(DOWN_IN),
                bytes(DOWN_OUT),
                shown(row.saved(), |bytes| BinaryBytes(bytes).to_string()),
                count(PUSHED),
                count(COALESCED),
            ]));
        }
        self.say(&sums.to_string());
        self.say(&agents(board));
        for one in wrong {
            self.say(&format!("FAIL {one}"));
        }
        if wrong.is_empty() {
            self.say("every server is up, every agent is synchronised");
        }
    }
}

/// One server, or several together.
struct Row {
    name: String,
    tier: usize,
    servers: usize,
    ready: usize,
    links: Option<u64>,
    uplinks: Option<u64>,
    items: Option<u64>,
    rates: Counts<f64>,
    totals: Counts,
}

impl Row {
    fn of(name: String, servers: &[&Seen]) -> Self {
        let gauge = |of: fn(&super::observe::Server) -> Option<u64>| {
            sum(servers.iter().map(|seen| seen.server.as_ref().and_then(of)))
        };
        Self {
            name,
            tier: servers.first().map_or(0, |seen| seen.tier),
            servers: servers.len(),
            ready: servers.iter().filter(|seen| seen.is_ready()).count(),
            links: gauge(|server| server.links),
            uplinks: gauge(|server| server.uplinks),
            items: gauge(|server| server.items),
            rates: std::array::from_fn(|index| sum(servers.iter().map(|seen| seen.rates[index]))),
            totals: std::array::from_fn(|index| sum(servers.iter().map(|seen| seen.totals()[index]))),
        }
    }

    /// What did not have to cross.
    fn saved(&self) -> Option<u64> {
        let did = self.totals[UP_IN]? + self.totals[UP_OUT]?;
        Some(self.totals[WITHOUT_CACHE]?.saturating_sub(did))
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "tier": self.tier,
            "servers": self.servers,
            "ready": self.ready,
            "links": self.links,
            "uplinks": self.uplinks,
            "items": self.items,
            "up_in_bytes": self.totals[UP_IN],
            "up_out_bytes": self.totals[UP_OUT],
            "down_in_bytes": self.totals[DOWN_IN],
            "down_out_bytes": self.totals[DOWN_OUT],
            "saved_bytes": self.saved(),
            "pushed": self.totals[PUSHED],
            "coalesced": self.totals[COALESCED],
        })
    }
}

fn tiers(board: &Board) -> Vec<Row> {
    let count = board.servers.iter().map(|seen| seen.tier + 1).max().unwrap_or_default();
    let of_tier = |tier: usize| board.servers.iter().filter(|seen| seen.tier == tier).collect::<Vec<_>>();
    (0..count).map(|tier| Row::of(tier.to_string(), &of_tier(tier))).collect()
}

fn servers(board: &Board) -> Vec<Row> {
    board.servers.iter().map(|seen| Row::of(seen.name.clone(), &[seen])).collect()
}

fn table(board: &Board) -> String {
    let single = board.servers.len() <= SERVERS_SHOWN_MAX;
    let first = if single { "server" } else { "tier" };
    let head =
        [first, "ready", "uplinks", "links", "items", "up in/s", "up out/s", "down in/s", "down out/s", "pushed/s"];
    let mut table = framed(&head);
    for row in if single { servers(board) } else { tiers(board) } {
        let bytes = |index: usize| shown(row.rates[index], |rate| BinaryBytes(rate as u64).to_string());
        let number = |value| shown(value, |count: u64| HumanCount(count).to_string());
        let ready = match (single, row.ready) {
            (true, 0) => "down".to_owned(),
            (true, _) => "ready".to_owned(),
            (false, ready) => format!("{ready} of {}", row.servers),
        };
        table.add_row(right([
            row.name.clone(),
            ready,
            number(row.uplinks),
            number(row.links),
            number(row.items),
            bytes(UP_IN),
            bytes(UP_OUT),
            bytes(DOWN_IN),
            bytes(DOWN_OUT),
            shown(row.rates[PUSHED], |rate| format!("{rate:.0}")),
        ]));
    }
    table.to_string()
}

fn agents(board: &Board) -> String {
    let agents = &board.agents;
    format!(
        "{:6.1} s  agents: {} of {} started, {} synchronised, {} items received ({:.0}/s)",
        board.at.as_secs_f64(),
        agents.started,
        agents.all,
        agents.synchronised,
        HumanCount(agents.items as u64),
        agents.rate
    )
}

fn line(board: &Board) -> String {
    let tier = |row: Row| {
        let links = shown(row.links, |links| links.to_string());
        let items = shown(row.items, |items| items.to_string());
        format!("tier {}: {} of {} ready, {links} links, {items} items", row.name, row.ready, row.servers)
    };
    let tiers: Vec<String> = tiers(board).into_iter().map(tier).collect();
    format!("{}; {}", agents(board), tiers.join("; "))
}

fn object(board: &Board, events: &[&String]) -> Value {
    let agents = &board.agents;
    json!({
        "at": board.at.as_secs_f64(),
        "servers": servers(board).iter().map(Row::json).collect::<Vec<_>>(),
        "agents": {
            "all": agents.all,
            "started": agents.started,
            "synchronised": agents.synchronised,
            "items": agents.items,
        },
        "events": events,
    })
}

fn last(events: &[String]) -> &[String] {
    &events[events.len().saturating_sub(EVENTS_SHOWN)..]
}

/// Lines of the terminal, which breaks those that are too long for it.
fn lines_of(text: &str) -> usize {
    let width = Table::new().width().filter(|width| *width > 0).map_or(usize::MAX, usize::from);
    text.lines().map(|line| line.chars().count().div_ceil(width).max(1)).sum()
}

fn framed(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    table
}

/// Names to the left, numbers to the right.
fn right<const N: usize>(cells: [String; N]) -> Vec<Cell> {
    let mut cells: Vec<Cell> =
        cells.into_iter().map(|cell| Cell::new(cell).set_alignment(CellAlignment::Right)).collect();
    if let Some(first) = cells.first_mut() {
        *first = first.clone().set_alignment(CellAlignment::Left);
    }
    cells
}

/// A dash for what is not known.
fn shown<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// Whoever closes the pipe, such as `head`, has read enough.
fn write(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}
