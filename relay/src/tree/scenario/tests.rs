use super::*;
use crate::config::{Ask, Realm};

const TREE: &str = r#"
[scenario]
name = "a tree"
seconds = 60

[[server]]
name = "root"

[[server]]
name = "isp-{n}"
count = 2
upstreams = ["root"]
realm = "same"

[[server]]
name = "office-{n}"
count = 3
upstreams = "isp-{n}"
ask = "everything"
combine_milliseconds = 0

[[server.upstream]]
server = "root"
realm = "same"

[[provider]]
name = "vendor"
server = "root"
publish = ["builtin:rustsec", "more.jsonl"]
at = 5
rate = 100

[[agents]]
name = "agent-{n}"
count = 4
server = "office-{n}"
assets = "builtin:demo"
always = ["smallvec 0.6.9"]

[[agents]]
name = "late"
server = "isp-2"
assets = "fleet.jsonl"
at = 7.5
"#;

fn parse(more: &str) -> Result<Scenario, String> {
    Scenario::parse(&format!("{TREE}{more}")).map_err(|error| error.to_string())
}

#[test]
fn templates_are_written_out_and_take_turns() {
    let tree = parse("").unwrap();
    let names: Vec<&str> = tree.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["root", "isp-1", "isp-2", "office-1", "office-2", "office-3"]);
    let above = |index: usize| tree.servers[index].upstreams.iter().map(|uplink| uplink.server).collect::<Vec<_>>();
    assert_eq!((0..6).map(above).collect::<Vec<_>>(), [vec![], vec![0], vec![0], vec![1, 0], vec![2, 0], vec![1, 0]]);
    let tiers: Vec<usize> = tree.servers.iter().map(|server| server.tier).collect();
    assert_eq!((tiers, tree.tiers()), (vec![0, 1, 1, 2, 2, 2], 3));
    let dialled: Vec<(usize, usize)> = tree.agents.iter().map(|agent| (agent.server, agent.place)).collect();
    assert_eq!(dialled, [(3, 0), (4, 1), (5, 2), (3, 3), (2, 0)]);
    assert_eq!(tree.name_of(Party::Agent(4)), "late");
}

#[test]
fn what_a_file_says_is_there() {
    let tree = parse("").unwrap();
    assert_eq!((tree.length, tree.seed), (Duration::from_secs(60), 0));
    let [own, other] = tree.servers[3].upstreams.as_slice() else { panic!("two") };
    assert_eq!((own.asks.realm, own.asks.ask), (Realm::Foreign, Ask::Everything));
    assert_eq!((other.asks.realm, other.asks.ask), (Realm::Same, Ask::Everything));
    assert_eq!((tree.servers[3].combine_milliseconds, tree.servers[1].combine_milliseconds), (0, 2000));
    assert_eq!(tree.servers[1].asks, Asks { realm: Realm::Same, ..Asks::default() });
    let vendor = &tree.providers[0];
    assert_eq!((vendor.publish.len(), vendor.at, vendor.rate), (2, Duration::from_secs(5), Some(100)));
    assert_eq!(tree.groups[0].always, [Crate { name: "smallvec".into(), version: "0.6.9".into() }]);
    assert_eq!(tree.groups[1].at, Duration::from_millis(7500));
}

#[test]
fn faults_come_in_the_order_of_time() {
    let tree = parse(
        "[[fault]]\nat = 20\nkill = [\"isp-{n}\", \"agent-2\"]\nfor = 1.5\n\
         [[fault]]\nat = 5\ncut = \"office-1\"\nfor = 2\n\
         [[fault]]\nat = 30\nattach = \"office-1\"\nto = \"isp-2\"\n\
         [[fault]]\nat = 40\ncut = [\"office-1\", \"office-2 -> root\", \"agent-1\", \"vendor\"]\nfor = 2\n",
    )
    .unwrap();
    let server = |from, to| Link { from: Party::Server(from), to };
    let until = |seconds: f64| Duration::from_secs_f64(seconds);
    assert_eq!(tree.faults[0].what, What::Cut { links: vec![server(3, 1), server(3, 0)], until: until(7.0) });
    let parties = vec![Party::Server(1), Party::Server(2), Party::Agent(1)];
    assert_eq!(tree.faults[1].what, What::Kill { parties, until: until(21.5) });
    assert_eq!(tree.faults[2].what, What::Attach { server: 3, to: vec![2] });
    let agent = Link { from: Party::Agent(0), to: 3 };
    let vendor = Link { from: Party::Provider(0), to: 0 };
    let links = vec![server(3, 2), server(4, 0), agent, vendor];
    assert_eq!(tree.faults[3].what, What::Cut { links, until: until(42.0) });
    assert_eq!(tree.upstreams_ever(3).collect::<Vec<_>>(), [1, 0, 2]);
    assert_eq!(tree.links_cut().count(), 6);
    let described: Vec<String> = tree.faults.iter().map(|fault| tree.describe(&fault.what)).collect();
    assert_eq!(
        described[..3],
        ["cut office-1 -> isp-1, office-1 -> root", "kill isp-1, isp-2, agent-2", "attach office-1 to isp-2"]
    );
}

