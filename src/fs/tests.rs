use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn errors_name_their_path() {
    let error = read(Path::new("/nowhere/x")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `/nowhere/x`");
}

#[test]
fn replacing_keeps_the_mode_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    replace(&path, b"one").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    replace(&path, b"two").unwrap();
    assert_eq!(read(&path).unwrap(), b"two");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(list_dir(dir.path()).unwrap(), ["file"]);
}

#[test]
fn a_dropped_temporary_file_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    drop(TempFile::new_in(dir.path()).unwrap());
    assert!(list_dir(dir.path()).unwrap().is_empty());
}

#[test]
fn only_one_of_two_gets_a_new_name() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("name");
    let taken: Vec<bool> = (0..2)
        .map(|_| {
            TempFile::new_in(dir.path())
                .unwrap()
                .persist_new(&name)
                .unwrap()
        })
        .collect();
    assert_eq!(taken, [true, false]);
    assert_eq!(list_dir(dir.path()).unwrap(), ["name"]);
}

#[test]
fn the_execute_bit_comes_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    write_new(&path, b"").unwrap();
    for executable in [true, false] {
        set_executable(&path, executable).unwrap();
        assert_eq!(
            is_executable(&metadata(&path).unwrap().unwrap()),
            executable
        );
    }
}

#[test]
fn a_new_file_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let file = create_new(&path).unwrap();
    file.write_all_at(b"one", 0, &path).unwrap();
    assert!(create_new(&path).is_err());
    assert_eq!(read(&path).unwrap(), b"one");
}

#[test]
fn sharing_blocks_gives_all_bytes_or_says_no() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
    write_new(&from, b"bytes").unwrap();
    let shared = reflink(&open(&from).unwrap(), &create_new(&to).unwrap());
    let expected: &[u8] = if shared { b"bytes" } else { b"" };
    assert_eq!(read(&to).unwrap(), expected);
}

#[test]
fn a_whole_file_system_can_be_flushed() {
    let dir = tempfile::tempdir().unwrap();
    sync_file_system(dir.path()).unwrap();
    assert!(sync_file_system(&dir.path().join("none")).is_err());
}

#[test]
fn a_name_that_is_taken_is_not_renamed_over() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
    write_new(&from, b"new").unwrap();
    assert!(rename_new(&from, &to).unwrap());
    write_new(&from, b"newer").unwrap();
    assert!(!rename_new(&from, &to).unwrap());
    assert_eq!(read(&to).unwrap(), b"new");
    assert_eq!(read(&from).unwrap(), b"newer");
}

#[test]
fn only_old_files_of_dead_processes_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    // The highest process id that Linux gives is below this one.
    let names = [
        ".esker-tmp-2000000000-0123456789abcdef",
        ".esker-tmp-2000000000-new",
        &temp_name(),
        ".esker-tmp-x-1",
        ".esker-tmp-",
        "data.csv",
    ];
    for name in names {
        let path = dir.path().join(name);
        write_new(&path, b"").unwrap();
        if name != names[1] {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
    }
    sweep(dir.path());
    let mut left: Vec<&str> = names[1..].to_vec();
    left.sort_unstable();
    assert_eq!(list_dir(dir.path()).unwrap(), left);
    sweep(&dir.path().join("none"));
}

#[test]
fn there_is_room_somewhere_above_what_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    assert!(free_space(&dir.path().join("not/there")).unwrap() > 0);
    // Whether the disk shares blocks is its affair; nothing may be left of the trial.
    shares_blocks(dir.path(), dir.path());
    assert!(list_dir(dir.path()).unwrap().is_empty());
}
