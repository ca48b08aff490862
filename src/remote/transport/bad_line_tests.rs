//! S3 over lines that break, crawl or hang. What stands behind them is the real server.

use std::time::{Duration, Instant};

use super::proxy::{Fault, Proxy};
use super::s3_server_tests::Server;
use super::*;

/// A line to the server, and a client at the other end of it that waits so long for a sign of life.
fn over(fault: Fault, connections: usize, stall: Duration) -> (Proxy, Bucket, Bucket) {
    let server = Server::find();
    let direct = server.address();
    let host = server.endpoint.strip_prefix("http://").unwrap();
    let proxy = Proxy::start(host, fault, connections);
    let address = Address {
        endpoint_url: Some(format!("http://{}", proxy.address())),
        ..direct.clone()
    };
    let variables = Server::variables(&server.admin);
    let var = |name: &str| variables.get(name).cloned();
    let over = Bucket::open_with(&address, &var, stall).unwrap();
    let direct = Bucket::open_with(&direct, &var, stall).unwrap();
    (proxy, over, direct)
}

/// A body, and what it is.
fn pack(len: usize) -> (Bytes, Vec<u8>) {
    let content: Vec<u8> = (0..len).map(|n| (n / 3) as u8).collect();
    (Bytes::from(content.clone()), content)
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn an_upload_goes_on_after_the_connection_was_cut() {
    let (body, content) = pack(3_000_000);
    let (proxy, over, direct) = over(Fault::CutUp(1_000_000), 3, LONG);
    over.put_if_absent("p/a", &body).unwrap();
    assert_eq!(direct.get("p/a").unwrap().unwrap(), content);
    assert!(proxy.connections() > 3, "{}", proxy.connections());
}

/// With the client gone for good in the middle of a body, nobody ever sees a part of it.
#[test]
fn no_part_of_an_upload_that_died_is_seen() {
    let (body, _) = pack(3_000_000);
    let (_proxy, over, direct) = over(Fault::CutUp(1_000_000), usize::MAX, LONG);
    let error = over.put_if_absent("p/a", &body).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(direct.head("p/a").unwrap(), None);
    assert_eq!(direct.list("").unwrap(), []);
}

#[test]
fn a_download_goes_on_where_the_connection_was_cut() {
    let (body, content) = pack(4_000_000);
    let (proxy, over, direct) = over(Fault::CutDown(1_500_000), 2, LONG);
    direct.put("p/a", &body).unwrap();
    assert_eq!(over.get("p/a").unwrap().unwrap(), content);
    assert!(proxy.connections() > 2, "{}", proxy.connections());
}

/// A line on which an upload takes longer than the time in which nothing may move: there is no
/// limit on the whole.
#[test]
fn a_slow_upload_takes_as_long_as_it_takes() {
    let (body, content) = pack(12_000_000);
    let stall = Duration::from_millis(2500);
    let (proxy, over, direct) = over(Fault::Throttle(3_000_000), usize::MAX, stall);
    let started = Instant::now();
    assert!(over.put_if_absent("p/a", &body).unwrap());
    assert!(started.elapsed() > stall, "the line was not slow");
    assert_eq!(direct.get("p/a").unwrap().unwrap(), content);
    assert!(proxy.sent() < 13_000_000, "it was sent more than once");
}

#[test]
fn a_line_that_hangs_is_given_up() {
    let (body, _) = pack(12_000_000);
    let stall = Duration::from_millis(200);
    for fault in [Fault::FreezeUp(1_000_000), Fault::FreezeDown(0)] {
        let (_proxy, over, direct) = over(fault, usize::MAX, stall);
        let error = over.put_if_absent("p/a", &body).unwrap_err();
        let Error::Unreachable { detail, .. } = &error else {
            panic!("{fault:?}: {error:?}");
        };
        assert!(
            detail.ends_with("nothing moved for 0.2 seconds"),
            "{detail}"
        );
        assert!(matches!(direct.head("p/a"), Ok(None | Some(12_000_000))));
    }
}

#[test]
fn an_answer_that_hangs_in_the_middle_is_asked_for_again() {
    let (body, content) = pack(12_000_000);
    let stall = Duration::from_millis(500);
    let (proxy, over, direct) = over(Fault::FreezeDown(1_000_000), 1, stall);
    direct.put("p/a", &body).unwrap();
    assert_eq!(over.get("p/a").unwrap().unwrap(), content);
    assert!(proxy.connections() > 1);
}

#[test]
fn a_line_with_a_long_way_works() {
    let (_proxy, over, _) = over(Fault::Delay(Duration::from_millis(20)), usize::MAX, LONG);
    assert!(over.put_if_absent("p/a", &bytes("x")).unwrap());
    assert!(!over.put_if_absent("p/a", &bytes("y")).unwrap());
    assert_eq!(keys(&over, ""), ["p/a"]);
}
