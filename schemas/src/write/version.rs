//! `Version_InfoType` and all below it, in the order and spelling of the schema (S1, S2).

use super::uri;
use super::xml::Xml;
use crate::core::Description;
use crate::version::{Code, CodeContent, CodeKind, Container, Info, VersionControl, VersionInfo};

/// Bytes of text that go into a description's `data:` URI (D1).
const DESCRIPTION_BYTES_MAX: usize = 8 << 10;

pub(super) fn version_info(xml: &mut Xml, element: &str, version: &VersionInfo) {
    xml.open(element);
    version_info_content(xml, version);
    xml.close(element);
}

pub(super) fn version_info_content(xml: &mut Xml, version: &VersionInfo) {
    identity(xml, version);
    version.info.iter().for_each(|item| info(xml, item));
}

fn identity(xml: &mut Xml, version: &VersionInfo) {
    optional(xml, "v:Product_Name", version.product_name.as_deref());
    optional(xml, "v:Product_Version", version.product_version.as_deref());
    optional(xml, "v:Company", version.company.as_deref());
}

fn optional(xml: &mut Xml, element: &str, text: Option<&str>) {
    if let Some(text) = text {
        xml.text(element, text);
    }
}

fn info(xml: &mut Xml, info: &Info) {
    xml.open("v:Info");
    optional(xml, "v:Source", info.source.as_deref());
    optional(xml, "v:ID", info.id.as_deref());
    optional(xml, "v:Date", info.date.as_deref());
    description(xml, info.description.as_ref());
    container(xml, &info.container);
    xml.close("v:Info");
}

fn container(xml: &mut Xml, container: &Container) {
    xml.open("v:Container");
    optional(xml, "v:Package", container.package.as_deref());
    optional(xml, "v:Format", container.format.as_deref());
    xml.text("v:Version", &container.version);
    contained_versions(xml, &container.contained_versions);
    optional(xml, "v:File_name", container.file_name.as_deref());
    optional(xml, "v:Language", container.language.as_deref());
    optional(xml, "v:Author_Comments", container.author_comments.as_deref());
    description(xml, container.description.as_ref());
    if let Some(content) = &container.code {
        code(xml, content);
    }
    xml.close("v:Container");
}

/// One element, whatever was read (S13): the list is its Info children, under the first one's product.
fn contained_versions(xml: &mut Xml, versions: &[VersionInfo]) {
    if let Some(first) = versions.first() {
        xml.open("v:Contained_Versions");
        identity(xml, first);
        versions.iter().flat_map(|version| &version.info).for_each(|item| info(xml, item));
        xml.close("v:Contained_Versions");
    }
}

fn code(xml: &mut Xml, code: &Code) {
    xml.open("v:Code");
    match &code.content {
        Some(content) => code_content(xml, content),
        // S14: the schema wants one of the three before Version_Control.
        None => xml.text("v:Binary", ""),
    }
    if let Some(control) = &code.version_control {
        version_control(xml, control);
    }
    xml.close("v:Code");
}

fn code_content(xml: &mut Xml, content: &CodeContent) {
    let reference = content.reference.as_deref().map(uri::repaired);
    let attributes: Vec<(&str, &str)> = reference.iter().map(|uri| ("ref", uri.as_str())).collect();
    match content.kind {
        CodeKind::Binary => xml.text_with("v:Binary", &attributes, &content.text),
        CodeKind::Byte => xml.text_with("v:Byte", &attributes, &content.text),
        // D2: a script cannot be text in the published grammar.
        CodeKind::Script if attributes.is_empty() => xml.reference("v:Script", &uri::data(&content.text)),
        CodeKind::Script => xml.text_with("v:Script", &attributes, ""),
    }
}

fn version_control(xml: &mut Xml, control: &VersionControl) {
    xml.open("v:Version_Control");
    if !control.supersedes.is_empty() {
        xml.open("v:Supersedes");
        control.supersedes.iter().for_each(|version| version_info(xml, "v:Version_info", version));
        xml.close("v:Supersedes");
    }
    // An empty path is no element of the schema; it says nothing that its absence does not.
    if let Some(versions) = control.update_path.as_ref().filter(|versions| !versions.is_empty()) {
        xml.open("v:Update_Path");
        versions.iter().for_each(|version| version_info(xml, "v:Version_Info", version));
        xml.close("v:Update_Path");
    }
    xml.close("v:Version_Control");
}

/// D1: a reference if there is one, else the text as one.
fn description(xml: &mut Xml, description: Option<&Description>) {
    let Some(description) = description else { return };
    match (&description.reference, &description.text) {
        (Some(reference), _) => xml.reference("v:Description", &uri::repaired(reference)),
        (None, Some(text)) => xml.reference("v:Description", &text_uri(text)),
        (None, None) => xml.text("v:Description", ""),
    }
}

/// A description's text as a `data:` URI, cut at 8 KiB.
pub(super) fn text_uri(text: &str) -> String {
    uri::data(&text[..text.floor_char_boundary(DESCRIPTION_BYTES_MAX)])
}
