use super::*;
use crate::value::KeyPath;
use proptest::prelude::*;

const HEAD: &str = "[project]\nid = \"0123456789abcdef0123456789abcdef\"\n";

fn table(entries: &[(&str, Value)]) -> Value {
    let entries = entries.iter();
    Value::Table(
        entries
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// `params.yaml` as the tests want it.
fn params() -> BTreeMap<DepPath, Value> {
    let train = table(&[("lr", Value::Float(0.001)), ("epochs", Value::Int(3))]);
    let sizes = Value::List(vec![Value::Int(1), Value::Bool(true), string("x y")]);
    let values = table(&[
        ("train", train),
        ("sizes", sizes),
        ("none", Value::Null),
        ("sly", string("${{ env.HOME }}")),
        ("api_token", string("hunter2")),
        ("v1.2", string("dotted")),
    ]);
    BTreeMap::from([(DepPath::parse("params.yaml").unwrap(), values)])
}

fn try_resolve(text: &str) -> Result<BTreeMap<String, Arc<StageSpec>>> {
    let manifest = Manifest::parse(&format!("{HEAD}{text}")).map_err(Error::from)?;
    resolve(&manifest, &params())
}

fn stages(text: &str) -> BTreeMap<String, Arc<StageSpec>> {
    match try_resolve(text) {
        Ok(stages) => stages,
        Err(error) => panic!("{error:?}"),
    }
}

/// The message, the line with carets under the place, and the suggestion.
fn refusal(text: &str) -> String {
    let (message, at, suggestion) = match try_resolve(text) {
        Err(Error::Unresolved(found)) => (found.message, found.at, found.suggestion),
        Err(Error::Project(crate::project::Error::Manifest {
            message,
            at,
            suggestion,
            ..
        })) => (message, *at.unwrap(), suggestion),
        other => panic!("{other:?}"),
    };
    let at = at.excerpt();
    let (indent, carets) = (" ".repeat(at.column - 1), "^".repeat(at.width));
    let word = suggestion
        .map(|word| format!("\n? {word}"))
        .unwrap_or_default();
    format!(
        "{message}\n{}: {}\n{indent}{carets}{word}",
        at.line, at.text
    )
}

fn names(stages: &BTreeMap<String, Arc<StageSpec>>) -> Vec<&str> {
    stages.keys().map(String::as_str).collect()
}

/// The commands of all cells of a stage `a` with this matrix, by name.
fn cells(matrix: &str, cmd: &str) -> Vec<String> {
    let stages = stages(&format!("[stage.a]\nmatrix = {matrix}\ncmd = '{cmd}'\n"));
    let shown = stages
        .iter()
        .map(|(name, spec)| format!("{name}: {}", spec.cmd.scripts()[0]));
    shown.collect()
}

#[test]
fn every_field_is_filled_in() {
    let stages = stages(
        r#"
[env]
set = { SEED = "7" }
[stage.a]
matrix = { model = ["gbm"] }
cmd = "train ${{matrix.model}} ${{ params.train.lr }} ${{ env.SEED }} ${{ env.OWN }}"
deps = ["src/${{ matrix.model }}.py"]
params = ["conf/${{ matrix.model }}.yaml:*"]
outs = ["models/${{ matrix.model }}-${{ params.train.epochs }}.pkl"]
env = { OWN = "${{ matrix.model }}!", A = "${{ env.SEED }}" }
"#,
    );
    let cell = &stages["a@gbm"];
    assert_eq!(cell.cmd.scripts(), ["train gbm 0.001 7 gbm!"]);
    assert_eq!(cell.outs[0].path.as_str(), "models/gbm-3.pkl");
    assert_eq!(cell.env["A"], "7");
    let dep = &cell.deps[0].target;
    assert_eq!(format!("{dep:?}"), "Path(\"src/gbm.py\")");
    let params: Vec<(&str, Option<&str>)> = cell
        .params
        .iter()
        .map(|param| {
            let file = param.file.as_ref().unwrap().as_str();
            (file, param.key.as_ref().map(KeyPath::as_str))
        })
        .collect();
    // What was filled in is recorded like what is listed.
    let expected = [
        ("conf/gbm.yaml", None),
        ("params.yaml", Some("train.lr")),
        ("params.yaml", Some("train.epochs")),
    ];
    assert_eq!(params, expected);
}

#[test]
fn a_list_alone_in_a_list_becomes_its_items() {
    let stages = stages(
        r#"
[stage.a]
matrix.files = [{ name = "two", value = ["x", "y"] }]
cmd = ["run", "${{ params.sizes }}"]
deps = ["before", "${{ matrix.files }}"]
outs = ["${{ matrix.files.name }}"]
"#,
    );
    let cell = &stages["a@two"];
    assert_eq!(cell.cmd.scripts(), ["run", "1", "true", "x y"]);
    let deps: Vec<String> = cell
        .deps
        .iter()
        .map(|dep| format!("{:?}", dep.target))
        .collect();
    assert_eq!(deps, ["Path(\"before\")", "Path(\"x\")", "Path(\"y\")"]);
    assert_eq!(cell.outs[0].path.as_str(), "two");
}

#[test]
fn quoted_keys_are_keys() {
    let stages = stages("[stage.a]\ncmd = '${{ params.\"v1.2\" }}'\n");
    assert_eq!(stages["a"].cmd.scripts(), ["dotted"]);
}

#[test]
fn cells_are_called_by_their_values_in_the_order_of_the_file() {
    let found = cells(
        "{ b = [0.1, true], a = [\"x\", 2] }",
        "${{ matrix.a }} ${{ matrix.b }}",
    );
    let expected = [
        "a@0.1-2: 2 0.1",
        "a@0.1-x: x 0.1",
        "a@true-2: 2 true",
        "a@true-x: x true",
    ];
    assert_eq!(found, expected);
    let found = cells(
        "{ size = [{ name = \"big\", layers = 9 }, { name = \"small\", layers = 1 }] }",
        "${{ matrix.size.layers }}",
    );
    assert_eq!(found, ["a@big: 9", "a@small: 1"]);
}

/// The example of GitHub's documentation, with the result that it gives there.
#[test]
fn include_adds_values_and_cells_as_github_actions_does() {
    let text = r#"
[stage.a]
cmd = "x"
[stage.a.matrix]
fruit = ["apple", "pear"]
animal = ["cat", "dog"]
include = [
  { color = "green" },
  { color = "pink", animal = "cat" },
  { fruit = "apple", shape = "circle" },
  { fruit = "banana" },
  { fruit = "banana", animal = "cat" },
]
"#;
    let manifest = Manifest::parse(&format!("{HEAD}{text}")).unwrap();
    let matrix = manifest.stages["a"]
        .template()
        .unwrap()
        .matrix
        .as_ref()
        .unwrap();
    let found: Vec<(String, String)> = matrix::cells("a", matrix)
        .unwrap()
        .into_iter()
        .map(|cell| {
            let values = cell
                .values
                .iter()
                .map(|(key, value)| format!("{key} {}", value.to_display()));
            (cell.name, values.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let expected = [
        (
            "a@apple-cat",
            "animal cat, color pink, fruit apple, shape circle",
        ),
        (
            "a@apple-dog",
            "animal dog, color green, fruit apple, shape circle",
        ),
        ("a@pear-cat", "animal cat, color pink, fruit pear"),
        ("a@pear-dog", "animal dog, color green, fruit pear"),
        ("a@banana", "fruit banana"),
        ("a@banana-cat", "animal cat, fruit banana"),
    ];
    let expected = expected.map(|(name, values)| (name.to_owned(), values.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn exclude_comes_before_include() {
    let matrix = "{ x = [1, 2], y = [{ name = \"a\", v = 0 }, { name = \"b\", v = 0 }], \
                  exclude = [{ x = 1 }, { x = 2, y = \"b\" }], include = [{ x = 1, y = \"c\" }] }";
    let stages = stages(&format!("[stage.a]\nmatrix = {matrix}\ncmd = 'x'\n"));
    assert_eq!(names(&stages), ["a@1-c", "a@2-a"]);
    let alone = cells(
        "{ include = [{ site = \"s\", n = 1 }, { site = \"t\" }] }",
        "${{ matrix.site }}",
    );
    assert_eq!(alone, ["a@s-1: s", "a@t: t"]);
}

#[test]
fn what_is_passed_on_stays_an_expression_until_the_command_starts() {
    let stages = stages(
        r#"
[env]
pass = ["HF_TOKEN"]
[stage.a]
cmd = "login ${{env.HF_TOKEN}} ${{ env.AUTH }}"
env = { AUTH = "Bearer ${{ env.HF_TOKEN }}" }
"#,
    );
    let spec = stages["a"].clone();
    assert_eq!(
        spec.cmd.scripts(),
        ["login ${{ env.HF_TOKEN }} Bearer ${{ env.HF_TOKEN }}"]
    );
    assert_eq!(spec.env["AUTH"], "Bearer ${{ env.HF_TOKEN }}");
    let graph = crate::pipeline::Graph::build(stages, &[]).unwrap();
    let stage = graph.known("a");
    let text = &spec.cmd.scripts()[0];
    let var = |name: &str| (name == "HF_TOKEN").then(|| "s3cr${{ x".to_owned());
    let filled = fill_passed(stage, text, &var).unwrap();
    assert_eq!(filled, "login s3cr${{ x Bearer s3cr${{ x");
    let error = fill_passed(stage, text, &|_| None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the command of `a` uses `env.HF_TOKEN`, which is not set"
    );
}

#[test]
fn what_the_environment_depends_on_every_stage_reads() {
    let stages = stages(
        "[env]\ndeps = [\"uv.lock\", \"./py/\"]\n[stage.a]\ncmd = 'x'\ndeps = [\"py\"]\n[stage.b]\ncmd = 'x'\n",
    );
    let shown = |name: &str| {
        let deps = stages[name]
            .deps
            .iter()
            .map(|dep| format!("{:?}", dep.target));
        deps.collect::<Vec<_>>()
    };
    assert_eq!(shown("a"), ["Path(\"py\")", "Path(\"uv.lock\")"]);
    assert_eq!(shown("b"), ["Path(\"uv.lock\")", "Path(\"py\")"]);
}

#[test]
fn whoever_needs_no_params_reads_none() {
    let needs = |cmd: &str| {
        let text = format!("{HEAD}[env]\nset = {{ A = \"1\" }}\n[stage.a]\ncmd = '{cmd}'\n");
        needs_params(&Manifest::parse(&text).unwrap())
    };
    assert!(needs("${{ env.A }} ${{ params.x }}"));
    assert!(!needs("${{ env.A }} params.x ${{ matrix.params }}"));
}

/// An expression, what is said of it, and the guess.
const NONSENSE: [(&str, &str, &str); 14] = [
    (
        "${{ params.lr }}",
        "`params.lr` is in no default params file: `params.yaml`",
        "\n? params.train.lr",
    ),
    (
        "${{ params.train.lrr }}",
        "`params.train.lrr` is in no default params file: `params.yaml`",
        "\n? params.train.lr",
    ),
    (
        "${{ params.train }}",
        "`params.train` is a table, which cannot be filled in",
        "",
    ),
    (
        "${{ params.none }}",
        "`params.none` is null, which cannot be filled in",
        "",
    ),
    (
        "${{ params.sizes }}",
        "`params.sizes` is a list, which can only stand alone in a list",
        "",
    ),
    (
        "${{ params.sly }}",
        "`params.sly` holds an expression itself, and those are not filled in",
        "",
    ),
    (
        "${{ params.api_token }}",
        "`params.api_token` looks like a secret, and what is filled in is recorded",
        "",
    ),
    ("${{ matrix.x }}", "`a` has no `matrix.x`", ""),
    (
        "${{ env.HOME }}",
        "`env.HOME` is a variable that neither `[env] set` and `pass` nor the stage names",
        "",
    ),
    (
        "${{ secrets.X }}",
        "`secrets.X` is no expression: it is `matrix.…`, `params.…` or `env.…`",
        "",
    ),
    (
        "${{ }}",
        "`` is no expression: it is `matrix.…`, `params.…` or `env.…`",
        "",
    ),
    (
        "${{ params.train.lr * 2 }}",
        "`params.train.lr * 2` is no expression: `params.` and a key, without functions and arithmetic",
        "",
    ),
    (
        "${{ params.x[0] }}",
        "`params.x[0]` is no expression: `params.` and a key, without functions and arithmetic",
        "",
    ),
    (
        "${{ params.${{ matrix.x }} }}",
        "expressions do not nest",
        "",
    ),
];

/// Each is said of the only stage, `a`, whose `cmd` is the text; with its line and carets.
#[test]
fn expressions_that_stand_for_nothing_are_pointed_at() {
    for (cmd, message, suggestion) in NONSENSE {
        let found = refusal(&format!("[stage.a]\ncmd = 'run {cmd}'\n"));
        let end = cmd.find("}}").unwrap() + 2;
        let carets = "^".repeat(end);
        let expected = format!("{message}\n4: cmd = 'run {cmd}'\n           {carets}{suggestion}");
        assert_eq!(found, expected);
    }
    let open = refusal("[stage.a]\ncmd = 'run ${{ params.x'\n");
    assert_eq!(
        open,
        "`${{` without `}}`\n4: cmd = 'run ${{ params.x'\n           ^^^"
    );
}

#[test]
fn the_second_of_two_expressions_and_one_far_below_are_found() {
    let found = refusal("[stage.a]\ncmd = '${{ params.train.lr }} ${{ params.x }}'\n");
    assert!(
        found.ends_with("                              ^^^^^^^^^^^^^^^"),
        "{found}"
    );
    let found = refusal("[stage.a]\ncmd = '''\nfirst\n  second ${{ params.x }}\n'''\n");
    let expected = "`params.x` is in no default params file: `params.yaml`\n\
                    6:   second ${{ params.x }}\n         ^^^^^^^^^^^^^^^";
    assert_eq!(found, expected);
}

#[test]
fn what_comes_of_filling_in_is_judged_like_what_is_written() {
    let cases = [
        ("deps = ['${{ matrix.x }}/y']", "`/a/y` is absolute", "'/a'"),
        (
            "outs = ['o/${{ matrix.x }}']",
            "a pattern cannot stand in `outs`",
            "'a*'",
        ),
        (
            "params = ['${{ matrix.x }}']",
            "`a..b` is not a key like `train.lr`",
            "'a..b'",
        ),
        (
            "outs = ['x', '${{ matrix.x }}']",
            "`x` stands twice in `outs`",
            "'x'",
        ),
        (
            "deps = ['@${{ matrix.x }}']",
            "`-b` cannot name a stage",
            "'-b'",
        ),
        (
            "env.A = '${{ matrix.x }}'",
            "a variable cannot hold a NUL byte",
            "\"\\u0000\"",
        ),
    ];
    for (field, message, value) in cases {
        let text = format!(
            "[stage.a]\ncmd = 'x'\nmatrix = {{ x = [{{ name = 'n', value = {value} }}] }}\n{field}\n"
        );
        let found = refusal(&text);
        assert!(found.starts_with(message), "{message}\n{found}");
        assert!(found.contains("\n6: ") && found.contains("^^^"), "{found}");
    }
    let passed =
        refusal("[env]\npass = ['DIR']\n[stage.a]\ncmd = 'x'\ndeps = ['${{ env.DIR }}/x']\n");
    assert!(
        passed.starts_with("`env.DIR` is passed on and never recorded"),
        "{passed}"
    );
}

const NO_MATRIX: [(&str, &str); 14] = [
    ("{}", "`stage.a.matrix` names no values"),
    ("{ x = [] }", "`x` has no values"),
    (
        "{ x = 1 }",
        "`stage.a.matrix.x` must be a list, not an integer",
    ),
    (
        "{ \"a b\" = [1] }",
        "`a b` cannot name a value of a matrix: a name has up to",
    ),
    (
        "{ x = [2026-01-01] }",
        "a date or a section cannot stand here",
    ),
    (
        "{ x = [[1]] }",
        "`[1]` cannot name a cell: write `{ name = \"…\", value = … }`",
    ),
    ("{ x = [\"a/b\"] }", "`a/b` cannot name a cell: write"),
    (
        "{ x = [{ value = 1 }] }",
        "`{value: 1}` cannot name a cell: write",
    ),
    ("{ x = [1, \"1\"] }", "two cells would be called `a@1`"),
    (
        "{ x = [\"a\", \"a-b\"], y = [\"b-c\", \"c\"] }",
        "two cells would be called `a@a-b-c`",
    ),
    (
        "{ x = [1], exclude = [{ x = 1 }] }",
        "the matrix of `a` has no cell left",
    ),
    (
        "{ x = [1], exclude = [{ z = 1 }] }",
        "`exclude` names `z`, which the matrix does not have",
    ),
    ("{ x = [1], include = [{}] }", "an empty table in `include`"),
    (
        "{ x = [1], include = [1] }",
        "`stage.a.matrix.include` must be a list of tables",
    ),
];

#[test]
fn a_matrix_that_makes_no_stages_is_pointed_at() {
    let refused = |matrix: &str, message: &str| {
        let found = refusal(&format!("[stage.a]\ncmd = 'x'\nmatrix = {matrix}\n"));
        assert!(found.starts_with(message), "{message}\n{found}");
        assert!(found.contains("\n5: matrix = "), "{found}");
    };
    for (matrix, message) in NO_MATRIX {
        refused(matrix, message);
    }
    let long: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let axis = format!("[{}]", long.join(", "));
    let matrix = format!("{{ x = {axis}, y = {axis} }}");
    refused(&matrix, "the matrix of `a` has more than 10000 cells");
}

#[test]
fn a_param_that_two_default_files_have_is_no_ones() {
    let text = "[project]\nid = \"0123456789abcdef0123456789abcdef\"\n\
                params = ['a.yaml', 'b.yaml']\n[stage.a]\ncmd = '${{ params.x }}'\n";
    let manifest = Manifest::parse(text).unwrap();
    let both = ["a.yaml", "b.yaml"].map(|file| {
        (
            DepPath::parse(file).unwrap(),
            table(&[("x", Value::Int(1))]),
        )
    });
    let error = resolve(&manifest, &both.into()).unwrap_err().to_string();
    assert_eq!(
        error,
        "`params.x` is in several default params files: `a.yaml`, `b.yaml`"
    );
}

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/esker-toml.md"));

#[test]
fn the_reference_says_what_is_refused() {
    let (_, table) = REFERENCE
        .split_once("| written | said of it |\n|---|---|\n")
        .unwrap();
    let values = self::table(&[("lr", Value::Float(0.1))]);
    let files = BTreeMap::from([(DepPath::parse("params.yaml").unwrap(), values)]);
    let rows: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [written, said] = [cells[0], cells[1]].map(|cell| cell.trim().trim_matches('`').trim());
        let said = said.trim_start_matches('`');
        let manifest = Manifest::parse(&format!("{written}\n{HEAD}")).unwrap();
        let found = resolve(&manifest, &files).unwrap_err().to_string();
        assert_eq!(
            found.trim_matches('`'),
            said.trim_end_matches('`').trim_end(),
            "{row}"
        );
    }
}

#[test]
fn the_reference_says_which_cells_its_example_makes() {
    let (_, example) = REFERENCE
        .split_once("in the order of the file.\n\n```toml\n")
        .unwrap();
    let (example, after) = example.split_once("```\n").unwrap();
    let found = stages(example);
    let cells: Vec<&str> = names(&found)
        .into_iter()
        .filter(|name| name.contains('@'))
        .collect();
    assert_eq!(
        cells,
        [
            "train@gbm-1",
            "train@gbm-2",
            "train@linear-1",
            "train@mlp-8"
        ]
    );
    for cell in cells {
        assert!(after[..150].contains(&format!("`{cell}`")), "{cell}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "${{", "}}", " ", "params", "matrix", "env", ".", "x", "\"", "\\", "é", "[0]", "lr",
            ]),
            0..12,
        ),
    ) {
        let text = parts.concat();
        let _ = expression::pieces(&text);
        let value = toml_edit::Value::from(text.as_str()).to_string();
        let _ = try_resolve(&format!("[stage.a]\ncmd = {value}\ndeps = [{value}]\n"));
    }

    #[test]
    fn text_without_expressions_stays_as_it_is(text in "[a-z {}$]{0,30}") {
        prop_assume!(!text.contains("${{"));
        let pieces = expression::pieces(&text).unwrap();
        prop_assert!(pieces.iter().all(|piece| matches!(piece, Piece::Text(same) if *same == text)));
    }
}
