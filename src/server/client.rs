//! A client, and the slab of all clients.
//!
//! Clients live in [`Clients`]; everything else refers to one by [`ClientId`], an index with a generation that is
//! checked on use. While a client's command runs its box is checked out of the slab, so that a command holds
//! `&mut Server` and `&mut Client` side by side.

use std::ops::{BitOr, BitOrAssign};

use crate::db::blocked::BlockState;
use crate::db::multi::MultiState;
use crate::db::pubsub::ClientPubsub;
use crate::io::connection::Connection;
use crate::scripting::script_lua::ldb;
use crate::server::Server;
use crate::server::argv::Argv;
use crate::server::commands::CommandSpec;
use crate::server::networking::Input;
use crate::server::reply::Out;

/// Names a slot of the slab and the generation of the client in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    /// Slot.
    pub index: u32,
    /// How many clients the slot had before.
    pub generation: u32,
}

impl ClientId {
    /// Of a client that is in no slab: a script's, a loader's.
    pub const DETACHED: ClientId = ClientId { index: u32::MAX, generation: u32::MAX };
}

/// What is true of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientFlags(u64);

impl ClientFlags {
    /// Nothing.
    pub const NONE: ClientFlags = ClientFlags(0);
    /// Its commands come from the log of a server that has checked them, and are made exact where they had a choice.
    pub const OBEYED: ClientFlags = ClientFlags(1 << 22);
    /// Connected by a unix socket.
    pub const UNIX_SOCKET: ClientFlags = ClientFlags(1 << 0);
    /// Close once the replies are written; nothing more is read.
    pub const CLOSE_AFTER_REPLY: ClientFlags = ClientFlags(1 << 1);
    /// Close at the next occasion, replies or not.
    pub const CLOSE_ASAP: ClientFlags = ClientFlags(1 << 2);
    /// Let the command that runs finish and answer, then [`ClientFlags::CLOSE_AFTER_REPLY`].
    pub const CLOSE_AFTER_COMMAND: ClientFlags = ClientFlags(1 << 3);
    /// Has given the password, or none is needed.
    pub const AUTHENTICATED: ClientFlags = ClientFlags(1 << 4);
    /// Receives every command: MONITOR.
    pub const MONITOR: ClientFlags = ClientFlags(1 << 5);
    /// CLIENT REPLY OFF.
    pub const REPLY_OFF: ClientFlags = ClientFlags(1 << 6);
    /// CLIENT REPLY SKIP was this command: the next one's reply is dropped.
    pub const REPLY_SKIP_NEXT: ClientFlags = ClientFlags(1 << 7);
    /// The reply of the command at hand is dropped.
    pub const REPLY_SKIP: ClientFlags = ClientFlags(1 << 8);
    /// CLIENT NO-EVICT.
    pub const NO_EVICT: ClientFlags = ClientFlags(1 << 9);
    /// CLIENT NO-TOUCH.
    pub const NO_TOUCH: ClientFlags = ClientFlags(1 << 10);
    /// Is on the list of clients with replies to write.
    pub const PENDING_WRITE: ClientFlags = ClientFlags(1 << 11);
    /// Is on the list of clients with input to read or process.
    pub const PENDING_READ: ClientFlags = ClientFlags(1 << 12);
    /// Waits for something (CLIENT PAUSE; later: keys, replicas); commands behind it wait in its input.
    pub const BLOCKED: ClientFlags = ClientFlags(1 << 13);
    /// Has subscriptions.
    pub const PUBSUB: ClientFlags = ClientFlags(1 << 14);
    /// The socket takes no more for now; a writable event will come.
    pub const WRITE_STALLED: ClientFlags = ClientFlags(1 << 15);
    /// The socket may hold more input than was read.
    pub const READABLE: ClientFlags = ClientFlags(1 << 16);
    /// Has begun a transaction: commands are queued.
    pub const MULTI: ClientFlags = ClientFlags(1 << 17);
    /// A command of the transaction was refused: EXEC will be, too.
    pub const DIRTY_EXEC: ClientFlags = ClientFlags(1 << 18);
    /// Commands may not wait: within EXEC, and for clients that are no connections.
    pub const DENY_BLOCKING: ClientFlags = ClientFlags(1 << 19);
    /// The command at hand has waited and is run again.
    pub const REEXECUTING: ClientFlags = ClientFlags(1 << 20);
    /// Its commands are a script's.
    pub const SCRIPT: ClientFlags = ClientFlags(1 << 21);

