//! Push and fetch against a real S3 server, which `tests/run.sh` starts.

use super::*;
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
    assert_eq!(remote.transport.list("").unwrap().len(), 4);
    there.fetch(&remote, &roots);
    assert_eq!(there.contents(&roots), here.contents(&roots));
}
