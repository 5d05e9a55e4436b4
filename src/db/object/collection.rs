//! How an entry holds a collection: one word, and an encoding in its header.
//!
//! A value type is an ordinary enum whose variants each own one pointer: a box, or a handle that is as thin as one.
//!
//! ```text
//!     enum Set { IntSet(IntSet), Listpack(Listpack), Table(Box<HashTable<Member>>) }
//! ```
//!
//! In memory that would be two words, the enum's tag and the pointer. The entry's header has the tag already, as the
//! encoding, so only the pointer is stored ([`Object::into_parts`]), and the enum is put together again for whoever works
//! with it: [`ObjectRef`] to read, [`ObjectMut`] to change. Putting together is a matter of registers. A change may
//! replace the enum by another variant, which is how values change their encoding: pointer and encoding are written back
//! when the [`ObjectMut`] is dropped.
//!
//! # Invariants
//!
//! - Between the making of an `ObjectMut` and its end, the entry's word is null. Should the guard be leaked, the entry has
//!   lost its value (a leak, and a panic for the next who asks), but nothing is owned twice.
//! - The enum that an `ObjectRef` shows is a copy of bits, in a `MaybeUninit` so that it claims to own nothing: it is
//!   never dropped and never moved out of.

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{Encoding, Header, Raw, Type};
use crate::ds::intset::IntSet;
use crate::ds::listpack::Listpack;

/// A handle of one word that owns something.
///
/// # Safety
///
/// - `from_word` of the result of `into_word` is the same handle; it is the only way that the word is used.
/// - The handle may be moved by copying its bits.
pub unsafe trait Word: Sized + Send {
    /// Gives up the handle for its word.
    fn into_word(self) -> NonNull<u8>;

    /// The handle again.
    ///
    /// # Safety
    ///
    /// - The word is from [`Word::into_word`] of the same type, and no other handle that owns is made of it.
    unsafe fn from_word(word: NonNull<u8>) -> Self;
}

// SAFETY: a box is its pointer.
unsafe impl<T: Send> Word for Box<T> {
    #[inline(always)]
    fn into_word(self) -> NonNull<u8> {
        NonNull::from(Box::leak(self)).cast()
    }

    #[inline(always)]
    unsafe fn from_word(word: NonNull<u8>) -> Self {
        // SAFETY: the caller's contract.
        unsafe { Box::from_raw(word.cast().as_ptr()) }
    }
}

// SAFETY: a listpack is a pointer.
unsafe impl Word for Listpack {
    #[inline(always)]
    fn into_word(self) -> NonNull<u8> {
        self.into_raw()
    }

    #[inline(always)]
    unsafe fn from_word(word: NonNull<u8>) -> Self {
        // SAFETY: the caller's contract.
        unsafe { Listpack::from_raw(word) }
    }
}

// SAFETY: a set of integers is a pointer.
unsafe impl Word for IntSet {
    #[inline(always)]
    fn into_word(self) -> NonNull<u8> {
        self.into_raw()
    }

    #[inline(always)]
    unsafe fn from_word(word: NonNull<u8>) -> Self {
        // SAFETY: the caller's contract.
        unsafe { IntSet::from_raw(word) }
    }
}

/// What is asked of every collection, whatever its type.
pub trait Collection: Clone + Send {
    /// Bytes of memory behind the entry, with what the allocator rounds up. The size of `samples` elements is taken for
    /// that of all; with 0, all are looked at.
    fn mem_bytes(&self, samples: usize) -> usize;

    /// How many allocations go when the value is dropped, roughly: what decides whether that is done in passing or by
    /// another thread.
    fn free_effort(&self) -> usize;

    /// Number of elements: what is counted as the key's length.
    fn len(&self) -> usize;

    /// Whether there is no element. A key does not outlive its last one, streams apart.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the first part of it that has an expiry of its own expires, as Unix time in milliseconds.
    fn next_expiry(&self) -> Option<i64> {
        None
    }
}

/// A collection that an entry can hold; implemented by `object_type!`.
///
/// # Safety
///
/// - `from_parts` of the result of `into_parts` is the same value.
/// - The word owns the value: it is not part of anything else.
pub unsafe trait Object: Collection {
    /// The type that TYPE answers.
    const TYPE: Type;

    /// What OBJECT ENCODING answers.
    fn encoding(&self) -> Encoding;

    /// Takes the value apart.
    fn into_parts(self) -> (Encoding, NonNull<u8>);

    /// Puts the value together.
    ///
    /// # Safety
    ///
    /// - Both are from [`Object::into_parts`] of this type.
    /// - Of all values made of one word only one is dropped or moved from, and none is changed while another is used.
    unsafe fn from_parts(encoding: Encoding, word: NonNull<u8>) -> Self;
}

