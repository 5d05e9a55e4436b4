//! Places: sorted sets whose scores are geohashes of 52 bits.
//!
//! GEOADD is a ZADD that works out the scores, and replicas are told so. A search goes through the few ranges of scores that cover
//! the shape (`ds/geohash.rs`), looks at each place in them, and sorts what it found, if it was asked to.

use crate::cmd_err;
use crate::db::object::zset::{AddFlags, ZSet, text};
use crate::ds::geohash::{Area, Point, Shape, covering};
use crate::ds::hashtable::{Element, HashTable};
use crate::ds::listpack::Value;
use crate::ds::numbers::format_fixed;
use crate::ds::pqsort::sort_range;
use crate::ds::sorted_index::{Cut, ZElement};
use crate::server::{Argv, Client, CmdError, CmdResult, Out, Server};
use crate::types::t_zset::{Request, add_elements, limits, store_result};

/// Decimals of a distance.
const DISTANCE_DECIMALS: usize = 4;

/// Longitude and latitude, from two arguments.
fn parse_point(argv: &Argv, at: usize) -> Result<Point, CmdError> {
    let point = Point { longitude: argv.float(at)?, latitude: argv.float(at + 1)? };
    if !point.is_valid() {
        let Point { longitude, latitude } = point;
        return Err(cmd_err!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"));
    }
    Ok(point)
}

/// Meters that a unit has.
fn parse_unit(argv: &Argv, at: usize) -> Result<f64, CmdError> {
    const UNITS: [(&[u8], f64); 4] = [(b"m", 1.0), (b"km", 1000.0), (b"ft", 0.3048), (b"mi", 1609.34)];
    let unit = UNITS.iter().find(|(name, _)| argv.is(at, name));
    unit.map(|&(_, meters)| meters)
        .ok_or(CmdError::text("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

fn parse_length(argv: &Argv, at: usize, error: &'static str) -> Result<f64, CmdError> {
    argv.float(at).map_err(|_| CmdError::text(error))
}

/// A circle and its unit, from two arguments.
fn parse_radius(argv: &Argv, at: usize) -> Result<(Area, f64), CmdError> {
    let radius = parse_length(argv, at, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(CmdError::text("ERR radius cannot be negative"));
    }
    Ok((Area::Circle { radius }, parse_unit(argv, at + 1)?))
}

/// A box and its unit, from three arguments.
fn parse_box(argv: &Argv, at: usize) -> Result<(Area, f64), CmdError> {
    let width = parse_length(argv, at, "ERR need numeric width")?;
    let height = parse_length(argv, at + 1, "ERR need numeric height")?;
    if width < 0.0 || height < 0.0 {
        return Err(CmdError::text("ERR height or width cannot be negative"));
    }
    Ok((Area::Box { width, height }, parse_unit(argv, at + 2)?))
}

/// The place of a member.
fn point_of(set: &ZSet, member: &[u8]) -> Option<Point> {
    set.score(member).map(Point::from_score)
}

fn reply_distance(out: &mut Out, distance: f64) {
    out.bulk(&format_fixed(distance, DISTANCE_DECIMALS));
}

fn reply_point(out: &mut Out, point: Point) {
    out.array(2);
    out.double(point.longitude);
    out.double(point.latitude);
}

/// `GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]`
pub fn geoadd(srv: &mut Server, c: &mut Client) -> CmdResult {
    let mut flags = AddFlags::default();
    let mut count_changed = false;
    let mut at = 2;
    while at < c.argv.len() {
        match c.argv.get(at) {
            word if word.eq_ignore_ascii_case(b"nx") => flags.if_missing = true,
            word if word.eq_ignore_ascii_case(b"xx") => flags.if_present = true,
            word if word.eq_ignore_ascii_case(b"ch") => count_changed = true,
            _ => break,
        }
        at += 1;
    }
    let places = c.argv.len() - at;
    if places == 0 || !places.is_multiple_of(3) || flags.if_missing && flags.if_present {
        return Err(CmdError::Syntax);
    }
    let hashes = (at..c.argv.len())
        .step_by(3)
        .map(|at| Ok(parse_point(&c.argv, at)?.to_score()))
        .collect::<Result<Vec<u64>, CmdError>>()?;
    if srv.propagation.wanted {
        propagate_as_zadd(srv, &c.argv, at, &hashes);
    }
    // 52 bits are exact in a double.
    let scores: Vec<f64> = hashes.iter().map(|&hash| hash as f64).collect();
    add_elements(srv, c, Request { flags, count_changed, first_member: at + 2, stride: 3 }, &scores)
}

fn propagate_as_zadd(srv: &mut Server, argv: &Argv, first: usize, hashes: &[u64]) {
    let mut command: Vec<Vec<u8>> = vec![b"ZADD".to_vec()];
    command.extend((1..first).map(|i| argv.get(i).to_vec()));
    for (number, hash) in hashes.iter().enumerate() {
        command.push(hash.to_string().into_bytes());
        command.push(argv.get(first + 3 * number + 2).to_vec());
    }
    srv.propagate_as(&command);
}

/// `GEODIST key member1 member2 [M | KM | FT | MI]`
pub fn geodist(srv: &mut Server, c: &mut Client) -> CmdResult {
    let unit_m = match c.argv.len() {
        4 => 1.0,
        5 => parse_unit(&c.argv, 4)?,
        _ => return Err(CmdError::Syntax),
    };
    let set = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))?;
    let place = |at: usize| point_of(set.as_ref()?, c.argv.get(at));
    match place(2).zip(place(3)) {
        Some((from, to)) => reply_distance(&mut c.out, from.distance_to(to) / unit_m),
        None => c.out.null(),
    }
    Ok(())
}

/// `GEOHASH key [member [member ...]]`
pub fn geohash(srv: &mut Server, c: &mut Client) -> CmdResult {
    let set = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))?;
    c.out.array(c.argv.len() - 2);
    for member in c.argv.iter_from(2) {
        match set.as_ref().and_then(|set| point_of(set, member)) {
            Some(point) => c.out.bulk(&point.to_text()),
            None => c.out.null(),
        }
    }
    Ok(())
}

