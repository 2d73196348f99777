//! The tree's own Rust sources, read as text: for the tests that judge the tree itself.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub(crate) struct Source {
    /// The workspace member that it belongs to.
    pub(crate) package: String,
    /// Its path in the package, with `/`.
    pub(crate) path: String,
    /// Its text with comments and literals blanked: line numbers stay, and what is left is code.
    pub(crate) code: String,
    /// Whether it belongs to a module that is compiled for tests only.
    for_tests: bool,
}

/// The checkout's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The workspace's members: every folder of the root with a manifest, and the manifest's text.
pub(crate) fn members() -> Vec<(String, String)> {
    let mut members = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        if let Ok(manifest) = fs::read_to_string(entry.path().join("Cargo.toml")) {
            members.push((entry.file_name().to_string_lossy().into_owned(), manifest));
        }
    }
    members.sort();
    members
}

/// Every source file of every member, in order of path.
pub(crate) fn all() -> Vec<Source> {
    let mut sources = Vec::new();
    for (package, _) in members() {
        let folder = root().join(&package);
        let mut paths = Vec::new();
        walk(&folder, &mut paths);
        for path in paths {
            let inner = path.strip_prefix(&folder).unwrap().to_string_lossy().replace('\\', "/");
            sources.push(Source::new(&package, &inner, &fs::read_to_string(&path).unwrap()));
        }
    }
    mark_test_modules(&mut sources);
    sources
}

/// Marks the files of modules that are declared in another file under `#[cfg(test)]`, and of the modules in them.
fn mark_test_modules(sources: &mut [Source]) {
    let modules: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        let path = source.module_path();
        source.for_tests |= modules.iter().any(|module| path == *module || path.starts_with(&format!("{module}::")));
    }
}

impl Source {
    pub(crate) fn new(package: &str, path: &str, text: &str) -> Self {
        Self { package: package.to_owned(), path: path.to_owned(), code: blank(text), for_tests: false }
    }

    /// The code without test modules; nothing, if the whole file is one.
    pub(crate) fn production(&self) -> String {
        let folder_of_tests =
            self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "it" | "benches" | "fuzz"));
        if self.for_tests || folder_of_tests {
            return String::new();
        }
        without_test_modules(&self.code)
    }

    /// The module path that the file stands for: `src/a/b.rs` is `a`, `b`; `lib.rs`, `main.rs` and `mod.rs` add nothing.
    pub(crate) fn module(&self) -> Vec<&str> {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let mut parts: Vec<&str> = path.split('/').collect();
        if matches!(parts[0], "src" | "it" | "tests") {
            parts.remove(0);
        }
        if matches!(parts.last(), Some(&("lib" | "main" | "mod"))) {
            parts.pop();
        }
        parts
    }

    /// The package and the module path, as a path.
    fn module_path(&self) -> String {
        let mut path = vec![self.package.as_str()];
        path.extend(self.module());
        path.join("::")
    }

    /// The paths of the modules that this file declares under `#[cfg(test)]` and that stand in files of their own.
    fn test_modules(&self) -> Vec<String> {
        let lines: Vec<&str> = self.code.lines().map(str::trim).collect();
        let pairs = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with(';'));
        let names = pairs.filter_map(|pair| item(pair[1], "mod"));
        names.map(|name| format!("{}::{name}", self.module_path())).collect()
    }

    /// The full path of each test function: package, modules (inline ones too), name. Relies on rustfmt's line breaks.
    pub(crate) fn tests(&self) -> Vec<String> {
        let mut found = Vec::new();
        // Inline modules that are open, with the depth of braces outside each.
        let mut open: Vec<(&str, usize)> = Vec::new();
        let mut depth = 0;
        let mut marked = false;
        for line in self.code.lines().map(str::trim) {
            if let Some(attribute) = line.strip_prefix("#[") {
                let name = attribute.split(['(', ']']).next().unwrap_or("");
                marked |= name == "test" || name.ends_with("::test");
            } else if let Some(name) = item(line, "mod").filter(|_| line.ends_with('{')) {
                open.push((name, depth));
            } else if let Some(name) = item(line, "fn").filter(|_| marked) {
                let inline = open.iter().map(|(module, _)| *module);
                let path: Vec<&str> = inline.chain([name]).collect();
                found.push(format!("{}::{}", self.module_path(), path.join("::")));
            }
            marked &= line.is_empty() || line.starts_with("#[");
            depth += line.matches('{').count();
            depth -= line.matches('}').count().min(depth);
            open.retain(|(_, outside)| *outside < depth);
        }
        found
    }
}

