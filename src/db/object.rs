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
//!        │ the value: an i64 (INT),                        │                 │ counted in the
//!        │ or a `bytes::Bytes`, four words (SHARED)        │   unless INLINE │ header
//!        ├─────────────────────────────────────────────────┤                 │
//!        │ length of the key, u64                          │   if LONG_KEY   ┘
//!        └─────────────────────────────────────────────────┘
//!        ┌────────────────────────┬────────────────────────┬─ ─ ─ ─┐
//!        │ key                    │ value (INLINE)         │ slack │   bytes, not aligned
//!        └────────────────────────┴────────────────────────┴─ ─ ─ ─┘
//!
//!   header, from bit 0:   4 type      4 encoding
//!                         1 EXPIRY    1 LONG_KEY    1 GROWN    2 kind (INLINE, INT, SHARED)    3 words
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
//! A fourth kind, for the types to come, is a word that holds the box of a collection: it differs from SHARED in
//! nothing but the type that is read from, and dropped at, the value's place.
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
//! - The header and the bytes in use are initialised, slack need not be; a SHARED value is a live `Bytes`.
//! - No reference to a header is ever made: the access clock is written while others hold views of the entry.
//! - An `EntryRef` lives no longer than a borrow of its `Entry`, and everything but the clock changes through
//!   `&mut Entry` alone.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::{self, NonNull};

use bytes::{Bytes, BytesMut};

use crate::ds::hashtable::Element;
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
}

impl Type {
    /// The name that TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
        }
    }
}

/// What OBJECT ENCODING answers. The numbers are upstream's `OBJ_ENCODING_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// A string longer than [`EMBSTR_MAX`], or one that was changed in place.
    Raw = 0,
    /// A string that reads as a 64-bit integer.
    Int = 1,
    /// A short string.
    EmbStr = 8,
}

