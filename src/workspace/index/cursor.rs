//! Going through what the index knows of a directory, in the order of the names.

use std::collections::btree_map::Range as Learnt;
use std::iter::Peekable;
use std::ops::Bound;

use super::{Index, Known, Record};

/// Stands before one of the names below a directory: those that were saved and those that were
/// learnt since, as one ascending list.
pub(in crate::workspace) struct Cursor<'a> {
    index: &'a Index,
    at: usize,
    end: usize,
    learnt: Peekable<Learnt<'a, Box<str>, Option<Known>>>,
    /// The directory and a `/`.
    prefix: String,
}

/// Where the index has something.
#[derive(Clone, Copy)]
pub(in crate::workspace) enum Place<'a> {
    Saved(usize),
    Learnt(&'a Known),
}

impl<'a> Cursor<'a> {
    /// Stands before the first name below a directory.
    pub(in crate::workspace) fn new(index: &'a Index, dir: &str) -> Self {
        let prefix = format!("{dir}/");
        let saved = index.saved.below(prefix.as_bytes());
        Self {
            at: saved.start,
            end: saved.end,
            learnt: learnt(index, &prefix, &prefix),
            index,
            prefix,
        }
    }

    /// The next name, whole, and where it is; the cursor stays before it.
    pub(in crate::workspace) fn peek(&mut self) -> Option<(&'a [u8], Place<'a>)> {
        loop {
            let saved = (self.at < self.end).then(|| self.index.saved.name(self.at));
            let Some((name, change)) = self.learnt.peek() else {
                return saved.map(|name| (name, Place::Saved(self.at)));
            };
            let (name, change) = (name.as_bytes(), change.as_ref());
            match saved {
                Some(saved) if saved < name => return Some((saved, Place::Saved(self.at))),
                // What was learnt stands for what was saved.
                Some(saved) if saved == name => self.at += 1,
                _ => match change {
                    Some(known) => return Some((name, Place::Learnt(known))),
                    None => drop(self.learnt.next()),
                },
            }
        }
    }

    /// Moves on to the first name that is not below `name`.
    pub(in crate::workspace) fn skip_to(&mut self, name: &str) {
        let saved = &self.index.saved;
        self.at = saved.search(self.at..self.end, name.as_bytes());
        if self.learnt.peek().is_some() {
            self.learnt = learnt(self.index, name, &self.prefix);
        }
    }

    /// The record of a file; `None` if something else is there.
    pub(in crate::workspace) fn file(&self, place: Place<'_>) -> Option<Record> {
        match place {
            Place::Saved(at) => self.index.saved.file(at),
            Place::Learnt(Known::File(record)) => Some(*record),
            Place::Learnt(_) => None,
        }
    }

    /// What is there.
    pub(in crate::workspace) fn known(&self, place: Place<'_>) -> Option<Known> {
        match place {
            Place::Saved(at) => self.index.saved.known(at),
            Place::Learnt(known) => Some(known.clone()),
        }
    }
}

impl<'a> Iterator for Cursor<'a> {
    type Item = (&'a [u8], Place<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.peek()?;
        match next.1 {
            Place::Saved(_) => self.at += 1,
            Place::Learnt(_) => drop(self.learnt.next()),
        }
        Some(next)
    }
}

/// What was learnt from a name on, as far as it lies below the directory.
fn learnt<'a>(
    index: &'a Index,
    from: &str,
    prefix: &str,
) -> Peekable<Learnt<'a, Box<str>, Option<Known>>> {
    let mut after = prefix.to_owned();
    after.pop();
    // No other character stands between `/` and `0`.
    after.push('0');
    let from = from.min(after.as_str());
    let range = (Bound::Included(from), Bound::Excluded(after.as_str()));
    index.changes.range::<str, _>(range).peekable()
}
