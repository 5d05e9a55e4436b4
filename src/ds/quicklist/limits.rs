//! How large a node becomes, and which nodes are compressed: the directives `list-max-listpack-size` and
//! `list-compress-depth`.

/// Most bytes of a node for the size classes -1 to -5.
const SIZE_CLASSES: [usize; 5] = [4096, 8192, 16384, 32768, 65536];
/// Most bytes of a node that is limited by the number of its elements.
const SAFE_SIZE: usize = 8192;
/// What a small element may add to a node beside its text; an estimate on the safe side.
const ELEMENT_OVERHEAD: usize = 8;
/// Bytes that two nodes have and one of the same elements has not.
const NODE_OVERHEAD: usize = 7;
/// The greatest fill and depth that a list keeps.
const FILL_MAX: i32 = (1 << 15) - 1;
const DEPTH_MAX: u32 = (1 << 16) - 1;

/// The limits of a list. They are given when it is created, and kept when the configuration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// -5 to -1: a size class; 1 and above: most elements of a node. (0 means 1.)
    fill: i32,
    /// Nodes at either end that stay uncompressed; 0 compresses none.
    depth: u32,
    /// The shortest element that gets a node of its own.
    large_from: usize,
    /// Most bytes of a node with more than one element.
    size_max: usize,
    /// Most elements of a node.
    count_max: usize,
}

impl Limits {
    /// The limits for a `list-max-listpack-size` and a `list-compress-depth`.
    pub fn new(fill: i32, depth: u32) -> Limits {
        let fill = fill.clamp(-(SIZE_CLASSES.len() as i32), FILL_MAX);
        let (size_max, count_max) = match fill {
            ..0 => (SIZE_CLASSES[(-fill) as usize - 1], usize::MAX),
            _ => (SAFE_SIZE, fill.max(1) as usize),
        };
        Limits { fill, depth: depth.min(DEPTH_MAX), large_from: size_max + 1, size_max, count_max }
    }

    /// Gives elements of so many bytes and above nodes of their own, instead of those that exceed a node: to test with.
    #[must_use]
    pub fn with_packed_threshold(self, bytes: usize) -> Limits {
        Limits { large_from: bytes, ..self }
    }

    /// The `list-max-listpack-size`, as far as it makes a difference.
    pub fn fill(&self) -> i32 {
        self.fill
    }

    /// The `list-compress-depth`.
    pub fn depth(&self) -> usize {
        self.depth as usize
    }

    /// Whether an element of so many bytes gets a node of its own.
    #[inline]
    pub fn is_large(&self, length: usize) -> bool {
        length >= self.large_from
    }

    /// Whether a listpack of `size` bytes and `count` elements is too large for a node.
    #[inline]
    pub fn exceeded(&self, size: usize, count: usize) -> bool {
        size > self.size_max || count > self.count_max
    }

    /// Whether a node of `size` bytes and `count` elements takes in another of `length` bytes, which is not large.
    #[inline]
    pub(super) fn admit(&self, size: usize, count: usize, length: usize) -> bool {
        !self.exceeded(size + length + ELEMENT_OVERHEAD, count + 1)
    }

    /// Whether nodes of these sizes and of `count` elements in all may become one.
    pub(super) fn allow_merge(&self, sizes: [usize; 2], count: usize) -> bool {
        !self.exceeded(sizes[0] + sizes[1] - NODE_OVERHEAD, count)
    }

    /// Whether a list that consists of one such node is small enough to be a bare listpack. While it shrinks it has to
    /// come below half the limit, or else it would be converted to and fro at the edge.
    pub fn fits_listpack(&self, size: usize, count: usize, shrinking: bool) -> bool {
        let divisor = if shrinking { 2 } else { 1 };
        // Only what is configured counts here, and not the bytes that are safe.
        if self.fill < 0 { size <= self.size_max / divisor } else { count <= self.count_max / divisor }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::new(-2, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_is_a_size_class_or_a_count() {
        for (fill, size, count) in [
            (-7, 65536, usize::MAX),
            (-5, 65536, usize::MAX),
            (-1, 4096, usize::MAX),
            (0, 8192, 1),
            (1, 8192, 1),
            (128, 8192, 128),
        ] {
            let limits = Limits::new(fill, 0);
            assert!(!limits.exceeded(size, count.min(1 << 40)), "{fill}");
            assert!(limits.exceeded(size + 1, 1), "{fill}");
            assert!(count == usize::MAX || limits.exceeded(1, count + 1), "{fill}");
            assert!(limits.is_large(size + 1) && !limits.is_large(size), "{fill}");
        }
    }

    #[test]
    fn shrinking_lists_convert_at_half_the_limit() {
        let sized = Limits::new(-1, 0);
        assert!(sized.fits_listpack(4096, 5000, false) && !sized.fits_listpack(4097, 1, false));
        assert!(sized.fits_listpack(2048, 5000, true) && !sized.fits_listpack(2049, 1, true));
        let counted = Limits::new(5, 0);
        assert!(counted.fits_listpack(1 << 20, 5, false) && !counted.fits_listpack(20, 6, false));
        assert!(counted.fits_listpack(1 << 20, 2, true) && !counted.fits_listpack(20, 3, true));
        assert!(!Limits::new(1, 0).fits_listpack(20, 1, true));
    }

    #[test]
    fn packed_threshold_makes_elements_large() {
        let limits = Limits::new(-2, 0).with_packed_threshold(5);
        assert!(limits.is_large(5) && !limits.is_large(4));
    }
}
