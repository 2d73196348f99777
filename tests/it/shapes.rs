//! Every shape of document that the program writes is valid against the published grammar, says libxml2 and says
//! Xerces-C. Where it can be, a document is taken from the wire of a real run.

use bytes::Bytes;
use node::client::{Action, Asset, Client, Draft, Event, Via};
use node::ids::{Position, Push, Resume, Time};
use node::intake::Intake;
use schemas::class::Class;
use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::names::{CORE, CORE_SINGLE, Spelling};
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, Major, Minor, VersionControl, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};
use tests::data;
use tests::harness::draft::{self, component, said};
use tests::harness::{Answered, Pushed, TestClient, TestServer};
use tests::validators::assert_valid;

const SERVER: ServerGuid = ServerGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c01);
const PROVIDER: ClientGuid = ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c99);
const CLIENT: ClientGuid = ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c21);

/// Documents and where they come from.
type Documents = Vec<(String, Bytes)>;

/// An item with everything that our writer knows: texts that need escaping, code, its predecessors, what it applies to.
fn full_item(id: &str) -> VersionInfo {
    let before = |version: &str| VersionInfo { product_version: Some(version.into()), ..draft::product("P & Q") };
    let content = CodeContent {
        span: Default::default(),
        kind: CodeKind::Binary,
        reference: Some("https://vendor.example/p?a=1&b=2".into()),
        text: "QUJD".into(),
    };
    let control = VersionControl {
        supersedes: vec![before("1"), before("2")],
        update_path: Some(vec![before("2")]),
        ..VersionControl::default()
    };
    let container = Container {
        package: Some("bsdiff".into()),
        format: Some("delta".into()),
        version: "3 < 4".into(),
        contained_versions: vec![VersionInfo { info: vec![component("lib.so", "1")], ..VersionInfo::default() }],
        file_name: Some("p.delta".into()),
        language: Some("es".into()),
        author_comments: Some("\"Quoted\" & <marked>\r\n\ttext ]]>".into()),
        description: Some(text("Why this is so: 100 % ü")),
        code: Some(Code { content: Some(content), version_control: Some(control), ..Code::default() }),
        ..Container::default()
    };
    let info = Info {
        date: Some("2026-01-14".into()),
        description: Some(text("<p>Do & don't</p>")),
        container,
        ..Info::default()
    };
    VersionInfo {
        product_version: Some("3".into()),
        company: Some("Vendor <V>".into()),
        info: vec![said(id, info)],
        ..draft::product("P & Q")
    }
}

fn text(text: &str) -> schemas::core::Description {
    schemas::core::Description { text: Some(text.into()), ..Default::default() }
}

fn keep_answer(name: &str, answered: &Answered, documents: &mut Documents) {
    documents.push((format!("reply: {name}"), answered.reply.bytes().clone()));
    for delivery in &answered.deliveries {
        documents.push((format!("asked for: {name}"), delivery.bytes().clone()));
    }
}

fn keep_push(name: &str, pushed: &Pushed, documents: &mut Documents) {
    documents.push((format!("pushed: {name}"), pushed.document.bytes().clone()));
}

fn by_hand(header: &str, payload: &str) -> Bytes {
    format!(
        "<m:Message_Core xmlns:m=\"{CORE}\" xmlns:v=\"{}\"><m:Header><m:PID>#h1</m:PID>{header}</m:Header>\
         <m:Payload>{payload}</m:Payload></m:Message_Core>",
        schemas::names::VERSION
    )
    .into()
}

/// What provokes each kind of reply.
fn questions() -> Vec<(&'static str, Bytes)> {
    let message = |major, minor| MessageDraft { major, minor, data: None };
    let request = "<v:Message><v:CID>#h02</v:CID><v:Major_Message>Request</v:Major_Message></v:Message>";
    let foreign = "<o:Message xmlns:o='urn:other'><o:CID>#h77</o:CID></o:Message>";
    let ask = |major, minor| draft::message(major, minor, None);
    vec![
        ("Succeeded", ask(Major::Request, None)),
        ("Succeeded, without UUID and Message_ID", by_hand("", request)),
        ("with every GUID", with_guids()),
        ("Failed", ask(Major::Deliver, None)),
        ("Failed, of a document that cannot be read", "<a ü=\"&x;\">".into()),
        ("Failed, of a document without CID", by_hand("<m:Message_ID>#h0102</m:Message_ID>", "")),
        ("Major Message Not Supported", ask(Major::Other("Dance & sing".into()), None)),
        ("Minor Message Not Supported", ask(Major::Request, Some(Minor::Other("<most>".into())))),
        ("Handler not available", by_hand("", &request.replace("#h02", "#h03"))),
        ("Handler not available, of another set", by_hand("", foreign)),
        ("several messages", draft::messages(&[message(Major::Register, None), message(Major::Request, None)])),
        ("several messages of which one fails", by_hand("", &format!("{request}{foreign}{request}"))),
        ("a bundle", draft::bundle(&[ask(Major::Request, None), ask(Major::Register, None)])),
        (
            "bundles in a bundle, with a bad part",
            draft::bundle(&[
                draft::bundle(&[ask(Major::Request, None), by_hand("", foreign), by_hand("", "")]),
                draft::messages(&[message(Major::Register, None), message(Major::Register, Some(Minor::End))]),
            ]),
        ),
    ]
}

