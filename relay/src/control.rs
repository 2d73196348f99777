//! The control socket: what an operator on this machine asks of a running server. HTTP on a Unix domain socket in the data
//! directory, which lets in the server's own user and nobody else.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use dialler::clock;
use node::client::Draft;
use node::engine;
use node::ids::Time;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::version::{Major, Minor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use topology::subscriptions::{Mode, Subscription};

use crate::driver::Input;
use crate::{answers, reach};

/// The socket's name in the data directory.
pub const SOCKET: &str = "control.sock";

/// A question for a client below, as the operator's command writes it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// Whom, by GUID.
    pub(crate) client: String,
    /// What.
    pub(crate) major: AskMajor,
    /// In which mode.
    pub(crate) minor: Option<AskMinor>,
}

/// What can be asked without data.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AskMajor {
    /// What it has now; with a Minor also its changes
    Request,
    /// Its changes, from now on
    Register,
}

/// The mode.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AskMinor {
    /// Content
    Full,
    /// The list
    Catalog,
    /// Ends what was asked for standing
    End,
}

/// A client, as the driver lists it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) client: ClientGuid,
    /// From this node down to it.
    pub(crate) route: Vec<(ServerGuid, ClientGuid)>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) contact: Time,
    pub(crate) connected: bool,
}

impl From<engine::Listed<'_>> for Listed {
    fn from(listed: engine::Listed<'_>) -> Self {
        let engine::Listed { client, route, subscriptions, contact, connected } = listed;
        Self { client, route, subscriptions: subscriptions.into_owned(), contact, connected }
    }
}

/// Clients that are listed in one step of the driver.
pub(crate) const LISTED: usize = 64;

#[derive(Clone)]
struct Control {
    inputs: mpsc::Sender<Input>,
    stale: Duration,
}

/// The socket, which takes the place of one that a killed server left.
///
/// # Errors
/// What the system says.
pub(crate) fn bind(directory: &Path) -> io::Result<(UnixListener, PathBuf)> {
    let path = directory.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok((listener, path))
}

/// Serves until `stop`.
pub(crate) async fn serve(
    (listener, path): (UnixListener, PathBuf),
    inputs: mpsc::Sender<Input>,
    stale: Duration,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/inventory", get(inventory))
        .route("/ask", post(ask))
        .with_state(Control { inputs, stale });
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the control socket ended");
    }
    // Another start would remove it as well.
    drop(std::fs::remove_file(path));
}

/// Everybody who is known here, in stretches: the driver has other things to do.
async fn inventory(State(control): State<Control>) -> Response {
    let mut clients = Vec::new();
    let mut after = None;
    loop {
        let (answer, listed) = oneshot::channel();
        let sent = control.inputs.send(Input::Inventory { after, answer }).await;
        let (Ok(()), Ok(listed)) = (sent, listed.await) else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, STOPPING);
        };
        let Some(last) = listed.last() else { break };
        after = Some(last.client);
        clients.extend(listed.iter().map(|listed| client(listed, clock::now(), control.stale)));
    }
    answer(StatusCode::OK, &json!({ "clients": clients }))
}

fn client(listed: &Listed, now: Time, stale: Duration) -> Value {
    let path = listed.route.iter().map(|(server, client)| answers::hop(Some(*server), Some(*client)));
    let asset = |subscription: &Subscription| {
        let mut asset = answers::asset(&subscription.interest);
        asset["mode"] = match subscription.mode {
            Mode::Full => "full".into(),
            Mode::Catalog => "catalog".into(),
        };
        asset
    };
    json!({
        "client": listed.client.to_string(),
        "path": path.collect::<Value>(),
        "connected": listed.connected,
        "last_contact": clock::text(listed.contact),
        "stale": !listed.connected && now.since(listed.contact) >= stale,
        "assets": listed.subscriptions.iter().map(asset).collect::<Value>(),
    })
}

async fn ask(State(control): State<Control>, body: String) -> Response {
    let question: Question = match serde_json::from_str(&body) {
        Ok(question) => question,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let client = match ClientGuid::parse(&question.client) {
        Ok(client) => client,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let (answer_sender, answered) = oneshot::channel();
    let (messages, message_id) = (vec![question.draft()], clock::message_id());
    let input = Input::Reach(reach::Input::Ask { client, messages, message_id, answer: answer_sender });
    let (Ok(()), Ok(outcome)) = (control.inputs.send(input).await, answered.await) else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, STOPPING);
    };
    match outcome {
        Ok(returned) => {
            let mut answered = answers::returned(returned);
            answered["message_id"] = message_id.to_string().into();
            answer(StatusCode::OK, &answered)
        }
        Err(why) => refuse(StatusCode::BAD_GATEWAY, &why),
    }
}

const STOPPING: &str = "this server is stopping";

impl Question {
    fn draft(&self) -> Draft {
        let major = match self.major {
            AskMajor::Request => Major::Request,
            AskMajor::Register => Major::Register,
        };
        let minor = self.minor.map(|minor| match minor {
            AskMinor::Full => Minor::Full,
            AskMinor::Catalog => Minor::Catalog,
            AskMinor::End => Minor::End,
        });
        Draft { major, minor, infos: Vec::new() }
    }
}

fn refuse(status: StatusCode, why: &str) -> Response {
    answer(status, &json!({ "error": why }))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