#[test]
fn whatever_is_wrong_is_named_with_its_block_and_key() {
    let server = |keys: &str| format!("[[server]]\nname = \"x\"\n{keys}\n");
    let agents = |keys: &str| format!("[[agents]]\nname = \"y\"\nserver = \"root\"\nassets = \"a\"\n{keys}\n");
    let fault = |keys: &str| format!("[[fault]]\nat = 50\n{keys}\n");
    let twice = fault("kill = \"root\"\nfor = 5") + &fault("kill = \"root\"\nfor = 2");
    for (more, says) in [
        (
            server("upstreams = [\"rot\"]"),
            "[[server]] x: upstreams = rot: nobody has this name; there are root, isp-{n}",
        ),
        (server("upstreams = [\"root\", \"root\"]"), "each upstream once"),
        (server("upstreams = [\"vendor\"]"), "name a server"),
        (server("upstreams = [\"x\"]"), "[[server]] x: upstreams = x: it would be above itself"),
        (server("count = 3"), "[[server]] x: count = 3: needs {n}"),
        (server("granularity = \"vendor\"\nask = \"everything\""), "upstream.granularity = vendor: only with"),
        (server("combine_milliseconds = 99999999"), "combine_milliseconds = 99999999: at most"),
        (server("upstreems = []"), "upstreems"),
        ("[[server]]\nname = \"office-3\"\n".into(), "name = office-3: each name once"),
        ("[[server]]\nname = \"../x\"\n".into(), "name = ../x: 1 to 48 letters"),
        ("[[server]]\nname = \"z-{n}\"\ncount = 5000\n".into(), "at most 1000 servers"),
        ("[[server]]\nname = \"z-{n}\"\n".into(), "says {n}, so say how many"),
        ("[[agents]]\nname = \"z-{n}\"\nserver = \"root\"\nassets = \"a\"\ncount = 200000\n".into(), "at most 100000"),
        (agents("always = [\"smallvec\"]"), "[[agents]] y: always = smallvec: a crate and its version"),
        (agents("at = -1"), "[[agents]] y: at = -1: seconds"),
        (agents("at = 60"), "[[agents]] y: at = 60: before the end"),
        (agents("always = 7"), "a text or a list of texts"),
        ("[[provider]]\nname = \"p\"\nserver = \"root\"\npublish = []\n".into(), "[[provider]] p: publish = []"),
        ("[[provider]]\nname = \"p\"\nserver = \"root\"\npublish = \"x\"\nrate = 0\n".into(), "rate = 0: items"),
        (fault("kill = \"root\""), "[[fault]] at 50: for = ?: say for how many seconds"),
        (fault("kill = \"root\"\nfor = 11"), "it must be over by the end, after 60 s"),
        (fault("kill = \"root\"\ncut = \"isp-1\"\nfor = 1"), "exactly one of them"),
        (fault("for = 1"), "exactly one of them"),
        (fault("cut = \"root\"\nfor = 1"), "[[fault]] at 50: cut = root: there is no such link"),
        (fault("cut = \"isp-1 -> isp-2\"\nfor = 1"), "there is no such link"),
        (fault("attach = \"isp-1\""), "to = ?: its upstreams from then on"),
        (fault("attach = \"isp-1\"\nto = [\"root\", \"root\"]"), "to = root: each upstream once"),
        (fault("attach = [\"isp-1\", \"isp-2\"]\nto = []"), "one server"),
        (fault("kill = \"isp-1\"\nfor = 1\nto = \"root\""), "only with attach"),
        (twice, "it is down already"),
    ] {
        let error = parse(&more).expect_err(&more);
        assert!(error.contains(says), "{more}: {error}");
    }
}

#[test]
fn a_tree_needs_a_server_and_a_length() {
    let head = "[scenario]\nname = \"n\"\nseconds = ";
    let error = |text: String| Scenario::parse(&text).unwrap_err().to_string();
    assert!(error(format!("{head}0\n[[server]]\nname = \"a\"\n")).contains("more than 0"));
    assert!(error(format!("server = []\n{head}1\n")).contains("a tree needs a server"));
    assert!(error(format!("{head}1\n")).contains("server"));
    assert!(error(format!("{head}nan\n[[server]]\nname = \"a\"\n")).contains("seconds = NaN"));
}

#[test]
fn a_file_is_named_in_what_is_wrong_with_it() {
    let error = Scenario::load(Path::new("/no/such.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/no/such.toml: cannot read it") && error.contains("deploy/scenarios"), "{error}");
}

#[test]
fn the_examples_load() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/scenarios"));
    let load = |name: &str| Scenario::load(&folder.join(name)).unwrap();
    let count = |tree: &Scenario| (tree.servers.len(), tree.agents.len(), tree.faults.len());
    assert_eq!(count(&load("two-isps.toml")), (3, 8, 2));
    assert_eq!(count(&load("isp-1000.toml")), (11, 1000, 2));
}

#[test]
fn what_the_example_has_in_comments_is_good_too() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/scenarios/two-isps.toml");
    let mut whole = String::from("[[server]]\nname = \"another\"\n");
    let mut is_block = false;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        is_block = line.starts_with("# [[") || (is_block && line.starts_with("# "));
        let line = line.strip_prefix("# ").filter(|_| is_block).unwrap_or(line);
        whole.push_str(&format!("{line}\n"));
    }
    let tree = Scenario::parse(&whole).unwrap();
    assert_eq!(tree.servers[2].upstreams.len(), 2);
    let described: Vec<String> = tree.faults.iter().map(|fault| tree.describe(&fault.what)).collect();
    let partition = "cut isp-1 -> vendor, isp-1 -> another, isp-2 -> vendor and 2 more";
    assert_eq!(described[2..], [partition, "attach isp-2 to isp-1"]);
}
