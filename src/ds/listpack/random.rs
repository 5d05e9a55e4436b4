//! Random elements, for the commands that ask for some.

use rand::Rng;
use rand::seq::index;

use super::{Listpack, Position};

impl Listpack {
    /// The number of tuples of that length. A listpack that holds tuples has no incomplete one at its end.
    fn tuples(&self, tuple: usize) -> usize {
        self.len() / tuple
    }

    /// The first element of a random tuple, or `None` if there is none. Each has the same probability.
    pub fn random(&self, rng: &mut impl Rng, tuple: usize) -> Option<Position> {
        let tuples = self.tuples(tuple);
        if tuples == 0 {
            return None;
        }
        self.seek((rng.random_range(0..tuples) * tuple) as i64)
    }

    /// The first elements of `count` random tuples. Each is drawn from all, so that some may occur again, in any order.
    /// Nothing if there are none.
    pub fn random_many(&self, rng: &mut impl Rng, count: usize, tuple: usize) -> Vec<Position> {
        let tuples = self.tuples(tuple);
        if tuples == 0 {
            return Vec::new();
        }
        // One walk finds all of them if it meets them in order.
        let mut draws: Vec<(usize, usize)> =
            (0..count).map(|order| (rng.random_range(0..tuples), order)).collect();
        draws.sort_unstable();
        let mut found = vec![Position(0); count];
        let mut walk = self.walk(tuple);
        let mut current = None;
        for (index, order) in draws {
            current = match current {
                Some((at, position)) if at == index => Some((at, position)),
                Some((at, _)) => walk.nth(index - at - 1).map(|position| (index, position)),
                None => walk.nth(index).map(|position| (index, position)),
            };
            found[order] = current.expect("the index is below the count").1;
        }
        found
    }

    /// The first elements of `count` different tuples, or of all if there are no more, in their order. Each combination has
    /// the same probability.
    pub fn random_unique(&self, rng: &mut impl Rng, count: usize, tuple: usize) -> Vec<Position> {
        let tuples = self.tuples(tuple);
        if count >= tuples {
            return self.walk(tuple).collect();
        }
        let mut picks = index::sample(rng, tuples, count).into_vec();
        picks.sort_unstable();
        let mut walk = self.walk(tuple);
        let mut next = 0;
        let pick = |index: usize| {
            let position = walk.nth(index - next);
            next = index + 1;
            position
        };
        picks.into_iter().filter_map(pick).collect()
    }

    /// The first elements of all tuples.
    fn walk(&self, tuple: usize) -> impl Iterator<Item = Position> + '_ {
        let mut next = self.first();
        std::iter::from_fn(move || {
            let position = next?;
            next = (0..tuple).try_fold(position, |position, _| self.next(position));
            Some(position)
        })
    }
}