impl Encoding {
    /// The name that OBJECT ENCODING answers.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::Int => "int",
            Encoding::EmbStr => "embstr",
        }
    }

    fn from_nibble(nibble: u64) -> Encoding {
        match nibble {
            1 => Encoding::Int,
            8 => Encoding::EmbStr,
            _ => Encoding::Raw,
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
}

impl Kind {
    /// Words that the value takes in front of the key.
    const fn words(self) -> usize {
        match self {
            Kind::Inline => 0,
            Kind::Int => 1,
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

    fn new(shape: Shape, encoding: Encoding, clock: u32) -> Header {
        let key_len = if shape.long_key() { 0 } else { shape.key_len };
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        Header(
            Type::String as u64
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
            _ => Kind::Shared,
        }
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

    /// Writes all but the value of an entry into uninitialised memory of `size` bytes.
    unsafe fn init(self, shape: Shape, size: usize, encoding: Encoding, clock: u32, expiry: i64, key: &[u8]) {
        debug_assert!(shape.bytes() <= size && shape.key_len == key.len());
        let header = Header::new(shape, encoding, clock);
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
            if header.kind() == Kind::Shared {
                self.word::<Bytes>(header.value_word()).drop_in_place();
            }
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
        // The type nibble is 0, the only type there is.
        Type::String
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(self) -> Encoding {
        Encoding::from_nibble(self.header().0 >> Header::ENCODING & 15)
    }

    /// The string; of a key that holds one.
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
            }
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

    /// Bytes of memory that key and value take, with what the allocator rounds up.
    pub fn mem_bytes(self) -> usize {
        let block = match self.string() {
            StrRef::Shared(bytes) => good_size(bytes.len()),
            StrRef::Int(_) | StrRef::Inline(_) => 0,
        };
        // SAFETY: the entry is borrowed.
        unsafe { self.raw.size() + block }
    }

    /// The same value, encoding, expiry and clock under another key. A block is shared by the two.
    pub fn copy_to(self, key: &[u8]) -> Entry {
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
        // SAFETY: the memory is new, and large enough for a shape that was made for the value.
        unsafe {
            raw.init(shape, size, encoding, clock, expiry.unwrap_or(NO_EXPIRY), key);
            raw.put(value);
        }
        Entry(raw)
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
        let new = Raw::allocate(size);
        // SAFETY: the entry is borrowed mutably. The new memory is large enough for the shape; the value is moved
        // bit by bit, and then not dropped where it was.
        unsafe {
            let (old, encoding, clock) = (self.0, self.view().encoding(), self.view().clock());
            new.init(shape, size, encoding, clock, old.expiry(), old.key());
            let (from, to) = (old.header().value_word(), new.header().value_word());
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What an entry should be.
    #[derive(Debug, Clone)]
    struct Model {
        key: Vec<u8>,
        value: Vec<u8>,
        encoding: Encoding,
        expiry: Option<i64>,
        clock: u32,
    }

    impl Model {
        fn check(&self, entry: &Entry) {
            let view = entry.view();
            assert!(view.key() == self.key);
            assert!(view.string().bytes(&mut itoa::Buffer::new()) == self.value);
            assert!(view.string().to_bytes() == self.value);
            assert_eq!(view.string().len(), self.value.len());
            assert_eq!(view.string().as_int(), numbers::parse_i64(&self.value));
            assert_eq!((view.encoding(), view.expiry()), (self.encoding, self.expiry));
            assert_eq!(view.clock(), self.clock);
            let used =
                WORD + self.key.len() + if self.encoding == Encoding::Int { 0 } else { self.value.len() };
            assert!(view.mem_bytes() >= used);
            assert!(entry.size() >= entry.shape().bytes() && entry.size().is_multiple_of(WORD));
            assert!(view.expiry().is_none() || entry.shape().expiry);
        }

        fn set(&mut self, value: &[u8], expiry: Expiry) {
            self.value = value.to_vec();
            self.encoding = match value.len() {
                ..=INT_TEXT_MAX if numbers::parse_i64(value).is_some() => Encoding::Int,
                ..=EMBSTR_MAX => Encoding::EmbStr,
                _ => Encoding::Raw,
            };
            match expiry {
                Expiry::Keep => {}
                Expiry::Clear => self.expiry = None,
                Expiry::At(at_ms) => self.expiry = Some(at_ms),
            }
        }

        fn write_at(&mut self, offset: usize, bytes: &[u8]) {
            self.value.resize(self.value.len().max(offset + bytes.len()), 0);
            self.value[offset..offset + bytes.len()].copy_from_slice(bytes);
            self.encoding = Encoding::Raw;
        }
    }

    impl Entry {
        fn shape(&self) -> Shape {
            // SAFETY: the entry is borrowed.
            unsafe { self.0.shape() }
        }
    }

    fn encode(value: &[u8], share: bool) -> NewStr<'_> {
        match NewStr::encode(value) {
            NewStr::Copy(bytes) if share => NewStr::Share(Bytes::copy_from_slice(bytes)),
            other => other,
        }
    }

    #[derive(Debug, Clone)]
    enum Op {
        Set(Vec<u8>, bool, Expiry),
        WriteAt(usize, Vec<u8>),
        Append(Vec<u8>),
        SetExpiry(i64),
        ClearExpiry,
        SetClock(u32),
        /// Share the value with a reply, or take back what was shared.
        Share(bool),
        CopyTo(Vec<u8>),
    }

    fn bytes_of(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        (len, any::<u8>())
            .prop_map(|(len, seed)| (0..len).map(|i| seed.wrapping_add((i / 3) as u8)).collect())
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => bytes_of(0..150),
            2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            1 => (0..99i64).prop_map(|n| n.to_string().into_bytes()),
            1 => bytes_of(0..2000),
            1 => bytes_of(INLINE_MAX - 20..INLINE_MAX + 20),
            1 => bytes_of(0..100_000),
        ]
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![8 => bytes_of(0..64), 2 => bytes_of(250..260), 1 => bytes_of(0..5000)]
    }

    fn op() -> impl Strategy<Value = Op> {
        let expiry = prop_oneof![Just(Expiry::Keep), Just(Expiry::Clear), (0..i64::MAX).prop_map(Expiry::At)];
        prop_oneof![
            4 => (value(), any::<bool>(), expiry).prop_map(|(v, share, e)| Op::Set(v, share, e)),
            2 => (0..300usize, bytes_of(0..100)).prop_map(|(at, b)| Op::WriteAt(at, b)),
            1 => (0..40_000usize, bytes_of(1..9000)).prop_map(|(at, b)| Op::WriteAt(at, b)),
            4 => bytes_of(1..40).prop_map(Op::Append),
            1 => bytes_of(1..9000).prop_map(Op::Append),
            1 => (0..i64::MAX).prop_map(Op::SetExpiry),
            1 => Just(Op::ClearExpiry),
            1 => (0..=CLOCK_MASK).prop_map(Op::SetClock),
            1 => any::<bool>().prop_map(Op::Share),
            1 => key().prop_map(Op::CopyTo),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_its_model(key in key(), first in value(), ops in prop::collection::vec(op(), 1..40)) {
            let mut model = Model { key, value: vec![], encoding: Encoding::Raw, expiry: None, clock: 7 };
            model.set(&first, Expiry::Keep);
            let mut entry = Entry::new(&model.key, encode(&first, false), None, 7);
            let mut shared: Option<(Bytes, Vec<u8>)> = None;
            for op in ops {
                model.check(&entry);
                match op {
                    Op::Set(value, share, expiry) => {
                        entry.set_string(encode(&value, share), expiry);
                        model.set(&value, expiry);
                    }
                    Op::WriteAt(offset, bytes) => {
                        entry.write_at(offset, &bytes);
                        model.write_at(offset, &bytes);
                    }
                    Op::Append(bytes) => {
                        let end = entry.view().string().len();
                        entry.write_at(end, &bytes);
                        model.write_at(end, &bytes);
                    }
                    Op::SetExpiry(at_ms) => {
                        entry.set_expiry(at_ms);
                        model.expiry = Some(at_ms);
                    }
                    Op::ClearExpiry => {
                        entry.clear_expiry();
                        model.expiry = None;
                    }
                    Op::SetClock(clock) => {
                        entry.view().set_clock(clock);
                        model.clock = clock;
                    }
                    Op::Share(true) => shared = Some((entry.view().string().to_bytes(), model.value.clone())),
                    Op::Share(false) => shared = None,
                    Op::CopyTo(key) => {
                        let copy = entry.view().copy_to(&key);
                        model.check(&entry);
                        model.key = key;
                        entry = copy;
                    }
                }
                if let Some((bytes, then)) = &shared {
                    assert!(bytes == then, "what a reply holds must not change");
                }
            }
            model.check(&entry);
        }
    }

    #[test]
    fn small_entries_fill_their_size_class() {
        let size = |key: usize, value: NewStr<'_>, expiry: Option<i64>| {
            Entry::new(&vec![b'k'; key], value, expiry, 0).view().mem_bytes()
        };
        let text = [b'v'; 100_000];
        assert_eq!(size(16, NewStr::Copy(&text[..8]), None), 32);
        assert_eq!(size(16, NewStr::Int(-5), None), 32);
        assert_eq!(size(16, NewStr::Copy(&text[..64]), None), 96);
        assert_eq!(size(16, NewStr::Copy(&text[..64]), Some(9)), 96);
        assert_eq!(size(16, NewStr::Copy(&text), None), 56 + good_size(text.len()));
        assert_eq!(size(240, NewStr::Int(1), None), 256);
        assert_eq!(size(296, NewStr::Int(1), None), 320, "a word for the key's length");
    }

    #[test]
    fn overwriting_within_a_size_class_moves_nothing() {
        let mut entry = Entry::new(b"sixteen-byte-key", NewStr::Copy(b"12345678x"), None, 0);
        let addr = entry.view().addr();
        for len in [9usize, 16, 10] {
            entry.set_string(NewStr::Copy(&vec![b'x'; len]), Expiry::Clear);
            assert_eq!((entry.view().addr(), entry.size()), (addr, 40));
        }
        entry.set_string(NewStr::Copy(b"12345678"), Expiry::Clear);
        assert_eq!(entry.size(), 32);
    }

    #[test]
    fn integers_and_clocks_change_in_place() {
        let mut entry = Entry::new(b"counter", NewStr::Int(20_000), Some(77), 1);
        let addr = entry.view().addr();
        for n in [20_001, i64::MIN, 0] {
            entry.set_string(NewStr::Int(n), Expiry::Keep);
            entry.view().set_clock(n as u32);
            assert_eq!((entry.view().addr(), entry.view().expiry()), (addr, Some(77)));
            assert_eq!(entry.view().clock(), n as u32 & CLOCK_MASK);
        }
    }

    #[test]
    fn appending_moves_a_string_rarely() {
        let mut entry = Entry::new(b"log", NewStr::Copy(b""), None, 0);
        let (mut addr, mut moves) = (entry.view().addr(), 0);
        for len in 0..100_000 {
            entry.write_at(len, b"x");
            moves += usize::from(entry.view().addr() != addr);
            addr = entry.view().addr();
        }
        assert!(moves < 25, "{moves}");
        assert_eq!((entry.view().string().len(), entry.view().encoding()), (100_000, Encoding::Raw));
        entry.set_string(NewStr::Copy(b"short"), Expiry::Keep);
        assert_eq!((entry.size(), entry.view().encoding()), (16, Encoding::EmbStr));
    }

    #[test]
    fn a_block_is_stored_and_shared_without_a_copy() {
        let block = Bytes::from(vec![b'x'; 40_000]);
        let entry = Entry::new(b"k", NewStr::Share(block.clone()), None, 0);
        let StrRef::Shared(stored) = entry.view().string() else { panic!("a long string is inline") };
        assert_eq!(stored.as_ptr(), block.as_ptr());
    }

    #[cfg(not(feature = "system-malloc"))]
    #[test]
    fn size_classes_are_those_of_the_allocator() {
        for bytes in 1..=32 * 1024 {
            assert_eq!(size_class(bytes), good_size(bytes), "{bytes}");
        }
    }

    #[test]
    fn lend_gives_back_what_it_does_not_lend() {
        let mut entries = vec![Entry::new(b"k", NewStr::Int(1), None, 0)];
        let found = lend::<Shared, _>(&mut entries, |e| e.first().map(Entry::view));
        assert_eq!(found.ok().map(EntryRef::key), Some(&b"k"[..]));
        match lend::<Shared, _>(&mut entries, |e| e.get(7).map(Entry::view)) {
            Ok(_) => panic!("there is no eighth entry"),
            Err(entries) => entries.clear(),
        }
        assert!(entries.is_empty());
    }
}
