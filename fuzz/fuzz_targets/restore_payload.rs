//! Payloads of RESTORE, without their footer: what is accepted can be written again, and is then read as the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::persistence::rdb::{Limits, dump_payload, function_sources, restore_payload, verify};
use ochre::server::config::{Config, RdbVersion};

fuzz_target!(|body: &[u8]| {
    let limits = Limits::configured(&Config::default());
    let _ = function_sources(body);
    let Ok(Ok(entry)) = restore_payload(body, b"key", None, 0, &limits) else { return };
    let payload = dump_payload(entry.view(), RdbVersion::Auto, true).expect("every value has a version");
    let body = verify(&payload, true).expect("the footer was just made");
    let again = restore_payload(body, b"key", None, 0, &limits);
    let again = again.expect("what was written is read").expect("it has elements");
    assert_eq!(again.view().len(), entry.view().len());
    assert_eq!(again.view().value_type(), entry.view().value_type());
});
