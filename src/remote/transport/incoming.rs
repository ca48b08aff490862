//! Objects, and parts of them, on their way in from a service that is spoken to over HTTP.

use std::cell::RefCell;
use std::ops::Range;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetRange, ObjectStore};

use super::failure::{Failure, Kind};
use super::{MAX_OBJECT_BYTES, Take, too_short};
use crate::remote::{Error, Result};

/// Asks for an object: how long it is, and its bytes, unless there are more than memory is taken for.
pub(super) async fn whole(
    client: &dyn ObjectStore,
    location: &ObjectPath,
) -> object_store::Result<(u64, Option<Bytes>)> {
    let found = client.get_opts(location, GetOptions::default()).await?;
    let len = found.range.end.saturating_sub(found.range.start);
    let whole = found.meta.size;
    let bytes = match len > MAX_OBJECT_BYTES {
        true => None,
        false => Some(found.bytes().await?),
    };
    Ok((whole, bytes))
}

/// Asks for a part of an object.
pub(super) fn part(range: Range<u64>) -> GetOptions {
    GetOptions {
        range: Some(GetRange::Bounded(range)),
        ..GetOptions::default()
    }
}

/// What is said of a part that did not come, by the length of its object; `unsent` if that has it.
pub(super) fn explain(
    (remote, key): (&str, &str),
    (offset, len): (u64, u64),
    whole: Option<u64>,
    unsent: impl FnOnce() -> Error,
) -> Result<bool> {
    let Some(whole) = whole else {
        return Ok(false);
    };
    match offset.checked_add(len) {
        Some(end) if end <= whole && len == 0 => Ok(true),
        Some(end) if end <= whole => Err(unsent()),
        _ => Err(too_short(remote, key, whole, offset, len)),
    }
}

/// What has come so far, and who takes it. A request that is sent again goes on where the last broke.
pub(super) struct Incoming<'a, 'b>(RefCell<State<'a, 'b>>);

struct State<'a, 'b> {
    next: u64,
    end: u64,
    take: &'a mut Take<'b>,
    /// Why nothing more is taken.
    refused: Option<Error>,
}

impl<'a, 'b> Incoming<'a, 'b> {
    /// Nothing came yet. `None` if nothing is to be asked for.
    pub(super) fn new(offset: u64, len: u64, take: &'a mut Take<'b>) -> Option<Self> {
        let end = offset.checked_add(len)?;
        let state = RefCell::new(State {
            next: offset,
            end,
            take,
            refused: None,
        });
        (len > 0 && len <= MAX_OBJECT_BYTES).then_some(Self(state))
    }

    /// Asks for the rest, and hands it over as it comes.
    pub(super) async fn follow(
        &self,
        client: &dyn ObjectStore,
        location: &ObjectPath,
    ) -> object_store::Result<()> {
        let found = client.get_opts(location, part(self.rest())).await?;
        let mut parts = found.into_stream();
        while let Some(part) = parts.try_next().await? {
            if !self.hand_over(&part) {
                break;
            }
        }
        Ok(())
    }

    fn rest(&self) -> Range<u64> {
        let state = self.0.borrow();
        state.next..state.end
    }

    /// Says whether more is wanted.
    fn hand_over(&self, part: &[u8]) -> bool {
        let mut state = self.0.borrow_mut();
        let missing = usize::try_from(state.end - state.next).unwrap_or(usize::MAX);
        let part = &part[..part.len().min(missing)];
        state.next += part.len() as u64;
        state.refused = (state.take)(part).err();
        state.refused.is_none() && state.next < state.end
    }

    /// Whether all of it came, or there is no such object; nothing if the answer does not say, since
    /// services differ in what they say of a range that ends beyond the object.
    pub(super) fn settle(
        self,
        answer: std::result::Result<(), Failure>,
        refuse: impl FnOnce(Failure) -> Error,
    ) -> Result<Option<bool>> {
        if self.finish()? {
            return Ok(Some(true));
        }
        match answer {
            Ok(()) | Err(Failure::Other(_)) => Ok(None),
            Err(failure) => match failure.kind() {
                Some(Kind::NoObject) => Ok(Some(false)),
                Some(Kind::Unknown) => Ok(None),
                _ => Err(refuse(failure)),
            },
        }
    }

    /// Whether all of it came; an error if who took it would not go on.
    fn finish(self) -> Result<bool> {
        let state = self.0.into_inner();
        match state.refused {
            Some(error) => Err(error),
            None => Ok(state.next == state.end),
        }
    }
}
