//! redis-cli: the command-line client.
//!
//! It runs a single command given on the command line, or reads commands from a terminal or a pipe. It knows the protocol
//! and nothing of the server; what commands exist, and what they take, it asks the server it is connected to.
//!
//! | file            | what it is                                                        |
//! |-----------------|-------------------------------------------------------------------|
//! | [`uri`]         | servers written as `redis://…`                                    |
//! | [`resp`]        | decoding replies, encoding commands                               |
//! | [`connection`]  | the socket                                                        |
//! | [`format`]      | how replies are printed                                           |
//! | [`docs`]        | what the server says about its commands                           |
//! | [`hints`]       | what may follow the words typed so far                            |
//! | [`lenient`]     | numbers with something behind them                                |

pub mod connection;
pub mod docs;
pub mod format;
pub mod hints;
pub mod lenient;
pub mod resp;
pub mod uri;
