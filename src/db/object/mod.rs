//! The entry: a key, its value, its expiry and its access clock in one allocation.
//!
//! [`Entry`] is one thin pointer, which is all that a table's slot has room for. What it points at is laid out so
//! that small things fill a size class of the allocator (8-byte steps up to 64 bytes, then four steps a doubling)
//! without a gap:
//!
//! ```text
//!   byte  0         1         2       4 5         6       7
//!        ┌─────────┬─────────┬─────────┬─────────┬─────────┐
//!        │type│enc │ flags   │ clock   │ key len │ val len │   the header, one 64-bit word
//!        └─────────┴─────────┴─────────┴─────────┴─────────┘
//!        ┌─────────────────────────────────────────────────┐
//!        │ expiry, Unix ms, i64; -1: none set              │   if EXPIRY     ┐
//!        ├─────────────────────────────────────────────────┤                 │
//!        │ size of this allocation, u64                    │   if GROWN      │
//!        ├─────────────────────────────────────────────────┤                 │ 0 to 7 words,
//!        │ the value: an i64 (INT), a collection's pointer │                 │ counted in the
//!        │ (OBJECT), or a `Bytes`, four words (SHARED)     │   unless INLINE │ header
//!        ├─────────────────────────────────────────────────┤                 │
//!        │ length of the key, u64                          │   if LONG_KEY   ┘
//!        └─────────────────────────────────────────────────┘
//!        ┌────────────────────────┬────────────────────────┬─ ─ ─ ─┐
//!        │ key                    │ value (INLINE)         │ slack │   bytes, not aligned
//!        └────────────────────────┴────────────────────────┴─ ─ ─ ─┘
//!
//!   header, from bit 0:   4 type      4 encoding
//!                         1 EXPIRY    1 LONG_KEY    1 GROWN    2 kind (INLINE, INT, SHARED, OBJECT)    3 words
//!                        24 clock     8 length of the key (0 if LONG_KEY)    16 length of an INLINE value
//! ```
//!
//! | key and value                          | bytes             | size class |
//! |----------------------------------------|-------------------|------------|
//! | 16-byte key, 8-byte value              | 8 + 16 + 8        | 32         |
//! | 16-byte key, integer                   | 8 + 8 + 16        | 32         |
//! | 16-byte key, 64-byte value             | 8 + 16 + 64       | 96         |
//! | the same with an expiry                | 8 + 8 + 16 + 64   | 96         |
//! | 16-byte key, 100,000-byte value        | 8 + 32 + 16       | 56 + value |
//!
//! # Kinds and encodings
//!
//! The *kind* says where the value is: behind the key, in a word, or in a block of its own that replies can share.
//! The *encoding* is what OBJECT ENCODING answers (`int`, `embstr`, `raw`), which follows upstream's history of a
//! value and not its place: a short string that APPEND has touched is `raw`, and inline all the same.
//!
//! A string of up to [`INLINE_MAX`] bytes is inline. Replies from 16 KiB on are queued by reference rather than copied
//! (`server::reply`), which takes a counted block; below, copying into the output chunk is cheaper than counting.
//!
//! A collection (list, set, hash, sorted set, stream) is one pointer, and the header's encoding says to what: see
//! `collection.rs`. The value types themselves are in the files of this folder, without a thought of keys or clients.
//!
//! # Change in place
//!
//! An entry's allocation is as large as the size class of what it holds. So a value can be overwritten in place
//! whenever the new contents fall into the same class; otherwise the entry is built anew, and its address changes.
//! A value that grows (APPEND, SETRANGE, SETBIT) gets half again what it needs and a word that says how large the
//! allocation is; SET over such an entry keeps it as long as a quarter at most lies unused.
//!
//! # Invariants
//!
//! - The allocation's size is the GROWN word if there is one, else [`size_class`] of the bytes in use.
//! - The header and the bytes in use are initialised, slack need not be; a SHARED value is a live `Bytes`, an OBJECT
//!   one the word of a live collection of the header's type and encoding, or null while that is lent out mutably.
//! - No reference to a header is ever made: the access clock is written while others hold views of the entry.
//! - An `EntryRef` lives no longer than a borrow of its `Entry`, and everything but the clock changes through
//!   `&mut Entry` alone.

mod collection;
pub mod hash;
mod list;
pub mod set;
pub mod stream;
pub mod zset;

pub use collection::{Collection, Object, ObjectMut, ObjectRef, Word};
pub use hash::Hash;
pub use list::List;
pub use set::Set;
pub use stream::Stream;
pub use zset::ZSet;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::{self, NonNull};

use bytes::{Bytes, BytesMut};

use crate::ds::hashtable::{Element, prefetch};
use crate::ds::numbers;
use crate::server::Out;
use crate::zmalloc::good_size;

/// Longest string that is stored behind its key; longer ones have a block of their own.
pub const INLINE_MAX: usize = 16 * 1024 - 1;

/// Longest string whose encoding is `embstr` when it is stored: upstream's `OBJ_ENCODING_EMBSTR_SIZE_LIMIT`.
pub const EMBSTR_MAX: usize = 44;

/// Longest text that is tried as an integer when it is stored.
pub const INT_TEXT_MAX: usize = 20;

/// A block that grows past this many bytes gets this much more than it needs, a smaller one half again.
const GROW_STEP_MAX: usize = 1024 * 1024;

/// What stands in an expiry's word when none is set.
const NO_EXPIRY: i64 = -1;

/// The clock's 24 bits.
pub const CLOCK_MASK: u32 = 0xff_ffff;

