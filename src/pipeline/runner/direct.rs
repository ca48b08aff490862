//! Starts a script that is one plain command without a shell, as `make` does: a shell would split
//! it into words, look for the program and become it, which takes as long as a small program does.
//!
//! Whatever a shell might see otherwise is left to the shell: any character with a meaning to it,
//! its own words, what callers give to bash in variables, and programs that are not found. So a
//! stage cannot tell how it was started, nor a person from its messages.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Job;

/// What bash has of its own, reserved words and builtins; those of other shells are among them.
const SHELL_WORDS: &str = "\
    . : alias bg bind break builtin caller case cd command compgen complete compopt continue \
    coproc declare dirs disown do done echo elif else enable esac eval exec exit export false fc \
    fg fi for function getopts hash help history if in jobs kill let local logout mapfile popd \
    printf pushd pwd read readarray readonly return select set shift shopt source suspend test \
    then time times trap true type typeset ulimit umask unalias unset until wait while";

/// The command that a script is, if it is one that needs no shell; with the variables of the job.
pub(super) fn command(job: &Job, script: &str) -> Option<Command> {
    if !job.plain {
        return None;
    }
    let words = words(script)?;
    let (name, arguments) = words.split_first()?;
    let set = job
        .env
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    let variables: BTreeMap<OsString, OsString> = std::env::vars_os().chain(set).collect();
    if variables.keys().any(|name| steers_bash(name)) {
        return None;
    }
    let program = program(name, variables.get(OsStr::new("PATH"))?)?;
    let here = current(&job.dir, variables.get(OsStr::new("PWD"))).ok()?;
    let mut command = new_command(&program);
    command.arg0(name).args(arguments);
    command.envs(job.env.iter().map(|(name, value)| (name, value)));
    command.env("PWD", here).env("_", program);
    Some(command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "stages are what this room is there to run"
)]
fn new_command(program: &Path) -> Command {
    Command::new(program)
}

/// Whether bash is told by this variable what to read first, how to behave, or what a word means.
fn steers_bash(variable: &OsStr) -> bool {
    let name = variable.as_encoded_bytes();
    name.starts_with(b"BASH") || name == b"SHELLOPTS" || name == b"POSIXLY_CORRECT"
}

/// The words of a script in which no character means anything to a shell but the space between
/// words; `None` for any other.
fn words(script: &str) -> Option<Vec<&str>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./,:@%+= \t".contains(c);
    let script = script.trim_matches([' ', '\t', '\n']);
    if !script.chars().all(is_plain) {
        return None;
    }
    let words: Vec<&str> = script
        .split([' ', '\t'])
        .filter(|w| !w.is_empty())
        .collect();
    let name = words.first()?;
    (!name.contains('=') && !is_shell_word(name)).then_some(words)
}

fn is_shell_word(name: &str) -> bool {
    SHELL_WORDS.split(' ').any(|word| word == name)
}

/// Where a program lies that the system can start by itself.
fn program(name: &str, path: &OsStr) -> Option<PathBuf> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        // Of a relative one it is not said what it is relative to.
        let fits = path.is_absolute() && is_executable(&path) && is_program(&path);
        return fits.then_some(path);
    }
    let mut dirs = std::env::split_paths(path);
    let found = dirs.find_map(|dir| {
        // As long as all before it are absolute, the first that has the name decides.
        let file = dir.join(name);
        (!dir.is_absolute() || is_executable(&file)).then_some(file)
    })?;
    (found.is_absolute() && is_program(&found)).then_some(found)
}

