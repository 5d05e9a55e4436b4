//! Places on the earth as 52-bit integers, and shapes to look for them in.
//!
//! The world, from -180 to 180 degrees of longitude and from -85.05 to 85.05 of latitude (the square that the web's maps show), is
//! divided into a grid of `2^step` columns and as many rows. The bits of a cell's column and row, taken in turns, are its
//! *geohash*: four cells of one step are a cell of the step before, and their hashes begin with its.
//!
//! ```text
//!     step 1         step 2                        bits of a hash:  lon lat lon lat …
//!     ┌────┬────┐    ┌────┬────┬────┬────┐
//!     │ 01 │ 11 │    │0101│0111│1101│1111│
//!     ├────┼────┤    ├────┼────┼────┼────┤
//!     │ 00 │ 10 │    │0100│0110│1100│1110│
//!     └────┴────┘    ├────┼────┼────┼────┤
//!                    │0001│0011│1001│1011│
//!                    ├────┼────┼────┼────┤
//!                    │0000│0010│1000│1010│
//!                    └────┴────┴────┴────┘
//! ```
//!
//! A place is kept as its cell of step 26, whose hash of 52 bits a double holds exactly, so that it can be the score in a sorted set.
//! All places in a cell of a smaller step are then a range of scores ([`Cell::scores`]); a shape is searched by the nine
//! cells around its centre that cover it ([`covering`]), and a look at each place in them ([`Shape::distance_to`]).
//!
//! Results, their order and their distances are visible to clients, so the floating point arithmetic here is in upstream's order.

/// Degrees of longitude that places may have.
pub const LONGITUDE_LIMIT: f64 = 180.0;

/// Degrees of latitude that places may have: those of EPSG:3857.
pub const LATITUDE_LIMIT: f64 = 85.051_128_78;

/// The step that places are kept with.
pub const PLACE_STEP: u32 = 26;

/// Quadratic mean radius of the earth, WGS-84.
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;

/// Half of the equator's length in the projection.
const MERCATOR_MAX_M: f64 = 20_037_726.37;

/// Half the sine of the smallest angle, about 6 nm on the ground, for which longitudes count as different.
const LONGITUDE_EPSILON: f64 = 1e-15;

/// Degrees in which the standard's geohash text, unlike ours, counts latitude.
const TEXT_LATITUDE_LIMIT: f64 = 90.0;

/// The digits of a geohash in text.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Degrees east of Greenwich.
    pub longitude: f64,
    /// Degrees north of the equator.
    pub latitude: f64,
}

impl Point {
    /// Whether the place is one that can be kept.
    pub fn is_valid(self) -> bool {
        (-LONGITUDE_LIMIT..=LONGITUDE_LIMIT).contains(&self.longitude)
            && (-LATITUDE_LIMIT..=LATITUDE_LIMIT).contains(&self.latitude)
    }

    /// The score that stands for the place.
    pub fn to_score(self) -> u64 {
        Cell::at(self, PLACE_STEP).hash()
    }

    /// The middle of the cell that a score stands for.
    pub fn from_score(score: f64) -> Point {
        Cell::from_hash(score_bits(score), PLACE_STEP).bounds().center()
    }

    /// The geohash as others write it: 11 characters, of which the last says nothing.
    pub fn to_text(self) -> [u8; 11] {
        let hash = Cell::within(self, PLACE_STEP, TEXT_LATITUDE_LIMIT).hash();
        std::array::from_fn(
            |at| if at == 10 { DIGITS[0] } else { DIGITS[(hash >> (47 - 5 * at)) as usize & 31] },
        )
    }

    /// Meters between two places along a great circle.
    pub fn distance_to(self, other: Point) -> f64 {
        let v = ((other.longitude.to_rad() - self.longitude.to_rad()) / 2.0).sin();
        if v.abs() <= LONGITUDE_EPSILON {
            return latitude_distance(self.latitude, other.latitude);
        }
        let (from, to) = (self.latitude.to_rad(), other.latitude.to_rad());
        let u = ((to - from) / 2.0).sin();
        let a = u * u + from.cos() * to.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }
}