/// What a key holds. The numbers are upstream's `OBJ_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    /// A string.
    String = 0,
    /// A list.
    List = 1,
    /// A set.
    Set = 2,
    /// A sorted set.
    ZSet = 3,
    /// A hash.
    Hash = 4,
    /// A stream.
    Stream = 6,
}

impl Type {
    /// All types, in the order of their numbers.
    pub const ALL: [Type; 6] = [Type::String, Type::List, Type::Set, Type::ZSet, Type::Hash, Type::Stream];

    /// One more than the greatest number of a type: the length of a table by type.
    pub const NUMBERS: usize = Type::Stream as usize + 1;

    /// The name that TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::ZSet => "zset",
            Type::Hash => "hash",
            Type::Stream => "stream",
        }
    }

    #[inline(always)]
    fn from_nibble(nibble: u64) -> Type {
        match nibble {
            0 => Type::String,
            1 => Type::List,
            2 => Type::Set,
            3 => Type::ZSet,
            4 => Type::Hash,
            6 => Type::Stream,
            other => unreachable!("{other} is no type"),
        }
    }
}

/// Calls for the collection type of a [`Type`] value: `by_type!(header.value_type(), T => drop_as::<T>(raw))`. Strings take
/// the second arm.
macro_rules! by_type {
    ($of:expr, $T:ident => $body:expr, string => $string:expr) => {
        match $of {
            Type::String => $string,
            Type::List => {
                type $T = List;
                $body
            }
            Type::Set => {
                type $T = Set;
                $body
            }
            Type::ZSet => {
                type $T = ZSet;
                $body
            }
            Type::Hash => {
                type $T = Hash;
                $body
            }
            Type::Stream => {
                type $T = Stream;
                $body
            }
        }
    };
}

/// What OBJECT ENCODING answers. The numbers are upstream's `OBJ_ENCODING_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// A string longer than [`EMBSTR_MAX`], or one that was changed in place.
    Raw = 0,
    /// A string that reads as a 64-bit integer.
    Int = 1,
    /// A table of members or fields.
    HashTable = 2,
    /// Integers in order.
    IntSet = 6,
    /// A sorted set in an ordered index, whatever its structure.
    Skiplist = 7,
    /// A short string.
    EmbStr = 8,
    /// A list of listpacks.
    Quicklist = 9,
    /// A radix tree of listpacks.
    Stream = 10,
    /// A listpack.
    Listpack = 11,
    /// A listpack with the expiries of fields.
    ListpackEx = 12,
}

impl Encoding {
    /// The name that OBJECT ENCODING answers.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::Int => "int",
            Encoding::HashTable => "hashtable",
            Encoding::IntSet => "intset",
            Encoding::Skiplist => "skiplist",
            Encoding::EmbStr => "embstr",
            Encoding::Quicklist => "quicklist",
            Encoding::Stream => "stream",
            Encoding::Listpack => "listpack",
            Encoding::ListpackEx => "listpackex",
        }
    }

    fn from_nibble(nibble: u64) -> Encoding {
        match nibble {
            0 => Encoding::Raw,
            1 => Encoding::Int,
            2 => Encoding::HashTable,
            6 => Encoding::IntSet,
            7 => Encoding::Skiplist,
            8 => Encoding::EmbStr,
            9 => Encoding::Quicklist,
            10 => Encoding::Stream,
            11 => Encoding::Listpack,
            12 => Encoding::ListpackEx,
            other => unreachable!("{other} is no encoding"),
        }
    }
}

/// A string to store.
#[derive(Debug, Clone)]
pub enum NewStr<'a> {
    /// An integer; it reads as its decimal digits.
    Int(i64),
    /// Bytes to copy.
    Copy(&'a [u8]),
    /// A block to keep, if it is long enough for one.
    Share(Bytes),
}

impl<'a> NewStr<'a> {
    /// The string `bytes`, as an integer if that is what it spells.
    #[inline]
    pub fn encode(bytes: &'a [u8]) -> NewStr<'a> {
        if bytes.len() <= INT_TEXT_MAX
            && let Some(n) = numbers::parse_i64(bytes)
        {
            return NewStr::Int(n);
        }
        NewStr::Copy(bytes)
    }

    /// The kind, and the encoding, that the string is stored with.
    #[inline]
    fn form(&self) -> (Kind, Encoding) {
        if let NewStr::Int(_) = self {
            return (Kind::Int, Encoding::Int);
        }
        let len = self.len();
        let kind = if len <= INLINE_MAX { Kind::Inline } else { Kind::Shared };
        (kind, if len <= EMBSTR_MAX { Encoding::EmbStr } else { Encoding::Raw })
    }

    fn len(&self) -> usize {
        match self {
            NewStr::Int(n) => numbers::decimal_len(*n),
            NewStr::Copy(bytes) => bytes.len(),
            NewStr::Share(bytes) => bytes.len(),
        }
    }
}

/// What becomes of the expiry when a value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It stays.
    Keep,
    /// It goes.
    Clear,
    /// It becomes this Unix time in milliseconds.
    At(i64),
}

