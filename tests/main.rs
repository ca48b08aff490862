//! The one integration binary: whole commands on real projects, by their whole output.
