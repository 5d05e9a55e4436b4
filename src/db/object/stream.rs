//! The value of a stream.

use super::collection::object_type;
use super::{Collection, Encoding, Type};
use crate::ds::listpack::Listpack;

/// A stream.
#[derive(Debug, Clone)]
pub enum Stream {
    /// All in one listpack.
    Listpack(Box<Listpack>),
}

object_type! { Stream: Type::Stream { Listpack(Box<Listpack>) = Encoding::Stream } }

impl Collection for Stream {
    fn mem_bytes(&self, _samples: usize) -> usize {
        let Stream::Listpack(list) = self;
        list.capacity()
    }

    fn free_effort(&self) -> usize {
        1
    }

    fn len(&self) -> usize {
        let Stream::Listpack(list) = self;
        list.len()
    }
}
