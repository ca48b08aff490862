//! Finds what may have been meant by a name that does not exist.

/// The known name nearest to the wanted one, if any is near: at most a third of it is wrong.
pub(super) fn closest<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    nearest(wanted, known).map(|(_, name)| name)
}

/// Like [`closest`], and a path that only lies in another directory is near, too.
pub(super) fn closest_path<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    closest(wanted, known.clone()).or_else(|| {
        let name = file_name(wanted);
        known.into_iter().find(|path| file_name(path) == name)
    })
}

fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<(usize, &'a str)> {
    let limit = wanted.chars().count().max(3) / 3;
    known
        .into_iter()
        // Two texts are at least as far apart as their lengths, and measuring that is cheap.
        .filter(|name| name.chars().count().abs_diff(wanted.chars().count()) <= limit)
        .map(|name| (strsim::osa_distance(wanted, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
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
            ("report", None),
            ("", None),
        ];
        for (wanted, found) in table {
            assert_eq!(closest(wanted, known), found, "{wanted}");
        }
    }

    #[test]
    fn equally_near_names_are_chosen_by_name() {
        assert_eq!(closest("abc", ["abe", "abd"]), Some("abd"));
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
