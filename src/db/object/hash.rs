//! The value of a hash.

use super::collection::object_type;
use super::{Collection, Encoding, Type};
use crate::ds::listpack::Listpack;

/// A hash.
#[derive(Debug, Clone)]
pub enum Hash {
    /// All in one listpack.
    Listpack(Box<Listpack>),
}

object_type! { Hash: Type::Hash { Listpack(Box<Listpack>) = Encoding::Listpack } }

impl Collection for Hash {
    fn mem_bytes(&self, _samples: usize) -> usize {
        let Hash::Listpack(list) = self;
        list.capacity()
    }

    fn free_effort(&self) -> usize {
        1
    }

    fn len(&self) -> usize {
        let Hash::Listpack(list) = self;
        list.len()
    }
}
