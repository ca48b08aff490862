//! A real project on scikit-learn, `fixtures/projects/tumours`: six stages, one of them a matrix of
//! four, run side by side in two places.

use std::path::Path;

use crate::common::Sandbox;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/projects/tumours");

/// The project, with the Python of the tests first on the path.
fn project() -> Sandbox {
    let venv = std::env::var("ESKER_TEST_VENV")
        .expect("`ESKER_TEST_VENV` is not set: run ./tests/run.sh, which installs scikit-learn");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut sandbox = Sandbox::project();
    sandbox.set("PATH", &format!("{venv}/bin:{path}"));
    for name in ["load", "split", "scale", "train", "evaluate", "report"] {
        copy(&sandbox, &format!("src/{name}.py"));
    }
    copy(&sandbox, "params.yaml");
    let stages = std::fs::read_to_string(Path::new(SOURCE).join("stages.toml")).unwrap();
    sandbox.append("esker.toml", &stages);
    sandbox.commit("Stages");
    sandbox
}

fn copy(sandbox: &Sandbox, name: &str) {
    sandbox.write(name, std::fs::read(Path::new(SOURCE).join(name)).unwrap());
}

#[test]
fn two_runs_in_two_folders_give_the_same_lock() {
    let [one, two] = [project(), project()];
    for sandbox in [&one, &two] {
        sandbox.ok("repro -j2");
    }
    let lock = one.read("esker.lock");
    assert_eq!(lock, two.read("esker.lock"));
    for cell in ["logistic-mean", "logistic-all", "forest-mean", "forest-all"] {
        assert!(
            lock.contains(&format!("[stage.\"train@{cell}\"]\n")),
            "{lock}"
        );
    }
    assert_eq!(lock.matches("\nrun = ").count(), 9);
    assert_eq!(one.json("repro")["stages"].as_array().unwrap().len(), 9);
    let metrics: serde_json::Value = serde_json::from_str(&one.read("eval/metrics.json")).unwrap();
    for (model, row) in metrics.as_object().unwrap() {
        assert!(row["auc"].as_f64().unwrap() > 0.95, "{model}: {row}");
    }
}