fn is_executable(path: &Path) -> bool {
    let found = std::fs::metadata(path);
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Whether it says itself how it is started; any other text a shell would read as its own script.
fn is_program(path: &Path) -> bool {
    const ELF: &[u8] = b"\x7fELF";
    const MACH_O: [&[u8]; 2] = [b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"];
    let mut start = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    let known = start.starts_with(b"#!") || start == ELF || MACH_O.contains(&&start[..]);
    read.is_ok() && known
}

/// The directory as the caller calls it, if it is the caller's own.
fn current(dir: &Path, said: Option<&OsString>) -> io::Result<PathBuf> {
    let place = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
    let said = said.map(Path::new).filter(|said| said.is_absolute());
    match said {
        Some(said) if place(said).ok() == Some(place(dir)?) => Ok(said.into()),
        _ => std::fs::canonicalize(dir),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Exit;
    use super::super::tests::{job, told_by};
    use super::*;
    use proptest::prelude::*;

    /// What bash prints for a script.
    #[expect(clippy::disallowed_methods, reason = "a test of what bash does")]
    fn bash(script: &str) -> Vec<u8> {
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        bash.output().unwrap().stdout
    }

    #[test]
    fn what_a_shell_might_see_otherwise_is_left_to_it() {
        let table: [(&str, Option<&[&str]>); 20] = [
            ("cp in/1 out/1", Some(&["cp", "in/1", "out/1"])),
            (
                " python -m  train --lr=0.1\t-v\n",
                Some(&["python", "-m", "train", "--lr=0.1", "-v"]),
            ),
            (
                "/usr/bin/env a@b:c,d%e+f",
                Some(&["/usr/bin/env", "a@b:c,d%e+f"]),
            ),
            ("", None),
            ("\n", None),
            ("cp a b\ncp c d", None),
            ("X=1 cp a b", None),
            ("cd src", None),
            ("time sleep 1", None),
            ("cp 'a b' c", None),
            ("cp $A b", None),
            ("cp a > b", None),
            ("cp a* b", None),
            ("cp a b &", None),
            ("cp a b; cp c d", None),
            ("cp ~/a b", None),
            ("cp {a,b} c", None),
            ("cp a b # and no more", None),
            ("cp a\\ b c", None),
            ("cp ä b", None),
        ];
        for (script, expected) in table {
            assert_eq!(words(script).as_deref(), expected, "{script:?}");
        }
    }

    #[test]
    fn the_own_words_of_bash_are_known() {
        let own = String::from_utf8(bash("compgen -bk")).unwrap();
        assert!(own.lines().count() > 50, "{own}");
        for word in own.lines() {
            assert_eq!(words(&format!("{word} a")), None, "{word}");
        }
    }

    proptest! {
        #[test]
        fn words_are_those_that_bash_sees(script in "[a-zA-Z0-9_./,:@%+= \t-]{0,12}[ \n\t]{0,2}") {
            let script = format!("x {script}");
            let shown = bash(&format!("printf '%s\\0' {script}"));
            let words = words(&script).unwrap();
            let own: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
            prop_assert_eq!(own, shown);
        }
    }

    fn write(path: &Path, text: &str, mode: u32) {
        crate::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::fs::replace(path, text.as_bytes()).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_program_is_the_first_of_its_name_and_must_say_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, bytes: &str, mode| write(&dir.path().join(name), bytes, mode);
        make("a/tool", "#!/bin/sh\n", 0o644);
        make("b/tool", "#!/bin/sh\n", 0o755);
        make("b/text", "echo hello\n", 0o755);
        make("b/tiny", "#!", 0o755);
        let at = |name: &str| dir.path().join(name);
        let path = |dirs: &[&str]| std::env::join_paths(dirs.iter().map(|dir| at(dir))).unwrap();
        let both = path(&["none", "a", "b"]);
        assert_eq!(program("tool", &both), Some(at("b/tool")));
        assert_eq!(program("tool", &path(&["a"])), None);
        assert_eq!(program("text", &both), None);
        assert_eq!(program("tiny", &both), None);
        assert_eq!(program("nothing", &both), None);
        let relative = std::env::join_paths([PathBuf::from("bin"), at("b")]).unwrap();
        assert_eq!(program("tool", &relative), None);
        assert_eq!(program("./tool", &both), None);
        let absolute = at("b/tool");
        assert_eq!(program(absolute.to_str().unwrap(), &both), Some(absolute));
    }

    #[test]
    fn what_cannot_be_started_is_explained_by_the_shell() {
        let dir = tempfile::tempdir().unwrap();
        let broken = dir.path().join("broken");
        write(&broken, "#!/nowhere/interpreter\n", 0o755);
        for script in [broken.to_str().unwrap(), "/nowhere/program"] {
            let mut job = job(dir.path(), &[script]);
            (job.plain, job.shell) = (true, vec!["bash".to_owned(), "-c".to_owned()]);
            let told = told_by(job);
            assert!(told.err[0].contains(script), "{told:?}");
            let exit = told.exit.unwrap();
            assert!(matches!(exit, Exit::Code(126 | 127)), "{exit:?}");
        }
    }

    /// All variables that a command has, without those in which bash counts shells.
    fn variables(plain: bool, shell: &[&str]) -> (Vec<String>, bool) {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job(dir.path(), &["env"]);
        job.plain = plain;
        job.shell = shell.iter().map(|word| (*word).to_owned()).collect();
        job.env = vec![("PWD".to_owned(), "/nowhere".to_owned())];
        let is_direct = command(&job, "env").is_some();
        let mut told = told_by(job);
        told.out
            .retain(|line| !["SHLVL=", "OLDPWD"].iter().any(|own| line.starts_with(own)));
        let own = std::fs::canonicalize(dir.path()).unwrap();
        let lines = told.out.iter();
        let mut lines: Vec<String> = lines
            .map(|line| line.replace(&*own.to_string_lossy(), "DIR"))
            .collect();
        lines.sort();
        (lines, is_direct)
    }

    #[test]
    fn a_command_cannot_tell_how_it_was_started() {
        let bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"];
        let (by_bash, direct) = variables(false, &bash);
        assert!(!direct);
        let (alone, direct) = variables(true, &["/nowhere/shell"]);
        assert!(direct);
        assert!(alone.contains(&"PWD=DIR".to_owned()), "{alone:?}");
        assert_eq!(alone, by_bash);
    }

    #[test]
    fn what_steers_bash_is_left_to_bash() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["BASH_ENV", "BASH_FUNC_cp%%", "SHELLOPTS"] {
            let mut job = job(dir.path(), &[]);
            job.plain = true;
            assert!(command(&job, "cp a b").is_some());
            job.env.push((name.to_owned(), "x".to_owned()));
            assert!(command(&job, "cp a b").is_none(), "{name}");
        }
    }

    #[test]
    fn the_directory_keeps_the_name_by_which_the_caller_came() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let said = |path: &Path| current(&real, Some(&path.into())).unwrap();
        let own = std::fs::canonicalize(&real).unwrap();
        assert_eq!(said(&link), link);
        assert_eq!(said(dir.path()), own);
        assert_eq!(said(Path::new("link")), own);
        assert_eq!(current(&link, None).unwrap(), own);
    }
}
