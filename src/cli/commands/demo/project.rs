//! The project that the demo builds: shipped inside the binary, kept in `fixtures/projects`.

/// The files, by their path in the project.
pub(super) const FILES: [(&str, &[u8]); 6] = [
    (
        "data/penguins.csv",
        include_bytes!("../../../../fixtures/projects/penguins/data/penguins.csv"),
    ),
    (
        "params.json",
        include_bytes!("../../../../fixtures/projects/penguins/params.json"),
    ),
    (
        "src/prepare.py",
        include_bytes!("../../../../fixtures/projects/penguins/src/prepare.py"),
    ),
    (
        "src/split.py",
        include_bytes!("../../../../fixtures/projects/penguins/src/split.py"),
    ),
    (
        "src/train.py",
        include_bytes!("../../../../fixtures/projects/penguins/src/train.py"),
    ),
    (
        "src/evaluate.py",
        include_bytes!("../../../../fixtures/projects/penguins/src/evaluate.py"),
    ),
];

/// What the demo appends to `esker.toml`.
pub(super) const STAGES: &str = include_str!("../../../../fixtures/projects/penguins/stages.toml");

/// Everything that esker tracks or writes in it.
pub(super) const DATA: [&str; 8] = [
    "data/penguins.csv",
    "data/prepared/columns.json",
    "data/prepared/penguins.csv",
    "data/split/test.csv",
    "data/split/train.csv",
    "eval/confusion.csv",
    "eval/metrics.json",
    "models/model.json",
];

/// A command that edits the learning rate, as a person would.
pub(super) fn set_learning_rate(old: &str, new: &str) -> String {
    format!(
        "sed 's/\"learning_rate\": {old}/\"learning_rate\": {new}/' params.json > new.json && mv new.json params.json"
    )
}
