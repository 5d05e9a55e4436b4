//! Any format with any data to `struct.unpack`, from any position, and the values back through `struct.pack`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::scripting::script_lua::library_sandbox::Sandbox;

fuzz_target!(|input: (u8, i8, &[u8])| {
    let (cut, position, bytes) = input;
    let cut = usize::from(cut).min(bytes.len());
    let sandbox = Sandbox::new();
    let mut argument = format!("{cut} {position} ").into_bytes();
    argument.extend_from_slice(bytes);
    let again = sandbox.run(
        "local cut, position, at = (...):match('^(%d+) (%-?%d+) ()')
         local format = (...):sub(at, at + cut - 1)
         local data = (...):sub(at + cut)
         pcall(struct.size, format)
         -- Not out of pcall: it pushes its answer above all results, for which Lua 5.1 has room but its checks do not.
         local results
         local ok = pcall(function() results = {struct.unpack(format, data, tonumber(position))} end)
         if not ok then return 'fine' end
         local following = results[#results]
         -- Without an option nothing is read, and the position comes back as it is.
         local none = format:sub(1, 1) == '' or format:sub(1, 1) == '\\0'
         assert(none or (following >= 1 and following <= #data + 1), 'outside of the data')
         pcall(struct.pack, format, unpack(results, 1, #results - 1))
         return 'fine'",
        &argument,
    );
    assert_eq!(again.escape_ascii().to_string(), "fine");
});