/// A score as an unsigned integer. Any sorted set may be asked for places, and scores that stand for none are converted as
/// upstream's C does on x86-64, where it is left undefined by the language: negative ones in two's complement, ones that are
/// too great to a number whose bits are those of what is left above 2⁶³, or none.
fn score_bits(score: f64) -> u64 {
    const TOP: f64 = (1u64 << 63) as f64;
    // The instruction gives the least number for whatever does not fit.
    let signed = |value: f64| if (-TOP..TOP).contains(&value) { value as i64 } else { i64::MIN };
    if score < TOP { signed(score) as u64 } else { signed(score - TOP) as u64 ^ (1 << 63) }
}

/// Meters between two degrees of latitude.
fn latitude_distance(from: f64, to: f64) -> f64 {
    EARTH_RADIUS_M * (to.to_rad() - from.to_rad()).abs()
}

/// Angles, with upstream's rounding.
trait Angle {
    fn to_rad(self) -> f64;
    fn to_deg(self) -> f64;
}

const RADIANS_A_DEGREE: f64 = std::f64::consts::PI / 180.0;

impl Angle for f64 {
    fn to_rad(self) -> f64 {
        self * RADIANS_A_DEGREE
    }

    fn to_deg(self) -> f64 {
        self / RADIANS_A_DEGREE
    }
}

/// A rectangle of the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

impl Bounds {
    fn center(self) -> Point {
        Point {
            longitude: ((self.west + self.east) / 2.0).clamp(-LONGITUDE_LIMIT, LONGITUDE_LIMIT),
            latitude: ((self.south + self.north) / 2.0).clamp(-LATITUDE_LIMIT, LATITUDE_LIMIT),
        }
    }
}

/// A cell of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    column: u32,
    row: u32,
    step: u32,
}

impl Cell {
    /// The cell of this step that a place is in. A place at the eastern or northern end is one cell beyond the last.
    fn at(point: Point, step: u32) -> Cell {
        Cell::within(point, step, LATITUDE_LIMIT)
    }

    fn within(point: Point, step: u32, latitude_limit: f64) -> Cell {
        let index =
            |value: f64, limit: f64| ((value + limit) / (limit + limit) * f64::from(1u32 << step)) as u32;
        Cell {
            column: index(point.longitude, LONGITUDE_LIMIT),
            row: index(point.latitude, latitude_limit),
            step,
        }
    }

    /// The cell with this hash.
    pub fn from_hash(hash: u64, step: u32) -> Cell {
        Cell { column: even_bits(hash >> 1), row: even_bits(hash), step }
    }

    /// The cell's bits, those of the column and of the row in turns.
    pub fn hash(self) -> u64 {
        spread_bits(self.row) | spread_bits(self.column) << 1
    }

    /// The scores of the places in the cell: from the first on, and less than the second.
    pub fn scores(self) -> (u64, u64) {
        let shift = 2 * (PLACE_STEP - self.step);
        (self.hash() << shift, (self.hash() + 1) << shift)
    }

    fn bounds(self) -> Bounds {
        let cells = (1u64 << self.step) as f64;
        let edge = |index: u32, limit: f64| -limit + f64::from(index) / cells * (limit + limit);
        Bounds {
            west: edge(self.column, LONGITUDE_LIMIT),
            east: edge(self.column.wrapping_add(1), LONGITUDE_LIMIT),
            south: edge(self.row, LATITUDE_LIMIT),
            north: edge(self.row.wrapping_add(1), LATITUDE_LIMIT),
        }
    }

    /// The cell so many columns east and rows north, around the world.
    fn neighbour(self, columns: i32, rows: i32) -> Cell {
        let mask = (1 << self.step) - 1;
        let shift = |index: u32, by: i32| if by == 0 { index } else { index.wrapping_add_signed(by) & mask };
        Cell { column: shift(self.column, columns), row: shift(self.row, rows), ..self }
    }
}

/// Moves bit `i` to bit `2 i`.
fn spread_bits(bits: u32) -> u64 {
    let mut x = u64::from(bits);
    x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | x << 2) & 0x3333_3333_3333_3333;
    (x | x << 1) & 0x5555_5555_5555_5555
}

/// Undoes [`spread_bits`], and ignores the bits in between.
fn even_bits(bits: u64) -> u32 {
    let mut x = bits & 0x5555_5555_5555_5555;
    x = (x | x >> 1) & 0x3333_3333_3333_3333;
    x = (x | x >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | x >> 4) & 0x00ff_00ff_00ff_00ff;
    x = (x | x >> 8) & 0x0000_ffff_0000_ffff;
    (x | x >> 16) as u32
}

