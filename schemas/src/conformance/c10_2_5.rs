//! Clauses 10.2.5 to 10.2.9: containers, code, version control.

use super::{check_refused, container_of, example, good, good_example, read, with_container};
use crate::version::CodeKind;

// R-10.2.5-2
#[test]
fn c10_2_5_format_is_any_text() {
    let document = good(with_container("<v:Format> a/b; c </v:Format><v:Version/>"));
    assert_eq!(container_of(&document).format.as_deref(), Some(" a/b; c "));
}

// R-10.2.5-3 (reading)
#[test]
fn c10_2_5_version_is_required_and_may_be_empty() {
    assert_eq!(example("invalid/i07-container-no-version.xml").unwrap_err().error.clause, "10.2.5");
    assert_eq!(container_of(&good(with_container("<v:Version/>"))).version, "");
}

// R-10.2.5-4
#[test]
fn c10_2_5_contained_versions_is_a_tree() {
    let document = good_example("valid/01-register-null.xml");
    let top = container_of(&document);
    assert_eq!(top.contained_versions.len(), 1);
    assert_eq!(top.contained_versions[0].info.len(), 2);
    let third = &top.contained_versions[0].info[0].container.contained_versions[0].info[0].container;
    assert_eq!(third.file_name.as_deref(), Some("tinycrc.so"));
    let document = good_example("invalid/i18-version-info-list.xml");
    assert_eq!(container_of(&document).contained_versions.len(), 2);
}

// R-10.2.5-5 (reading), R-10.2.8-1
#[test]
fn c10_2_8_names_of_the_prose_are_read_as_the_schemas() {
    let document = good_example("invalid/i13-prose-names.xml");
    let container = container_of(&document);
    assert_eq!(container.file_name.as_deref(), Some("quill-editor_4.1.0_4.1.1.delta"));
    let control = container.code.as_ref().and_then(|code| code.version_control.as_ref()).unwrap();
    let versions: Vec<&str> = control.supersedes.iter().filter_map(|v| v.product_version.as_deref()).collect();
    assert_eq!(versions, ["4.1.0", "4.0.2"]);
    let code = "<v:Version/><v:Code><v:Binary/><v:Version_Control><v:Supersedes/></v:Version_Control></v:Code>";
    check_refused(with_container(code), "10.2.8", "missing");
}

// R-10.2.9-1
#[test]
fn c10_2_9_an_update_path_is_not_empty() {
    let code = |path: &str| {
        with_container(&format!(
            "<v:Version/><v:Code><v:Binary/><v:Version_Control><v:Update_Path>{path}</v:Update_Path>\
             </v:Version_Control></v:Code>"
        ))
    };
    check_refused(code(""), "10.2.9", "missing");
    for name in ["Version_Info", "Version_info"] {
        let document = good(code(&format!("<v:{name}/>")));
        let control = container_of(&document).code.clone().unwrap().version_control.unwrap();
        assert_eq!(control.update_path.map(|path| path.len()), Some(1));
    }
}

fn code_of(content: &str) -> crate::version::CodeContent {
    let document = good(with_container(&format!("<v:Version/><v:Code>{content}</v:Code>")));
    container_of(&document).code.clone().unwrap().content.unwrap()
}

// R-10.2.6-1, R-10.2.6-7
#[test]
fn c10_2_6_code_is_one_of_three_and_version_control_beside_it() {
    assert_eq!(example("invalid/i06-two-codes.xml").unwrap_err().error.clause, "10.2.6");
    check_refused(with_container("<v:Version/><v:Code/>"), "10.2.6", "missing");
    let late = "<v:Version/><v:Code><v:Version_Control/><v:Binary/></v:Code>";
    check_refused(with_container(late), "10.2.6", "out of order");
    let document = good_example("invalid/i08-version-control-alone.xml");
    let code = container_of(&document).code.clone().unwrap();
    assert!(code.content.is_none() && code.version_control.is_some());
    let document = good_example("valid/05-deliver-catalog-refs.xml");
    let code = container_of(&document).code.clone().unwrap();
    let content = code.content.unwrap();
    assert_eq!((content.kind, &*content.text, content.reference.is_some()), (CodeKind::Binary, "", true));
    assert!(code.version_control.is_some());
}

// R-10.2.6-2
#[test]
fn c10_2_6_a_script_is_a_reference_or_text() {
    let script = |file: &str| container_of(&good_example(file)).code.clone().unwrap().content.unwrap();
    let by_reference = script("valid/17-script-by-reference.xml");
    assert_eq!(by_reference.kind, CodeKind::Script);
    assert!(by_reference.reference.is_some_and(|uri| uri.starts_with("data:text/x-shellscript")));
    let text = script("erratum/e2-script-text.xml").text;
    assert_eq!(text, "#!/bin/sh\nexec quill-config --disable-macros\n");
    assert_eq!(code_of("<v:Script>a&#13;\r\nb<![CDATA[<c>\r]]></v:Script>").text, "a\r\nb<c>\n");
}

// R-10.2.6-3 (reading): slices of the document, blanks and all; what is no base64 is refused.
#[test]
fn c10_2_6_binary_is_base64_with_blanks() {
    let content = code_of("<v:Binary> QUJD\r\n\tRA==\n</v:Binary>");
    assert_eq!(content.text, " QUJD\r\n\tRA==\n");
    for bad in ["QUJD*", "QUI", "QQ==QQ==", "&#65;"] {
        for kind in ["Binary", "Byte"] {
            check_refused(
                with_container(&format!("<v:Version/><v:Code><v:{kind}>{bad}</v:{kind}></v:Code>")),
                "10.2.6",
                kind,
            );
        }
    }
    let text = with_container("<v:Version/><v:Code><v:Byte>QUJD</v:Byte></v:Code>");
    let read = read(text).unwrap();
    let inline = container_of(read.document()).code.clone().unwrap().content.unwrap().text;
    assert!(read.bytes().as_ptr_range().contains(&inline.as_bytes().as_ptr()), "a slice, not a copy");
}
