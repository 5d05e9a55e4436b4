//! Any bytes to `cmsgpack.unpack`, and what comes out of it through `cmsgpack.pack` and back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ochre::scripting::script_lua::library_sandbox::Sandbox;

fuzz_target!(|message: &[u8]| {
    let sandbox = Sandbox::new();
    let again = sandbox.run(
        "local message = ...
         if message == '' then return 'same' end
         local offset, count = 0, 0
         while offset >= 0 do
           local ok, following, value = pcall(cmsgpack.unpack_one, message, offset)
           if not ok then return 'same' end
           if following == 0 then break end
           assert(following == -1 or following > offset, 'no way forward')
           -- What is nested too deep is packed as nil: gone when that is unpacked, or no key.
           local ok, kept = pcall(cmsgpack.unpack, (cmsgpack.pack(value)))
           if ok then
             local first = cmsgpack.pack(kept)
             local second = cmsgpack.pack((cmsgpack.unpack(first)))
             if #first ~= #second then return 'another length' end
           end
           offset, count = following, count + 1
         end
         assert(count == 0 or select('#', cmsgpack.unpack(message)) == count, 'another count')
         return 'same'",
        message,
    );
    assert_eq!(again.escape_ascii().to_string(), "same");
});