/// `GEOPOS key [member [member ...]]`
pub fn geopos(srv: &mut Server, c: &mut Client) -> CmdResult {
    let set = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))?;
    c.out.array(c.argv.len() - 2);
    for member in c.argv.iter_from(2) {
        match set.as_ref().and_then(|set| point_of(set, member)) {
            Some(point) => reply_point(&mut c.out, point),
            None => c.out.null_array(),
        }
    }
    Ok(())
}

/// The command that searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// GEORADIUS, or GEORADIUS_RO, which cannot store.
    Radius { may_store: bool },
    /// GEORADIUSBYMEMBER, or GEORADIUSBYMEMBER_RO.
    RadiusByMember { may_store: bool },
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
}

impl Command {
    /// Whether the centre and the shape are options.
    fn is_search(self) -> bool {
        matches!(self, Command::Search | Command::SearchStore)
    }

    fn may_store(self) -> bool {
        matches!(self, Command::Radius { may_store: true } | Command::RadiusByMember { may_store: true })
    }

    /// The argument that is the key searched.
    fn source(self) -> usize {
        if self == Command::SearchStore { 2 } else { 1 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Nearest,
    Farthest,
}

/// Where the centre is from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Center {
    Given(Point),
    /// A member's place; none if there is no key.
    Member(Option<Point>),
}

/// What a search asks for.
#[derive(Debug, Default)]
struct Query {
    center: Option<Center>,
    area: Option<(Area, f64)>,
    with_distance: bool,
    with_hash: bool,
    with_point: bool,
    order: Option<Order>,
    /// Most places; 0 for all.
    count: usize,
    /// Whether any places will do, not only the nearest or farthest.
    any: bool,
    /// The argument that is the key where the result is stored.
    store: Option<usize>,
    /// Whether scores of the result are distances.
    store_distances: bool,
}

impl Query {
    fn parse(argv: &Argv, command: Command, set: Option<&ZSet>) -> Result<Query, CmdError> {
        let mut query = Query::default();
        let options_at = match command {
            Command::Radius { .. } => {
                query.center = Some(Center::Given(parse_point(argv, 2)?));
                query.area = Some(parse_radius(argv, 4)?);
                6
            }
            Command::RadiusByMember { .. } => {
                query.center = Some(Center::member(set, argv.get(2))?);
                if set.is_some() {
                    query.area = Some(parse_radius(argv, 3)?);
                }
                5
            }
            Command::Search => 2,
            Command::SearchStore => {
                query.store = Some(1);
                3
            }
        };
        let mut i = options_at;
        while i < argv.len() {
            i += match query.parse_option(argv, i, command)? {
                0 => query.parse_place(argv, i, command, set)?,
                taken => taken,
            };
        }
        query.check(argv, command)?;
        Ok(query)
    }

