//! A running script: what holds for it whatever command has begun it.

use crate::server::{Client, Server};

/// The script that runs, as its callbacks find it.
#[derive(Debug)]
pub struct Run {
    /// The server. It is not touched by anybody else while the script's code runs.
    pub srv: *mut Server,
    /// The client whose commands the script's are.
    pub client: *mut Client,
}
