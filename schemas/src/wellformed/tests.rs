use super::*;

fn tokens(text: &str) -> Vec<(TokenKind<'_>, &str)> {
    let limits = Limits::default();
    let mut reader = Reader::new(text, &limits);
    let mut all = Vec::new();
    loop {
        let Token { kind, span } = reader.read().unwrap();
        all.push((kind, &text[span.range()]));
        if kind == TokenKind::Eof {
            return all;
        }
    }
}

#[test]
fn tokens_come_with_their_bytes() {
    use TokenKind::{Comment, Data, Declaration, End, Eof, Instruction, Reference, Start, Text};
    let expected = [
        (Declaration, "<?xml version='1.0'?>"),
        (Comment, "<!-- c -->"),
        (Start("a:b"), "<a:b c = '>' >"),
        (Text("t\r\n"), "t\r\n"),
        (Reference('<'), "&lt;"),
        (Reference('é'), "&#xE9;"),
        (Data("<&]]"), "<![CDATA[<&]]]]>"),
        (Start("e"), "<e/>"),
        (End, ""),
        (Instruction, "<?p i?>"),
        (End, "</a:b\n>"),
        (Text("\n"), "\n"),
        (Eof, ""),
    ];
    let text: String = expected.iter().map(|(_, raw)| *raw).collect();
    assert_eq!(tokens(&text), expected);
}

#[test]
fn attributes_come_as_they_stand() {
    let limits = Limits::default();
    let text = "<a b='1 &amp; \"2\"'\n\tc=\"'\" é.-9=''/>";
    let mut reader = Reader::new(text, &limits);
    reader.read().unwrap();
    let found: Vec<_> = reader.attributes().iter().map(|a| (a.name, a.raw)).collect();
    assert_eq!(found, [("b", "1 &amp; \"2\""), ("c", "'"), ("é.-9", "")]);
    assert!(reader.attributes().iter().all(|a| text[a.byte..].starts_with(a.name)));
}

/// What XML forbids and the tokeniser lets pass, with the byte where it shows.
#[test]
fn what_is_not_well_formed_is_refused_where_it_is() {
    for (text, byte) in [
        ("", 0),
        (" ", 1),
        ("\u{feff}<a/>", 0),
        ("<a>", 3),
        ("<a/><b/>", 4),
        ("<a/>b", 4),
        ("b<a/>", 0),
        ("&lt;<a/>", 0),
        ("<![CDATA[]]><a/>", 0),
        ("<a></b>", 3),
        ("<a></a b=''>", 3),
        ("<a></ a>", 3),
        ("</a>", 0),
        ("< a/>", 0),
        ("<1/>", 0),
        ("<a b/>", 4),
        ("<a b=c/>", 5),
        ("<a b='1'c='2'/>", 8),
        ("<a b='<'/>", 6),
        ("<a b='&c;'/>", 6),
        ("<a b='&'/>", 6),
        ("<a b='1' b='2'/>", 9),
        ("<a 1b=''/>", 3),
        ("<a b='", 0),
        ("<a>]]></a>", 3),
        ("<a>&b;</a>", 3),
        ("<a>& </a>", 3),
        ("<a>&#xD800;</a>", 3),
        ("<a>&#+65;</a>", 3),
        ("<a>&#;</a>", 3),
        ("<a>\u{1}</a>", 3),
        ("<a>\u{ffff}</a>", 3),
        ("<a b='\u{8}'/>", 6),
        ("<a><!-- -- --></a>", 3),
        ("<a><!-- ---></a>", 3),
        ("<a><!--></a>", 3),
        ("<a><!-</a>", 3),
        ("<a><![CDATA[</a>", 3),
        ("<a><![cdata[]]></a>", 3),
        ("<a><?XmL b?></a>", 3),
        ("<a><? b?></a>", 3),
        ("<a><?b", 3),
        ("<a><?xml version='1.0'?></a>", 3),
        (" <?xml version='1.0'?><a/>", 1),
        ("<?xml?><a/>", 0),
        ("<?xml version='2.0'?><a/>", 0),
        ("<?xml encoding='UTF-8' version='1.0'?><a/>", 0),
        ("<?xml version='1.0' standalone='maybe'?><a/>", 0),
        ("<!DOCTYPE a><a/>", 0),
        ("<!doctype a><a/>", 0),
        ("<a><!ELEMENT a></a>", 3),
    ] {
        let error = check(text.as_bytes(), &Limits::default()).expect_err(text);
        assert_eq!((error.byte, error.clause), (byte, CLAUSE), "{text}: {error}");
    }
}

#[test]
fn what_is_unusual_but_well_formed_is_accepted() {
    for text in [
        "<a/>",
        "<_:-.9é\u{10000}/>",
        "<a>]] > ]]&gt;</a>",
        "<a b='>' c='\"'></a\t>",
        "<a b='&#10;&lt;]]>'/>",
        "<?xml version=\"1.7\" encoding='x-Y_1.0' standalone = 'no' ?>\n<!----><a/><?b?> ",
        "<a><!--<b>&c;--><![CDATA[<b>&c;]]><?d <e>&f;?></a>",
        "<a xmlns:b='' b:c='' d:e=''/>",
    ] {
        check(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let error = check(b"<a>\n\xff</a>", &Limits::default()).unwrap_err();
    assert_eq!((error.byte, error.line), (4, 2));
}

/// Names are compared after sorting where there are many.
#[test]
fn equal_attributes_are_found_among_many() {
    let many: String = (0..60).map(|n| format!(" a{n}=''")).collect();
    let text = format!("<a{many} a7=''/>");
    let error = check(text.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.byte, text.rfind("a7").unwrap());
    check(format!("<a{many}/>").as_bytes(), &Limits::default()).unwrap();
}

#[test]
fn a_huge_doctype_is_refused_before_it_is_looked_at() {
    let text = format!("<!DOCTYPE a [{}", "<!ENTITY e 'x'>".repeat(1_000_000));
    let limits = Limits::default();
    let mut reader = Reader::new(&text, &limits);
    assert_eq!(reader.read().unwrap_err().byte, 0);
    assert_eq!(reader.steps(), 1);
}

#[test]
fn illegal_characters_are_found_wherever_they_stand() {
    for prefix in [0, 1, 61, 62, 63, 64, 65, 127, 200] {
        for illegal in ["\0", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
            let text = format!("{}{illegal}{}", "x".repeat(prefix), "é\u{ffee}\u{f000}y".repeat(40));
            assert_eq!(characters::first_illegal(text.as_bytes()), Some(prefix), "{prefix} {illegal:?}");
        }
    }
    let legal = "\t\n\r \u{7f}\u{85}\u{fffd}\u{ffee}\u{10ffff}".repeat(20);
    assert_eq!(characters::first_illegal(legal.as_bytes()), None);
}

#[test]
fn texts_are_normalised_as_xml_says() {
    let mut text = "x".to_owned();
    push_lines(&mut text, "a\r\nb\rc\n\r");
    assert_eq!(text, "xa\nb\nc\n\n");
    assert_eq!(attribute_value("a\r\nb\tc\n&#10;&#x9;&lt;&amp;lt;d"), "a b c \n\t<&lt;d");
    assert!(matches!(attribute_value("plain text"), std::borrow::Cow::Borrowed(_)));
}

#[test]
fn lines_are_counted_from_one() {
    assert_eq!([0, 1, 2, 3, 9].map(|byte| line_at(b"a\n\nb", byte)), [1, 1, 2, 3, 3]);
    assert_eq!(Fault::syntax(3, "x").locate("a\n\nb").line, 3);
}