/// A string value, as it is stored.
#[derive(Debug, Clone, Copy)]
pub enum StrRef<'a> {
    /// An integer.
    Int(i64),
    /// Bytes behind the key.
    Inline(&'a [u8]),
    /// A block of its own.
    Shared(&'a Bytes),
}

impl<'a> StrRef<'a> {
    /// Length of the string in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(self) -> usize {
        match self {
            StrRef::Int(n) => numbers::decimal_len(n),
            StrRef::Inline(bytes) => bytes.len(),
            StrRef::Shared(bytes) => bytes.len(),
        }
    }

    /// The string; an integer's digits are written to `digits`.
    #[inline]
    pub fn bytes<'b>(self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            StrRef::Int(n) => digits.format(n).as_bytes(),
            StrRef::Inline(bytes) => bytes,
            StrRef::Shared(bytes) => bytes,
        }
    }

    /// The string to keep: a block is shared, anything else copied.
    pub fn to_bytes(self) -> Bytes {
        match self {
            StrRef::Shared(bytes) => bytes.clone(),
            other => Bytes::copy_from_slice(other.bytes(&mut itoa::Buffer::new())),
        }
    }

    /// The integer that the string spells, if it does.
    #[inline]
    pub fn as_int(self) -> Option<i64> {
        match self {
            StrRef::Int(n) => Some(n),
            StrRef::Inline(bytes) => numbers::parse_i64(bytes),
            StrRef::Shared(_) => None,
        }
    }

    /// Replies with the string.
    #[inline]
    pub fn write_to(self, out: &mut Out) {
        match self {
            StrRef::Int(n) => out.bulk_int(n),
            StrRef::Inline(bytes) => out.bulk(bytes),
            StrRef::Shared(bytes) => out.bulk_shared(bytes),
        }
    }

    /// Replies with a part of the string, which `range` must lie within.
    pub fn write_range_to(self, range: Range<usize>, out: &mut Out) {
        match self {
            StrRef::Shared(bytes) => out.bulk_shared(&bytes.slice(range)),
            other => out.bulk(&other.bytes(&mut itoa::Buffer::new())[range]),
        }
    }

    /// The string as something to store again.
    fn to_new(self) -> NewStr<'a> {
        match self {
            StrRef::Int(n) => NewStr::Int(n),
            StrRef::Inline(bytes) => NewStr::Copy(bytes),
            StrRef::Shared(bytes) => NewStr::Share(bytes.clone()),
        }
    }
}

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inline = 0,
    Int = 1,
    Shared = 2,
    Object = 3,
}

impl Kind {
    /// Words that the value takes in front of the key.
    const fn words(self) -> usize {
        match self {
            Kind::Inline => 0,
            Kind::Int | Kind::Object => 1,
            Kind::Shared => size_of::<Bytes>() / WORD,
        }
    }
}

const WORD: usize = 8;

// The value's place is aligned to a word, which is enough for both; and all words must fit the header's count.
const _: () = assert!(
    size_of::<Bytes>().is_multiple_of(WORD) && align_of::<Bytes>() == WORD && align_of::<i64>() == WORD
);
const _: () = assert!(3 + Kind::Shared.words() <= 7);

/// The first word of an entry, as a value.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Header(u64);

impl Header {
    const ENCODING: u32 = 4;
    const EXPIRY: u64 = 1 << 8;
    const LONG_KEY: u64 = 1 << 9;
    const GROWN: u64 = 1 << 10;
    const KIND: u32 = 11;
    const WORDS: u32 = 13;
    const CLOCK: u32 = 16;
    const KEY_LEN: u32 = 40;
    const VALUE_LEN: u32 = 48;

    fn new(shape: Shape, value_type: Type, encoding: Encoding, clock: u32) -> Header {
        let key_len = if shape.long_key() { 0 } else { shape.key_len };
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        Header(
            value_type as u64
                | (encoding as u64) << Self::ENCODING
                | flag(shape.expiry, Self::EXPIRY)
                | flag(shape.long_key(), Self::LONG_KEY)
                | flag(shape.grown, Self::GROWN)
                | (shape.kind as u64) << Self::KIND
                | (shape.words() as u64) << Self::WORDS
                | u64::from(clock & CLOCK_MASK) << Self::CLOCK
                | (key_len as u64) << Self::KEY_LEN
                | (shape.value_len as u64) << Self::VALUE_LEN,
        )
    }

    #[inline(always)]
    fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    #[inline(always)]
    fn kind(self) -> Kind {
        match self.0 >> Self::KIND & 3 {
            0 => Kind::Inline,
            1 => Kind::Int,
            2 => Kind::Shared,
            _ => Kind::Object,
        }
    }

    #[inline(always)]
    fn value_type(self) -> Type {
        Type::from_nibble(self.0 & 15)
    }

    #[inline(always)]
    fn encoding(self) -> Encoding {
        Encoding::from_nibble(self.0 >> Self::ENCODING & 15)
    }

    /// Offset of the key.
    #[inline(always)]
    fn key_at(self) -> usize {
        WORD + WORD * (self.0 >> Self::WORDS & 7) as usize
    }

    /// Number of the value's first word.
    #[inline(always)]
    fn value_word(self) -> usize {
        1 + self.has(Self::EXPIRY) as usize + self.has(Self::GROWN) as usize
    }

    #[inline(always)]
    fn clock(self) -> u32 {
        (self.0 >> Self::CLOCK) as u32 & CLOCK_MASK
    }

    /// Length of an inline value; 0 if the value is elsewhere.
    #[inline(always)]
    fn value_len(self) -> usize {
        (self.0 >> Self::VALUE_LEN) as usize
    }

    fn with_clock(self, clock: u32) -> Header {
        let cleared = self.0 & !(u64::from(CLOCK_MASK) << Self::CLOCK);
        Header(cleared | u64::from(clock & CLOCK_MASK) << Self::CLOCK)
    }

    fn with_value_len(self, len: usize) -> Header {
        debug_assert!(len <= INLINE_MAX);
        Header(self.0 & !(0xffff << Self::VALUE_LEN) | (len as u64) << Self::VALUE_LEN)
    }

