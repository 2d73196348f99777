//! Whether bytes tell something: looked for as it is, behind entities, percent signs and base64, in any case.

/// Bytes that were captured, ready to be searched.
#[derive(Debug)]
pub struct Capture(Vec<Vec<u8>>);

impl Capture {
    /// Of these pieces.
    pub fn new<B: AsRef<[u8]>>(pieces: impl IntoIterator<Item = B>) -> Self {
        let mut views = Vec::new();
        for piece in pieces {
            let plain = without_entities(piece.as_ref());
            let decoded = base64_decoded(&plain);
            views.extend([without_entities(&decoded), decoded, without_percent(&plain), plain]);
            views.push(piece.as_ref().to_owned());
        }
        Self(views.into_iter().map(|view| view.to_ascii_lowercase()).collect())
    }

    /// Whether it tells this.
    pub fn tells(&self, secret: impl AsRef<[u8]>) -> bool {
        let secret = secret.as_ref().to_ascii_lowercase();
        assert!(!secret.is_empty(), "nothing is everywhere");
        self.0.iter().any(|view| view.windows(secret.len()).any(|window| window == secret))
    }
}

/// Entities replaced by what they stand for; what is none stays.
fn without_entities(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let entity = (*first == b'&').then(|| entity(after)).flatten();
        match entity {
            Some((character, length)) => {
                plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &after[length..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

/// What the entity behind an ampersand stands for, and its length with the semicolon.
fn entity(after: &[u8]) -> Option<(char, usize)> {
    let end = after.iter().take(12).position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(&after[..end]).ok()?;
    let character = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((character, end + 1))
}

/// As in a URI: a percent sign and two digits are an octet; what is none stays.
fn without_percent(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(octet) => {
                plain.push(octet);
                rest = &after[2..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

/// Each run of base64's alphabet, line breaks and blanks left out, decoded from each of the four places at which it may
/// begin. Either alphabet.
fn base64_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut run = Vec::new();
    for byte in bytes.iter().chain(b"\0") {
        match byte {
            b'A'..=b'Z' => run.push(byte - b'A'),
            b'a'..=b'z' => run.push(byte - b'a' + 26),
            b'0'..=b'9' => run.push(byte - b'0' + 52),
            b'+' | b'-' => run.push(62),
            b'/' | b'_' => run.push(63),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                (0..4.min(run.len())).for_each(|from| decode(&run[from..], &mut decoded));
                run.clear();
            }
        }
    }
    decoded
}

fn decode(digits: &[u8], decoded: &mut Vec<u8>) {
    for four in digits.chunks(4) {
        let bits = four.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - four.len()));
        decoded.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    // Nothing is found across what does not belong together.
    decoded.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(captured: &str, tells: bool) {
        assert_eq!(Capture::new([captured]).tells("Secret-Host"), tells, "{captured}");
    }

    #[test]
    fn secrets_are_found_however_they_are_written() {
        check("<a>secret-host</a>", true);
        check("SECRET-HOST", true);
        check("&#83;ecret&#x2D;host", true);
        check("&#x53;&#x65;&#x63;&#x72;&#x65;&#x74;-host", true);
        // base64 of "Secret-Host", and of "a SECRET-host" and "it: &#83;ecret-host" within something else.
        check("<b>U2VjcmV0LUhvc3Q=</b>", true);
        check("xYSBTRUNSRVQtaG9zdA==", true);
        check("data:;base64,aXQ6ICYj\nODM7ZWNyZXQtaG9zdA==", true);
        check("U2VjcmV0&#76;Uhvc3Q=", true);
        check("data:,Secret%2dHost", true);
    }

    #[test]
    fn and_not_where_they_are_not() {
        check("secret host", false);
        check("&secret;-host &#xZZ; & &#999999999;", false);
        check("U2VjcmV0 <c/> LUhvc3Q=", false);
        check("Secret%2", false);
        check("", false);
    }
}
