//! The value of a set.

use super::collection::object_type;
use super::{Collection, Encoding, Type};
use crate::ds::intset::IntSet;

/// A set.
#[derive(Debug, Clone)]
pub enum Set {
    /// Integers.
    IntSet(Box<IntSet>),
}

object_type! { Set: Type::Set { IntSet(Box<IntSet>) = Encoding::IntSet } }

impl Collection for Set {
    fn mem_bytes(&self, _samples: usize) -> usize {
        let Set::IntSet(set) = self;
        set.as_bytes().len()
    }

    fn free_effort(&self) -> usize {
        1
    }

    fn len(&self) -> usize {
        let Set::IntSet(set) = self;
        set.len()
    }
}
