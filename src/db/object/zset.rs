//! The value of a sorted set.

use super::collection::object_type;
use super::{Collection, Encoding, Type};
use crate::ds::listpack::Listpack;

/// A sorted set.
#[derive(Debug, Clone)]
pub enum ZSet {
    /// All in one listpack.
    Listpack(Box<Listpack>),
}

object_type! { ZSet: Type::ZSet { Listpack(Box<Listpack>) = Encoding::Listpack } }

impl Collection for ZSet {
    fn mem_bytes(&self, _samples: usize) -> usize {
        let ZSet::Listpack(list) = self;
        list.capacity()
    }

    fn free_effort(&self) -> usize {
        1
    }

    fn len(&self) -> usize {
        let ZSet::Listpack(list) = self;
        list.len()
    }
}
