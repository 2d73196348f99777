//! What can be seen from outside: documents as text, and the log lines of a server in this thread.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};

use schemas::facts::Validated;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// A document as it stood on the wire.
pub(super) fn wire(document: &Validated) -> &str {
    std::str::from_utf8(document.bytes()).unwrap()
}

/// Log lines since [`log`] was called; ends when it is dropped.
pub(crate) struct Log {
    lines: Arc<Mutex<String>>,
    _guard: DefaultGuard,
}

impl Log {
    /// All lines so far, with every field.
    pub(crate) fn text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Collects what is logged by this thread: on a runtime of one thread, by every task of it.
pub(crate) fn log() -> Log {
    let lines = Arc::<Mutex<String>>::default();
    let guard = tracing::subscriber::set_default(Collector(lines.clone()));
    // Whoever looked before may have found that nobody listens.
    tracing::callsite::rebuild_interest_cache();
    Log { lines, _guard: guard }
}

struct Collector(Arc<Mutex<String>>);

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What operators may switch on; the transport's own traces are not ours.
        *metadata.level() <= tracing::Level::DEBUG && !metadata.target().starts_with("quinn")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = format!("{} {}:", event.metadata().level(), event.metadata().target());
        event.record(&mut Fields(&mut line));
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *lines += &line;
        lines.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // A String takes every write.
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}
