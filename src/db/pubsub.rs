//! Publish and subscribe: channels, patterns, shard channels.
//!
//! The server knows for each channel, pattern and shard channel which clients want it; each client knows what it
//! has subscribed to, so that it can be forgotten. A message is encoded once a protocol and shared by all who
//! receive it. Shard channels are a name space of their own; what sets them apart otherwise comes with Cluster.
//!
//! Kept true: a client is in the server's set of a name exactly when the name is in the client's set, and a name
//! with no client has no entry.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::ds::glob;
use crate::server::client::{Client, ClientFlags, ClientId};
use crate::server::{CmdResult, Out, Server, networking};

/// What a subscription is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A channel by its name.
    Channel,
    /// All channels that match.
    Pattern,
    /// A shard channel by its name.
    Shard,
}

impl Kind {
    /// The first element of the confirmation of a subscription.
    fn subscribed(self) -> &'static str {
        match self {
            Kind::Channel => "subscribe",
            Kind::Pattern => "psubscribe",
            Kind::Shard => "ssubscribe",
        }
    }

    /// The first element of the confirmation of its end.
    fn unsubscribed(self) -> &'static str {
        match self {
            Kind::Channel => "unsubscribe",
            Kind::Pattern => "punsubscribe",
            Kind::Shard => "sunsubscribe",
        }
    }
}

/// Something for each kind of subscription.
#[derive(Debug, Default)]
struct ByKind<T> {
    channels: T,
    patterns: T,
    shard_channels: T,
}

impl<T> ByKind<T> {
    fn of(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard_channels,
        }
    }
}

type Subscribers = HashMap<Bytes, HashSet<ClientId>>;

/// Who listens to what.
#[derive(Debug, Default)]
pub struct Pubsub {
    names: ByKind<Subscribers>,
    clients: usize,
}

impl Pubsub {
    /// Number of channels with subscribers.
    pub fn channel_count(&self) -> usize {
        self.names.channels.len()
    }

    /// Number of patterns with subscribers.
    pub fn pattern_count(&self) -> usize {
        self.names.patterns.len()
    }

    /// Number of shard channels with subscribers.
    pub fn shard_channel_count(&self) -> usize {
        self.names.shard_channels.len()
    }

    /// Number of clients with a subscription of any kind.
    pub fn client_count(&self) -> usize {
        self.clients
    }
}

/// What one client has subscribed to.
#[derive(Debug, Default)]
pub struct ClientPubsub {
    names: ByKind<HashSet<Bytes>>,
}

