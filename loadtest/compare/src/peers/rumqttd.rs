//! rumqttd, whose log is in memory.

use std::process::Command;

use super::mqtt::{IN_FLIGHT_MAX, PACKET_MAX};
use super::{PORT, Site, quoted, write};
use crate::tls::Files;

/// The clients offer AES-128-GCM only.
pub fn command(site: &Site) -> anyhow::Result<Command> {
    let files = Files::of(&site.folder);
    let (certificate, key) = (quoted(&files.certificate), quoted(&files.key));
    let text = format!(
        "id = 0\n[router]\nid = 0\nmax_connections = 10010\nmax_outgoing_packet_count = 200\n\
         max_segment_size = 104857600\nmax_segment_count = 10\n\
         [v4.1]\nname = \"v4\"\nlisten = \"0.0.0.0:{PORT}\"\nnext_connection_delay_ms = 1\n\
         [v4.1.tls]\ncertpath = {certificate}\nkeypath = {key}\n\
         [v4.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = {PACKET_MAX}\n\
         max_inflight_count = {IN_FLIGHT_MAX}\ndynamic_filters = true\n"
    );
    let mut command = Command::new(site.programs.join("rumqttd"));
    command.arg("--quiet").arg("--config").arg(write(site, "rumqttd.toml", &text)?);
    Ok(command)
}
