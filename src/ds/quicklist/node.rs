//! The nodes: one packed run of elements, one large element, or either of them compressed.

use bytes::Bytes;

use super::Limits;
use crate::ds::listpack::{Listpack, Value};
use crate::ds::{lzf, numbers};
use crate::zmalloc::good_size;

/// The smallest node that is worth compressing.
const COMPRESS_MIN: usize = 48;
/// Compression has to save more bytes than this.
const COMPRESS_GAIN: usize = 8;

/// An element, read from a list or to be put into one.
///
/// As in a listpack, the text of an integer is stored, and read back, as that integer.
#[derive(Clone, Copy, Debug)]
pub enum Element<'a> {
    /// An integer.
    Integer(i64),
    /// A string.
    String(&'a [u8]),
    /// A string in a block of its own. It is shared if it is large enough for a node of its own.
    Block(&'a Bytes),
}

impl<'a> Element<'a> {
    /// The length of its text.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(self) -> usize {
        match self {
            Element::Integer(value) => numbers::decimal_len(value),
            Element::String(text) => text.len(),
            Element::Block(block) => block.len(),
        }
    }

    /// Its text; an integer's digits are written to `digits`.
    pub fn text<'b>(self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Element::Integer(value) => digits.format(value).as_bytes(),
            Element::String(text) => text,
            Element::Block(block) => block,
        }
    }

    /// Its text to keep: a block is shared, anything else copied.
    pub fn to_bytes(self) -> Bytes {
        match self {
            Element::Block(block) => block.clone(),
            other => Bytes::copy_from_slice(other.text(&mut itoa::Buffer::new())),
        }
    }

    /// The element as it is stored in a listpack.
    #[inline]
    pub fn value(self) -> Value<'a> {
        match self {
            Element::Integer(value) => Value::Integer(value),
            Element::String(text) => Value::from(text),
            Element::Block(block) => Value::from(block.as_ref()),
        }
    }
}

impl<'a> From<Value<'a>> for Element<'a> {
    #[inline]
    fn from(value: Value<'a>) -> Element<'a> {
        match value {
            Value::Integer(value) => Element::Integer(value),
            Value::String(text) => Element::String(text),
        }
    }
}

/// A text to compare elements with.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'a> {
    text: &'a [u8],
    /// The integer that it is the text of.
    integer: Option<i64>,
}