/// The name that a line declares with a keyword, behind `pub` and the like.
fn item<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    let mut rest = line;
    for prefix in ["pub(crate) ", "pub(super) ", "pub ", "async "] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    let rest = rest.strip_prefix(keyword)?.strip_prefix(' ')?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            // A fuzz crate may have a build of its own.
            if path.file_name().is_some_and(|name| name != "target") {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Blanks comments, strings and characters, but not line breaks.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let token = match literal(rest, out.chars().next_back()) {
            Some(length) => {
                out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                length
            }
            None => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[token..];
    }
    out
}

/// The length in bytes of the comment or literal at the start of `rest`, if there is one.
fn literal(rest: &str, before: Option<char>) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if let Some(inner) = rest.strip_prefix('"') {
        return Some(1 + quoted(inner, '"'));
    }
    if let Some(inner) = rest.strip_prefix('\'') {
        // A lifetime has no closing quote right behind its first character.
        let mut chars = inner.chars();
        let (first, second) = (chars.next()?, chars.next());
        return (first == '\\' || second == Some('\'')).then(|| 1 + quoted(inner, '\''));
    }
    if rest.starts_with('r') && !before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') {
        let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
        if rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let begin = hashes + 2;
            return Some(rest[begin..].find(&close).map_or(rest.len(), |end| begin + end + close.len()));
        }
    }
    None
}

/// The length up to and with the closing quote; a backslash hides what follows it.
fn quoted(rest: &str, quote: char) -> usize {
    let mut hidden = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if hidden => hidden = false,
            '\\' => hidden = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// The length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Drops every item under `#[cfg(test)]` at the left margin, which rustfmt closes there too.
fn without_test_modules(code: &str) -> String {
    let mut kept = String::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let declared = lines.by_ref().find(|inner| !inner.starts_with("#["));
        if declared.is_some_and(|inner| inner.trim_end().ends_with('{')) {
            lines.by_ref().find(|inner| inner.trim_end() == "}");
        }
    }
    kept
}

mod checks {
    use super::*;

    /// What is left of a text, blanks squeezed.
    fn check(text: &str, code: &str) {
        let blanked = blank(text);
        assert_eq!(blanked.matches('\n').count(), text.matches('\n').count(), "lines of {text:?}");
        assert_eq!(blanked.split_whitespace().collect::<Vec<_>>().join(" "), code, "{text:?}");
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        check("a // b\nc", "a c");
        check("a /* b /* c */ d */ e", "a e");
        check(r#"f("x\"y", 'z', '\'', "u")"#, "f( , , , )");
        check("r#\"a \" b\"# c", "c");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("for_r\"x\"", "for_r");
        check("\"ä\nö\" b", "b");
    }

    #[test]
    fn test_modules_are_no_production() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod tests;\nfn d() {}\n";
        let source = Source::new("p", "src/lib.rs", text);
        assert_eq!(source.production(), "fn a() {}\nfn c() {}\nfn d() {}\n");
        assert_eq!(Source::new("p", "src/a/tests.rs", text).production(), "");
    }

    #[test]
    fn files_of_test_modules_are_no_production() {
        let mut sources = [
            Source::new("p", "src/lib.rs", "#[cfg(test)]\nmod suite;\nmod other;\n"),
            Source::new("p", "src/suite/mod.rs", "mod inner;\n"),
            Source::new("p", "src/suite/inner.rs", "fn a() {}\n"),
            Source::new("p", "src/other.rs", "fn b() {}\n"),
            Source::new("q", "src/suite.rs", "fn c() {}\n"),
        ];
        mark_test_modules(&mut sources);
        assert_eq!(sources.map(|source| source.for_tests), [false, true, true, false, false]);
    }

    #[test]
    fn a_test_is_known_by_its_whole_path() {
        let text = "#[test]\nfn top() {}\nfn helper() {}\nmod tests {\n    #[tokio::test(start_paused = true)]\n    #[should_panic]\n    \
                    async fn inner() {\n        if x {\n        }\n    }\n}\n#[test]\nfn last() {}\n// #[test]\nfn comment() {}\n";
        assert_eq!(
            Source::new("p", "src/a/b.rs", text).tests(),
            ["p::a::b::top", "p::a::b::tests::inner", "p::a::b::last"]
        );
        assert_eq!(Source::new("p", "it/main.rs", "#[test]\nfn x() {}").tests(), ["p::x"]);
        assert_eq!(Source::new("p", "src/a/mod.rs", "#[test]\nfn x() {}").tests(), ["p::a::x"]);
    }
}