/// What is searched, around a centre. Lengths are in the unit that the search was asked in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Area {
    /// A circle.
    Circle {
        /// Its radius.
        radius: f64,
    },
    /// A rectangle whose sides lie along meridians and parallels.
    Box {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
}

/// An area at its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// The centre.
    pub center: Point,
    /// What is around it.
    pub area: Area,
    /// Meters that the area's unit of length has.
    pub unit_m: f64,
}

impl Shape {
    /// Meters from the centre to a place, if that lies within the shape.
    pub fn distance_to(&self, point: Point) -> Option<f64> {
        match self.area {
            Area::Circle { radius } => {
                let distance = self.center.distance_to(point);
                (distance <= radius * self.unit_m).then_some(distance)
            }
            Area::Box { width, height } => {
                let (width, height) = (width * self.unit_m, height * self.unit_m);
                if latitude_distance(point.latitude, self.center.latitude) > height / 2.0 {
                    return None;
                }
                let beside = Point { longitude: self.center.longitude, latitude: point.latitude };
                if point.distance_to(beside) > width / 2.0 {
                    return None;
                }
                Some(self.center.distance_to(point))
            }
        }
    }

    /// A rectangle of the map that the shape is within. Towards a pole its sides are further apart in degrees, so that
    /// the side nearer to the pole decides.
    fn bounds(&self) -> Bounds {
        let (half_width, half_height) = match self.area {
            Area::Circle { radius } => (self.unit_m * radius, self.unit_m * radius),
            Area::Box { width, height } => (self.unit_m * width / 2.0, self.unit_m * height / 2.0),
        };
        let Point { longitude, latitude } = self.center;
        let latitude_delta = (half_height / EARTH_RADIUS_M).to_deg();
        let toward_pole = if latitude < 0.0 { latitude - latitude_delta } else { latitude + latitude_delta };
        let longitude_delta = (half_width / EARTH_RADIUS_M / toward_pole.to_rad().cos()).to_deg();
        Bounds {
            west: longitude - longitude_delta,
            east: longitude + longitude_delta,
            south: latitude - latitude_delta,
            north: latitude + latitude_delta,
        }
    }

