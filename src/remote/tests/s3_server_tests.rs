//! Push and fetch against a real S3 server, which `tests/run.sh` starts.

use super::*;
use crate::remote::transport::tests::careless_s3_tests::Careless;
use crate::remote::transport::tests::s3_server_tests::Server;

fn open() -> Remote {
    let server = Server::find();
    let variables = Server::variables(&server.admin);
    let var = |name: &str| variables.get(name).cloned();
    Remote::open(&server.address(), &var).unwrap()
}

#[test]
fn what_is_pushed_to_s3_is_fetched() {
    let (here, there) = (Clone::new(), Clone::new());
    let roots = sample(&here);
    let remote = open();
    let nothing = there.fetch(&remote, &roots);
    assert_eq!((nothing.files, nothing.missing.len()), (0, 3));
    let pushed = here.push(&remote, &roots);
    assert_eq!((pushed.files, pushed.missing), (304, vec![]));
    let fetched = there.fetch(&remote, &roots);
    assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
    assert_eq!(there.contents(&roots), here.contents(&roots));
    assert_eq!(here.push(&remote, &roots), Pushed::default());
}

#[test]
fn a_thousand_small_files_are_few_objects_on_s3() {
    let (here, there) = (Clone::new(), Clone::new());
    let roots = [here.tree("data", &small_files(1000))];
    let remote = open();
    let pushed = here.push(&remote, &roots);
    assert_eq!((pushed.files, pushed.objects), (1000, 4));
    // And once for each remote the object that tells whether it keeps writers apart, for each
    // snapshot its name for those who cannot list.
    assert_eq!(remote.transport.list("").unwrap().len(), 4 + 2);
    there.fetch(&remote, &roots);
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

#[test]
fn the_server_of_the_tests_keeps_writers_apart() {
    let here = Clone::new();
    let remote = open();
    assert!(remote.is_exclusive(&here.memory()).unwrap());
    assert!(open().is_exclusive(&here.memory()).unwrap());
    here.push(&remote, &sample(&here));
}

/// Several clones push at once to a server that knows no preconditions, and each finds all of its
/// own there.
#[test]
fn a_server_without_preconditions_is_noticed_and_used_safely() {
    let server = Careless::start();
    let remote = || Remote::open(&server.address(), &Careless::var).unwrap();
    let clones: Vec<Clone> = (0..3).map(|_| Clone::new()).collect();
    std::thread::scope(|scope| {
        for clone in &clones {
            scope.spawn(|| clone.push(&remote(), &sample(clone)));
        }
    });
    for clone in &clones {
        assert!(!remote().is_exclusive(&clone.memory()).unwrap());
        let there = Clone::new();
        let roots = sample(clone);
        let fetched = there.fetch(&remote(), &roots);
        assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
        assert_eq!(there.contents(&roots), clone.contents(&roots));
    }
}
