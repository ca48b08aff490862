//! Push and fetch on a store whose `put_if_absent` replaces what is there.

use super::*;

fn careless() -> Shared {
    Shared(Arc::new(Inner {
        memory: Memory::careless(),
        ..Inner::default()
    }))
}

#[test]
fn what_is_pushed_to_a_careless_store_is_fetched() {
    let (here, there) = (Clone::new(), Clone::new());
    let roots = sample(&here);
    let remote = careless();
    let pushed = here.push(&remote.remote(), &roots);
    assert_eq!(remote.keys("").len() as u64, pushed.objects + 1);
    assert!(!remote.remote().is_exclusive(&here.memory()).unwrap());
    there.fetch(&remote.remote(), &roots);
    assert_eq!(there.contents(&roots), here.contents(&roots));
    assert_eq!(here.push(&remote.remote(), &roots), Pushed::default());
}

/// Nothing that is there is written a second time, whoever pushes.
#[test]
fn nothing_on_a_careless_store_is_replaced() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = careless();
    here.push(&remote.remote(), &sample(&here));
    let keys = remote.keys("");
    let before: Vec<_> = keys.iter().map(|key| remote.read(key)).collect();
    there.push(&remote.remote(), &sample(&there));
    let more = [there.file("more", b"more")];
    there.push(&remote.remote(), &more);
    let after: Vec<_> = keys.iter().map(|key| remote.read(key)).collect();
    assert!(before == after, "an object has other bytes now");
}

/// Of the `format.json` that they all write, the last one stays, and does for all.
#[test]
fn many_pushes_at_once_to_a_careless_store_all_count() {
    let remote = careless();
    let clones: Vec<Clone> = (0..6).map(|_| Clone::new()).collect();
    let all: Vec<Vec<Root>> = std::thread::scope(|scope| {
        let pushes: Vec<_> = clones
            .iter()
            .enumerate()
            .map(|(number, clone)| {
                let remote = remote.remote();
                scope.spawn(move || {
                    let own = noise(number as u64 + 1, 50_000);
                    let roots = vec![
                        clone.file("own", &own),
                        clone.tree("same", &small_files(40)),
                    ];
                    clone.push(&remote, &roots);
                    roots
                })
            })
            .collect();
        pushes
            .into_iter()
            .map(|push| push.join().unwrap())
            .collect()
    });
    for (clone, roots) in clones.iter().zip(&all) {
        let there = Clone::new();
        let fetched = there.fetch(&remote.remote(), roots);
        assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
        assert_eq!(there.contents(roots), clone.contents(roots));
    }
}