impl ClientPubsub {
    /// The number that confirmations of `kind` show: channels and patterns count together, shard channels alone.
    fn shown(&self, kind: Kind) -> usize {
        match kind {
            Kind::Shard => self.names.shard_channels.len(),
            Kind::Channel | Kind::Pattern => self.names.channels.len() + self.names.patterns.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.shown(Kind::Channel) + self.shown(Kind::Shard) == 0
    }
}

/// Number of subscriptions of a client of this kind: what CLIENT LIST shows.
pub fn counts(c: &Client) -> (usize, usize, usize) {
    c.pubsub
        .as_ref()
        .map_or((0, 0, 0), |p| (p.names.channels.len(), p.names.patterns.len(), p.names.shard_channels.len()))
}

/// Tells the client of a subscription's begin or end. That is a push in RESP2 as well: CLIENT REPLY leaves it alone.
fn confirm(srv: &mut Server, c: &mut Client, what: &str, name: Option<&[u8]>, count: usize) {
    let pushes = c.flags.intersects(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP);
    let mut apart = Out::default();
    apart.set_resp3(c.resp3());
    let out = if pushes { &mut apart } else { &mut c.out };
    out.push(3);
    out.bulk(what.as_bytes());
    match name {
        Some(name) => out.bulk(name),
        None => out.null(),
    }
    out.count(count);
    if pushes {
        networking::send_to(srv, c.handle, &Bytes::from(apart.take_bytes()));
    }
}

fn subscribe_all(srv: &mut Server, c: &mut Client, kind: Kind) -> CmdResult {
    for i in 1..c.argv.len() {
        let name = c.argv.bytes(i);
        let own = c.pubsub.get_or_insert_default();
        if own.names.of(kind).insert(name.clone()) {
            srv.pubsub.names.of(kind).entry(name.clone()).or_default().insert(c.handle);
        }
        let count = own.shown(kind);
        confirm(srv, c, kind.subscribed(), Some(&name), count);
    }
    if !c.flags.contains(ClientFlags::PUBSUB) {
        c.flags.insert(ClientFlags::PUBSUB);
        srv.pubsub.clients += 1;
    }
    Ok(())
}

/// Ends one subscription in both places; `false` when there was none.
fn drop_one(srv: &mut Server, c: &mut Client, kind: Kind, name: &[u8]) -> bool {
    let Some(own) = c.pubsub.as_mut() else { return false };
    if !own.names.of(kind).remove(name) {
        return false;
    }
    let all = srv.pubsub.names.of(kind);
    if let Some(clients) = all.get_mut(name) {
        clients.remove(&c.handle);
        if clients.is_empty() {
            all.remove(name);
        }
    }
    true
}

/// Notes that the client may have no subscription left.
fn settle(srv: &mut Server, c: &mut Client) {
    if c.pubsub.as_ref().is_none_or(|p| p.is_empty()) {
        c.pubsub = None;
        if c.flags.contains(ClientFlags::PUBSUB) {
            c.flags.remove(ClientFlags::PUBSUB);
            srv.pubsub.clients -= 1;
        }
    }
}

fn names_of(c: &mut Client, kind: Kind) -> Vec<Bytes> {
    c.pubsub.as_mut().map(|p| p.names.of(kind).iter().cloned().collect()).unwrap_or_default()
}

fn unsubscribe_all(srv: &mut Server, c: &mut Client, kind: Kind) -> CmdResult {
    let named = c.argv.len() > 1;
    let names: Vec<Bytes> =
        if named { (1..c.argv.len()).map(|i| c.argv.bytes(i)).collect() } else { names_of(c, kind) };
    for name in &names {
        drop_one(srv, c, kind, name);
        let count = c.pubsub.as_ref().map_or(0, |p| p.shown(kind));
        confirm(srv, c, kind.unsubscribed(), Some(name), count);
    }
    if names.is_empty() {
        let count = c.pubsub.as_ref().map_or(0, |p| p.shown(kind));
        confirm(srv, c, kind.unsubscribed(), None, count);
    }
    settle(srv, c);
    Ok(())
}

/// Ends all subscriptions of a client, without a word to it: RESET, or the client is gone.
pub fn forget_client(srv: &mut Server, c: &mut Client) {
    for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
        for name in names_of(c, kind) {
            drop_one(srv, c, kind, &name);
        }
    }
    settle(srv, c);
}

/// A message for RESP2 and RESP3 clients, each encoded when the first of its kind needs it.
struct Message<'a> {
    parts: &'a [&'a [u8]],
    encoded: [Option<Bytes>; 2],
}

impl<'a> Message<'a> {
    fn new(parts: &'a [&'a [u8]]) -> Message<'a> {
        Message { parts, encoded: [None, None] }
    }

    fn for_protocol(&mut self, resp3: bool) -> &Bytes {
        self.encoded[usize::from(resp3)].get_or_insert_with(|| {
            let mut out = Out::default();
            out.set_resp3(resp3);
            out.push(self.parts.len());
            for part in self.parts {
                out.bulk(part);
            }
            Bytes::from(out.take_bytes())
        })
    }

    /// Sends it to each of `clients`.
    fn send(&mut self, srv: &mut Server, clients: Vec<ClientId>) -> usize {
        for id in &clients {
            // A client that is checked out is the publisher itself; with subscriptions it speaks RESP3, or it
            // could not publish.
            let resp3 = srv.clients.get(*id).is_none_or(Client::resp3);
            let bytes = self.for_protocol(resp3).clone();
            networking::send_to(srv, *id, &bytes);
        }
        clients.len()
    }
}

fn clients_of(subscribers: &Subscribers, name: &[u8]) -> Vec<ClientId> {
    subscribers.get(name).map(|clients| clients.iter().copied().collect()).unwrap_or_default()
}

/// Sends `message` to the subscribers of `channel` and of patterns that match it; returns how many received it.
pub fn publish_message(srv: &mut Server, channel: &[u8], message: &[u8]) -> usize {
    let direct = clients_of(&srv.pubsub.names.channels, channel);
    let mut receivers = Message::new(&[b"message", channel, message]).send(srv, direct);
    if srv.pubsub.names.patterns.is_empty() {
        return receivers;
    }
    let matching: Vec<(Bytes, Vec<ClientId>)> = srv
        .pubsub
        .names
        .patterns
        .iter()
        .filter(|(pattern, _)| glob::matches(pattern, channel, false))
        .map(|(pattern, clients)| (pattern.clone(), clients.iter().copied().collect()))
        .collect();
    for (pattern, clients) in matching {
        receivers += Message::new(&[b"pmessage", &pattern, channel, message]).send(srv, clients);
    }
    receivers
}

