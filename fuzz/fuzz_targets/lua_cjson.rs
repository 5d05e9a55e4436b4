//! Any text to `cjson.decode`, and what comes out of it through `cjson.encode` and back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::scripting::script_lua::library_sandbox::Sandbox;

fuzz_target!(|text: &[u8]| {
    let sandbox = Sandbox::new();
    // What was encoded once is the same when it is decoded and encoded again, unless a table has more than one key: their
    // order depends on the table's history.
    let again = sandbox.run(
        "local text = ...
         local lenient, strict = cjson, cjson.new()
         strict.decode_invalid_numbers(false)
         lenient.encode_invalid_numbers(true)
         strict.encode_invalid_numbers(true)
         local known, value = pcall(strict.decode, text)
         local ok, other = pcall(lenient.decode, text)
         assert(ok or not known, 'strict and not lenient')
         if not ok then return 'same' end
         local encoded, first = pcall(lenient.encode, other)
         if not encoded then return 'same' end
         local second = lenient.encode(lenient.decode(first))
         return #first == #second and 'same' or first .. ' and ' .. second",
        text,
    );
    assert_eq!(again.escape_ascii().to_string(), "same");
});
