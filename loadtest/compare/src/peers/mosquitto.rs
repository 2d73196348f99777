//! mosquitto, without its store.

use std::process::Command;

use super::mqtt::IN_FLIGHT_MAX;
use super::{PORT, Site, write};
use crate::tls::Files;

/// It chooses AES-128-GCM by configuration.
pub fn command(site: &Site) -> anyhow::Result<Command> {
    let files = Files::of(&site.folder);
    // As root, it would otherwise become somebody who cannot read the key.
    let text = format!(
        "listener {PORT}\nallow_anonymous true\nuser root\npersistence false\ntls_version tlsv1.3\n\
         ciphers_tls1.3 TLS_AES_128_GCM_SHA256\ncertfile {}\nkeyfile {}\nset_tcp_nodelay true\n\
         max_inflight_messages {IN_FLIGHT_MAX}\nmax_queued_messages 0\nlog_type error\n",
        files.certificate.display(),
        files.key.display()
    );
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(write(site, "mosquitto.conf", &text)?);
    Ok(command)
}
