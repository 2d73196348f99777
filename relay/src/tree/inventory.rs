//! Inventories for agents: what `assets` of a scenario names, read and looked at before anything starts.

use std::path::{Path, PathBuf};

use agent::assets;
use anyhow::{Context, bail, ensure};
use node::client::Asset;
use serde::Deserialize;

use super::builtin;
use super::scenario::{Crate, Group};

/// What one kind of device runs.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// For people.
    pub name: String,
    pub(super) form: Form,
    /// The file.
    pub(super) text: String,
}

/// What the agents of a group have: one of these each, in turn, and what all have besides.
#[derive(Clone, Debug)]
pub struct Stock<T> {
    found: Vec<T>,
    always: Option<T>,
}

/// What an agent reads it as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A `Cargo.lock`.
    Lock,
    /// A TOML list.
    List,
}

/// Bytes of one file; the longest of public fleets have a few MiB.
const FILE_BYTES_MAX: u64 = 64 << 20;

impl Stock<Inventory> {
    /// Reads what a group names; paths count from `base`.
    ///
    /// # Errors
    /// Names the group, the file, and what is wrong there.
    pub fn read(group: &Group, base: &Path) -> anyhow::Result<Self> {
        let found = read(&group.assets, base).with_context(|| format!("[[agents]] {}", group.name))?;
        let always = (!group.always.is_empty()).then(|| of_crates(&group.always));
        Ok(Self { found, always })
    }
}

impl<T> Stock<T> {
    /// The same in another form; `into` gets the place of each.
    ///
    /// # Errors
    /// The first that there is.
    pub fn try_map<U>(&self, into: impl Fn(usize, &T) -> anyhow::Result<U>) -> anyhow::Result<Stock<U>> {
        let found: Vec<U> = self.found.iter().enumerate().map(|(at, one)| into(at, one)).collect::<Result<_, _>>()?;
        let always = self.always.as_ref().map(|one| into(self.found.len(), one)).transpose()?;
        Ok(Stock { found, always })
    }

    /// How many there are before the turn begins again.
    pub fn kinds(&self) -> usize {
        self.found.len()
    }

    /// What the agent at this place of the group has.
    pub fn of(&self, place: usize) -> impl Iterator<Item = &T> {
        // There is at least one.
        self.found.get(place % self.found.len().max(1)).into_iter().chain(&self.always)
    }
}

/// Reads a built-in name, a file or a folder; paths count from `base`. There is at least one.
fn read(assets: &str, base: &Path) -> anyhow::Result<Vec<Inventory>> {
    let found = match assets.strip_prefix(builtin::PRODUCTS) {
        Some(which) => products(which.strip_prefix('/').unwrap_or(which))?,
        None => at(&base.join(assets))?,
    };
    ensure!(
        !found.is_empty(),
        "assets = {assets}: nothing there; a Cargo.lock, a folder of lock files, a TOML list, JSON lines with \
         components, or {}",
        builtin::PRODUCTS
    );
    for inventory in &found {
        inventory.assets().with_context(|| format!("assets = {assets}: {}", inventory.name))?;
    }
    Ok(found)
}

/// The same of crates that somebody named.
fn of_crates(crates: &[Crate]) -> Inventory {
    let text = crates.iter().map(|one| package(&one.name, &one.version, "crates.io")).collect();
    Inventory { name: "always".into(), form: Form::Lock, text }
}

impl Inventory {
    /// As an agent's machine takes it.
    ///
    /// # Errors
    /// Says where, and what is wrong there.
    pub fn assets(&self) -> anyhow::Result<Vec<Asset>> {
        let found = match self.form {
            Form::Lock => assets::of_lock(&self.name, &self.text)?,
            Form::List => assets::of_list(&self.name, &self.text)?,
        };
        Ok(found.into_iter().map(|(name, asset)| Asset::new(name, asset.info)).collect())
    }
}

fn products(which: &str) -> anyhow::Result<Vec<Inventory>> {
    let products = builtin::products()?.into_iter().filter(|product| which.is_empty() || product.name == which);
    Ok(products.map(|product| Inventory { name: product.name.into(), form: Form::Lock, text: product.lock }).collect())
}

fn at(path: &Path) -> anyhow::Result<Vec<Inventory>> {
    if path.is_dir() {
        return folder(path);
    }
    let name = name_of(path);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl") => fleet(&name, &read_text(path)?),
        Some("toml") => Ok(vec![Inventory { name, form: Form::List, text: read_text(path)? }]),
        Some("lock") => Ok(vec![Inventory { name, form: Form::Lock, text: read_text(path)? }]),
        _ => {
            bail!("{}: a name that ends in .lock, .toml or .jsonl, a folder, or {}", path.display(), builtin::PRODUCTS)
        }
    }
}

