//! What was pushed to a directory, fetched through a web server over it.

use super::*;
use crate::remote::transport::tests::http_tests::Site;

fn shelf(site: &Site) -> Remote {
    let address = Address {
        name: "shelf".into(),
        url: site.dir.path().to_str().unwrap().into(),
        ..Address::default()
    };
    Remote::open(&address, &|_| None).unwrap()
}

#[test]
fn what_was_pushed_is_fetched_through_a_web_server() {
    let (site, here, there) = (Site::start(), Clone::new(), Clone::new());
    let web = Remote::open(&site.address(), &|_| None).unwrap();
    let roots = sample(&here);
    let nothing = there.fetch(&web, &roots);
    assert_eq!((nothing.files, nothing.missing.len()), (0, 3));
    here.push(&shelf(&site), &roots);
    let fetched = there.fetch(&web, &roots);
    assert_eq!((fetched.missing, fetched.damaged), (vec![], vec![]));
    assert_eq!(there.contents(&roots), here.contents(&roots));
}

/// A part of a lock has no snapshot of its own; the lock it stands in has.
#[test]
fn a_part_of_a_lock_is_fetched_through_a_web_server() {
    let (site, here, there) = (Site::start(), Clone::new(), Clone::new());
    let web = Remote::open(&site.address(), &|_| None).unwrap();
    let lock = sample(&here);
    here.push(&shelf(&site), &lock);
    let part = [lock[0].clone()];
    let fetch = |locks: &[Vec<Root>]| {
        let options = FetchOptions {
            locks,
            ..at_once(4)
        };
        let fetched = web.fetch(&there.store, &part, &options, &Silent, &Interrupt::new());
        fetched.unwrap()
    };
    assert_eq!(fetch(&[]).missing.len(), 1, "nobody could know its name");
    assert_eq!(fetch(std::slice::from_ref(&lock)).missing, []);
    assert_eq!(there.contents(&part), here.contents(&part));
}

#[test]
fn a_push_to_a_web_server_is_refused_before_anything_is_sent() {
    let (site, here) = (Site::start(), Clone::new());
    let web = Remote::open(&site.address(), &|_| None).unwrap();
    let roots = sample(&here);
    for dry_run in [false, true] {
        let refused = here.push_with(&web, &[&roots], &[], dry_run);
        assert!(matches!(refused, Err(Error::ReadOnly { .. })));
    }
}

/// A name of the newest snapshot that lies is as good as none.
#[test]
fn a_damaged_name_of_a_snapshot_is_named() {
    let (site, here, there) = (Site::start(), Clone::new(), Clone::new());
    let web = Remote::open(&site.address(), &|_| None).unwrap();
    let roots = sample(&here);
    here.push(&shelf(&site), &roots);
    let key = snapshot::Roots::new(&roots).key();
    let head = layout::head_of(key);
    let other = format!("{}\n", "00".repeat(32));
    for text in ["", "../../etc/passwd\n", &other] {
        crate::fs::replace(&site.dir.path().join(&head), text.as_bytes()).unwrap();
        let fetched = there.fetch(&web, &roots);
        assert_eq!((fetched.files, fetched.missing.len()), (0, 3), "{text}");
    }
}
