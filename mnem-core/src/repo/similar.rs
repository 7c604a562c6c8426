//! Names that somebody may have meant.

/// How many names are told.
const SIMILAR_MAX: usize = 5;

/// Returns the names that look like `asked`, the most similar first.
pub(super) fn similar(asked: &str, known: impl IntoIterator<Item = String>) -> Vec<String> {
    let asked: Vec<char> = asked.to_lowercase().chars().collect();
    let mut near: Vec<(usize, String)> = known
        .into_iter()
        .filter_map(|name| {
            let other: Vec<char> = name.to_lowercase().chars().collect();
            let begins_alike = !asked.is_empty() && (other.starts_with(&asked) || asked.starts_with(&other));
            let steps = distance(&asked, &other);
            let is_near = begins_alike || steps <= asked.len().max(other.len()) / 3;
            is_near.then_some((steps, name))
        })
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().map(|(_, name)| name).take(SIMILAR_MAX).collect()
}

/// Counts the characters to add, drop, replace or swap with their neighbor.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut rows: [Vec<usize>; 3] = [Vec::new(), Vec::new(), (0..=to.len()).collect()];
    for i in 1..=from.len() {
        rows.rotate_left(1);
        let mut row = vec![i];
        for j in 1..=to.len() {
            let (above, this) = (&rows[1], from[i - 1] == to[j - 1]);
            let mut least = (above[j - 1] + usize::from(!this)).min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[0][j - 2] + 1);
            }
            row.push(least);
        }
        rows[2] = row;
    }
    rows[2][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(asked: &str) -> Vec<String> {
        let known = ["main", "letters", "feature/login", "feature/logout", "v1.0", "v1.1", "Größe"];
        similar(asked, known.map(str::to_owned))
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        assert_eq!(of("mian"), ["main"]);
        assert_eq!(of("Main"), ["main"]);
        assert_eq!(of("leters"), ["letters"]);
        assert_eq!(of("feature/logon"), ["feature/login", "feature/logout"]);
        assert_eq!(of("v1"), ["v1.0", "v1.1"]);
        assert_eq!(of("grösse"), ["Größe"]);
    }

    #[test]
    fn what_looks_like_nothing_finds_nothing() {
        assert_eq!(of("quux"), Vec::<String>::new());
        assert_eq!(of(""), Vec::<String>::new());
    }
}
