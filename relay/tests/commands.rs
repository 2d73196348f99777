//! The commands of `distributary`, as an operator meets them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn distributary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_distributary"))
}

fn run(args: &[&str]) -> Output {
    distributary().args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Keys, and a configuration for a server on free ports.
struct Files {
    folder: tempfile::TempDir,
    admin: SocketAddr,
}

impl Files {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        let pki = pki.to_str().unwrap();
        assert!(run(&["pki", "init", "--dir", pki]).status.success());
        let issue = ["pki", "issue", "--dir", pki, "--role", "server", "--label", "isp", "--out", pki];
        assert!(run(&issue).status.success());
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let files = Self { folder, admin };
        files.write("");
        files
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// Waits until the server has said this.
    fn said(&self, text: &str) {
        wait_for(|| std::fs::read_to_string(self.log()).unwrap().contains(text));
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("server.toml")
    }

    fn write(&self, more: &str) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let text = format!(
            "[listen]\nquic = \"127.0.0.1:0\"\nadmin = \"{}\"\n[identity]\ncertificate = \"{}\"\nkey = \"{}\"\nca = \"{}\"\n\
             [store]\ndirectory = \"{}\"\n{more}",
            self.admin,
            path("pki/isp.pem"),
            path("pki/isp.key"),
            path("pki/ca.pem"),
            path("store"),
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn start(&self) -> Server {
        let child = distributary()
            .args(["run", "--config"])
            .arg(self.config())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.log()).unwrap())
            .spawn()
            .unwrap();
        let server = Server { child, log: self.log() };
        wait_for(|| page(self.admin, "/readyz").is_some_and(|(status, _)| status == 200));
        server
    }
}

/// A server that is killed if the test ends before it does.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    fn terminate(mut self) -> (bool, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        (status.success(), std::fs::read_to_string(&self.log).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "gave up");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn page(admin: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(admin).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

#[test]
fn the_demo_holds_every_check() {
    let output = run(&["demo", "--json"]);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert!(output.status.success(), "{report:#}");
    assert_eq!(report["held"], true);
    assert_eq!(report["checks"].as_array().unwrap().len(), 5);
    let reasons: usize = report["agents"].as_object().unwrap().values().map(|one| one.as_array().unwrap().len()).sum();
    assert_eq!(reasons, 263);
}

#[test]
fn a_server_answers_operators_and_stops_in_good_order() {
    let files = Files::make();
    let server = files.start();
    assert_eq!(page(files.admin, "/healthz"), Some((200, "ok\n".to_owned())));
    let (status, metrics) = page(files.admin, "/metrics").unwrap();
    assert_eq!(status, 200);
    for name in ["distributary_links 0", "distributary_registered_clients 0", "distributary_items 0"] {
        assert!(metrics.contains(name), "{name} is missing in\n{metrics}");
    }
    let (good, said) = server.terminate();
    assert!(good, "{said}");
    assert!(said.contains("everything under way was finished"), "{said}");
}

#[test]
fn sighup_reads_the_policy_again_and_a_bad_file_changes_nothing() {
    let files = Files::make();
    let server = files.start();
    let hangup = || {
        let pid = server.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    };
    hangup();
    files.said("the policy was read again");
    files.write("[policy]\nproviderss = []\n");
    hangup();
    files.said("the policy stays as it was");
    let (good, said) = server.terminate();
    assert!(good, "{said}");
}

#[test]
fn a_second_server_on_one_directory_is_told_so() {
    let files = Files::make();
    let _first = files.start();
    files.write("");
    let config = std::fs::read_to_string(files.config()).unwrap().replace(&files.admin.to_string(), "127.0.0.1:0");
    std::fs::write(files.config(), config).unwrap();
    let second = run(&["run", "--config", files.config().to_str().unwrap()]);
    assert!(!second.status.success());
    assert!(stderr(&second).contains(files.folder.path().join("store").to_str().unwrap()), "{}", stderr(&second));
}

#[test]
fn check_config_says_what_would_be_in_force() {
    let files = Files::make();
    let good = run(&["check-config", "--json", "--config", files.config().to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(report["server_guid"].as_str().unwrap().len(), 36);
    assert_eq!(report["config"]["limits"]["lease_days"], 90);
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let files = Files::make();
    files.write("[limits]\nlinks_maxx = 7\n");
    let bad = run(&["check-config", "--config", files.config().to_str().unwrap()]);
    assert!(!bad.status.success());
    let said = stderr(&bad);
    assert!(said.contains("links_maxx") && said.contains("line"), "{said}");
}

#[test]
fn no_key_is_ever_overwritten() {
    let files = Files::make();
    let pki = files.folder.path().join("pki");
    let before = std::fs::read(pki.join("isp.key")).unwrap();
    let pki_dir = pki.to_str().unwrap();
    for args in [
        vec!["pki", "init", "--dir", pki_dir],
        vec!["pki", "issue", "--dir", pki_dir, "--role", "client", "--label", "isp", "--out", pki_dir],
    ] {
        let again = run(&args);
        assert!(!again.status.success(), "{args:?}");
    }
    assert_eq!(std::fs::read(pki.join("isp.key")).unwrap(), before);
    assert_eq!(mode(&pki.join("isp.key")), 0o600);
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
