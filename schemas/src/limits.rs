//! Every bound on a document, in one place. All are checked before memory is spent.

/// Bounds on one document. The memory that decoding takes is the document, its UTF-8 form if it came in UTF-16
/// (at most 1.5 times as long), and at most [`Limits::elements`] × 512 bytes of types.
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
    /// Bytes of a name, namespace name or attribute value.
    pub name_bytes: usize,
    /// Bytes of one text value, Script, Binary and Byte aside (they are bounded by the document).
    pub text_bytes: usize,
    /// Bytes of the text of a 128-bit value.
    pub guid_bytes: usize,
    /// Parts of a bundle.
    pub parts: usize,
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
            text_bytes: 1 << 20,
            guid_bytes: 64,
            parts: 4096,
        }
    }
}
