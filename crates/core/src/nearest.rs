//! The names that are most similar to one that does not exist.

use crate::text::{shorten, single_line};

/// Maximum length of each suggestion, in characters.
const MAX_NAME: usize = 60;

/// At most `max` of `names`, on one line each: those that contain `wanted`, or are contained in it, then those with the
/// smallest edit distance.
pub fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>, max: usize) -> Vec<String> {
    let wanted = shorten(&wanted.to_lowercase(), MAX_NAME);
    let mut ranked: Vec<(bool, usize, String)> = names
        .map(|name| {
            let shown = shorten(&single_line(name), MAX_NAME);
            let lower = shown.to_lowercase();
            let contains = !wanted.is_empty()
                && !lower.is_empty()
                && (lower.contains(&wanted) || wanted.contains(&lower));
            (!contains, distance(&lower, &wanted), shown)
        })
        .collect();
    ranked.sort_by_key(|(is_apart, distance, _)| (*is_apart, *distance));
    ranked.into_iter().take(max).map(|(_, _, name)| name).collect()
}

/// The edit distance of two texts, in characters.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, c) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, d) in other.iter().enumerate() {
            let changed = diagonal + usize::from(c != *d);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containing_names_come_first_then_the_closest() {
        let names = ["Low", "High", "Very high", "Sight"];
        assert_eq!(nearest("high", names.into_iter(), 3), ["High", "Very high", "Sight"]);
        assert_eq!(nearest("Hgih", names.into_iter(), 1), ["High"]);
        assert_eq!(nearest("x", [].into_iter(), 3), [""; 0]);
    }
}
