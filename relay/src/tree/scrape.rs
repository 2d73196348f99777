//! What a server says of itself on its admin interface.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A page; `None` while nobody answers, or not with what was asked for.
pub(crate) fn page(admin: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&admin, Duration::from_millis(200)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: tree\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

/// A metric without labels.
pub(crate) fn metric(admin: SocketAddr, name: &str) -> Option<u64> {
    Metrics(page(admin, "/metrics")?).value(name, &[])
}

/// The page of metrics.
pub(crate) struct Metrics(pub(crate) String);

impl Metrics {
    /// The value of a metric with exactly these labels; `None` if there is none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        self.0.lines().find_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (found, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.split_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            let count = if found.is_empty() { 0 } else { found.split(',').count() };
            let holds = |(key, value): &(&str, &str)| found.split(',').any(|one| one == format!("{key}=\"{value}\""));
            (count == labels.len() && labels.iter().all(holds)).then(|| value.trim().parse().ok())?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_labels() {
        let metrics = Metrics(
            "# HELP a_total A.\na_total 7\na 3\nb{direction=\"in\",tier=\"up\"} 5\nb{direction=\"out\",tier=\"up\"} 6\nc x\n"
                .into(),
        );
        assert_eq!((metrics.value("a", &[]), metrics.value("a_total", &[])), (Some(3), Some(7)));
        assert_eq!(metrics.value("b", &[("tier", "up"), ("direction", "out")]), Some(6));
        assert_eq!(metrics.value("b", &[("tier", "up")]), None);
        assert_eq!((metrics.value("b", &[]), metrics.value("c", &[]), metrics.value("d", &[])), (None, None, None));
    }
}