fn with_guids() -> Bytes {
    let header = HeaderFields { server_guid: Some(SERVER), client_guid: Some(CLIENT), ..draft::header() };
    write::message(Spelling::Double, &header, &[MessageDraft { major: Major::Request, minor: None, data: None }])
}

/// A run in which everything happens once, and all that its clients received.
async fn a_run(spelling: Spelling) -> Documents {
    let spelled = |document: Bytes| match spelling {
        Spelling::Double => document,
        Spelling::Single => String::from_utf8_lossy(&document).replace("itu.int//", "itu.int/").into_bytes().into(),
    };
    let mut documents = Documents::new();
    let server = TestServer::with_providers(SERVER, &[PROVIDER]).await;
    let provider = TestClient::connect(&server, PROVIDER).await;
    let client = TestClient::connect(&server, CLIENT).await;
    let mut statuses = Vec::new();
    let first = provider.ask(spelled(draft::deliver(&[full_item("first"), draft::item("second", "P & Q")]))).await;
    keep_answer("Deliver", &first.succeeded(), &mut documents);
    // What has no namespace has no spelling to be answered in.
    let has_spelling = |question: &Bytes| spelling == Spelling::Double || question.starts_with(b"<m:");
    for (name, question) in questions().into_iter().filter(|(_, question)| has_spelling(question)) {
        let answered = client.ask(spelled(question)).await;
        statuses.extend(answered.statuses());
        keep_answer(name, &answered, &mut documents);
    }
    for status in [
        ReplyStatus::Succeeded,
        ReplyStatus::Failed,
        ReplyStatus::MajorNotSupported,
        ReplyStatus::MinorNotSupported,
        ReplyStatus::HandlerNotAvailable,
    ] {
        assert!(statuses.contains(&status), "{status:?}");
    }
    let (whole, list) = (draft::product("P & Q"), draft::product("R"));
    keep_answer("Full", &client.ask(spelled(draft::request_full(&[whole]))).await.succeeded(), &mut documents);
    keep_answer(
        "Catalog",
        &client.ask(spelled(draft::request_catalog(std::slice::from_ref(&list)))).await.succeeded(),
        &mut documents,
    );
    // One part, derived; then many, for who was asked for everything.
    let of_list = VersionInfo { product_name: Some("R".into()), ..full_item("derived") };
    provider.ask(spelled(draft::deliver(&[of_list]))).await.succeeded();
    keep_push("derived entry", &client.take().await, &mut documents);
    let items: Vec<Bytes> = (0..40).map(|number| draft::deliver(&[full_item(&format!("many-{number}"))])).collect();
    provider.ask(spelled(draft::bundle(&items))).await.succeeded();
    let mut parts = Vec::new();
    while parts.iter().sum::<usize>() < items.len() {
        let pushed = client.take().await;
        parts.push(pushed.items().len());
        keep_push("bundle", &pushed, &mut documents);
    }
    assert!(parts.iter().any(|count| *count > 1), "{parts:?}");
    let entry = draft::message(Major::Deliver, Some(Minor::Catalog), Some(&[full_item("an entry")]));
    provider.ask(spelled(entry)).await.succeeded();
    keep_push("a provider's own entry", &client.take().await, &mut documents);
    keep_answer(
        "entries and content",
        &client.ask(spelled(draft::request_catalog(&[list]))).await.succeeded(),
        &mut documents,
    );
    documents
}

#[tokio::test]
async fn what_a_server_writes_is_valid() {
    assert_valid(&a_run(Spelling::Double).await);
}

// N1: towards a peer of the other spelling. The grammar of that spelling is the published one with its namespaces
// renamed; renaming those of the documents instead says the same, if no document mixes them (N7).
#[tokio::test]
async fn what_a_server_writes_in_the_other_spelling_is_valid_too() {
    let documents = a_run(Spelling::Single).await.into_iter().map(|(name, document)| {
        let text = String::from_utf8(document.to_vec()).unwrap();
        assert!(text.contains(&format!("\"{CORE_SINGLE}\"")) && !text.contains(CORE), "{name}: {text}");
        (name, text.replace("http://www.itu.int/xml-namespace", "http://www.itu.int//xml-namespace"))
    });
    assert_valid(&documents.collect::<Vec<_>>());
}

/// The pure client, whose store never fails and whose server agrees to everything.
struct Device {
    client: Client,
    asked: Vec<Vec<Draft>>,
    answers: Vec<Bytes>,
}

impl Device {
    fn new() -> Self {
        Self { client: Client::recover(CLIENT, SERVER, []), asked: Vec::new(), answers: Vec::new() }
    }

