//! Figures in documents: medians, how numbers are written, and tables between marks.

use std::path::Path;

use anyhow::Context;

/// The middle one, or the mean of the two in the middle; 0 if there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (middle, last) = (values.len() / 2, values.len().saturating_sub(1) / 2);
    let both = values.get(middle).zip(values.get(last));
    both.map_or(0.0, |(one, other)| (one + other) / 2.0)
}

/// Three digits.
pub fn number(value: f64) -> String {
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$}")
}

/// Puts a text between the two marks of this name in a file, which say that this script writes it.
///
/// # Errors
/// The file cannot be read or written, or has no such marks.
pub fn put(file: &Path, script: &str, mark: &str, text: &str) -> anyhow::Result<()> {
    let old = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let new = between(&old, script, mark, text).with_context(|| format!("{} has no marks {mark:?}", file.display()))?;
    Ok(std::fs::write(file, new)?)
}

fn between(old: &str, script: &str, mark: &str, text: &str) -> Option<String> {
    let begin = format!("<!-- {mark}: written by `{script} --write` -->\n");
    let end = format!("<!-- {mark}: end -->");
    let (head, rest) = old.split_once(&begin)?;
    let (_, tail) = rest.split_once(&end)?;
    Some(format!("{head}{begin}{}\n{end}{tail}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([number(1.234), number(12.34), number(123.4)], ["1.23", "12.3", "123"]);
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let old = "a\n<!-- x: written by `scripts/s --write` -->\nold\n<!-- x: end -->\nb\n";
        let new = between(old, "scripts/s", "x", "new").unwrap();
        assert_eq!(new, old.replace("old", "new"));
        assert_eq!(between(&new, "scripts/s", "x", "new").unwrap(), new);
        assert_eq!(between(old, "scripts/s", "y", "new"), None);
        assert_eq!(between(old, "scripts/t", "x", "new"), None);
    }
}
