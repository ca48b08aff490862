//! Push and fetch against a real S3 server, which `tests/run.sh` starts.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::progress::Event;
use crate::remote::transport::tests::careless_s3_tests::Careless;
use crate::remote::transport::tests::proxy::{Fault, Proxy};
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

/// Adds up what it is told, and keeps the largest piece.
#[derive(Default)]
struct Told {
    bytes: AtomicU64,
    largest: AtomicU64,
}

impl Progress for Told {
    fn event(&self, event: Event<'_>) {
        if let Event::Advanced { bytes, .. } = event {
            self.bytes.fetch_add(bytes, Ordering::SeqCst);
            self.largest.fetch_max(bytes, Ordering::SeqCst);
        }
    }
}

/// A remote at the end of a line that takes so many bytes a second.
fn behind(bytes_a_second: u64) -> Remote {
    let server = Server::find();
    let host = server.endpoint.strip_prefix("http://").unwrap();
    let line = Proxy::start(host, Fault::Throttle(bytes_a_second), usize::MAX);
    let variables = Server::variables(&server.admin);
    let address = Address {
        endpoint_url: Some(format!("http://{}", line.address())),
        ..server.address()
    };
    Remote::open(&address, &|name| variables.get(name).cloned()).unwrap()
}

/// One pack takes a while on a slow line, and who waits sees it move. The kernel takes some of it off our
/// hands at once.
#[test]
fn a_pack_on_its_way_up_is_told() {
    let here = Clone::new();
    let wanted = Wanted {
        roots: vec![here.file("model", &noise(3, 20_000_000))],
        commit: [0; 32],
    };
    let options = PushOptions {
        project: here.project,
        bases: &[],
        spool: &here.spool(),
        memory: &here.memory(),
        jobs: 4,
        distrusted: &HashSet::new(),
        dry_run: false,
    };
    let (told, interrupt) = (Told::default(), Interrupt::new());
    let remote = behind(10_000_000);
    remote
        .push(&here.store, &[wanted], &options, &told, &interrupt)
        .unwrap();
    assert_eq!(told.bytes.into_inner(), 20_000_000);
    let largest = told.largest.into_inner();
    assert!(largest < 15_000_000, "{largest}");
}

/// One frame in one pack, since a file of this size is not cut.
#[test]
fn a_frame_on_its_way_down_is_told() {
    let (here, there) = (Clone::new(), Clone::new());
    let remote = behind(2_000_000);
    let roots = vec![here.file("model", &noise(4, 4_000_000))];
    here.push(&remote, &roots);
    let (told, interrupt) = (Told::default(), Interrupt::new());
    remote
        .fetch(&there.store, &roots, &at_once(4), &told, &interrupt)
        .unwrap();
    assert_eq!(told.bytes.into_inner(), 4_000_000);
    let largest = told.largest.into_inner();
    assert!(largest < 2_000_000, "{largest}");
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