    /// Reads an option about the result. Says how many arguments it has, 0 if it is none of those.
    fn parse_option(&mut self, argv: &Argv, i: usize, command: Command) -> Result<usize, CmdError> {
        let follows = i + 1 < argv.len();
        let mut taken = 1;
        match argv.get(i).to_ascii_lowercase().as_slice() {
            b"withdist" => self.with_distance = true,
            b"withhash" => self.with_hash = true,
            b"withcoord" => self.with_point = true,
            b"any" => self.any = true,
            b"asc" => self.order = Some(Order::Nearest),
            b"desc" => self.order = Some(Order::Farthest),
            b"count" if follows => {
                let count = usize::try_from(argv.int(i + 1)?).ok().filter(|&count| count > 0);
                self.count = count.ok_or(CmdError::text("ERR COUNT must be > 0"))?;
                taken = 2;
            }
            b"store" if follows && command.may_store() => {
                (self.store, self.store_distances) = (Some(i + 1), false);
                taken = 2;
            }
            b"storedist" if follows && command.may_store() => {
                (self.store, self.store_distances) = (Some(i + 1), true);
                taken = 2;
            }
            b"storedist" if command == Command::SearchStore => self.store_distances = true,
            _ => taken = 0,
        }
        Ok(taken)
    }

    /// Reads an option of GEOSEARCH about the centre or the shape, which are given once each, and says how many arguments it
    /// has.
    fn parse_place(
        &mut self,
        argv: &Argv,
        i: usize,
        command: Command,
        set: Option<&ZSet>,
    ) -> Result<usize, CmdError> {
        let follow = |count: usize| command.is_search() && i + count < argv.len();
        let is_given = matches!(self.center, Some(Center::Given(_)));
        let is_member = matches!(self.center, Some(Center::Member(_)));
        let is_circle = matches!(self.area, Some((Area::Circle { .. }, _)));
        let is_box = matches!(self.area, Some((Area::Box { .. }, _)));
        match argv.get(i).to_ascii_lowercase().as_slice() {
            b"frommember" if follow(1) && !is_given => {
                self.center = Some(Center::member(set, argv.get(i + 1))?);
                Ok(2)
            }
            b"fromlonlat" if follow(2) && !is_member => {
                self.center = Some(Center::Given(parse_point(argv, i + 1)?));
                Ok(3)
            }
            b"byradius" if follow(2) && !is_box => {
                self.area = Some(parse_radius(argv, i + 1)?);
                Ok(3)
            }
            b"bybox" if follow(3) && !is_circle => {
                self.area = Some(parse_box(argv, i + 1)?);
                Ok(4)
            }
            _ => Err(CmdError::Syntax),
        }
    }

    /// The errors of options that do not go together, or are missing.
    fn check(&self, argv: &Argv, command: Command) -> CmdResult {
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_point) {
            let what = if command.is_search() { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(cmd_err!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            ));
        }
        let missing = |what: &str| {
            cmd_err!(
                "ERR exactly one of {what} can be specified for {}",
                String::from_utf8_lossy(argv.get(0))
            )
        };
        if command.is_search() && self.center.is_none() {
            return Err(missing("FROMMEMBER or FROMLONLAT"));
        }
        if command.is_search() && self.area.is_none() {
            return Err(missing("BYRADIUS and BYBOX"));
        }
        if self.any && self.count == 0 {
            return Err(CmdError::text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The shape to look into, if there is a key to look into.
    fn shape(&self) -> Option<Shape> {
        let center = match self.center? {
            Center::Given(point) => point,
            Center::Member(point) => point?,
        };
        let (area, unit_m) = self.area?;
        Some(Shape { center, area, unit_m })
    }

    /// Meters that the unit of distances has.
    fn unit_m(&self) -> f64 {
        self.area.map_or(1.0, |(_, unit_m)| unit_m)
    }

    /// The places of a set that the query is of, in its order.
    fn run<'s>(&self, set: &'s ZSet, shape: &Shape) -> Vec<Hit<'s>> {
        let enough = if self.any { self.count } else { usize::MAX };
        let mut hits = Vec::new();
        for cell in covering(shape) {
            if hits.len() >= enough {
                break;
            }
            let (from, to) = cell.scores();
            let ranks = set.ranks(Cut::BelowScore(from as f64), Cut::BelowScore(to as f64));
            let places = set.range(ranks).filter_map(|(member, score)| {
                let point = Point::from_score(score);
                let distance_m = shape.distance_to(point)?;
                Some(Hit { member, score, point, distance_m })
            });
            hits.extend(places.take(enough - hits.len()));
        }
        // The first of all in no order make little sense.
        let shown = if self.count > 0 { self.count.min(hits.len()) } else { hits.len() };
        let order = self.order.or((self.count > 0 && !self.any).then_some(Order::Nearest));
        if let Some(order) = order {
            let mut compare = |a: &Hit<'_>, b: &Hit<'_>| match order {
                Order::Nearest => a.distance_m.total_cmp(&b.distance_m),
                Order::Farthest => b.distance_m.total_cmp(&a.distance_m),
            };
            if shown < hits.len() {
                sort_range(&mut hits, 0..shown, &mut compare);
            } else {
                hits.sort_by(compare);
            }
        }
        hits.truncate(shown);
        hits
    }

