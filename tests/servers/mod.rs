//! Small servers on the loopback address.

pub(crate) mod amazon;
pub(crate) mod bearer;
pub(crate) mod google;
pub(crate) mod serving;
pub(crate) mod signature;
