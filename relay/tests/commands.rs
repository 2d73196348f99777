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
    assert_eq!(report["checks"].as_array().unwrap().len(), 6);
    let reasons: usize = report["agents"].as_object().unwrap().values().map(|one| one.as_array().unwrap().len()).sum();
    assert_eq!(reasons, 3 * 263, "three devices of each product");
    let edges = report["edges"].as_array().unwrap();
    let fewer = |edge: &serde_json::Value| edge["bytes"].as_u64() < edge["bytes_without_tree"].as_u64();
    assert!(edges.len() == 3 && edges.iter().all(fewer), "{edges:?}");
}

/// A scenario with one server, in a folder of its own.
fn scenario(seconds: u32, more: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    let head = format!("[scenario]\nname = \"a test\"\nseconds = {seconds}\n[[server]]\nname = \"root\"\n");
    std::fs::write(&file, head + more).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (folder, file)
}

/// The JSON lines of a `tree up` that must succeed.
fn played(args: &[&str]) -> Vec<serde_json::Value> {
    let output = run(&[&["tree", "up", "--json"], args].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", stderr(&output));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn agents(name: &str, assets: &str, count: usize) -> String {
    format!("[[agents]]\nname = \"{name}-{{n}}\"\ncount = {count}\nserver = \"root\"\nassets = \"{assets}\"\n")
}

const PROVIDER: &str =
    "[[provider]]\nname = \"vendor\"\nserver = \"root\"\npublish = \"builtin:rustsec\"\nat = 0.5\nrate = 100\n";

#[test]
fn a_tree_survives_what_its_scenario_does_to_it() {
    let fault = |keys: &str| format!("[[fault]]\nfor = 0.5\n{keys}\n");
    let more = [
        PROVIDER.to_owned(),
        agents("old", "builtin:demo/ripgrep-0.8.1", 2),
        agents("new", "builtin:demo/alacritty-2026-06", 1),
        fault("at = 1.0\nkill = [\"root\", \"old-1\"]"),
        fault("at = 2.0\ncut = \"old-2\""),
    ];
    let (_folder, file) = scenario(3, &more.concat());
    let told = played(&[&file]);
    let last = told.last().unwrap();
    assert_eq!(last["summary"]["held"], true, "{last:#}");
    assert_eq!(last["agents"], serde_json::json!({ "all": 3, "started": 3, "synchronised": 3, "items": 2 * 8 }));
    assert_eq!(last["summary"]["tiers"][0]["items"], 301, "{last:#}");
    let events = told.iter().flat_map(|one| one["events"].as_array().unwrap()).map(|one| one.as_str().unwrap());
    let events: Vec<&str> = events.map(|one| one.split_once(" s  ").unwrap().1).collect();
    let expected = ["start old-{n}", "start new-{n}", "publish by vendor", "kill root, old-1", "start root, old-1"];
    assert_eq!(events[..5], expected);
    assert_eq!(events[5..], ["cut old-2 -> root", "mend old-2 -> root"]);
}

#[test]
fn many_agents_share_a_process() {
    let crates = "always = [\"smallvec 0.6.9\"]\n";
    let more = [PROVIDER.to_owned(), agents("device", "builtin:demo/ripgrep-2026-08", 50), crates.into()];
    let (folder, file) = scenario(60, &more.concat());
    let keep = folder.path().join("kept");
    let told = played(&[&file, "--seconds", "2", "--keep", keep.to_str().unwrap()]);
    let last = told.last().unwrap();
    let items = last["agents"]["items"].as_u64().unwrap();
    assert!(items > 0 && items.is_multiple_of(50), "{last:#}");
    assert!(keep.join("agents-1.list").exists() && keep.join("device-50-state/journal.jsonl").exists());
}

#[test]
fn a_server_is_attached_while_the_tree_is_up() {
    let more = "[[server]]\nname = \"isp\"\n[[fault]]\nat = 0.5\nattach = \"isp\"\nto = \"root\"\n";
    let (folder, file) = scenario(1, more);
    let keep = folder.path().join("kept");
    let told = played(&[&file, "--keep", keep.to_str().unwrap()]);
    assert_eq!(told.last().unwrap()["summary"]["held"], true);
    let config: toml::Table = std::fs::read_to_string(keep.join("isp.toml")).unwrap().parse().unwrap();
    let root: toml::Table = std::fs::read_to_string(keep.join("root.toml")).unwrap().parse().unwrap();
    assert_eq!(config["upstream"][0]["address"], root["listen"]["quic"]);
    assert_eq!(root["policy"]["local_servers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_scenario_that_cannot_be_played_is_refused_with_its_place() {
    for (more, says) in [
        ("[[fault]]\nat = 1\nkill = \"rot\"\nfor = 1\n", "[[fault]] at 1: kill = rot: nobody has this name"),
        ("[[faults]]\n", "faults"),
        ("[[agents]]\nname = \"a\"\nserver = \"root\"\nassets = \"none.lock\"\n", "[[agents]] a: "),
    ] {
        let (_folder, file) = scenario(5, more);
        let refused = run(&["tree", "up", &file]);
        assert!(!refused.status.success());
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
}

#[test]
fn a_tree_that_is_ended_ends_everybody() {
    let (folder, file) = scenario(600, &agents("device", "builtin:demo", 2));
    let keep = folder.path().join("kept");
    let mut tree = distributary();
    tree.args(["tree", "up", "--json", "--keep"]).arg(&keep).arg(file).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut tree = tree.spawn().unwrap();
    let mut first = [0; 1];
    tree.stdout.take().unwrap().read_exact(&mut first).unwrap();
    // A server and two agents; the first word may come before the last of them is there.
    let begin = Instant::now();
    while processes_in(&keep) < 3 && begin.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(processes_in(&keep), 3);
    let signal = Command::new("kill").args(["-INT", &tree.id().to_string()]).status().unwrap();
    assert!(signal.success());
    assert!(!tree.wait().unwrap().success());
    assert_eq!(processes_in(&keep), 0);
}

/// Children that a tree has started with files in a folder: of processes that `/proc` shows.
fn processes_in(folder: &Path) -> usize {
    let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = std::fs::read(entry.unwrap().path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).into_owned())
    });
    let inside = format!("{}/", folder.display());
    lines.filter(|line| line.contains(&inside)).count()
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
fn an_operator_lists_and_asks_who_is_below() {
    let files = Files::make();
    let config = files.config();
    let command = |args: &[&str]| run(&[args, &["--config", config.to_str().unwrap()]].concat());
    let unheard = command(&["inventory"]);
    assert!(!unheard.status.success());
    assert!(stderr(&unheard).contains("is it running"), "{}", stderr(&unheard));

    let server = files.start();
    let inventory = command(&["inventory", "--json"]);
    assert!(inventory.status.success(), "{}", stderr(&inventory));
    let inventory: serde_json::Value = serde_json::from_slice(&inventory.stdout).unwrap();
    assert_eq!(inventory, serde_json::json!({ "clients": [] }));
    assert!(String::from_utf8_lossy(&command(&["inventory"]).stdout).contains("0 clients"));
    let asked = command(&["ask", "5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21", "--minor", "catalog"]);
    assert!(!asked.status.success());
    assert!(stderr(&asked).contains("no such client is known here"), "{}", stderr(&asked));
    assert!(server.terminate().0);
    assert!(!files.folder.path().join("store/control.sock").exists());
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
    files.said("policy, trust and upstreams stay as they were");
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