    fn handle(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            self.client.handle(Time(1_768_469_400_000), event);
            while let Some(action) = self.client.poll_action() {
                match action {
                    Action::Store(ticket, _) => events.insert(0, Event::Stored(ticket)),
                    Action::Open(exchange, drafts) => {
                        let outcomes = vec![(ReplyStatus::Succeeded, None); drafts.len()];
                        events.insert(0, Event::Replied { exchange, outcomes });
                        events.insert(0, Event::Ended(exchange));
                        self.asked.push(drafts);
                    }
                    Action::Answer { spelling, answer, .. } => {
                        self.answers.push(answer.render(spelling, draft::fresh_id(), "2026-01-15T09:30:00Z"));
                    }
                    Action::Respond { .. } | Action::Name(_) => panic!("nothing was asked, and nobody named"),
                    Action::Hangup(why) | Action::Stop(why) => panic!("{why}"),
                }
            }
        }
    }

    /// What it asked, as the agent writes it.
    fn documents(&self) -> Documents {
        let header = HeaderFields { server_guid: Some(SERVER), client_guid: Some(CLIENT), ..draft::header() };
        let written = self.asked.iter().map(|drafts| {
            let messages = drafts.iter().map(|draft| MessageDraft {
                major: draft.major.clone(),
                minor: draft.minor.clone(),
                data: (!draft.infos.is_empty()).then_some(&draft.infos[..]),
            });
            write::message(Spelling::Double, &header, &messages.collect::<Vec<_>>())
        });
        written.map(|bytes| ("asked".to_owned(), bytes)).collect()
    }
}

fn delivery(parts: &[Bytes]) -> Intake {
    let facts = Validated::new(draft::bundle(parts), &Limits::default()).unwrap();
    Intake::of(&facts).unwrap()
}

#[test]
fn what_a_client_writes_is_valid() {
    let mut device = Device::new();
    let editor = |version: &str| Asset::new("editor", draft::asset("Editor", version, vec![component("lib.so", "1")]));
    let start = Resume::at(1, Position(0), None);
    device.handle(Event::Assets(vec![editor("1.0")]));
    device.handle(Event::Connected { behind: false, start });
    device.handle(Event::Assets(vec![editor("2.0"), Asset::new("other", full_item("asset"))]));
    device.handle(Event::Assets(Vec::new()));
    device.handle(Event::Behind(Position(1)));
    let item = |id: &str| draft::deliver(&[draft::item(id, "Editor")]);
    for (position, parts) in
        [(1, vec![item("a")]), (3, vec![item("b"), draft::register(&[])]), (5, vec![item("c"), item("d")])]
    {
        device.handle(Event::Delivery {
            via: Via::Lane(Push::new(Class::Normal, Position(position))),
            intake: Box::new(delivery(&parts)),
        });
    }
    let shapes: Vec<(&str, Option<&str>)> = device
        .asked
        .iter()
        .flatten()
        .map(|draft| (draft.major.as_str(), draft.minor.as_ref().map(Minor::as_str)))
        .collect();
    for shape in [("Request", Some("Full")), ("Register", Some("End")), ("Register", None)] {
        assert!(shapes.contains(&shape), "{shape:?} is not in {shapes:?}");
    }
    assert_eq!(device.answers.len(), 3);
    let mut documents = device.documents();
    documents.extend(device.answers.iter().map(|answer| ("answer".to_owned(), answer.clone())));
    assert_valid(&documents);
}

#[test]
fn every_published_advisory_is_valid() {
    let Some(data) = data::dir() else { return };
    let source = agent::rustsec::read_source(&data.join("advisories/rustsec/advisory-db")).unwrap();
    let mut documents = Documents::new();
    for change in source {
        // What cannot be read is refused with a reason, and not published.
        let Ok(agent::rustsec::Change::Put(advisory)) = change else { continue };
        let info = agent::rustsec::to_version_info(&advisory, 1);
        let item = agent::publish::Part::new(advisory.path.clone(), &[info]).bytes().clone();
        let entry = node::entry::derive(&item).unwrap();
        documents.push((format!("entry of {}", advisory.path), entry));
        documents.push((advisory.path, item));
    }
    assert!(documents.len() > 1000, "{}", documents.len());
    assert_valid(&documents);
}

#[test]
fn every_inventory_is_valid() {
    let Some(data) = data::dir() else { return };
    let mut documents = Documents::new();
    for folder in std::fs::read_dir(data.join("assets/rust")).unwrap() {
        let file = folder.unwrap().path().join("Cargo.lock");
        let Ok(lock) = std::fs::read_to_string(&file) else { continue };
        let info = agent::inventory::cargo_lock::read(&lock, Some("asset")).unwrap();
        documents.push((file.display().to_string(), draft::request_full(&[info])));
    }
    assert_eq!(documents.len(), 10);
    assert_valid(&documents);
}
