//! What is wrong with a configuration, and what is only worth saying.
//!
//! The first sentence of a problem is the one that Mosquitto writes, for scripts that look for it; what is
//! allowed follows. A problem ends the start, a remark goes to the log.

use std::fmt;

use super::config::Place;

/// Something that a configuration must not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; some things are wrong with the file as a whole.
    pub place: Option<Place>,
    /// What, in sentences.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error: {}", self.text)?;
        match &self.place {
            Some(place) => write!(f, "\nError found at {place}."),
            None => Ok(()),
        }
    }
}

/// All that is wrong with a configuration, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration cannot be used:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// Something about a configuration that the log should say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where; some things are about the file as a whole.
    pub place: Option<Place>,
    /// Whether somebody should look.
    pub weight: Weight,
    /// What, in sentences.
    pub text: String,
}

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// What happens.
    Info,
    /// What will have to change one day.
    Notice,
    /// What is not as the file says.
    Warning,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// Of `names`, the one that `typed` is most likely meant to be.
pub(super) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer names may have more slips in them; a far one would be a guess.
    let far = typed.len().min(16) / 4 + 2;
    names
        .map(|name| (distance(typed, name), name))
        .filter(|(distance, _)| *distance < far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters have to be put in, taken out, changed or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    // A line may be as long as a file; names are short.
    let (from, to): (Vec<char>, Vec<char>) =
        (from.chars().take(64).collect(), to.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && from[i - 1] == *b && to[j - 1] == *a {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_unless_all_are_far() {
        let names = ["listener", "log_type", "log_dest", "allow_anonymous"];
        let nearest = |typed| nearest(typed, names.into_iter());
        assert_eq!(nearest("listner"), Some("listener"));
        assert_eq!(nearest("log_tpye"), Some("log_type"));
        assert_eq!(nearest("allow_anonymus"), Some("allow_anonymous"));
        assert_eq!(nearest("foo"), None);
        assert_eq!(nearest(&"x".repeat(100_000)), None);
    }
}