    /// Meters from the centre to the point of the shape that is farthest away.
    fn reach_m(&self) -> f64 {
        let reach = match self.area {
            Area::Circle { radius } => radius,
            Area::Box { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        reach * self.unit_m
    }
}

/// The step whose cells are large enough that nine of them cover what is within `reach_m` of their middle one, in most cases.
fn step_for(reach_m: f64, latitude: f64) -> u32 {
    if reach_m == 0.0 {
        return PLACE_STEP;
    }
    let (mut reach_m, mut step) = (reach_m, 1);
    while reach_m < MERCATOR_MAX_M {
        reach_m *= 2.0;
        step += 1;
    }
    step -= 2;
    // Meridians are closer to each other there.
    step -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    step.clamp(1, PLACE_STEP as i32) as u32
}

/// The columns and rows from the middle cell to each of the nine, in the order that they are searched.
const NEIGHBOURHOOD: [(i32, i32); 9] =
    [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// The cells that cover a shape, in the order that they are searched.
pub fn covering(shape: &Shape) -> Vec<Cell> {
    let bounds = shape.bounds();
    let mut step = step_for(shape.reach_m(), shape.center.latitude);
    let mut middle = Cell::at(shape.center, step);
    let edge = |columns, rows| middle.neighbour(columns, rows).bounds();
    let too_small = edge(0, 1).north < bounds.north
        || edge(0, -1).south > bounds.south
        || edge(1, 0).east < bounds.east
        || edge(-1, 0).west > bounds.west;
    if step > 1 && too_small {
        step -= 1;
        middle = Cell::at(shape.center, step);
    }
    let own = middle.bounds();
    // On which sides the shape ends within the middle cell.
    let (south, north) = (own.south < bounds.south, own.north > bounds.north);
    let (west, east) = (own.west < bounds.west, own.east > bounds.east);
    let is_needless = |columns: i32, rows: i32| {
        step >= 2 && (south && rows < 0 || north && rows > 0 || west && columns < 0 || east && columns > 0)
    };
    let mut cells: Vec<Cell> = NEIGHBOURHOOD
        .into_iter()
        .filter(|&(columns, rows)| !is_needless(columns, rows))
        .map(|(columns, rows)| middle.neighbour(columns, rows))
        .collect();
    // Around a small world a cell can be a neighbour on both sides.
    cells.dedup();
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(longitude: f64, latitude: f64) -> Point {
        Point { longitude, latitude }
    }

    fn places() -> impl Strategy<Value = Point> {
        (-180.0..180.0, -85.05..85.05).prop_map(|(longitude, latitude)| point(longitude, latitude))
    }

    proptest! {
        #[test]
        fn bits_are_spread_and_gathered(bits: u32, other: u32) {
            prop_assert_eq!(even_bits(spread_bits(bits) | spread_bits(other) << 1), bits);
        }

        #[test]
        fn a_place_is_kept_to_less_than_a_meter(place in places()) {
            let kept = Point::from_score(place.to_score() as f64);
            prop_assert!(place.distance_to(kept) < 0.6);
            prop_assert_eq!(kept.to_score(), place.to_score());
        }

        #[test]
        fn a_cell_is_a_range_of_scores(place in places(), step in 1u32..=26) {
            let (from, to) = Cell::at(place, step).scores();
            prop_assert!((from..to).contains(&place.to_score()));
        }

        /// What lies within a shape lies in one of the cells that cover it.
        #[test]
        fn cells_cover_the_shape(
            center in (-170.0..170.0, -60.0..60.0),
            towards in (-1.0..1.0, -1.0..1.0),
            reach in 1.0..500.0f64,
            is_box: bool,
        ) {
            let center = point(center.0, center.1);
            let area = if is_box { Area::Box { width: reach, height: reach / 2.0 } } else { Area::Circle { radius: reach } };
            let shape = Shape { center, area, unit_m: 1000.0 };
            let degrees = reach / 60.0;
            let other = point(center.longitude + towards.0 * degrees, center.latitude + towards.1 * degrees);
            if other.is_valid() && shape.distance_to(other).is_some() {
                let score = other.to_score();
                let found = covering(&shape).iter().any(|cell| (cell.scores().0..cell.scores().1).contains(&score));
                prop_assert!(found);
            }
        }
    }

    #[test]
    fn known_places_have_known_hashes() {
        let palermo = point(13.361389, 38.115556);
        let catania = point(15.087269, 37.502669);
        assert_eq!(palermo.to_score(), 3_479_099_956_230_698);
        assert_eq!(catania.to_score(), 3_479_447_370_796_909);
        let kept = [palermo, catania].map(|place| Point::from_score(place.to_score() as f64));
        assert_eq!(kept.map(Point::to_text), [*b"sqc8b49rny0", *b"sqdtr74hyu0"]);
        assert_eq!(format!("{:.4}", kept[0].distance_to(kept[1])), "166274.1516");
    }

    #[test]
    fn the_ends_of_the_world_have_scores() {
        let corner = point(180.0, LATITUDE_LIMIT);
        assert!(corner.is_valid() && !point(180.1, 0.0).is_valid() && !point(0.0, 85.06).is_valid());
        assert!(corner.to_score() > 1 << 52);
        assert_eq!(point(-180.0, -LATITUDE_LIMIT).to_score(), 0);
        for score in [-1.0, f64::INFINITY, 1e300, 0.5] {
            assert!(Point::from_score(score).is_valid());
        }
    }

    #[test]
    fn scores_that_are_no_places_are_converted_as_upstream_does() {
        let place = |score| Point::from_score(score);
        let (east, west) = (180.0, -179.999_997_317_790_99);
        assert_eq!(place(f64::NEG_INFINITY), point(east, -85.051_127_512_639_43));
        assert_eq!(place(-1.5), point(east, LATITUDE_LIMIT));
        assert_eq!(place(f64::INFINITY), point(west, -85.051_127_512_639_43));
        assert_eq!(place(-1e19), place(f64::NEG_INFINITY));
    }

    #[test]
    fn steps_are_those_of_upstream() {
        assert_eq!(step_for(0.0, 0.0), 26);
        assert_eq!(step_for(1e9, 0.0), 1);
        assert_eq!(
            (step_for(200_000.0, 38.0), step_for(200_000.0, 70.0), step_for(200_000.0, -81.0)),
            (6, 5, 4)
        );
    }
}