    /// Those that ask for a look before each command.
    pub const fn special() -> ClientFlags {
        ClientFlags(
            ClientFlags::PUBSUB.0
                | ClientFlags::MULTI.0
                | ClientFlags::REPLY_OFF.0
                | ClientFlags::REPLY_SKIP.0,
        )
    }

    /// Those that ask for a look after each command.
    pub const fn settle() -> ClientFlags {
        ClientFlags(
            ClientFlags::REPLY_OFF.0
                | ClientFlags::REPLY_SKIP.0
                | ClientFlags::REPLY_SKIP_NEXT.0
                | ClientFlags::CLOSE_AFTER_COMMAND.0,
        )
    }

    /// Whether all of `other` hold.
    #[inline]
    pub fn contains(self, other: ClientFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` holds.
    #[inline]
    pub fn intersects(self, other: ClientFlags) -> bool {
        self.0 & other.0 != 0
    }

    /// Makes `other` true.
    #[inline]
    pub fn insert(&mut self, other: ClientFlags) {
        self.0 |= other.0;
    }

    /// Makes `other` false.
    #[inline]
    pub fn remove(&mut self, other: ClientFlags) {
        self.0 &= !other.0;
    }

    /// Makes `other` what `on` says.
    pub fn set(&mut self, other: ClientFlags, on: bool) {
        if on { self.insert(other) } else { self.remove(other) }
    }
}

impl BitOr for ClientFlags {
    type Output = ClientFlags;
    fn bitor(self, other: ClientFlags) -> ClientFlags {
        ClientFlags(self.0 | other.0)
    }
}

impl BitOrAssign for ClientFlags {
    fn bitor_assign(&mut self, other: ClientFlags) {
        self.0 |= other.0;
    }
}

/// A client: a connection, the state of its session, its input and its output.
#[derive(Debug)]
pub struct Client {
    /// What is true of it.
    pub flags: ClientFlags,
    /// Its place in the slab.
    pub handle: ClientId,
    /// The selected database.
    pub db: usize,
    /// Arguments of the command at hand.
    pub argv: Argv,
    /// Replies.
    pub out: Out,
    /// Bytes received and not yet understood.
    pub input: Input,
    /// The socket; `None` for a client that is no connection.
    pub conn: Option<Connection>,
    /// The command at hand.
    pub cmd: Option<&'static CommandSpec>,
    /// The last command that was called.
    pub last_cmd: Option<&'static CommandSpec>,
    /// CLIENT ID: counts up from 1 over the life of the process.
    pub id: u64,
    /// Unix time of the connection, in milliseconds.
    pub created_ms: u64,
    /// Unix time of the last byte received or sent, in seconds.
    pub last_interaction: u64,
    /// Unix time at which the soft output limit was passed, in seconds.
    pub soft_limit_since: Option<u64>,
    /// The replication offset behind the last command of its that was propagated.
    pub write_offset: i64,
    /// Commands called.
    pub commands: u64,
    /// Bytes received.
    pub net_in: u64,
    /// Bytes sent.
    pub net_out: u64,
    /// What is rarely there.
    pub info: ClientInfo,
    /// Subscriptions.
    pub pubsub: Option<Box<ClientPubsub>>,
    /// The transaction in the making.
    pub multi: Option<Box<MultiState>>,
    /// What the client waits for, if it waits for keys.
    pub blocked: Option<Box<BlockState>>,
}

/// What a client has said of itself, and where it comes from.
#[derive(Debug, Default)]
pub struct ClientInfo {
    /// CLIENT SETNAME.
    pub name: Option<Box<[u8]>>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Option<Box<[u8]>>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: Option<Box<[u8]>>,
    /// SCRIPT DEBUG.
    pub debugging: Option<Box<ldb::Settings>>,
    /// The peer's address, `ip:port`.
    pub addr: Box<str>,
    /// Our own address, `ip:port`.
    pub laddr: Box<str>,
}

impl Client {
    /// A client that is no connection and that nothing holds back: it plays commands back.
    pub fn detached(srv: &Server) -> Box<Client> {
        Box::new(Client {
            flags: ClientFlags::AUTHENTICATED | ClientFlags::DENY_BLOCKING,
            handle: ClientId::DETACHED,
            db: 0,
            argv: Argv::default(),
            out: Out::default(),
            input: Input::default(),
            conn: None,
            cmd: None,
            last_cmd: None,
            id: u64::MAX,
            created_ms: srv.clock.unix_ms,
            last_interaction: srv.clock.unix_s(),
            soft_limit_since: None,
            write_offset: 0,
            commands: 0,
            net_in: 0,
            net_out: 0,
            info: ClientInfo::default(),
            pubsub: None,
            multi: None,
            blocked: None,
        })
    }

    /// Whether the client speaks RESP3.
    pub fn resp3(&self) -> bool {
        self.out.resp3()
    }

    /// The command at hand.
    ///
    /// # Panics
    /// Outside of a command.
    pub fn spec(&self) -> &'static CommandSpec {
        self.cmd.expect("a command is at hand")
    }

    /// Whether a command may make the client wait. Where not, it answers as if its time were up.
    pub fn may_block(&self) -> bool {
        self.conn.is_some() && !self.flags.contains(ClientFlags::DENY_BLOCKING)
    }

    /// The name of the authenticated user.
    pub fn user_name(&self) -> &str {
        "default"
    }

    /// Whether the client is connected from this host: by the loopback interface or the Unix socket.
    pub fn is_local(&self) -> bool {
        let by_loopback = ["127.", "[::1]"].iter().any(|host| self.info.addr.starts_with(host));
        by_loopback || self.flags.contains(ClientFlags::UNIX_SOCKET)
    }

    /// Marks the client to be closed once its replies are written.
    pub fn close_after_reply(&mut self) {
        self.flags.insert(ClientFlags::CLOSE_AFTER_REPLY);
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    taken: bool,
    client: Option<Box<Client>>,
}

/// All clients that are connections.
#[derive(Debug, Default)]
pub struct Clients {
    slots: Vec<Slot>,
    free: Vec<u32>,
    len: usize,
}

impl Clients {
    /// Number of clients, checked-out ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no client.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes in the client that `make` builds for the place it is given.
    pub fn insert(&mut self, make: impl FnOnce(ClientId) -> Box<Client>) -> ClientId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        let id = ClientId { index, generation: slot.generation };
        slot.taken = true;
        slot.client = Some(make(id));
        self.len += 1;
        id
    }

    /// Takes the client out to work on; [`Clients::check_in`] or [`Clients::remove`] must follow.
    #[inline]
    pub fn check_out(&mut self, id: ClientId) -> Option<Box<Client>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation { None } else { slot.client.take() }
    }

    /// Puts a client back.
    #[inline]
    pub fn check_in(&mut self, client: Box<Client>) {
        let slot = &mut self.slots[client.handle.index as usize];
        debug_assert!(slot.generation == client.handle.generation && slot.client.is_none() && slot.taken);
        slot.client = Some(client);
    }

    /// Gives up the place of `id`, whether its client is checked out or not, and returns the client if it is not.
    pub fn remove(&mut self, id: ClientId) -> Option<Box<Client>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation || !slot.taken {
            return None;
        }
        slot.taken = false;
        slot.generation = slot.generation.wrapping_add(1) & GENERATION_MASK;
        self.free.push(id.index);
        self.len -= 1;
        slot.client.take()
    }

    /// Whether `id` is a client that is not checked out.
    pub fn contains(&self, id: ClientId) -> bool {
        self.get(id).is_some()
    }

    /// Whether `id` is a client that is checked out at present.
    pub fn is_checked_out(&self, id: ClientId) -> bool {
        self.slots
            .get(id.index as usize)
            .is_some_and(|s| s.generation == id.generation && s.taken && s.client.is_none())
    }

    /// The client, unless it is gone or checked out.
    pub fn get(&self, id: ClientId) -> Option<&Client> {
        let slot = self.slots.get(id.index as usize)?;
        if slot.generation != id.generation { None } else { slot.client.as_deref() }
    }

    /// The client, unless it is gone or checked out.
    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation { None } else { slot.client.as_deref_mut() }
    }

    /// All clients that are not checked out, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &Client> + '_ {
        self.slots.iter().filter_map(|s| s.client.as_deref())
    }

    /// All clients that are not checked out.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> + '_ {
        self.slots.iter_mut().filter_map(|s| s.client.as_deref_mut())
    }

    /// Number of slots: the range of indexes, for a walk a part at a time.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Who lives in slot `index`, if not checked out.
    pub fn at(&self, index: usize) -> Option<ClientId> {
        self.slots.get(index)?.client.as_ref().map(|c| c.handle)
    }
}

/// Generations stay below 2^31, because an event token keeps a bit for what is no client.
pub const GENERATION_MASK: u32 = u32::MAX >> 1;
