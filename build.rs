//! Compiles the command files into a static table.
fn main() {}
