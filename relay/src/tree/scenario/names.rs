//! Names: templates that stand for many, and who is meant by one.

use std::collections::BTreeMap;

use super::error::{Place, ScenarioError};
use super::{Link, Party};

/// What a template has in its name, once.
const NUMBER: &str = "{n}";
/// As a certificate's label and a file's name may be long.
const NAME_BYTES_MAX: usize = 48;

/// Whom each name means: `isp-{n}` all of its template, `isp-2` one.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<String, Vec<Party>>,
    /// As they are in the file.
    written: Vec<String>,
}

impl Names {
    /// Takes the names of one block: `count` of them, numbered from 1, in the order in which `party` counts.
    pub(super) fn take(
        &mut self,
        place: Place<'_>,
        name: &str,
        count: Option<usize>,
        party: impl Fn(usize) -> Party,
    ) -> Result<Vec<String>, ScenarioError> {
        let names = written_out(place, name, count)?;
        let parties: Vec<Party> = (0..names.len()).map(party).collect();
        for (one, party) in names.iter().zip(&parties) {
            if self.known.insert(one.clone(), vec![*party]).is_some() {
                return place.bad("name", one, "each name once, whatever it is of");
            }
        }
        self.known.insert(name.to_owned(), parties);
        self.written.push(name.to_owned());
        Ok(names)
    }

    /// All that a name means.
    pub(super) fn all(&self, place: Place<'_>, key: &'static str, name: &str) -> Result<&[Party], ScenarioError> {
        match self.known.get(name) {
            Some(parties) => Ok(parties),
            None => place.bad(key, name, format!("nobody has this name; there are {}", self.listed())),
        }
    }

    /// The server of this name for the one at `turn`: a template's servers take turns.
    pub(super) fn server(
        &self,
        place: Place<'_>,
        key: &'static str,
        name: &str,
        turn: usize,
    ) -> Result<usize, ScenarioError> {
        let parties = self.all(place, key, name)?;
        match parties[turn % parties.len()] {
            Party::Server(index) => Ok(index),
            Party::Provider(_) | Party::Agent(_) => place.bad(key, name, "name a server: nobody else is dialled"),
        }
    }

    fn listed(&self) -> String {
        self.written.join(", ")
    }
}

fn written_out(place: Place<'_>, name: &str, count: Option<usize>) -> Result<Vec<String>, ScenarioError> {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if name.len() > NAME_BYTES_MAX || !first || !plain(&name.replacen(NUMBER, "", 1)) {
        let why = "1 to 48 letters, digits, dots, hyphens and underscores, a letter or digit first, and {n} if there are \
                   many";
        return place.bad("name", name, why);
    }
    match (count, name.contains(NUMBER)) {
        (None, false) => Ok(vec![name.to_owned()]),
        (Some(0), _) => place.bad("count", 0, "at least 1, or leave the block out"),
        (Some(count), true) => Ok((1..=count).map(|number| name.replace(NUMBER, &number.to_string())).collect()),
        (None, true) => place.bad("name", name, "says {n}, so say how many: count"),
        (Some(count), false) => place.bad("count", count, "needs {n} in the name, where the number goes"),
    }
}

/// Links by the name of who dials, or as `isp-1 -> root`.
pub(super) fn links(
    names: &Names,
    place: Place<'_>,
    written: &str,
    dialled: impl Fn(Party) -> Vec<usize>,
) -> Result<Vec<Link>, ScenarioError> {
    let (from, to) = match written.split_once("->") {
        Some((from, to)) => (from.trim(), Some(names.server(place, "cut", to.trim(), 0)?)),
        None => (written, None),
    };
    let mut links = Vec::new();
    for party in names.all(place, "cut", from)? {
        let servers = dialled(*party).into_iter().filter(|server| to.is_none_or(|to| to == *server));
        links.extend(servers.map(|to| Link { from: *party, to }));
    }
    if links.is_empty() {
        let why = "there is no such link then; name who dials: a server below another, an agent or a provider";
        return place.bad("cut", written, why);
    }
    Ok(links)
}
