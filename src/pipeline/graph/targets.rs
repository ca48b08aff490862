//! What people name when they ask for stages.

use std::collections::BTreeSet;

use super::Graph;
use crate::path::{Patterns, RelPath};
use crate::pipeline::{Error, Result};

impl Graph {
    /// The stages that a target names: a stage; all cells of a matrix; who writes an output, a
    /// path inside one, or something in a directory; or all that a pattern matches, be it by name
    /// or by output. `path` is the target as a path of the project, if it can be one.
    pub fn targets(&self, text: &str, path: Option<&RelPath>) -> Result<BTreeSet<String>> {
        let mut found = self.named(text);
        if let Some(path) = path.filter(|_| found.is_empty()) {
            let writers = self.outs.holding(path).into_iter();
            let writers = writers.chain(self.outs.below(path));
            found.extend(writers.map(|(_, out)| self.stage(out.stage).name.clone()));
        }
        if found.is_empty() {
            found.extend(self.matching(text, path));
        }
        match found.is_empty() {
            true => Err(Error::UnknownTarget {
                target: text.to_owned(),
                suggestion: self.suggest_target(text),
            }),
            false => Ok(found),
        }
    }

    /// The stage of a name, or the cells of a matrix.
    fn named(&self, text: &str) -> BTreeSet<String> {
        if self.stages.contains_key(text) {
            return [text.to_owned()].into();
        }
        let numbers = super::group(&self.stages, text);
        numbers
            .map(|number| self.stage(number).name.clone())
            .collect()
    }

    fn matching(&self, text: &str, path: Option<&RelPath>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        if !text.contains(['*', '?', '[', '{']) {
            return found;
        }
        if let Ok(pattern) = Patterns::new([text]) {
            let matches = |name: &&String| RelPath::parse(name).is_ok_and(|p| pattern.matches(&p));
            found.extend(self.stages.keys().filter(matches).cloned());
        }
        if let Some(Ok(pattern)) = path.map(|path| Patterns::new([path.as_str()])) {
            let matches = |out: &str| RelPath::parse(out).is_ok_and(|path| pattern.matches(&path));
            let outs = self.outs.iter().filter(|(path, _)| matches(path));
            found.extend(outs.map(|(_, out)| self.stage(out.stage).name.clone()));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::testing::{Build, graph};

    #[test]
    fn targets_are_names_groups_paths_and_patterns() {
        let graph = graph(&[
            Build::stage("prepare").outs(&["data/prepared"]),
            Build::stage("train@gbm").outs(&["models/gbm.pkl"]),
            Build::stage("train@linear").outs(&["models/linear.pkl"]),
            Build::stage("training").outs(&["log"]),
        ]);
        let all = "train@gbm train@linear";
        let table = [
            ("prepare", "prepare"),
            ("train@gbm", "train@gbm"),
            ("train", all),
            ("data/prepared", "prepare"),
            ("data/prepared/part/0", "prepare"),
            ("data", "prepare"),
            ("models", all),
            ("models/*.pkl", all),
            ("models/g*", "train@gbm"),
            ("train*", "train@gbm train@linear training"),
            ("*@linear", "train@linear"),
            ("nothing", ""),
            ("x*", ""),
            ("[", ""),
        ];
        for (text, expected) in table {
            let found = graph.targets(text, RelPath::parse(text).ok().as_ref());
            let found: Vec<String> = found.into_iter().flatten().collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }
}
