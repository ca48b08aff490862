//! Push and fetch through a real `sshd`.

use super::*;
use crate::remote::transport::tests::ssh_server_tests::Server;

#[test]
fn what_is_pushed_over_ssh_is_fetched() {
    let (server, here, there) = (Server::new(), Clone::new(), Clone::new());
    let far = Remote::open(&server.address(), &|name| server.var(name)).unwrap();
    let roots = sample(&here);
    let pushed = here.push(&far, &roots);
    assert_eq!((pushed.files, pushed.missing), (304, vec![]));
    assert!(far.is_exclusive(&here.memory()).unwrap());
    let traffic = || {
        let traffic = far.transport.traffic().unwrap();
        (traffic.sent(), traffic.received())
    };
    let before = traffic();
    assert!(before.0 > pushed.sent_bytes, "{before:?}");
    let fetched = there.fetch(&far, &roots);
    assert!(traffic().1 > before.1 + fetched.received_bytes);
    assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
    assert_eq!(there.contents(&roots), here.contents(&roots));
    assert_eq!(here.push(&far, &roots), Pushed::default());
}
