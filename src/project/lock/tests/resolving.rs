use super::super::{Lock, Recorded, Resolved, Side, StageRecord, strategy};
use crate::hash::{BlobId, Digest};
use crate::path::RelPath;
use crate::project::{Command, Error};
use proptest::prelude::*;

fn recorded(text: &str) -> Recorded {
    Recorded {
        hash: BlobId(Digest::of(text.as_bytes())).into(),
        size: text.len() as u64,
        files: None,
        exec: false,
    }
}

fn data(entries: &[(&str, &str)]) -> Lock {
    let entry = |&(path, text): &(&str, &str)| (RelPath::parse(path).unwrap(), recorded(text));
    Lock {
        data: entries.iter().map(entry).collect(),
        ..Lock::default()
    }
}

/// A lock with one stage that has read `input` and written `output`.
fn trained(input: &str, output: &str) -> Lock {
    let mut record = StageRecord {
        cmd: Command::One("train".into()),
        ..StageRecord::default()
    };
    let dep = super::super::DepHash {
        hash: recorded(input).hash,
        exec: false,
    };
    record
        .deps
        .insert(RelPath::parse("input").unwrap().into(), dep);
    record
        .outs
        .insert(RelPath::parse("output").unwrap(), recorded(output));
    record.run = record.run_line("train");
    Lock {
        stages: [("train".to_owned(), record)].into(),
        ..Lock::default()
    }
}

/// What git leaves when it merges line by line.
fn merged(base: &Lock, ours: &Lock, theirs: &Lock, diff3: bool) -> String {
    // Merging files is the one call that does not start libgit2 by itself.
    git2::Config::new().unwrap();
    let texts = [base, ours, theirs].map(Lock::to_text);
    let [base, ours, theirs] = texts.each_ref().map(|text| {
        let mut input = git2::MergeFileInput::new();
        input.content(text.as_bytes());
        input
    });
    let mut options = git2::MergeFileOptions::new();
    options.style_diff3(diff3).style_standard(!diff3);
    let result = git2::merge_file(&base, &ours, &theirs, Some(&mut options)).unwrap();
    String::from_utf8(result.content().to_vec()).unwrap()
}

fn resolve(text: &str, choice: Option<Side>) -> Resolved {
    Lock::resolve(text, choice).unwrap()
}

#[test]
fn a_text_without_conflicts_is_settled() {
    let lock = trained("a", "b");
    let resolved = resolve(&lock.to_text(), None);
    assert_eq!(
        resolved,
        Resolved {
            lock,
            ..Resolved::default()
        }
    );
}

#[test]
fn what_both_changed_needs_a_choice() {
    let ours = data(&[("raw", "ours"), ("same", "x")]);
    let theirs = data(&[("raw", "theirs"), ("same", "x")]);
    let text = merged(
        &data(&[("raw", "base"), ("same", "x")]),
        &ours,
        &theirs,
        false,
    );
    let open = resolve(&text, None);
    assert_eq!(
        (open.open, open.lock),
        (vec!["data \"raw\"".to_owned()], ours.clone())
    );
    for (side, lock) in [(Side::Ours, ours), (Side::Theirs, theirs)] {
        let chosen = resolve(&text, Some(side));
        assert_eq!(
            (chosen.chosen, chosen.lock),
            (vec!["data \"raw\"".to_owned()], lock)
        );
        assert!(chosen.open.is_empty() && chosen.mixed.is_empty());
    }
}

#[test]
fn additions_of_both_sides_are_kept() {
    let ours = data(&[("a", "longer text"), ("z", "z")]);
    let theirs = data(&[("b", "x"), ("z", "z")]);
    for diff3 in [false, true] {
        let text = merged(&data(&[("z", "z")]), &ours, &theirs, diff3);
        assert!(text.contains("<<<<<<<"));
        let resolved = resolve(&text, None);
        let all = data(&[("a", "longer text"), ("b", "x"), ("z", "z")]);
        assert_eq!(
            resolved,
            Resolved {
                lock: all,
                ..Resolved::default()
            }
        );
    }
}

#[test]
fn a_removal_against_a_change_needs_a_choice() {
    let base = data(&[("a", "base"), ("z", "z")]);
    let ours = data(&[("z", "z")]);
    let theirs = data(&[("a", "theirs"), ("z", "z")]);
    for diff3 in [false, true] {
        for (left, right) in [(&ours, &theirs), (&theirs, &ours)] {
            let text = merged(&base, left, right, diff3);
            assert_eq!(resolve(&text, None).open, ["data \"a\""]);
            assert_eq!(resolve(&text, Some(Side::Ours)).lock, *left);
            assert_eq!(resolve(&text, Some(Side::Theirs)).lock, *right);
        }
    }
}

#[test]
fn a_stage_that_ran_on_both_sides_is_taken_whole() {
    let base = trained("a", "out");
    let (ours, theirs) = (trained("b", "out of b"), trained("c", "out of c"));
    for diff3 in [false, true] {
        let text = merged(&base, &ours, &theirs, diff3);
        assert_eq!(resolve(&text, None).open, ["stage train"]);
        assert_eq!(resolve(&text, Some(Side::Ours)).lock, ours);
        assert_eq!(resolve(&text, Some(Side::Theirs)).lock, theirs);
    }
}

