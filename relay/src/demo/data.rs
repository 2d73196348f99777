//! What the demo publishes, in parts.

use crate::tree::builtin;

/// The advisories in parts, as JSON lines: the first half, and two quarters. Each line says that it is added: a file
/// without that would be taken for the whole database, and what it lacks for withdrawn.
pub(super) fn publications() -> anyhow::Result<[String; PARTS]> {
    let text = builtin::advisories()?;
    let lines: Vec<&str> = text.lines().collect();
    let (first, rest) = lines.split_at(lines.len() / 2);
    let (second, third) = rest.split_at(rest.len() / 2);
    let added = |line: &&str| line.strip_prefix('{').map(|fields| format!("{{\"op\":\"add\",{fields}\n"));
    Ok([first, second, third].map(|lines| lines.iter().filter_map(added).collect()))
}

/// How many there are.
pub(super) const PARTS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_publications_together_are_all_advisories() {
        let lines: usize = publications().expect("unpacks").iter().map(|part| part.lines().count()).sum();
        assert_eq!(lines, 301);
    }
}
