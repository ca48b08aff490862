//! Two processes in one project: the second waits, says for whom, and can be interrupted.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr};

use crate::common::Sandbox;

/// A project, and its lock file held by this process under a name.
fn held(note: &[u8]) -> (Sandbox, File) {
    let sandbox = Sandbox::project();
    sandbox.write("data", "one");
    sandbox.ok("add data");
    let path = sandbox.path(&format!(".git/esker/{}/guard", "00".repeat(16)));
    std::fs::write(&path, note).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.lock().unwrap();
    (sandbox, file)
}

/// The first line that a process says on stderr.
fn first_line(child: &mut Child) -> (String, BufReader<ChildStderr>) {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    (line, stderr)
}

#[test]
fn the_second_esker_says_for_whom_it_waits_and_goes_on() {
    let note = format!("{} esker add big\n", std::process::id());
    let (sandbox, lock) = held(note.as_bytes());
    sandbox.write("data", "two");
    let mut second = sandbox.start("add data");
    let (line, _stderr) = first_line(&mut second);
    let expected = format!("Waiting for `esker add big` (pid {})\n", std::process::id());
    assert_eq!(line, expected);
    drop(lock);
    assert!(second.wait().unwrap().success());
    assert_eq!(sandbox.json("status")["data"][0]["state"], "unchanged");
}

#[test]
fn a_lock_file_that_names_nobody_alive_makes_it_wait_all_the_same() {
    // The highest process id that Linux gives is below this one.
    for note in [&b""[..], b"\xff\0\x1b[2J", b"2000000000 esker add data\n"] {
        let (sandbox, lock) = held(note);
        let mut second = sandbox.start("checkout");
        let (line, _stderr) = first_line(&mut second);
        assert_eq!(line, "Waiting for another esker in this project\n");
        drop(lock);
        assert!(second.wait().unwrap().success());
    }
}

#[test]
fn a_wait_can_be_interrupted() {
    let (sandbox, _lock) = held(b"");
    sandbox.write("data", "two");
    let before = sandbox.read("esker.lock");
    let mut second = sandbox.start("add data");
    let (line, mut stderr) = first_line(&mut second);
    assert!(line.starts_with("Waiting"), "{line}");
    sandbox.sh(&format!("kill -INT {}", second.id()));
    assert_eq!(second.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("E0904"), "{rest}");
    assert_eq!(sandbox.read("esker.lock"), before);
}

#[test]
fn a_push_waits_for_another_push() {
    let (sandbox, _) = held(b"");
    sandbox.ok("remote add store ../remote");
    sandbox.ok("push");
    let path = format!(".git/esker/{}/spool/lock", "00".repeat(16));
    assert!(sandbox.read(&path).ends_with(" esker push\n"));
    let lock = File::options()
        .write(true)
        .open(sandbox.path(&path))
        .unwrap();
    lock.lock().unwrap();
    let mut second = sandbox.start("push");
    let (line, _stderr) = first_line(&mut second);
    assert!(line.starts_with("Waiting"), "{line}");
    sandbox.sh(&format!("kill -INT {}", second.id()));
    assert_eq!(second.wait().unwrap().code(), Some(130));
    assert_eq!(sandbox.esker("push --dry-run").code, 0, "it only reads");
}

#[test]
fn a_killed_holder_keeps_nobody_waiting() {
    let sandbox = Sandbox::project();
    sandbox.sh("mkfifo gate");
    sandbox.append(
        "esker.toml",
        "\n[stage.slow]\ncmd = \"echo runs > started; cat gate\"\nouts = [\"out\"]\n",
    );
    let mut first = sandbox.start("repro");
    // Opening the other end waits until the stage has come there.
    let gate = File::options()
        .write(true)
        .open(sandbox.path("gate"))
        .unwrap();
    sandbox.write("data", "one");
    let mut second = sandbox.start("add data");
    let (line, stderr) = first_line(&mut second);
    let expected = format!("Waiting for `esker repro` (pid {})\n", first.id());
    assert_eq!(line, expected);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(second.wait().unwrap().success());
    drop((gate, stderr));
    let output = sandbox.esker("add data");
    assert!(!output.stderr.contains("Waiting"), "{output}");
}

#[test]
fn an_esker_inside_of_a_stage_does_not_wait_for_the_one_around_it() {
    let sandbox = Sandbox::project();
    sandbox.append(
        "esker.toml",
        "\n[stage.add]\ncmd = \"echo 1 > data; esker status -q > seen && esker add data\"\nouts = [\"out\"]\n\
         \n[stage.other]\ncmd = \"echo 1 > other\"\nouts = [\"other\"]\n\
         \n[stage.around]\ncmd = \"esker repro other && cat other > result\"\nouts = [\"result\"]\n\
         \n[stage.self]\ncmd = \"esker repro self\"\nouts = [\"mine\"]\n",
    );
    insta::assert_snapshot!(sandbox.esker("repro add"), @"
    exit: 1
    --- stderr
    ▶ add         first run
      error[E0217]: the stage `add` called this, and `esker repro add` is at work in this project
        nothing was changed: it would wait for the stage, and the stage for it

      hint: name in `outs` what the stage writes, or call esker before or after `esker repro`
    ✗ add         failed

    error: `add` failed with exit code 2; nothing was recorded, and its outputs are as before
      │ error[E0217]: the stage `add` called this, and `esker repro add` is at work in this project
      │   nothing was changed: it would wait for the stage, and the stage for it
      │
      │ hint: name in `outs` what the stage writes, or call esker before or after `esker repro`

    warning: `data` appeared while stages ran, and belongs to none: is it an output?
    warning: `seen` appeared while stages ran, and belongs to none: is it an output?
    1 failed
    ");
    assert!(!sandbox.exists("esker.lock"));
    // What does not touch goes side by side, as always.
    sandbox.ok("repro around");
    assert_eq!(sandbox.read("result"), "1\n");
    let lock = sandbox.read("esker.lock");
    assert!(lock.contains("[stage.other]") && lock.contains("[stage.around]"));
    let output = sandbox.esker("repro self");
    assert_eq!(output.code, 1, "{output}");
    assert!(
        output
            .stderr
            .contains("the stage `self` called this, and `esker repro self` has `mine`"),
        "{output}"
    );
}
