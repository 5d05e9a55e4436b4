//! Keyspace notifications: what happened to a key, published on two channels.
//!
//! `notify-keyspace-events` names classes of events and the channels: `__keyspace@DB__:KEY` carries the event's
//! name, `__keyevent@DB__:EVENT` the key's. Every command calls [`notify_keyspace_event`] where it changes a key;
//! while nothing is configured that costs one comparison.

use bytes::Bytes;

use crate::db::pubsub;
use crate::server::Server;

pub use crate::server::config::NotifyFlags;

/// Publishes that `event`, of the class `class`, happened to `key` of database `db`, if that is configured.
#[inline]
pub fn notify_keyspace_event(srv: &mut Server, class: NotifyFlags, event: &str, key: &[u8], db: usize) {
    if srv.config.notify_keyspace_events.intersects(class) {
        publish(srv, event, key, db);
    }
}

#[cold]
fn publish(srv: &mut Server, event: &str, key: &[u8], db: usize) {
    let on = srv.config.notify_keyspace_events;
    if on.intersects(NotifyFlags::KEYSPACE) {
        let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
        pubsub::publish_message(srv, &channel, event.as_bytes());
    }
    if on.intersects(NotifyFlags::KEYEVENT) {
        let channel = Bytes::from(format!("__keyevent@{db}__:{event}"));
        pubsub::publish_message(srv, &channel, key);
    }
}
