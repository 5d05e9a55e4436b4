//! The value of a list.

use super::collection::object_type;
use super::{Collection, Encoding, Type};
use crate::ds::listpack::Listpack;

/// A list.
#[derive(Debug, Clone)]
pub enum List {
    /// All in one listpack.
    Listpack(Box<Listpack>),
}

object_type! { List: Type::List { Listpack(Box<Listpack>) = Encoding::Listpack } }

impl Collection for List {
    fn mem_bytes(&self, _samples: usize) -> usize {
        let List::Listpack(list) = self;
        list.capacity()
    }

    fn free_effort(&self) -> usize {
        1
    }

    fn len(&self) -> usize {
        let List::Listpack(list) = self;
        list.len()
    }
}