/// Makes an enum an [`Object`]: `object_type! { Set: Type::Set { IntSet(IntSet) = Encoding::IntSet, ... } }`. Each variant
/// has one field, of a type that is a [`Word`], and an encoding of its own.
macro_rules! object_type {
    ($name:ident: $type:path { $($variant:ident($word:ty) = $encoding:path),+ $(,)? }) => {
        // SAFETY: each variant is taken apart into its encoding and its word, and put together from them.
        unsafe impl $crate::db::object::Object for $name {
            const TYPE: $crate::db::object::Type = $type;

            #[inline(always)]
            fn encoding(&self) -> $crate::db::object::Encoding {
                match self {
                    $($name::$variant(_) => $encoding,)+
                }
            }

            #[inline(always)]
            fn into_parts(self) -> ($crate::db::object::Encoding, std::ptr::NonNull<u8>) {
                match self {
                    $($name::$variant(word) => ($encoding, $crate::db::object::Word::into_word(word)),)+
                }
            }

            #[inline(always)]
            unsafe fn from_parts(
                encoding: $crate::db::object::Encoding,
                word: std::ptr::NonNull<u8>,
            ) -> Self {
                match encoding {
                    // SAFETY: the caller's contract: the encoding says which type the word is of.
                    $($encoding => $name::$variant(unsafe {
                        <$word as $crate::db::object::Word>::from_word(word)
                    }),)+
                    other => unreachable!("{other:?} is no encoding of this type"),
                }
            }
        }

        impl $crate::db::ValueType for $name {
            const TYPE: $crate::db::object::Type = $type;
            type Ref<'a> = $crate::db::object::ObjectRef<'a, $name>;

            #[inline(always)]
            fn value(entry: $crate::db::object::EntryRef<'_>) -> Self::Ref<'_> {
                entry.object()
            }
        }
    };
}
pub(super) use object_type;

/// A collection that is read; it dereferences to the value.
pub struct ObjectRef<'a, T: Object> {
    /// Bits of the value that the entry owns.
    value: MaybeUninit<T>,
    entry: PhantomData<&'a T>,
}

impl<T: Object> ObjectRef<'_, T> {
    /// # Safety
    ///
    /// - Encoding and word are those of an entry that is borrowed for `'a` and holds a `T`.
    #[inline(always)]
    pub(super) unsafe fn new(encoding: Encoding, word: NonNull<u8>) -> Self {
        // SAFETY: the caller's contract; what is put together is only shared, and never dropped.
        ObjectRef { value: MaybeUninit::new(unsafe { T::from_parts(encoding, word) }), entry: PhantomData }
    }
}

impl<T: Object> Deref for ObjectRef<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the value was put in when this was made.
        unsafe { self.value.assume_init_ref() }
    }
}

impl<T: Object + fmt::Debug> fmt::Debug for ObjectRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A collection that is changed; it dereferences to the value, and puts it back when it is dropped.
pub struct ObjectMut<'a, T: Object> {
    raw: Raw,
    header: Header,
    value: MaybeUninit<T>,
    entry: PhantomData<&'a mut T>,
}

impl<T: Object> ObjectMut<'_, T> {
    /// # Safety
    ///
    /// - `raw` is of an entry that is borrowed mutably for `'a` and holds a `T`; `header` is its header.
    #[inline(always)]
    pub(super) unsafe fn new(raw: Raw, header: Header) -> Self {
        // SAFETY: the caller's contract. From here on the entry's word is null, so that the value has one owner.
        unsafe {
            let word = raw.object_word();
            raw.word::<*mut u8>(header.value_word()).write(std::ptr::null_mut());
            let value = MaybeUninit::new(T::from_parts(header.encoding(), word));
            ObjectMut { raw, header, value, entry: PhantomData }
        }
    }

    /// The key of the entry.
    pub fn key(&self) -> &[u8] {
        // SAFETY: the entry is borrowed, and its key lies apart from the value.
        unsafe { self.raw.key() }
    }
}

impl<T: Object> Deref for ObjectMut<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the value was put in when this was made.
        unsafe { self.value.assume_init_ref() }
    }
}

impl<T: Object> DerefMut for ObjectMut<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value was put in when this was made.
        unsafe { self.value.assume_init_mut() }
    }
}

impl<T: Object> Drop for ObjectMut<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the value is taken out once, here; the entry is borrowed mutably, and its word is null. The clock may
        // have been moved on meanwhile, so the header is read again.
        unsafe {
            let (encoding, word) = self.value.assume_init_read().into_parts();
            self.raw.word::<NonNull<u8>>(self.header.value_word()).write(word);
            if encoding != self.header.encoding() {
                self.raw.set_header(self.raw.header().with_encoding(encoding));
            }
        }
    }
}

impl<T: Object + fmt::Debug> fmt::Debug for ObjectMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
