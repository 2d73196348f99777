//! Every bound on a document, in one place. All are checked before memory is spent.

/// Bounds on one document. The memory that decoding takes is the document; its UTF-8 form if it came in UTF-16, of
/// exactly the length of that form (at most 1.5 times the document's, and at most [`Limits::document_bytes`]); at most
/// [`Limits::elements`] × 512 bytes of types; and at most twice the length of the UTF-8 for texts that cannot be slices
/// of it (references, CDATA sections, carriage returns) and grow. Verification adds at most 512 bytes for each signature
/// and the length of its certificates; and while it is at one, a fixed part, and copies of the namespace names around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole document.
    pub document_bytes: usize,
    /// Nesting of elements.
    pub depth: usize,
    /// Elements in a document.
    pub elements: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Namespace declarations in scope at once.
    pub namespaces: usize,
    /// Bytes of a name or a namespace name.
    pub name_bytes: usize,
    /// Bytes of an attribute value as it stands.
    pub attribute_bytes: usize,
    /// Bytes of one text value, Script, Binary and Byte aside (they are bounded by the document).
    pub text_bytes: usize,
    /// Bytes of the text of a 128-bit value.
    pub guid_bytes: usize,
    /// Nested parts in a document, at whatever depth; and as many messages.
    pub parts: usize,
    /// Signatures that are verified in a document; those behind prove nothing.
    pub signatures: usize,
    /// How many times the bytes of the document these may cover together: signatures around each other cover the same.
    pub signature_passes: usize,
}

impl Limits {
    /// The most steps that the parser takes on a document of this many bytes: a step is a token, an attribute, or a
    /// namespace declaration looked at. The shortest markup that makes it look at all declarations has four bytes.
    pub fn steps(&self, bytes: usize) -> usize {
        (self.namespaces / 4 + 2).saturating_mul(bytes.saturating_add(2))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 64 << 20,
            // 16 envelopes (S27) × 2 + the deepest component tree we write, and R-10.1.1-7's 64 envelopes × 2 as well.
            depth: 192,
            elements: 400_000,
            attributes: 64,
            namespaces: 128,
            name_bytes: 8 << 10,
            // A `data:` URI: 8 KiB of description are at most 24 KiB of percent-encoding; a short script takes more.
            attribute_bytes: 256 << 10,
            text_bytes: 1 << 20,
            guid_bytes: 64,
            parts: 4096,
            signatures: 4096,
            // One at each of 16 envelopes (S27).
            signature_passes: 16,
        }
    }
}
