//! Reading back the text that a description carries as a `data:` URI (D1).

/// The text of `data:text/plain[;charset=utf-8],…` with percent-encoding; `None` for anything else.
pub fn text(uri: &str) -> Option<String> {
    let (media, data) = uri.strip_prefix("data:")?.split_once(',')?;
    if !media.is_empty() && (!media.starts_with("text/plain") || media.ends_with(";base64")) {
        return None;
    }
    let mut bytes = Vec::with_capacity(data.len());
    let mut rest = data.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { hex(rest.next()?)? * 16 + hex(rest.next()?)? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn percent_encoded_text_comes_back() {
        assert_eq!(text("data:text/plain;charset=utf-8,no%20%C3%A9ntry").as_deref(), Some("no éntry"));
        assert_eq!(text("data:,a").as_deref(), Some("a"));
    }

    #[test]
    fn anything_else_is_not_text() {
        for uri in
            ["https://a.example/", "data:text/plain;base64,QQ==", "data:text/html,x", "data:text/plain,%", "data:,%FF"]
        {
            assert_eq!(text(uri), None, "{uri}");
        }
    }
}
