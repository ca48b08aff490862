//! Push and fetch against a real server of Azure, which `tests/run.sh` starts.

use super::*;
use crate::remote::transport::tests::azure_server_tests::Azure;

#[test]
fn what_is_pushed_to_azure_is_fetched() {
    let (here, there) = (Clone::new(), Clone::new());
    let variables = Azure::variables();
    let var = |name: &str| variables.get(name).cloned();
    let remote = Remote::open(&Azure::find().address(), &var).unwrap();
    let roots = sample(&here);
    assert!(remote.is_exclusive(&here.memory()).unwrap());
    let pushed = here.push(&remote, &roots);
    assert_eq!((pushed.files, pushed.missing), (304, vec![]));
    let fetched = there.fetch(&remote, &roots);
    assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
    assert_eq!(there.contents(&roots), here.contents(&roots));
    assert_eq!(here.push(&remote, &roots), Pushed::default());
}
