//! The server: see `ochre::server::start`.

fn main() {
    let args = std::env::args_os().skip(1).collect();
    std::process::exit(ochre::server::start::main(args));
}
