//! Finds what may have been meant by a name that does not exist. Knows texts alone.

use std::cmp::Reverse;

/// Comparing costs the product of both lengths, and no name that a person types is near this long.
const MAX_WANTED: usize = 256;

/// The known name nearest to the wanted one, if any is near: most of it is the same, or at most a
/// third of it is wrong. Capitals do not matter.
pub fn closest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > MAX_WANTED {
        return None;
    }
    let wanted = wanted.to_lowercase();
    let likeness = |name: &&str| likeness(&wanted, name);
    let near = known
        .into_iter()
        .filter_map(|name| Some((likeness(&name)?, name)));
    let best = near.max_by(|(one, first), (other, second)| {
        one.total_cmp(other)
            .then_with(|| Reverse(first).cmp(&Reverse(second)))
    });
    best.map(|(_, name)| name)
}

/// Like [`closest`], and a path that only lies in another directory is near, too.
pub fn closest_path<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    closest(wanted, known.clone()).or_else(|| {
        let name = file_name(wanted);
        known.into_iter().find(|path| file_name(path) == name)
    })
}

/// Like [`closest`], and a dotted key that only lies in another table is near, too.
pub fn closest_key<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    closest(wanted, known.clone()).or_else(|| {
        let name = last_segment(wanted);
        known.into_iter().find(|key| last_segment(key) == name)
    })
}

fn last_segment(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// How alike two texts are, up to 1; `None` if they are not.
fn likeness(wanted: &str, name: &str) -> Option<f64> {
    let name = name.to_lowercase();
    let likeness = strsim::jaro_winkler(wanted, &name);
    let length = wanted.chars().count();
    let typos = strsim::osa_distance(wanted, &name);
    let is_near = likeness >= 0.8 || (typos <= length.max(3) / 3 && typos * 2 < length);
    is_near.then_some(likeness)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["train", "prepare", "evaluate"];
        let table = [
            ("trian", Some("train")),
            ("prepar", Some("prepare")),
            ("evalute", Some("evaluate")),
            ("TRAIN", Some("train")),
            ("evaluate-all", Some("evaluate")),
            ("t", None),
            ("model", None),
            ("", None),
            ("x", None),
        ];
        for (wanted, found) in table {
            assert_eq!(closest(wanted, known), found, "{wanted}");
        }
    }

    #[test]
    fn a_long_text_is_no_name() {
        let long = "x".repeat(1 << 20);
        assert_eq!(closest(&long, [long.as_str()]), None);
    }

    #[test]
    fn equally_near_names_are_chosen_by_name() {
        assert_eq!(closest("abc", ["abe", "abd"]), Some("abd"));
    }

    #[test]
    fn a_key_may_have_lost_its_table() {
        let known = ["train", "train.lr", "train.epochs"];
        let table = [
            ("lr", Some("train.lr")),
            ("model.epochs", Some("train.epochs")),
            ("train.epoch", Some("train.epochs")),
            ("depth", None),
        ];
        for (wanted, found) in table {
            assert_eq!(closest_key(wanted, known), found, "{wanted}");
        }
    }

    #[test]
    fn a_path_may_have_lost_its_directory() {
        let known = ["data/prepared", "data/raw.csv"];
        let table = [
            ("data/prepare", Some("data/prepared")),
            ("raw.csv", Some("data/raw.csv")),
            ("input/2024/raw.csv", Some("data/raw.csv")),
            ("model.pkl", None),
        ];
        for (wanted, found) in table {
            assert_eq!(closest_path(wanted, known), found, "{wanted}");
        }
    }
}