    fn with_encoding(self, encoding: Encoding) -> Header {
        Header(self.0 & !(15 << Self::ENCODING) | (encoding as u64) << Self::ENCODING)
    }
}

/// What an entry holds, as far as its layout depends on it.
#[derive(Clone, Copy)]
struct Shape {
    expiry: bool,
    grown: bool,
    kind: Kind,
    key_len: usize,
    /// Of an inline value, else 0.
    value_len: usize,
}

impl Shape {
    fn long_key(self) -> bool {
        self.key_len > u8::MAX as usize
    }

    fn words(self) -> usize {
        self.expiry as usize + self.grown as usize + self.kind.words() + self.long_key() as usize
    }

    /// Bytes in use. Lengths are those of slices, so that the sum stays far from the end of `usize`.
    fn bytes(self) -> usize {
        WORD + WORD * self.words() + self.key_len + self.value_len
    }
}

/// Bytes of the allocator's page.
const PAGE: usize = 4096;

/// The size class of the allocator that `bytes` fall into: multiples of 8 up to 64, then four steps a doubling, and
/// pages where those would be larger.
///
/// This is [`good_size`] without the call, as far as entries go: beyond 32 KiB, where only the longest keys lead, the
/// allocator knows finer classes. What is right here does not depend on it, only what is unused.
#[inline]
const fn size_class(bytes: usize) -> usize {
    if bytes <= 64 {
        return bytes.next_multiple_of(WORD);
    }
    let step = 1 << (bytes - 1).ilog2() >> 2;
    let step = if step > PAGE { PAGE } else { step };
    bytes.next_multiple_of(step)
}

/// The bytes to provide for a string that has grown to `len`: in proportion, so that growth is paid for once.
fn with_slack(len: usize) -> usize {
    len + (len / 2).min(GROW_STEP_MAX)
}

/// A pointer to a live entry.
///
/// The methods are unsafe for one reason, said here once:
///
/// # Safety
///
/// - The pointer is that of an [`Entry`] which the caller has borrowed, or owns; mutably, for the methods that write
///   anything but the clock.
/// - What is read or written there is what the header says is there.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Raw(NonNull<u8>);

impl Raw {
    /// Memory of `size` bytes, not initialised.
    fn allocate(size: usize) -> Raw {
        debug_assert!(size >= WORD);
        let layout = Self::layout(size);
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc(layout) };
        Raw(NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout)))
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, WORD).expect("an entry is smaller than the address space")
    }

    /// Gives the allocation back, whose size is `size`.
    #[inline]
    unsafe fn free(self, size: usize) {
        // SAFETY: the caller's contract; every allocation is made with its size and the same alignment.
        unsafe { dealloc(self.0.as_ptr(), Self::layout(size)) }
    }

    #[inline(always)]
    unsafe fn header(self) -> Header {
        // SAFETY: the caller's contract.
        unsafe { self.0.cast().read() }
    }

    #[inline(always)]
    unsafe fn set_header(self, header: Header) {
        // SAFETY: the caller's contract.
        unsafe { self.0.cast().write(header) }
    }

    /// Word `i` of the entry, of which the header is number 0.
    #[inline(always)]
    unsafe fn word<T>(self, i: usize) -> *mut T {
        // SAFETY: the caller's contract: the word lies in front of the key.
        unsafe { self.0.as_ptr().add(WORD * i).cast() }
    }

    #[inline(always)]
    unsafe fn key_len(self, header: Header) -> usize {
        if header.has(Header::LONG_KEY) {
            // SAFETY: the caller's contract; the length is the last word in front of the key.
            return unsafe { self.word::<u64>(header.key_at() / WORD - 1).read() } as usize;
        }
        (header.0 >> Header::KEY_LEN) as u8 as usize
    }

    #[inline(always)]
    unsafe fn key<'a>(self) -> &'a [u8] {
        // SAFETY: the caller's contract.
        unsafe {
            let header = self.header();
            std::slice::from_raw_parts(self.0.as_ptr().add(header.key_at()), self.key_len(header))
        }
    }

    unsafe fn shape(self) -> Shape {
        // SAFETY: the caller's contract.
        unsafe {
            let header = self.header();
            Shape {
                expiry: header.has(Header::EXPIRY),
                grown: header.has(Header::GROWN),
                kind: header.kind(),
                key_len: self.key_len(header),
                value_len: header.value_len(),
            }
        }
    }

    /// Bytes of the allocation.
    unsafe fn size(self) -> usize {
        // SAFETY: the caller's contract; the size is the word in front of the value's.
        unsafe {
            let header = self.header();
            if header.has(Header::GROWN) {
                return self.word::<u64>(header.value_word() - 1).read() as usize;
            }
            size_class(self.shape().bytes())
        }
    }

    /// The expiry, or [`NO_EXPIRY`].
    #[inline(always)]
    unsafe fn expiry(self) -> i64 {
        // SAFETY: the caller's contract; the expiry is the first word behind the header.
        unsafe { if self.header().has(Header::EXPIRY) { self.word::<i64>(1).read() } else { NO_EXPIRY } }
    }

    /// The first byte behind the key.
    #[inline(always)]
    unsafe fn inline(self) -> *mut u8 {
        // SAFETY: the caller's contract.
        unsafe {
            let header = self.header();
            self.0.as_ptr().add(header.key_at() + self.key_len(header))
        }
    }

    /// Writes all but the value of an entry into uninitialised memory of `size` bytes; the header is of that shape.
    unsafe fn init(self, header: Header, shape: Shape, size: usize, expiry: i64, key: &[u8]) {
        debug_assert!(shape.bytes() <= size && shape.key_len == key.len());
        // SAFETY: the memory is the caller's and large enough for the shape; `key` lies elsewhere.
        unsafe {
            self.set_header(header);
            if shape.expiry {
                self.word::<i64>(1).write(expiry);
            }
            if shape.grown {
                self.word::<u64>(header.value_word() - 1).write(size as u64);
            }
            if shape.long_key() {
                self.word::<u64>(header.key_at() / WORD - 1).write(key.len() as u64);
            }
            ptr::copy_nonoverlapping(key.as_ptr(), self.0.as_ptr().add(header.key_at()), key.len());
        }
    }

    /// Writes the value into its place, which holds none; its kind and length are those of the header.
    #[inline]
    unsafe fn put(self, value: NewStr<'_>) {
        // SAFETY: the caller's contract, and a value to store never lies inside of an entry that is written.
        unsafe {
            let header = self.header();
            let place = self.word::<()>(header.value_word());
            match (header.kind(), value) {
                (_, NewStr::Int(n)) => place.cast::<i64>().write(n),
                (Kind::Shared, NewStr::Copy(bytes)) => {
                    place.cast::<Bytes>().write(Bytes::copy_from_slice(bytes));
                }
                (Kind::Shared, NewStr::Share(bytes)) => place.cast::<Bytes>().write(bytes),
                (_, NewStr::Copy(bytes)) => self.put_inline(bytes),
                (_, NewStr::Share(bytes)) => self.put_inline(&bytes),
            }
        }
    }

    #[inline(always)]
    unsafe fn put_inline(self, bytes: &[u8]) {
        // SAFETY: the caller's contract.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.inline(), bytes.len()) }
    }

    /// Drops what the value owns; its place is uninitialised then.
    unsafe fn drop_value(self) {
        // SAFETY: the caller's contract.
        unsafe {
            let header = self.header();
            match header.kind() {
                Kind::Inline | Kind::Int => {}
                Kind::Shared => self.word::<Bytes>(header.value_word()).drop_in_place(),
                Kind::Object => self.drop_object(header),
            }
        }
    }

    #[inline(never)]
    unsafe fn drop_object(self, header: Header) {
        // SAFETY: the caller's contract; the word is that of a collection of the header's type and encoding, unless it
        // is null because a borrow of it was never given back.
        unsafe {
            let word = self.word::<*mut u8>(header.value_word()).read();
            let Some(word) = NonNull::new(word) else { return };
            by_type!(header.value_type(), T => drop(T::from_parts(header.encoding(), word)), string => {});
        }
    }

    /// The word of the collection that the entry holds.
    #[inline(always)]
    unsafe fn object_word(self) -> NonNull<u8> {
        // SAFETY: the caller's contract: there is a collection.
        unsafe {
            let word = self.word::<*mut u8>(self.header().value_word()).read();
            NonNull::new(word).expect("a collection is lent out")
        }
    }
}