/// Lock files and lists in a folder, and lock files of projects right below it, by name.
fn folder(path: &Path) -> anyhow::Result<Vec<Inventory>> {
    let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let project = path.join("Cargo.lock");
        if project.is_file() {
            found.push(Inventory { name: name_of(&path), form: Form::Lock, text: read_text(&project)? });
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "lock" || extension == "toml")
        {
            found.extend(at(&path)?);
        }
    }
    Ok(found)
}

/// A line of an inventory file: what cargo had locked in some state of a project.
#[derive(Deserialize)]
struct Line {
    project: Option<String>,
    #[serde(rename = "ref")]
    state: Option<String>,
    components: Vec<(String, String, String)>,
}

fn fleet(name: &str, text: &str) -> anyhow::Result<Vec<Inventory>> {
    let inventory = |(index, line): (usize, &str)| -> anyhow::Result<Inventory> {
        let line: Line = serde_json::from_str(line).with_context(|| format!("{name}: line {}", index + 1))?;
        let known = [line.project, line.state].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let text = line.components.iter().map(|(name, version, source)| package(name, version, source)).collect();
        let name = if known.is_empty() { format!("{name} {}", index + 1) } else { known };
        Ok(Inventory { name, form: Form::Lock, text })
    };
    text.lines().enumerate().map(inventory).collect()
}

/// What cargo would have written of it. The commit of a git source is not in a fleet's lines.
fn package(name: &str, version: &str, source: &str) -> String {
    let source = match source {
        "crates.io" => "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
        "git" => "source = \"git+https://git.invalid/unknown\"\n",
        _ => "",
    };
    let quoted = |text: &str| toml::Value::from(text).to_string();
    format!("[[package]]\nname = {}\nversion = {}\n{source}", quoted(name), quoted(version))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    let length = std::fs::metadata(path).with_context(|| path.display().to_string())?.len();
    ensure!(length <= FILE_BYTES_MAX, "{}: {length} bytes where {FILE_BYTES_MAX} are allowed", path.display());
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// A project's lock file is called as its folder.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name);
    let is_plain = stem == "Cargo" || path.is_dir();
    let name = if stem == "Cargo" {
        folder
    } else if is_plain {
        path.file_name()
    } else {
        Some(stem)
    };
    name.unwrap_or(stem).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use agent::inventory::cargo_lock;

    use super::*;

    fn names(found: &[Inventory]) -> Vec<(&str, Form)> {
        found.iter().map(|one| (one.name.as_str(), one.form)).collect()
    }

    #[test]
    fn what_is_built_in_comes_in_turn_or_by_name() {
        let base = Path::new("/");
        assert_eq!(read("builtin:demo", base).expect("there").len(), 8);
        assert_eq!(names(&read("builtin:demo/diem-2021-07", base).expect("there")), [("diem-2021-07", Form::Lock)]);
        let error = read("builtin:demo/none", base).expect_err("none").to_string();
        assert!(error.contains("assets = builtin:demo/none: nothing there"), "{error}");
    }

    #[test]
    fn a_folder_gives_lock_files_projects_and_lists() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writes");
        let lock = "[[package]]\nname = \"app\"\nversion = \"1.0.0\"\n";
        std::fs::create_dir(folder.path().join("project-1.2")).expect("makes");
        write("project-1.2/Cargo.lock", lock);
        write("a.lock", lock);
        write("z.toml", "[[asset]]\nname = \"Quill\"\n");
        write("origin.json", "{}");
        let found = read(".", folder.path()).expect("there");
        assert_eq!(names(&found), [("a", Form::Lock), ("project-1.2", Form::Lock), ("z", Form::List)]);
        write("bad.lock", "[[package]]\nname = 7\n");
        let error = format!("{:#}", read("bad.lock", folder.path()).expect_err("bad"));
        assert!(error.contains("assets = bad.lock: bad") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn a_line_of_a_fleet_is_a_lock_file() {
        let line =
            r#"{"project":"x/y","ref":"1.2","components":[["libc","0.2.1","crates.io"],["own","1.0.0","path"]]}"#;
        let found = fleet("f", &format!("{line}\n{{\"components\":[]}}\n")).expect("reads");
        assert_eq!(names(&found), [("x/y 1.2", Form::Lock), ("f 2", Form::Lock)]);
        let info = cargo_lock::read(&found[0].text, Some("fleet")).expect("a lock file");
        let inner: Vec<_> = info.info[0].container.contained_versions[0].info.iter().collect();
        assert!(inner.iter().any(|one| one.container.file_name.as_deref() == Some("pkg:cargo/libc")));
        let error = format!("{:#}", fleet("f", "{}\n").expect_err("no components"));
        assert!(error.contains("f: line 1") && error.contains("components"), "{error}");
    }

    #[test]
    fn crates_that_each_has_make_a_lock_file() {
        let always = of_crates(&[Crate { name: "smallvec".into(), version: "0.6.9".into() }]);
        always.assets().expect("a lock file");
        assert!(always.text.contains("name = \"smallvec\""));
    }
}