impl<'a> Needle<'a> {
    /// Looks for `text`.
    pub fn new(text: &'a [u8]) -> Needle<'a> {
        Needle { text, integer: numbers::parse_i64(text) }
    }

    /// Whether the element has this text.
    #[inline]
    pub fn is(&self, element: Element<'_>) -> bool {
        match element {
            Element::Integer(value) => self.integer == Some(value),
            Element::String(text) => self.text == text,
            Element::Block(block) => self.text == block,
        }
    }
}

/// What a node holds, uncompressed.
pub enum Content<'a> {
    /// Elements.
    Packed(&'a Listpack),
    /// One large element.
    Plain(&'a Bytes),
}

/// Compressed contents of a node.
#[derive(Clone, Debug)]
pub struct Compressed {
    /// Whether it is one large element.
    pub plain: bool,
    /// Bytes before compression.
    pub size: usize,
    /// The LZF bytes.
    pub bytes: Box<[u8]>,
}

impl Compressed {
    fn decompress(&self, count: u32) -> Node {
        let bytes = lzf::decompress(&self.bytes, self.size).expect("what was compressed here decompresses");
        if self.plain {
            return Node::Plain(Box::new(Bytes::from(bytes)));
        }
        let list = Listpack::from_bytes(bytes).expect("a listpack was compressed");
        Node::Packed { count, list }
    }
}

// A tag, a count and a pointer.
const _: () = assert!(size_of::<Node>() == 16);

/// A node. The counts are kept here, so that they lie side by side: finding an index follows no pointer but one.
#[derive(Clone, Debug)]
pub enum Node {
    /// Elements in a listpack, and how many.
    Packed {
        /// The number of elements.
        count: u32,
        /// The elements.
        list: Listpack,
    },
    /// One large element.
    Plain(Box<Bytes>),
    /// Either of the two, compressed.
    Compressed {
        /// The number of elements.
        count: u32,
        /// The contents.
        block: Box<Compressed>,
    },
}

impl Node {
    /// A node with one element.
    pub(super) fn with(element: Element<'_>, limits: &Limits) -> Node {
        if limits.is_large(element.len()) {
            return Node::Plain(Box::new(element.to_bytes()));
        }
        let mut list = Listpack::new();
        list.append(element.value());
        Node::Packed { count: 1, list }
    }

    /// A node of elements that are packed already.
    pub(super) fn packed(list: Listpack) -> Node {
        let count =
            u32::try_from(list.len()).expect("an element has two bytes, and a listpack less than 4 GiB");
        Node::Packed { count, list }
    }

    /// The number of elements.
    #[inline]
    pub fn count(&self) -> usize {
        match self {
            Node::Packed { count, .. } | Node::Compressed { count, .. } => *count as usize,
            Node::Plain(_) => 1,
        }
    }

    /// Bytes of the contents, before compression.
    pub fn size(&self) -> usize {
        match self {
            Node::Packed { list, .. } => list.as_bytes().len(),
            Node::Plain(block) => block.len(),
            Node::Compressed { block, .. } => block.size,
        }
    }

    /// Whether it is one large element.
    pub fn is_plain(&self) -> bool {
        match self {
            Node::Packed { .. } => false,
            Node::Plain(_) => true,
            Node::Compressed { block, .. } => block.plain,
        }
    }

    /// Reads the elements as a listpack, if the node is packed.
    pub fn with_listpack<R>(&self, read: impl FnOnce(&Listpack) -> R) -> Option<R> {
        self.read(|content| match content {
            Content::Packed(list) => Some(read(list)),
            Content::Plain(_) => None,
        })
    }

    /// Bytes allocated for it, its place among the nodes included.
    pub(super) fn mem_bytes(&self) -> usize {
        size_of::<Node>()
            + match self {
                Node::Packed { list, .. } => list.capacity(),
                Node::Plain(block) => good_size(size_of::<Bytes>()) + good_size(block.len()),
                Node::Compressed { block, .. } => {
                    good_size(size_of::<Compressed>()) + good_size(block.bytes.len())
                }
            }
    }

    /// Whether another element of so many bytes may be put into it.
    pub(super) fn admits(&self, length: usize, limits: &Limits) -> bool {
        !self.is_plain() && !limits.is_large(length) && limits.admit(self.size(), self.count(), length)
    }

    /// Reads the contents, which are decompressed for that if need be.
    #[inline]
    pub(super) fn read<R>(&self, read: impl FnOnce(Content<'_>) -> R) -> R {
        match self {
            Node::Packed { list, .. } => read(Content::Packed(list)),
            Node::Plain(block) => read(Content::Plain(block)),
            Node::Compressed { count, block } => block.decompress(*count).read_decompressed(read),
        }
    }

    fn read_decompressed<R>(&self, read: impl FnOnce(Content<'_>) -> R) -> R {
        match self {
            Node::Packed { list, .. } => read(Content::Packed(list)),
            Node::Plain(block) => read(Content::Plain(block)),
            Node::Compressed { .. } => unreachable!("nothing is compressed twice"),
        }
    }

    /// Compresses the contents, if that pays.
    pub(super) fn compress(&mut self) {
        let (input, plain, count) = match self {
            Node::Packed { count, list } => (list.as_bytes(), false, *count),
            Node::Plain(block) => (&block[..], true, 1),
            Node::Compressed { .. } => return,
        };
        if input.len() < COMPRESS_MIN {
            return;
        }
        let size = input.len();
        if let Some(bytes) = lzf::compress(input, size - COMPRESS_GAIN - 1) {
            let block = Box::new(Compressed { plain, size, bytes: bytes.into_boxed_slice() });
            *self = Node::Compressed { count, block };
        }
    }

    /// Decompresses the contents.
    #[inline]
    pub(super) fn decompress(&mut self) {
        if let Node::Compressed { count, block } = self {
            *self = block.decompress(*count);
        }
    }

    /// The elements, and how many, of a node that is packed. It is decompressed if need be.
    pub(super) fn packed_mut(&mut self) -> Option<(&mut Listpack, &mut u32)> {
        self.decompress();
        match self {
            Node::Packed { count, list } => Some((list, count)),
            _ => None,
        }
    }

    /// Keeps the first `offset` elements of a packed node, and returns the others.
    pub(super) fn split_off(&mut self, offset: usize) -> Node {
        let (list, count) = self.packed_mut().expect("only packed nodes are split");
        let mut behind = list.clone();
        behind.delete_range(0, offset);
        list.delete_range(offset as i64, usize::MAX);
        let behind_count = *count - offset as u32;
        *count = offset as u32;
        Node::Packed { count: behind_count, list: behind }
    }
}