    fn reply(&self, out: &mut Out, hits: &[Hit<'_>]) {
        let options =
            [self.with_distance, self.with_hash, self.with_point].into_iter().filter(|&on| on).count();
        out.array(hits.len());
        for hit in hits {
            if options > 0 {
                out.array(options + 1);
            }
            out.bulk(text(hit.member, &mut itoa::Buffer::new()));
            if self.with_distance {
                reply_distance(out, hit.distance_m / self.unit_m());
            }
            if self.with_hash {
                out.int(hit.score as i64);
            }
            if self.with_point {
                reply_point(out, hit.point);
            }
        }
    }
}

impl Center {
    fn member(set: Option<&ZSet>, member: &[u8]) -> Result<Center, CmdError> {
        let Some(set) = set else { return Ok(Center::Member(None)) };
        let point = point_of(set, member);
        match point {
            Some(_) => Ok(Center::Member(point)),
            None => Err(CmdError::text("ERR could not decode requested zset member")),
        }
    }
}

/// A place within the shape.
struct Hit<'s> {
    member: Value<'s>,
    score: f64,
    point: Point,
    /// From the centre.
    distance_m: f64,
}

fn search(srv: &mut Server, c: &mut Client, command: Command) -> CmdResult {
    let limits = limits(srv);
    let set = srv.lookup_read::<ZSet>(c.db, c.argv.key(command.source()))?;
    let query = Query::parse(&c.argv, command, set.as_deref())?;
    let hits = match (&set, query.shape()) {
        (Some(set), Some(shape)) => query.run(set, &shape),
        _ => Vec::new(),
    };
    let Some(destination) = query.store else {
        query.reply(&mut c.out, &hits);
        return Ok(());
    };
    let mut members = HashTable::new();
    for hit in &hits {
        let digits = &mut itoa::Buffer::new();
        let member = text(hit.member, digits);
        let score = if query.store_distances { hit.distance_m / query.unit_m() } else { hit.score };
        members.insert_unique(ZElement::hash(member), ZElement::new(score, member));
    }
    let changes = hits.len();
    drop(hits);
    let event = if command.is_search() { "geosearchstore" } else { "georadiusstore" };
    store_result(srv, c, destination, ZSet::from_members(members, limits), event, changes);
    Ok(())
}

/// `GEORADIUS key longitude latitude radius M | KM | FT | MI [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]]
/// [ASC | DESC] [STORE key | STOREDIST key]`
pub fn georadius(srv: &mut Server, c: &mut Client) -> CmdResult {
    search(srv, c, Command::Radius { may_store: true })
}

/// `GEORADIUS_RO`: GEORADIUS without STORE and STOREDIST.
pub fn georadius_ro(srv: &mut Server, c: &mut Client) -> CmdResult {
    search(srv, c, Command::Radius { may_store: false })
}

/// `GEORADIUSBYMEMBER key member radius M | KM | FT | MI [options of GEORADIUS]`
pub fn georadiusbymember(srv: &mut Server, c: &mut Client) -> CmdResult {
    search(srv, c, Command::RadiusByMember { may_store: true })
}

/// `GEORADIUSBYMEMBER_RO`: GEORADIUSBYMEMBER without STORE and STOREDIST.
pub fn georadiusbymember_ro(srv: &mut Server, c: &mut Client) -> CmdResult {
    search(srv, c, Command::RadiusByMember { may_store: false })
}

/// `GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX width height unit
/// [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]`
pub fn geosearch(srv: &mut Server, c: &mut Client) -> CmdResult {
    search(srv, c, Command::Search)
}

/// `GEOSEARCHSTORE destination source [options of GEOSEARCH] [STOREDIST]`
pub fn geosearchstore(srv: &mut Server, c: &mut Client) -> CmdResult {
    search(srv, c, Command::SearchStore)
}