/// A view of an entry that is borrowed for `'a`; see [`Entry::view`].
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    raw: Raw,
    entry: PhantomData<&'a Entry>,
}

impl<'a> EntryRef<'a> {
    /// The key.
    #[inline(always)]
    pub fn key(self) -> &'a [u8] {
        // SAFETY: the entry is borrowed for 'a.
        unsafe { self.raw.key() }
    }

    /// What the key holds.
    #[inline]
    pub fn value_type(self) -> Type {
        self.header().value_type()
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(self) -> Encoding {
        self.header().encoding()
    }

    /// The string; of a key that holds one.
    ///
    /// # Panics
    /// If it holds anything else.
    #[inline(always)]
    pub fn string(self) -> StrRef<'a> {
        let header = self.header();
        // SAFETY: the entry is borrowed for 'a, and the value is where its kind says.
        unsafe {
            match header.kind() {
                Kind::Inline => {
                    StrRef::Inline(std::slice::from_raw_parts(self.raw.inline(), header.value_len()))
                }
                Kind::Int => StrRef::Int(self.raw.word::<i64>(header.value_word()).read()),
                Kind::Shared => StrRef::Shared(&*self.raw.word::<Bytes>(header.value_word())),
                Kind::Object => panic!("a collection is no string"),
            }
        }
    }

    /// The collection; of a key that holds one of this type.
    ///
    /// # Panics
    /// If it holds anything else.
    #[inline]
    pub fn object<T: Object>(self) -> ObjectRef<'a, T> {
        let header = self.header();
        assert!(
            header.value_type() == T::TYPE && header.kind() == Kind::Object,
            "a value is read as what it is"
        );
        // SAFETY: the entry is borrowed for 'a; its word is of a collection of this type and encoding.
        unsafe { ObjectRef::new(header.encoding(), self.raw.object_word()) }
    }

    /// Asks for the first line of a collection to be fetched.
    #[inline]
    pub fn prefetch_value(self) {
        if self.header().kind() == Kind::Object {
            // SAFETY: the entry is borrowed, and holds a collection.
            prefetch(unsafe { self.raw.object_word() }.as_ptr());
        }
    }

    /// The expiry as Unix time in milliseconds.
    #[inline(always)]
    pub fn expiry(self) -> Option<i64> {
        // SAFETY: the entry is borrowed.
        match unsafe { self.raw.expiry() } {
            NO_EXPIRY => None,
            at_ms => Some(at_ms),
        }
    }

    /// Whether the key has expired at `now_ms`.
    #[inline(always)]
    pub fn expired(self, now_ms: u64) -> bool {
        self.expiry().is_some_and(|at_ms| at_ms < now_ms as i64)
    }

    /// The access clock, 24 bits: see `db::evict`.
    #[inline(always)]
    pub fn clock(self) -> u32 {
        self.header().clock()
    }

    /// Sets the access clock. The line is written only if the clock changes, which keeps it clean (and shared with a
    /// child that saves) most of the time.
    #[inline(always)]
    pub fn set_clock(self, clock: u32) {
        let header = self.header();
        if header.clock() != clock {
            // SAFETY: the entry is borrowed, and nobody holds a reference to its header.
            unsafe { self.raw.set_header(header.with_clock(clock)) }
        }
    }

    /// Where the entry is in memory: stays the same as long as the value is changed in place.
    pub fn addr(self) -> usize {
        self.raw.0.addr().get()
    }

    /// Bytes of memory that key and value take, with what the allocator rounds up. Of a large collection, the size of
    /// `samples` elements is taken for that of all (0: all are looked at).
    pub fn mem_bytes(self, samples: usize) -> usize {
        let block = by_type!(self.value_type(), T => self.object::<T>().mem_bytes(samples), string => {
            match self.string() {
                StrRef::Shared(bytes) => good_size(bytes.len()),
                StrRef::Int(_) | StrRef::Inline(_) => 0,
            }
        });
        // SAFETY: the entry is borrowed.
        unsafe { self.raw.size() + block }
    }

    /// How many allocations go when the entry is dropped, roughly.
    pub fn free_effort(self) -> usize {
        by_type!(self.value_type(), T => self.object::<T>().free_effort(), string => 1)
    }

    /// Length of the value: bytes of a string, elements of anything else.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(self) -> usize {
        by_type!(self.value_type(), T => self.object::<T>().len(), string => self.string().len())
    }

    /// When the first part of the value that has an expiry of its own expires, as Unix time in milliseconds.
    #[inline]
    pub fn next_expiry(self) -> Option<i64> {
        by_type!(self.value_type(), T => self.object::<T>().next_expiry(), string => None)
    }

    /// The same value, encoding, expiry and clock under another key. A block is shared by the two.
    pub fn copy_to(self, key: &[u8]) -> Entry {
        by_type!(self.value_type(), T => {
            let copy = T::clone(&self.object::<T>());
            return Entry::with_object(key, copy, self.expiry(), self.clock());
        }, string => {});
        let value = self.string().to_new();
        let form = (value.form().0, self.encoding());
        Entry::build(key, value, form, self.expiry(), self.clock())
    }

    #[inline(always)]
    fn header(self) -> Header {
        // SAFETY: the entry is borrowed.
        unsafe { self.raw.header() }
    }
}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("encoding", &self.encoding())
            .field("expiry", &self.expiry())
            .finish_non_exhaustive()
    }
}

