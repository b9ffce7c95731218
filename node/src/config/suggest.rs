//! Guesses what was meant by a word that is not known.

/// The most letters that may differ between a word and what was meant.
const FARTHEST: usize = 2;
/// Longer words are no slips of known ones, and comparing costs the product of the lengths.
const LONGEST: usize = 64;

/// Returns the known word that is nearest to `word`, when one is near enough to be meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    let allowed = FARTHEST.min(word.chars().count() / 2).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed || (word.len() >= 4 && plain(candidate).starts_with(&word)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Counts the letters to insert, drop, change or swap with their neighbour to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let change = last[column] + usize::from(letter != other);
            let mut best = change.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && from[row - 1] == *other && *letter == to[column - 1] {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_keyboard_are_recognised() {
        let known = ["max_concurrent", "interval_seconds", "model", "role", "env", "env_pass"];
        for (word, meant) in [
            ("max_concurent", "max_concurrent"),
            ("max-concurrent", "max_concurrent"),
            ("interval", "interval_seconds"),
            ("Model", "model"),
            ("roel", "role"),
            ("evn", "env"),
        ] {
            assert_eq!(nearest(word, known), Some(meant), "{word}");
        }
    }

    #[test]
    fn words_that_resemble_nothing_get_no_guess() {
        assert_eq!(nearest("colour", ["model", "role"]), None);
        assert_eq!(nearest(&"m".repeat(5000), ["model"]), None);
        assert_eq!(nearest("", ["model"]), None);
    }
}
