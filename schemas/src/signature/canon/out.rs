//! Canonical octets on their way out: small ones gathered, large ones passed on as they are.

/// Escapes, and hands to the sink.
pub(super) struct Out<S> {
    sink: S,
    gathered: Vec<u8>,
}

/// From this size on a piece is not worth a copy.
const LARGE: usize = 1024;
/// What is gathered before it goes on.
const GATHERED: usize = 4096;

impl<S: FnMut(&[u8])> Out<S> {
    pub(super) fn new(sink: S) -> Self {
        Self { sink, gathered: Vec::with_capacity(GATHERED) }
    }

    pub(super) fn put(&mut self, piece: &str) {
        let piece = piece.as_bytes();
        if piece.len() >= LARGE {
            self.flush();
            (self.sink)(piece);
            return;
        }
        if self.gathered.len() + piece.len() > GATHERED {
            self.flush();
        }
        self.gathered.extend_from_slice(piece);
    }

    pub(super) fn flush(&mut self) {
        if !self.gathered.is_empty() {
            (self.sink)(&self.gathered);
            self.gathered.clear();
        }
    }

    /// Character data as it stands, line ends to be normalised.
    pub(super) fn text(&mut self, raw: &str) {
        for_each_line(raw, |stretch| self.escaped(stretch));
    }

    /// A character that a reference stands for.
    pub(super) fn character(&mut self, c: char) {
        match c {
            '\r' => self.put("&#xD;"),
            c => self.escaped(c.encode_utf8(&mut [0; 4])),
        }
    }

    /// A comment or a processing instruction, line ends to be normalised.
    pub(super) fn markup(&mut self, raw: &str) {
        for_each_line(raw, |stretch| self.put(stretch));
    }

    fn escaped(&mut self, text: &str) {
        let mut written = 0;
        for at in memchr::memchr3_iter(b'&', b'<', b'>', text.as_bytes()) {
            self.put(&text[written..at]);
            self.put(match text.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                _ => "&gt;",
            });
            written = at + 1;
        }
        self.put(&text[written..]);
    }

    /// ` name="value"` of a value as an application sees it.
    pub(super) fn attribute(&mut self, name: &str, value: &str) {
        self.put(" ");
        self.put(name);
        self.attribute_value(value);
    }

    /// `="value"` of a value as an application sees it.
    pub(super) fn attribute_value(&mut self, value: &str) {
        self.put("=\"");
        let mut written = 0;
        for (at, byte) in value.bytes().enumerate() {
            let replacement = match byte {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'"' => "&quot;",
                b'\t' => "&#x9;",
                b'\n' => "&#xA;",
                b'\r' => "&#xD;",
                _ => continue,
            };
            self.put(&value[written..at]);
            self.put(replacement);
            written = at + 1;
        }
        self.put(&value[written..]);
        self.put("\"");
    }
}

/// Every CR LF and every lone CR is one line end.
fn for_each_line(raw: &str, mut each: impl FnMut(&str)) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
        each(&rest[..at]);
        each("\n");
        rest = &rest[at + 1..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    each(rest);
}