/// A key with its value, owned.
#[repr(transparent)]
pub struct Entry(Raw);

// SAFETY: an entry owns its allocation and the block it may point to, and `Bytes` is `Send`. It is not `Sync`: the
// clock is written through shared references.
unsafe impl Send for Entry {}

// SAFETY: an entry is one pointer, and stands for none but its own allocation; a view of it is sound as long as it
// lives unchanged.
unsafe impl Element for Entry {
    type Ref<'t> = EntryRef<'t>;

    #[inline(always)]
    unsafe fn borrow<'t>(raw: NonNull<u8>) -> EntryRef<'t> {
        EntryRef { raw: Raw(raw), entry: PhantomData }
    }

    #[inline(always)]
    fn key_of<'t>(element: Self::Ref<'t>) -> &'t [u8] {
        element.key()
    }
}

impl Entry {
    /// An entry with or without an expiry, a Unix time in milliseconds, not negative.
    #[inline]
    pub fn new(key: &[u8], value: NewStr<'_>, expiry: Option<i64>, clock: u32) -> Entry {
        let form = value.form();
        Self::build(key, value, form, expiry, clock)
    }

    fn build(
        key: &[u8],
        value: NewStr<'_>,
        (kind, encoding): (Kind, Encoding),
        expiry: Option<i64>,
        clock: u32,
    ) -> Entry {
        debug_assert!(expiry.is_none_or(|at_ms| at_ms >= 0));
        let value_len = if kind == Kind::Inline { value.len() } else { 0 };
        let shape = Shape { expiry: expiry.is_some(), grown: false, kind, key_len: key.len(), value_len };
        let size = size_class(shape.bytes());
        let raw = Raw::allocate(size);
        let header = Header::new(shape, Type::String, encoding, clock);
        // SAFETY: the memory is new, and large enough for a shape that was made for the value.
        unsafe {
            raw.init(header, shape, size, expiry.unwrap_or(NO_EXPIRY), key);
            raw.put(value);
        }
        Entry(raw)
    }

    /// An entry that holds a collection.
    pub fn with_object<T: Object>(key: &[u8], value: T, expiry: Option<i64>, clock: u32) -> Entry {
        debug_assert!(expiry.is_none_or(|at_ms| at_ms >= 0));
        let shape = Shape {
            expiry: expiry.is_some(),
            grown: false,
            kind: Kind::Object,
            key_len: key.len(),
            value_len: 0,
        };
        let size = size_class(shape.bytes());
        let raw = Raw::allocate(size);
        let (encoding, word) = value.into_parts();
        let header = Header::new(shape, T::TYPE, encoding, clock);
        // SAFETY: the memory is new, and large enough for the shape, which has one word for the value.
        unsafe {
            raw.init(header, shape, size, expiry.unwrap_or(NO_EXPIRY), key);
            raw.word::<NonNull<u8>>(header.value_word()).write(word);
        }
        Entry(raw)
    }

