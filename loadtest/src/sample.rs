//! What a run costs, read from the kernel: processor time and memory of the server and of this process.

use std::iter::Sum;
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::server::Server;

/// What a process has taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its threads, those included that have ended.
    pub cpu: Duration,
    /// Memory in RAM, in bytes.
    pub resident: u64,
    /// The most that it ever was.
    pub resident_max: u64,
}

/// One look at a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Since the beginning of the publication.
    pub at: Duration,
    /// Of each tier's servers, if their processes are known.
    pub tiers: Vec<Option<Usage>>,
    /// Of the clients and providers.
    pub own: Option<Usage>,
    /// Receipts of all clients.
    pub receipts: u64,
}

impl Sample {
    /// Of all servers, if their processes are known.
    pub fn servers(&self) -> Option<Usage> {
        // The sum of nothing would be nothing, and not unknown.
        if self.tiers.is_empty() { None } else { self.tiers.iter().copied().sum() }
    }
}

/// What a process has taken, if there is one.
pub fn usage(pid: Option<u32>) -> Option<Usage> {
    let pid = pid?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage { cpu: cpu(pid)?, resident: kib(&status, "VmRSS:") << 10, resident_max: kib(&status, "VmHWM:") << 10 })
}

/// What a server's sockets towards its clients carried: out, in.
pub fn wire(server: &Server) -> Option<(u64, u64)> {
    let page = server.page("/metrics")?;
    let carried =
        |direction| value(&page, "distributary_wire_bytes_total", &[("side", "down"), ("direction", direction)]);
    Some((carried("out")?, carried("in")?))
}

/// A whole number on a page of metrics, of the first series with this name and these labels.
pub(crate) fn value(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
    let line = page.lines().find(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']));
        rest.is_some_and(|rest| labels.iter().all(|(label, is)| rest.contains(&format!("{label}=\"{is}\""))))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Of several processes; the most of each, whenever that was.
impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            cpu: sum.cpu + one.cpu,
            resident: sum.resident + one.resident,
            resident_max: sum.resident_max + one.resident_max,
        })
    }
}

/// The clock of another process's processor time (clock_getcpuclockid(3)): to the nanosecond, where `/proc/PID/stat` counts
/// hundredths of a second.
fn cpu(pid: u32) -> Option<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    Some(clock.now().ok()?.into())
}

fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read() {
        assert_eq!(kib("VmHWM:\t  12 kB\nVmRSS:\t   7 kB\n", "VmRSS:"), 7);
        let own = || usage(Some(std::process::id())).unwrap();
        let before = own();
        assert!(before.resident > 1 << 20);
        while own().cpu < before.cpu + Duration::from_millis(2) {}
        assert_eq!((usage(None), usage(Some(u32::MAX))), (None, None));
    }

    #[test]
    fn a_value_is_that_of_its_name_and_labels() {
        let page = "# TYPE bytes counter\nbytes_total 1\nbytes{side=\"up\",direction=\"in\"} 2\n\
                    bytes{direction=\"in\",side=\"down\"} 3\nlinks 4\n";
        assert_eq!(value(page, "bytes", &[("side", "down"), ("direction", "in")]), Some(3));
        assert_eq!((value(page, "links", &[]), value(page, "link", &[])), (Some(4), None));
    }

    #[test]
    fn what_one_process_does_not_say_is_not_the_sum() {
        let one = Some(Usage { resident: 2, ..Usage::default() });
        let servers = |tiers: &[Option<Usage>]| Sample { tiers: tiers.to_vec(), ..Sample::default() }.servers();
        assert_eq!(servers(&[one, one]).map(|usage| usage.resident), Some(4));
        assert_eq!([servers(&[one, None]), servers(&[])], [None, None]);
    }
}
