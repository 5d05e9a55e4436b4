//! Fields chosen at random.

use rand::Rng;

use super::{Collection, Field, Hash, listpackex, pair, table};

/// A choice of distinct fields that is larger than one in so many of all goes through all of them once; a smaller one is
/// drawn field by field.
const WALK_SHARE: usize = 3;

impl Hash {
    /// A field, each with the same probability.
    pub fn random(&self, rng: &mut impl Rng) -> Option<Field<'_>> {
        match self {
            Hash::Listpack(list) => pair(&mut list.iter_from(list.random(rng, 2)?)),
            Hash::ListpackEx(list) => {
                let list = list.list();
                listpackex::triple(&mut list.iter_from(list.random(rng, 3)?))
            }
            Hash::Table(fields) => {
                fields.fields().random(&mut || rng.random()).map(|element| table::field(element.get()))
            }
        }
    }

    /// Shows `count` fields, each drawn from all of them.
    pub fn random_many(&self, rng: &mut impl Rng, count: usize, mut show: impl FnMut(Field<'_>)) {
        let (list, tuple) = match self {
            Hash::Listpack(list) => (list, 2),
            Hash::ListpackEx(list) => (list.list(), 3),
            Hash::Table(_) => return (0..count).filter_map(|_| self.random(rng)).for_each(show),
        };
        for position in list.random_many(rng, count, tuple) {
            if let Some(field) = pair(&mut list.iter_from(position)) {
                show(field);
            }
        }
    }

    /// Shows `count` different fields, or all if there are no more; each combination has the same probability.
    pub fn random_unique(&self, rng: &mut impl Rng, count: usize, mut show: impl FnMut(Field<'_>)) {
        let len = self.len();
        if count >= len {
            return self.iter().for_each(show);
        }
        match self {
            Hash::Table(fields) if count * WALK_SHARE < len => {
                let mut drawn = std::collections::HashSet::with_capacity(count);
                while drawn.len() < count {
                    let Some(element) = fields.fields().random(&mut || rng.random()) else { return };
                    if drawn.insert(element.get().addr()) {
                        show(table::field(element.get()));
                    }
                }
            }
            _ => sample(self.iter(), rng, count, len).for_each(show),
        }
    }
}

/// Chooses `count` of the `len` items that come along, with the same probability for each combination: an item is taken
/// with the probability that the number of those still needed has to the number of those still to come (Knuth,
/// *Seminumerical Algorithms*, 3.4.2, algorithm S).
pub fn sample<T>(
    items: impl Iterator<Item = T>,
    rng: &mut impl Rng,
    count: usize,
    len: usize,
) -> impl Iterator<Item = T> {
    let (mut needed, mut to_come) = (count, len);
    items.filter(move |_| {
        let taken = to_come > 0 && rng.random_range(0..to_come) < needed;
        to_come = to_come.saturating_sub(1);
        needed -= usize::from(taken);
        taken
    })
}