#[test]
fn a_stage_that_git_has_mixed_is_left_out() {
    let base = trained("a", "x");
    // One side read something else, the other wrote something else: git merges both cleanly,
    // but for the run line.
    let (ours, theirs) = (trained("a", "y"), trained("b", "x"));
    let text = merged(&base, &ours, &theirs, false);
    let resolved = resolve(&text, Some(Side::Ours));
    assert_eq!(resolved.mixed, ["stage train"]);
    assert!(resolved.lock.stages.is_empty());
    let exact = Lock::merge(&base, &ours, &theirs, Some(Side::Ours));
    assert_eq!((exact.lock, exact.mixed), (ours, Vec::new()));
}

#[test]
fn what_one_side_changed_needs_no_choice_when_the_base_is_known() {
    let base = data(&[("a", "1"), ("b", "1"), ("c", "1")]);
    let ours = data(&[("a", "2"), ("b", "1"), ("d", "1")]);
    let theirs = data(&[("a", "1"), ("b", "2"), ("c", "1")]);
    let resolved = Lock::merge(&base, &ours, &theirs, None);
    let expected = data(&[("a", "2"), ("b", "2"), ("d", "1")]);
    assert_eq!(
        resolved,
        Resolved {
            lock: expected,
            ..Resolved::default()
        }
    );
}

#[test]
fn broken_markers_are_damage() {
    let texts = [
        "version = 1\n<<<<<<< a\n",
        "<<<<<<< a\n=======\n",
        "=======\n",
        ">>>>>>> b\n",
        "<<<<<<< a\n<<<<<<< a\n",
        "<<<<<<< a\n=======\n=======\n>>>>>>> b\n",
        "<<<<<<< a\n=======\n||||||| c\n>>>>>>> b\n",
        "<<<<<<< a\nx = \n=======\nversion = 1\n>>>>>>> b\n",
    ];
    for text in texts {
        let resolved = Lock::resolve(text, Some(Side::Ours));
        assert!(matches!(resolved, Err(Error::LockDamaged { .. })), "{text}");
    }
    let newer = "<<<<<<< a\nversion = 1\n=======\nversion = 2\n>>>>>>> b\n";
    assert!(matches!(
        Lock::resolve(newer, None),
        Err(Error::LockTooNew { .. })
    ));
}

/// Blocks that have run, as every recorded block has.
fn recorded_lock() -> impl Strategy<Value = Lock> {
    strategy::lock().prop_map(|mut lock| {
        for (name, record) in &mut lock.stages {
            record.metrics.clear();
            record.adopted = false;
            record.run = record.run_line(name);
            record.mixed = false;
        }
        lock
    })
}

/// A lock, and what became of it in two branches.
fn branches() -> impl Strategy<Value = [Lock; 3]> {
    (
        recorded_lock(),
        recorded_lock(),
        recorded_lock(),
        any::<[u8; 3]>(),
    )
        .prop_map(|(base, mut ours, mut theirs, picks)| {
            for (lock, bits) in [(&mut ours, picks[0]), (&mut theirs, picks[1])] {
                for (index, (name, record)) in base.stages.iter().enumerate() {
                    if bits >> (index * 2) & 1 == 1 {
                        lock.stages.insert(name.clone(), record.clone());
                    } else if bits >> (index * 2) & 2 == 2 {
                        let mut changed = record.clone();
                        changed.env.insert("A".into(), format!("{bits}"));
                        changed.run = changed.run_line(name);
                        lock.stages.insert(name.clone(), changed);
                    }
                }
                lock.data.extend(
                    base.data
                        .clone()
                        .into_iter()
                        .take(usize::from(picks[2] % 4)),
                );
            }
            [base, ours, theirs]
        })
}

proptest! {
    #[test]
    fn no_stage_comes_out_mixed([base, ours, theirs] in branches(), diff3: bool, mine: bool) {
        let text = merged(&base, &ours, &theirs, diff3);
        let side = if mine { Side::Ours } else { Side::Theirs };
        for choice in [None, Some(side)] {
            // Git may have merged lines of two blocks into something that is no lock.
            let Ok(resolved) = Lock::resolve(&text, choice) else { continue };
            for (name, record) in &resolved.lock.stages {
                let known = [&ours, &theirs].map(|lock| lock.stages.get(name));
                prop_assert!(known.contains(&Some(record)), "{}\n{}", name, text);
            }
        }
    }

    #[test]
    fn merging_follows_who_changed_what([base, ours, theirs] in branches()) {
        let resolved = Lock::merge(&base, &ours, &theirs, Some(Side::Theirs));
        prop_assert!(resolved.open.is_empty() && resolved.mixed.is_empty());
        for name in base.stages.keys().chain(ours.stages.keys()).chain(theirs.stages.keys()) {
            let [before, our, their, now] =
                [&base, &ours, &theirs, &resolved.lock].map(|lock| lock.stages.get(name));
            let expected = if before == their { our } else { their };
            prop_assert_eq!(now, expected);
        }
        let back = Lock::merge(&base, &ours, &ours, None);
        prop_assert_eq!(back, Resolved { lock: ours, ..Resolved::default() });
    }
}