/// `SUBSCRIBE channel [channel ...]`
pub fn subscribe(srv: &mut Server, c: &mut Client) -> CmdResult {
    subscribe_all(srv, c, Kind::Channel)
}

/// `PSUBSCRIBE pattern [pattern ...]`
pub fn psubscribe(srv: &mut Server, c: &mut Client) -> CmdResult {
    subscribe_all(srv, c, Kind::Pattern)
}

/// `SSUBSCRIBE shardchannel [shardchannel ...]`
pub fn ssubscribe(srv: &mut Server, c: &mut Client) -> CmdResult {
    subscribe_all(srv, c, Kind::Shard)
}

/// `UNSUBSCRIBE [channel ...]`
pub fn unsubscribe(srv: &mut Server, c: &mut Client) -> CmdResult {
    unsubscribe_all(srv, c, Kind::Channel)
}

/// `PUNSUBSCRIBE [pattern ...]`
pub fn punsubscribe(srv: &mut Server, c: &mut Client) -> CmdResult {
    unsubscribe_all(srv, c, Kind::Pattern)
}

/// `SUNSUBSCRIBE [shardchannel ...]`
pub fn sunsubscribe(srv: &mut Server, c: &mut Client) -> CmdResult {
    unsubscribe_all(srv, c, Kind::Shard)
}

/// `PUBLISH channel message`
pub fn publish(srv: &mut Server, c: &mut Client) -> CmdResult {
    let receivers = publish_message(srv, c.argv.get(1), c.argv.get(2));
    c.out.count(receivers);
    Ok(())
}

/// `SPUBLISH shardchannel message`
pub fn spublish(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (channel, message) = (c.argv.get(1), c.argv.get(2));
    let clients = clients_of(&srv.pubsub.names.shard_channels, channel);
    let receivers = Message::new(&[b"smessage", channel, message]).send(srv, clients);
    c.out.count(receivers);
    Ok(())
}

fn list_names(subscribers: &Subscribers, c: &mut Client) {
    let pattern = (c.argv.len() > 2).then(|| c.argv.get(2));
    let names: Vec<&Bytes> =
        subscribers.keys().filter(|name| pattern.is_none_or(|p| glob::matches(p, name, false))).collect();
    c.out.array(names.len());
    for name in names {
        c.out.bulk(name);
    }
}

fn list_counts(subscribers: &Subscribers, c: &mut Client) {
    c.out.array((c.argv.len() - 2) * 2);
    for name in c.argv.iter_from(2) {
        c.out.bulk(name);
        c.out.count(subscribers.get(name).map_or(0, HashSet::len));
    }
}

/// `PUBSUB CHANNELS [pattern]`
pub fn pubsub_channels(srv: &mut Server, c: &mut Client) -> CmdResult {
    list_names(&srv.pubsub.names.channels, c);
    Ok(())
}

/// `PUBSUB SHARDCHANNELS [pattern]`
pub fn pubsub_shardchannels(srv: &mut Server, c: &mut Client) -> CmdResult {
    list_names(&srv.pubsub.names.shard_channels, c);
    Ok(())
}

/// `PUBSUB NUMSUB [channel ...]`
pub fn pubsub_numsub(srv: &mut Server, c: &mut Client) -> CmdResult {
    list_counts(&srv.pubsub.names.channels, c);
    Ok(())
}

/// `PUBSUB SHARDNUMSUB [shardchannel ...]`
pub fn pubsub_shardnumsub(srv: &mut Server, c: &mut Client) -> CmdResult {
    list_counts(&srv.pubsub.names.shard_channels, c);
    Ok(())
}

/// `PUBSUB NUMPAT`
pub fn pubsub_numpat(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.count(srv.pubsub.names.patterns.len());
    Ok(())
}

/// `PUBSUB HELP`
pub fn pubsub_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help(
        "PUBSUB",
        &[
            "CHANNELS [<pattern>]",
            "    List the channels that have subscribers, all or those that match.",
            "NUMPAT",
            "    Count the patterns that have subscribers.",
            "NUMSUB [<channel> ...]",
            "    Count the subscribers of each channel, those by pattern left out.",
            "SHARDCHANNELS [<pattern>]",
            "    List the shard channels that have subscribers, all or those that match.",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Count the subscribers of each shard channel.",
        ],
    );
    Ok(())
}
