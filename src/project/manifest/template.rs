//! What `esker init` writes.

/// A new `esker.toml`: valid as it stands, and a first lesson. The first line names the JSON Schema
/// for editors, if it lies where a path can name it.
pub(super) fn text(id: &str, name: &str, schema: Option<&str>) -> String {
    let schema = schema.map(|path| format!("#:schema {path}\n"));
    let schema = schema.unwrap_or_default();
    let [id, name] = [id, name].map(|text| toml_edit::Value::from(text).to_string());
    let minimum = concat!(
        ">=",
        env!("CARGO_PKG_VERSION_MAJOR"),
        ".",
        env!("CARGO_PKG_VERSION_MINOR")
    );
    format!(
        r#"{schema}# What this project does with its data. `esker-toml.md` of esker's documentation has every key.

[project]
id = {id}  # names this project on shared remotes: keep it
name = {name}
esker = "{minimum}"
params = ["params.yaml"]  # where stages look for their params
{LESSON}"#
    )
}

/// Commented out, so that it teaches and asks for nothing.
const LESSON: &str = r#"
# A stage is a command, what it reads and what it writes. `esker repro` runs the stages whose
# command, dependencies or params differ from what `esker.lock` records.
#
# [stage.train]
# cmd = "python src/train.py"
# deps = ["src/train.py", "data/raw"]
# params = ["train.lr", "train.epochs"]
# outs = ["models/model.pkl", "eval/metrics.json"]
#
# Numbers to compare between commits: `esker metrics diff`.
#
# [metrics]
# files = ["eval/metrics.json"]
# goal = { auc = "max", log_loss = "min" }
#
# Where `esker push` sends the data: a directory or a bucket. Keys and passwords never stand here.
#
# [remote.shared]
# url = "s3://bucket/prefix"
# default = true
"#;
