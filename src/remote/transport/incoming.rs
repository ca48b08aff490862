//! A part of an object on its way in from a service that is spoken to over HTTP.

use std::cell::RefCell;

use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetRange, ObjectStore};

use super::{MAX_OBJECT_BYTES, Take};
use crate::remote::{Error, Result};

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
        let options = GetOptions {
            range: Some(self.rest()),
            ..GetOptions::default()
        };
        let found = client.get_opts(location, options).await?;
        let mut parts = found.into_stream();
        while let Some(part) = parts.try_next().await? {
            if !self.hand_over(&part) {
                break;
            }
        }
        Ok(())
    }

    fn rest(&self) -> GetRange {
        let state = self.0.borrow();
        GetRange::Bounded(state.next..state.end)
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

    /// Whether all of it came; an error if who took it would not go on.
    pub(super) fn finish(self) -> Result<bool> {
        let state = self.0.into_inner();
        match state.refused {
            Some(error) => Err(error),
            None => Ok(state.next == state.end),
        }
    }
}
