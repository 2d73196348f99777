//! Canonical forms: no panic, and the canonical form of a canonical form is itself.

use schemas::limits::Limits;
use schemas::signature::Refusal;
use schemas::signature::canon::{self, Kind, Method};

/// One input.
///
/// # Panics
/// If that is found which the target looks for.
pub fn run(data: &[u8]) {
    // The first byte chooses the form.
    let Some((first, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let kind = [Kind::Inclusive10, Kind::Inclusive11, Kind::Exclusive][usize::from(first & 3) % 3];
    let mut method = Method::new(kind);
    if first & 4 != 0 {
        method = method.with_comments();
    }
    if first & 8 != 0 {
        method = method.with_prefixes("#default m v xsi");
    }
    let Ok(once) = form(text, &method) else { return };
    match form(&once, &method) {
        Ok(twice) => assert_eq!(once, twice),
        // Escapes are longer than what they stand for.
        Err(Refusal::Limit { .. }) => {}
        Err(refusal) => panic!("a canonical form has none: {refusal}\n{once}"),
    }
}

fn form(text: &str, method: &Method) -> Result<String, Refusal> {
    let mut form = Vec::new();
    canon::document(text, method, &Limits::default(), |piece| form.extend_from_slice(piece))?;
    Ok(String::from_utf8(form).expect("a form is UTF-8"))
}