    /// The same entry under another key.
    #[must_use]
    pub fn rename(mut self, key: &[u8]) -> Entry {
        // SAFETY: the entry is owned.
        unsafe {
            let shape = Shape { key_len: key.len(), grown: false, ..self.0.shape() };
            self.move_to(shape, size_class(shape.bytes()), key);
        }
        self
    }

    /// The collection, to be changed; of a key that holds one of this type.
    ///
    /// # Panics
    /// If it holds anything else.
    #[inline]
    pub fn object_mut<T: Object>(&mut self) -> ObjectMut<'_, T> {
        let header = self.view().header();
        assert!(
            header.value_type() == T::TYPE && header.kind() == Kind::Object,
            "a value is read as what it is"
        );
        // SAFETY: the entry is borrowed mutably for as long as the guard lives; its word is of a collection of this type
        // and encoding.
        unsafe { ObjectMut::new(self.0, header) }
    }

    /// A view, which all that reads is a method of.
    #[inline(always)]
    pub fn view(&self) -> EntryRef<'_> {
        EntryRef { raw: self.0, entry: PhantomData }
    }

    /// Stores another value. The clock stays.
    #[inline]
    pub fn set_string(&mut self, value: NewStr<'_>, expiry: Expiry) {
        let (kind, encoding) = value.form();
        // SAFETY: the entry is borrowed mutably, and alive.
        let old = unsafe { self.0.shape() };
        let new = Shape {
            expiry: old.expiry || matches!(expiry, Expiry::At(_)),
            value_len: if kind == Kind::Inline { value.len() } else { 0 },
            kind,
            ..old
        };
        if new.expiry != old.expiry || kind != old.kind || !self.suits(new, old) {
            return self.replace(value, expiry);
        }
        // SAFETY: the entry is borrowed mutably; the new value has its place where the old one had. The old one is
        // dropped before.
        unsafe {
            self.0.drop_value();
            let header = self.0.header().with_value_len(new.value_len).with_encoding(encoding);
            self.0.set_header(header);
            self.0.put(value);
        }
        match expiry {
            Expiry::Keep => {}
            Expiry::Clear => self.clear_expiry(),
            Expiry::At(at_ms) => self.set_expiry(at_ms),
        }
    }

    /// Whether the allocation is neither too small nor too large for `new`, which has the words of `old`, the
    /// present shape.
    #[inline]
    fn suits(&self, new: Shape, old: Shape) -> bool {
        if new.value_len == old.value_len {
            return true;
        }
        let (size, wanted) = (self.size(), new.bytes());
        if old.grown { wanted <= size && size - wanted <= size / 4 } else { size_class(wanted) == size }
    }

    /// Builds the entry anew with another value.
    #[inline(never)]
    fn replace(&mut self, value: NewStr<'_>, expiry: Expiry) {
        let view = self.view();
        let at_ms = match expiry {
            Expiry::Keep => view.expiry(),
            Expiry::Clear => None,
            Expiry::At(at_ms) => Some(at_ms),
        };
        *self = Entry::new(view.key(), value, at_ms, view.clock());
    }

    /// Sets the expiry to the Unix time `at_ms`, which is not negative.
    pub fn set_expiry(&mut self, at_ms: i64) {
        debug_assert!(at_ms >= 0);
        // SAFETY: the entry is borrowed mutably, and has the word once it is rebuilt.
        unsafe {
            let shape = self.0.shape();
            if !shape.expiry {
                let shape = Shape { expiry: true, ..shape };
                self.rebuild(shape, size_class(shape.bytes()));
            }
            self.0.word::<i64>(1).write(at_ms);
        }
    }

    /// Clears the expiry; its word remains, for the next one.
    pub fn clear_expiry(&mut self) {
        // SAFETY: the entry is borrowed mutably, and the word is there.
        unsafe {
            if self.0.header().has(Header::EXPIRY) {
                self.0.word::<i64>(1).write(NO_EXPIRY);
            }
        }
    }

    /// Writes `bytes` at `offset` of the string, which grows as far as it must; a gap is filled with zeroes. The
    /// encoding becomes `raw`.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        match self.view().string() {
            StrRef::Shared(_) => return self.write_block_at(offset, bytes),
            StrRef::Int(n) => {
                let mut digits = itoa::Buffer::new();
                self.set_string(NewStr::Copy(digits.format(n).as_bytes()), Expiry::Keep);
            }
            StrRef::Inline(_) => {}
        }
        let len = (offset + bytes.len()).max(self.view().string().len());
        if len > INLINE_MAX {
            self.move_to_block(len);
            self.write_block_at(offset, bytes);
        } else {
            self.write_inline_at(offset, bytes, len);
        }
    }

    /// [`Entry::write_at`] of an inline string whose length becomes `len`.
    fn write_inline_at(&mut self, offset: usize, bytes: &[u8], len: usize) {
        self.reserve_inline(len);
        // SAFETY: the entry is borrowed mutably, inline, and has room for `len` bytes, of which all up to `offset`
        // and from the end of `bytes` on are or become initialised.
        unsafe {
            let header = self.0.header();
            let (value, old_len) = (self.0.inline(), header.value_len());
            if offset > old_len {
                value.add(old_len).write_bytes(0, offset - old_len);
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), value.add(offset), bytes.len());
            self.0.set_header(header.with_value_len(len).with_encoding(Encoding::Raw));
        }
    }

    /// Makes room for an inline value of `len` bytes, which is not shorter than the present one.
    fn reserve_inline(&mut self, len: usize) {
        // SAFETY: the entry is borrowed.
        let old = unsafe { self.0.shape() };
        let wanted = Shape { value_len: len, ..old }.bytes();
        let fits = if old.grown { wanted <= self.size() } else { size_class(wanted) == self.size() };
        if !fits {
            let grown = Shape { grown: true, ..old };
            let roomy = Shape { value_len: with_slack(len).min(INLINE_MAX), ..grown };
            self.rebuild(grown, size_class(roomy.bytes()));
        }
    }

    /// Moves an inline value into a block of its own, with room for the `len` bytes that it is about to have.
    fn move_to_block(&mut self, len: usize) {
        let view = self.view();
        let mut block = Vec::with_capacity(with_slack(len));
        block.extend_from_slice(view.string().bytes(&mut itoa::Buffer::new()));
        let value = NewStr::Share(Bytes::from(block));
        *self = Self::build(view.key(), value, (Kind::Shared, Encoding::Raw), view.expiry(), view.clock());
    }

    /// [`Entry::write_at`] of a string in a block of its own.
    fn write_block_at(&mut self, offset: usize, bytes: &[u8]) {
        // SAFETY: the entry is borrowed mutably, and its value is a block.
        unsafe {
            let header = self.0.header().with_encoding(Encoding::Raw);
            self.0.set_header(header);
            let block = &mut *self.0.word::<Bytes>(header.value_word());
            *block = write_block(std::mem::take(block), offset, bytes);
        }
    }

    /// Moves everything to a new allocation of `size` bytes. `shape` differs from the present one in nothing but
    /// `expiry` and `grown`.
    fn rebuild(&mut self, shape: Shape, size: usize) {
        // SAFETY: the key lives until the old allocation is freed, which is the last that `move_to` does.
        unsafe { self.move_to(shape, size, self.0.key()) }
    }

    /// Moves everything but the key to a new allocation of `size` bytes. `shape` differs from the present one in nothing
    /// but `expiry`, `grown` and the length of the key.
    ///
    /// # Safety
    ///
    /// - `key` may lie in the present allocation, and nowhere else that is freed here.
    unsafe fn move_to(&mut self, shape: Shape, size: usize, key: &[u8]) {
        let new = Raw::allocate(size);
        // SAFETY: the entry is borrowed mutably. The new memory is large enough for the shape; the value is moved
        // bit by bit, and then not dropped where it was.
        unsafe {
            let old = self.0;
            let header = old.header();
            let header = Header::new(shape, header.value_type(), header.encoding(), header.clock());
            new.init(header, shape, size, old.expiry(), key);
            let (from, to) = (old.header().value_word(), header.value_word());
            ptr::copy_nonoverlapping(old.word::<u64>(from), new.word::<u64>(to), shape.kind.words());
            ptr::copy_nonoverlapping(old.inline(), new.inline(), shape.value_len);
            let old_size = old.size();
            self.0 = new;
            old.free(old_size);
        }
    }

    #[inline]
    fn size(&self) -> usize {
        // SAFETY: the entry is borrowed.
        unsafe { self.0.size() }
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the entry is owned, and not used again.
        unsafe {
            let size = self.0.size();
            self.0.drop_value();
            self.0.free(size);
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// Writes `bytes` at `offset` of a block, which is copied if a reply shares it and grows if it must.
fn write_block(block: Bytes, offset: usize, bytes: &[u8]) -> Bytes {
    let old_len = block.len();
    let len = (offset + bytes.len()).max(old_len);
    let mut block = match block.try_into_mut() {
        Ok(block) if len <= block.capacity() => block,
        Ok(block) => {
            let mut vec = Vec::from(block);
            vec.reserve_exact(with_slack(len) - old_len);
            BytesMut::from(Bytes::from(vec))
        }
        Err(shared) => {
            let mut copy = BytesMut::with_capacity(if len > old_len { with_slack(len) } else { len });
            copy.extend_from_slice(&shared);
            copy
        }
    };
    if offset >= old_len {
        block.resize(offset, 0);
        block.extend_from_slice(bytes);
    } else {
        let inside = bytes.len().min(old_len - offset);
        block[offset..offset + inside].copy_from_slice(&bytes[..inside]);
        block.extend_from_slice(&bytes[inside..]);
    }
    block.freeze()
}

/// A borrow of an entry, by its lifetime: what [`lend`] lends.
pub trait Loan {
    /// The borrow.
    type For<'a>;
}

/// A shared borrow, an [`EntryRef`].
#[derive(Debug)]
pub struct Shared;

impl Loan for Shared {
    type For<'a> = EntryRef<'a>;
}

/// Takes a borrow out of `owner` to be returned, or gives `owner` back if there is nothing to take.
///
/// A lookup either returns what it found or goes on (the key had expired and must be deleted). The borrow checker
/// believes that what *may* be returned is borrowed on every path, and so rejects the obvious way to write that; with
/// the next one, Polonius, this function would be a plain `match`.
#[inline(always)]
pub fn lend<'a, L: Loan, S>(
    owner: &'a mut S,
    take: impl for<'b> FnOnce(&'b mut S) -> Option<L::For<'b>>,
) -> Result<L::For<'a>, &'a mut S> {
    let owner: *mut S = owner;
    // SAFETY: `owner` is borrowed mutably for 'a and not used otherwise. If `take` returns nothing then nothing is
    // left of the borrow that it had: it works for any lifetime, and so cannot keep what it borrowed anywhere.
    match take(unsafe { &mut *owner }) {
        Some(taken) => Ok(taken),
        // SAFETY: as above.
        None => Err(unsafe { &mut *owner }),
    }
}

#[cfg(test)]
mod tests;
