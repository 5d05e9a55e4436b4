//! The types of values, each with its commands in the file that has its upstream name.

use crate::db::ValueType;
use crate::db::object::{EntryRef, StrRef, Type};

pub mod bitops;
pub mod geo;
pub mod hyperloglog;
pub mod lcs;
pub mod sort;
pub mod t_hash;
pub mod t_list;
pub mod t_set;
pub mod t_stream;
pub mod t_string;
pub mod t_zset;

/// Strings, for lookups.
#[derive(Debug)]
pub struct StringValue;

impl ValueType for StringValue {
    const TYPE: Type = Type::String;
    type Ref<'a> = StrRef<'a>;

    #[inline(always)]
    fn value(entry: EntryRef<'_>) -> StrRef<'_> {
        entry.string()
    }
}
