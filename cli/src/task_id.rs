//! Ids: made readable, shown short.
//!
//! **Invariants**: a made id matches the pattern that the API asks for and carries 50 random bits, so that two machines
//! that never speak do not make the same one.

/// How much of an id comes from the description.
const SLUG: usize = 24;
/// Base 32 without letters that read as digits or as each other.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Ten digits of five bits.
const DIGITS: usize = 10;
/// Ids up to this length are shown whole in lists.
const SHORT: usize = 20;
/// No prefix is shown shorter than this: it should still say what the task is about.
const LEAST: usize = 12;
/// Prefixes are shown a little longer than they need be, since new tasks may begin alike.
const SPARE: usize = 2;

/// Makes an id from a title and random bytes, such as `add-user-authentication-k3v9q2m7xa`.
pub fn make(title: &str, random: [u8; 8]) -> String {
    let mut bits = u64::from_be_bytes(random);
    let mut id = slug(title);
    id.push('-');
    for _ in 0..DIGITS {
        id.push(char::from(ALPHABET[usize::try_from(bits & 31).unwrap_or_default()]));
        bits >>= 5;
    }
    id
}

/// Takes whole words of letters and digits while they fit; a first word that does not fit is cut.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for word in title.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_ascii_lowercase();
        if slug.is_empty() {
            slug.extend(word.chars().take(SLUG));
        } else if slug.len() + 1 + word.len() <= SLUG {
            slug.push('-');
            slug.push_str(&word);
        } else {
            break;
        }
    }
    if slug.is_empty() { "task".to_owned() } else { slug }
}

/// Returns what to show for an id in a list: the id if it is short, else a beginning that no other id of the list shares.
pub fn shown<'i>(id: &'i str, all: &[&str]) -> &'i str {
    if id.len() <= SHORT {
        return id;
    }
    let shared = all.iter().filter(|other| **other != id).map(|other| common(id, other)).max().unwrap_or_default();
    let length = (shared + 1 + SPARE).max(LEAST);
    // Ids are ASCII; another node's may still hold anything, and a cut must not split a character.
    id.get(..length).map_or(id, |prefix| prefix.strip_suffix('-').unwrap_or(prefix))
}

fn common(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_the_task_is_about_and_is_random() {
        assert_eq!(make("Add user authentication", [0; 8]), "add-user-authentication-0000000000");
        assert_eq!(make("Add user authentication", [255; 8]), "add-user-authentication-zzzzzzzzzz");
    }

    #[test]
    fn any_title_gives_an_id_that_the_api_takes() {
        for title in ["", "  ", "東京", "--", "../../etc/passwd", "a.lock", "x".repeat(500).as_str(), "Fix: \"quotes\" & $(things)\n"] {
            let id = make(title, [7, 1, 2, 3, 4, 5, 6, 7]);
            assert!(id.len() <= SLUG + 1 + DIGITS, "{id}");
            assert!(id.starts_with(|first: char| first.is_ascii_alphanumeric()), "{id}");
            assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{id}");
        }
    }

    #[test]
    fn every_one_of_fifty_bits_changes_the_id() {
        let zero = make("x", [0; 8]);
        for bit in 0..50 {
            assert_ne!(make("x", (1_u64 << bit).to_be_bytes()), zero, "bit {bit}");
        }
    }

    #[test]
    fn a_list_shows_short_ids_whole_and_long_ones_by_a_prefix_of_their_own() {
        let ids = ["fix-1", "add-user-authentication-k3v9q2m7xa", "add-user-authentication-k4v9q2m7xa", "write-documentation-0123456789"];
        let shown: Vec<&str> = ids.iter().map(|id| shown(id, &ids)).collect();
        assert_eq!(shown, ["fix-1", "add-user-authentication-k3v9", "add-user-authentication-k4v9", "write-docume"]);
        for (short, id) in shown.iter().zip(ids) {
            assert_eq!(ids.iter().filter(|other| other.starts_with(short)).collect::<Vec<_>>(), [&id]);
        }
    }

    #[test]
    fn an_id_that_another_one_continues_is_shown_whole() {
        let ids = ["a-rather-long-identifier", "a-rather-long-identifier-2"];
        assert_eq!(shown(ids[0], &ids), ids[0]);
    }
}
