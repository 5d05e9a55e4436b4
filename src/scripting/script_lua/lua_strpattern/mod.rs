//! Lua's functions of patterns (`string.find`, `match`, `gmatch` and `gsub`), which a script cannot be stuck in.
//!
//! # Why they are our own
//!
//! Lua's matcher may take exponential time, and no hook is called while it works: a script that does
//!
//! ```text
//! string.find(('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40) .. 'b')
//! ```
//!
//! would hold the server for years, and nobody could stop it. It also nests C calls as deep as a pattern is long. Hence the
//! matcher is written anew (`matcher.rs`). It counts its steps, and every so many of them looks at the clock as the hook does:
//! clients are served, and SCRIPT KILL ends it. Steps are counted over all calls together, so that many short ones are noticed
//! as well.
//!
//! What scripts see is Lua 5.1's: the order in which arguments are checked, the texts of errors, 32 captures, patterns that
//! end at a NUL. The tests compare both on random patterns, sources and replacements.
//!
//! # How the functions are written
//!
//! They may call back into Lua (replacements are made by functions and metamethods), and what they make is bounded by the
//! state's limit of memory like everything that Lua allocates. So they are shells that own nothing (see `boundary.rs`) around
//! the matcher, which calls no Lua. Its stack of choices belongs to the state's [`Host`] and is lent to it for each match.

mod matcher;

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

use mlua_sys::*;

use matcher::{Captured, Fault, Matcher};
pub(super) use matcher::{Choice, STEPS_PER_LOOK};

use super::alloc::Host;
use super::boundary::{self, RAISE, push_bytes, set_function};

/// Choices for which memory is kept from one match to the next.
const CHOICES_KEPT: usize = 1024;

/// Bytes that stand for more than themselves in a pattern.
const SPECIALS: &[u8] = b"^$*+?.([%-";

/// Sets the functions in the table of `string` on top.
///
/// # Safety
/// `l` is a live state with three free slots and a table on top, and memory is not refused.
pub unsafe fn open(l: *mut lua_State) {
    // SAFETY: as the caller promises.
    unsafe {
        set_function(l, "find", find);
        set_function(l, "match", match_);
        set_function(l, "gsub", gsub);
        set_function(l, "gmatch", gmatch);
        // The name of older times is the same function.
        push_bytes(l, b"gfind");
        push_bytes(l, b"gmatch");
        lua_rawget_(l, -3);
        lua_rawset(l, -3);
    }
}

/// The string argument at `index`; any other value is an error.
///
/// # Safety
/// For shells alone. The bytes are valid while the value is on the stack.
unsafe fn string<'a>(l: *mut lua_State, index: c_int) -> &'a [u8] {
    // SAFETY: Lua answers the address of as many bytes as it writes to `len`, or raises.
    unsafe {
        let mut len = 0;
        let start = luaL_checklstring(l, index, &mut len);
        std::slice::from_raw_parts(start.cast(), len)
    }
}

/// A matcher that goes on counting where the last one stopped.
#[inline]
unsafe fn matcher<'a>(l: *mut lua_State, source: &'a [u8], pattern: &'a [u8]) -> Matcher<'a> {
    // SAFETY: every state has a host.
    unsafe { Matcher::new(source, pattern, (*Host::of(l)).steps_left()) }
}

/// Matches at `at`, and if `anywhere` behind it as well: answers where a match begins and ends. A fault is raised.
///
/// # Safety
/// For shells alone, with four free slots.
unsafe fn search(
    l: *mut lua_State,
    matcher: &mut Matcher<'_>,
    at: usize,
    anywhere: bool,
) -> Option<(usize, usize)> {
    // SAFETY: every state has a host. When an error is raised the choices are with the host again, and nothing else is owned.
    let found = unsafe {
        let host = &*Host::of(l);
        let mut choices = host.lend_choices();
        let mut look = || boundary::enter(l, super::look) == RAISE;
        let found = matcher.search(at, anywhere, &mut choices, &mut look);
        if choices.capacity() > CHOICES_KEPT {
            choices = Vec::new();
        }
        host.take_choices(choices);
        host.set_steps_left(matcher.steps);
        found
    };
    match found {
        Ok(found) => found,
        // SAFETY: see above; a fault is plain data.
        Err(fault) => unsafe { raise(l, fault) },
    }
}

/// Counts steps of another function that may be called for ever, and looks at the clock when it is time.
///
/// # Safety
/// For shells alone, with four free slots: it may raise.
pub unsafe fn spend(l: *mut lua_State, steps: usize) {
    // SAFETY: as the caller promises; every state has a host.
    unsafe {
        let host = &*Host::of(l);
        let left = host.steps_left() - steps as i64;
        host.set_steps_left(if left > 0 { left } else { STEPS_PER_LOOK });
        if left <= 0 && boundary::enter(l, super::look) == RAISE {
            lua_error(l);
        }
    }
}

/// Raises a fault.
#[cold]
unsafe fn raise(l: *mut lua_State, fault: Fault) -> ! {
    // SAFETY: called by shells. The texts have nothing that would be formatted. If matching was stopped, the error is on top.
    unsafe {
        match fault {
            Fault::Malformed(text) => luaL_error(l, c"%s".as_ptr(), text.as_ptr()),
            Fault::Stopped => lua_error(l),
        };
    }
    unreachable!("both calls raise");
}

/// Pushes a capture of a match.
unsafe fn push_capture(
    l: *mut lua_State,
    matcher: &Matcher<'_>,
    source: &[u8],
    index: usize,
    found: (usize, usize),
) {
    // SAFETY: called by shells that have made room.
    unsafe {
        match matcher.capture(index, found.0, found.1) {
            Ok(Captured::Text(from, to)) => push_bytes(l, &source[from..to]),
            Ok(Captured::Position(at)) => lua_pushinteger(l, at as lua_Integer + 1),
            Err(fault) => raise(l, fault),
        }
    }
}

/// Pushes the captures of a match, or all of it if the pattern has none and `whole`; answers how many.
unsafe fn push_captures(
    l: *mut lua_State,
    matcher: &Matcher<'_>,
    source: &[u8],
    found: (usize, usize),
    whole: bool,
) -> c_int {
    let count = if whole { matcher.level().max(1) } else { matcher.level() };
    // SAFETY: called by shells.
    unsafe {
        luaL_checkstack_(l, count as c_int, c"too many captures".as_ptr());
        for index in 0..count {
            push_capture(l, matcher, source, index, found);
        }
    }
    count as c_int
}

/// `string.find(s, pattern [, init [, plain]])`
unsafe extern "C-unwind" fn find(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots; this is a shell.
    unsafe { find_or_match(l, true) }
}

/// `string.match(s, pattern [, init])`
unsafe extern "C-unwind" fn match_(l: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { find_or_match(l, false) }
}

/// What [`find`] and [`match_`] have in common.
unsafe fn find_or_match(l: *mut lua_State, is_find: bool) -> c_int {
    // SAFETY: a part of shells; the strings stay on the stack.
    unsafe {
        let source = string(l, 1);
        let pattern = string(l, 2);
        let init = first_position(luaL_optinteger(l, 3, 1), source.len());
        if is_find && (lua_toboolean(l, 4) != 0 || is_plain(pattern)) {
            let Some(skipped) = memchr::memmem::find(&source[init..], pattern) else {
                lua_pushnil(l);
                return 1;
            };
            lua_pushinteger(l, (init + skipped) as lua_Integer + 1);
            lua_pushinteger(l, (init + skipped + pattern.len()) as lua_Integer);
            return 2;
        }
        let (pattern, anchored) = split_anchor(pattern);
        let mut matcher = matcher(l, source, pattern);
        let Some(found) = search(l, &mut matcher, init, !anchored) else {
            lua_pushnil(l);
            return 1;
        };
        if !is_find {
            return push_captures(l, &matcher, source, found, true);
        }
        lua_pushinteger(l, found.0 as lua_Integer + 1);
        lua_pushinteger(l, found.1 as lua_Integer);
        2 + push_captures(l, &matcher, source, found, false)
    }
}

/// Where to begin, from 0: positions count from 1, and negative ones from the end.
fn first_position(position: lua_Integer, len: usize) -> usize {
    let from_start = if position < 0 { position.wrapping_add(len as lua_Integer + 1) } else { position };
    (from_start.max(1) as usize - 1).min(len)
}

/// Whether a pattern stands for itself. What is behind a NUL is not looked at.
fn is_plain(pattern: &[u8]) -> bool {
    pattern.iter().take_while(|b| **b != 0).all(|b| !SPECIALS.contains(b))
}

/// The pattern behind its anchor, and whether it has one.
fn split_anchor(pattern: &[u8]) -> (&[u8], bool) {
    match pattern.strip_prefix(b"^") {
        Some(rest) => (rest, true),
        None => (pattern, false),
    }
}

/// `string.gmatch(s, pattern)`
unsafe extern "C-unwind" fn gmatch(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots; this is a shell.
    unsafe {
        string(l, 1);
        string(l, 2);
        lua_settop(l, 2);
        lua_pushinteger(l, 0);
        lua_pushcclosure(l, next_match, 3);
        1
    }
}

/// The iterator of [`gmatch`]: its upvalues are the source, the pattern, and where to go on.
unsafe extern "C-unwind" fn next_match(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots; this is a shell, and its upvalues hold the strings.
    unsafe {
        let source = string(l, lua_upvalueindex(1));
        let pattern = string(l, lua_upvalueindex(2));
        let at = lua_tointeger_(l, lua_upvalueindex(3)) as usize;
        if at > source.len() {
            return 0;
        }
        let mut matcher = matcher(l, source, pattern);
        let Some(found) = search(l, &mut matcher, at, true) else { return 0 };
        // An empty match is passed, so that the next one is another.
        let next = found.1 + usize::from(found.0 == found.1);
        lua_pushinteger(l, next as lua_Integer);
        lua_replace(l, lua_upvalueindex(3));
        push_captures(l, &matcher, source, found, true)
    }
}

/// `string.gsub(s, pattern, replacement [, n])`
unsafe extern "C-unwind" fn gsub(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots. This is a shell: the buffer is plain data, and what it holds beyond
    // its own size is on Lua's stack.
    unsafe {
        let source = string(l, 1);
        let pattern = string(l, 2);
        let kind = lua_type(l, 3);
        let most = luaL_optinteger(l, 4, source.len() as lua_Integer + 1) as c_int;
        if !matches!(kind, LUA_TNUMBER | LUA_TSTRING | LUA_TFUNCTION | LUA_TTABLE) {
            luaL_argerror(l, 3, c"string/function/table expected".as_ptr());
        }
        let (pattern, anchored) = split_anchor(pattern);
        let mut matcher = matcher(l, source, pattern);
        let mut buffer = MaybeUninit::<luaL_Buffer>::uninit();
        let buffer = buffer.as_mut_ptr();
        luaL_buffinit(l, buffer);
        // Up to `copied` the result is made; the search goes on at `at`.
        let (mut copied, mut at, mut count) = (0, 0, 0);
        while count < most && at <= source.len() {
            let Some(found) = search(l, &mut matcher, at, !anchored) else { break };
            count += 1;
            add(buffer, &source[copied..found.0]);
            add_replacement(l, buffer, kind, &matcher, source, found);
            copied = found.1;
            // An empty match stands in front of a byte, which is kept.
            at = found.1 + usize::from(found.0 == found.1);
            if anchored {
                break;
            }
        }
        add(buffer, &source[copied..]);
        luaL_pushresult(buffer);
        lua_pushinteger(l, lua_Integer::from(count));
        2
    }
}

/// Adds bytes to a buffer, as many at once as fit.
unsafe fn add(buffer: *mut luaL_Buffer, mut bytes: &[u8]) {
    // SAFETY: called by shells with a buffer in use; `p` points into its array or just behind that.
    unsafe {
        while !bytes.is_empty() {
            let used = (*buffer).p.offset_from_unsigned((&raw const (*buffer).buffer).cast::<c_char>());
            let room = LUAL_BUFFERSIZE - used;
            if room == 0 {
                luaL_prepbuffer(buffer);
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            std::ptr::copy_nonoverlapping(now.as_ptr().cast(), (*buffer).p, now.len());
            (*buffer).p = (*buffer).p.add(now.len());
            bytes = later;
        }
    }
}

/// Adds what takes the place of a match.
unsafe fn add_replacement(
    l: *mut lua_State,
    buffer: *mut luaL_Buffer,
    kind: c_int,
    matcher: &Matcher<'_>,
    source: &[u8],
    found: (usize, usize),
) {
    // SAFETY: a part of a shell; `matcher` and the slices are plain data. The value is made on top, above what the buffer has
    // on the stack.
    unsafe {
        match kind {
            LUA_TFUNCTION => {
                lua_pushvalue(l, 3);
                let arguments = push_captures(l, matcher, source, found, true);
                lua_call(l, arguments, 1);
            }
            LUA_TTABLE => {
                push_capture(l, matcher, source, 0, found);
                lua_gettable_(l, 3);
            }
            _ => return add_template(l, buffer, matcher, source, found),
        }
        if lua_toboolean(l, -1) == 0 {
            // Neither false nor nil replaces anything.
            lua_settop(l, -2);
            return add(buffer, &source[found.0..found.1]);
        }
        if lua_isstring(l, -1) == 0 {
            luaL_error(l, c"invalid replacement value (a %s)".as_ptr(), luaL_typename(l, -1));
        }
        luaL_addvalue(buffer);
    }
}

/// Adds the replacement string, in which `%0` is the match and `%1` its first capture.
unsafe fn add_template(
    l: *mut lua_State,
    buffer: *mut luaL_Buffer,
    matcher: &Matcher<'_>,
    source: &[u8],
    found: (usize, usize),
) {
    // SAFETY: as above. The string stays at its place on the stack.
    unsafe {
        let mut template = string(l, 3);
        while let Some(percent) = memchr::memchr(b'%', template) {
            add(buffer, &template[..percent]);
            // At the end, the NUL is found that Lua keeps there.
            match template.get(percent + 1).copied().unwrap_or(0) {
                b'0' => add(buffer, &source[found.0..found.1]),
                digit @ b'1'..=b'9' => {
                    push_capture(l, matcher, source, usize::from(digit - b'1'), found);
                    luaL_addvalue(buffer);
                }
                other => add(buffer, &[other]),
            }
            template = template.get(percent + 2..).unwrap_or_default();
        }
        add(buffer, template);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::library_sandbox::Sandbox;

    /// Calls each function of both libraries in several ways, and answers nothing if they do the same.
    const COMPARE: &str = r#"
        local source, pattern, replacement, init = unpack(cmsgpack.unpack(...))
        init = tonumber(init)
        local function show(...)
            local shown = {}
            for i = 1, select('#', ...) do
                local value = select(i, ...)
                shown[i] = type(value) .. string.format('%q', tostring(value))
            end
            return table.concat(shown, ' ')
        end
        local function try(library)
            local lines = {}
            local function add(f, ...) lines[#lines + 1] = show(pcall(f, ...)) end
            add(library.find, source, pattern)
            add(library.find, source, pattern, init)
            add(library.find, source, pattern, init, true)
            add(library.match, source, pattern, init)
            add(library.gsub, source, pattern, replacement)
            add(library.gsub, source, pattern, replacement, init)
            add(library.gsub, source, pattern, function(...) return show(...) end)
            add(library.gsub, source, pattern, function(a) if a == 'a' then return {} end end)
            add(library.gsub, source, pattern, {a = 'A', b = 12, ab = false, [1] = 'one', [''] = '-'})
            add(function()
                local found = {}
                for a, b, c in library.gmatch(source, pattern) do found[#found + 1] = show(a, b, c) end
                return table.concat(found, ';')
            end)
            return table.concat(lines, '\n')
        end
        local theirs, ours = try(string), try(strpattern)
        if theirs ~= ours then return 'Lua:\n' .. theirs .. '\nours:\n' .. ours end
        return ''
    "#;

    /// The message that [`COMPARE`] reads: an array of strings.
    fn message(words: [&[u8]; 4]) -> Vec<u8> {
        let mut message = vec![0x94];
        for word in words {
            message.push(0xda);
            message.extend((word.len() as u16).to_be_bytes());
            message.extend(word);
        }
        message
    }

    /// Texts of up to `most` of these tokens.
    fn texts(tokens: &'static [&'static [u8]], most: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(tokens), 0..=most).prop_map(|words| words.concat())
    }

    const SOURCE: &[&[u8]] =
        &[b"a", b"a", b"a", b"b", b"b", b"1", b" ", b"(", b")", b"\0", b"\xff", b"A", b"-", b"]"];

    #[rustfmt::skip]
    const PATTERN: &[&[u8]] = &[
        b"a", b"b", b"1", b".", b".", b"%a", b"%d", b"%s", b"%w", b"%x", b"%z", b"%W", b"%p", b"%c", b"%u", b"%L", b"[ab]",
        b"[^a]", b"[a-]", b"[%a-z]", b"[]]", b"[^]b]", b"[a-b1]", b"[b-a]", b"%b()", b"%bab", b"%f[a]", b"%f[^a]", b"%1", b"%2", b"%0",
        b"(", b"(", b"(", b")", b")", b")", b"()", b"*", b"*", b"+", b"+", b"-", b"-", b"?", b"?", b"^", b"$", b"%", b"[",
        b"%%", b"\0", b"%b", b"%f", b"]", b"\xff", b"%(", b"[%]]", b"[^%s]",
    ];

    const REPLACEMENT: &[&[u8]] = &[b"%0", b"%1", b"%2", b"%", b"x", b"%%", b"%a", b"\0", b"long text"];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn is_what_luas_own_functions_are(
            cases in prop::collection::vec(
                (texts(SOURCE, 12), texts(PATTERN, 8), texts(REPLACEMENT, 4), -15i64..15), 64)
        ) {
            let sandbox = Sandbox::new();
            for (source, pattern, replacement, init) in cases {
                let init = init.to_string();
                let message = message([&source, &pattern, &replacement, init.as_bytes()]);
                let difference = sandbox.run(COMPARE, &message);
                prop_assert!(
                    difference.is_empty(),
                    "{} with {}, {} from {init}:\n{}",
                    source.escape_ascii(), pattern.escape_ascii(), replacement.escape_ascii(),
                    String::from_utf8_lossy(&difference)
                );
            }
        }
    }

    #[test]
    fn arguments_are_checked_as_lua_checks_them() {
        let sandbox = Sandbox::new();
        for arguments in [
            "",
            ", 'a'",
            ", nil, 'a'",
            ", {}, 'a'",
            ", 'a', {}",
            ", 'a', 'a', {}",
            ", 'a', 'a', 'x'",
            ", 'a', 'a', nil",
            ", 12, 1",
            ", 121, 2, 3",
            ", 'a', 'a', true",
            ", 'a', 'a', print, 'x'",
            ", 'a', 'a', 'b', {}",
            ", 'abc', 'b', 2^53",
            ", 'abc', 'b', -2^53",
            ", 'abc', '', 10",
            ", 'aaa', 'a', 'b', 2",
            ", 'aaa', 'a', 'b', -1",
            ", 'aaa', 'a', 'b', 0",
            ", 'aaa', 'a', 'b', '2'",
            ", 'aaa', 'a', 'b', 2^31",
            ", ('x'):rep(40), ('(x)'):rep(33)",
            ", ('ab'):rep(9000), 'b', 'cc'",
            ", ('ab'):rep(9000), 'a', function() return ('long'):rep(10) end",
            ", ('ab'):rep(5), 'b', function() error('own') end",
            ", ('ab'):rep(5), 'b', setmetatable({}, {__index = function(_, k) return k .. k end})",
            ", ('ab'):rep(5), 'b', function() coroutine.yield() end",
        ] {
            let chunk = format!(
                "local function all(library)
                    local lines = {{}}
                    for _, name in ipairs {{'find', 'match', 'gsub', 'gmatch'}} do
                        local results = {{pcall(library[name]{arguments})}}
                        for i, v in ipairs(results) do
                            if type(v) == 'function' then results[i] = 'function' end
                            results[i] = tostring(results[i])
                        end
                        lines[#lines + 1] = name .. ' ' .. table.concat(results, ' ')
                    end
                    return table.concat(lines, '\\n')
                end
                local theirs, ours = all(string), all(strpattern)
                return theirs == ours and 'same' or theirs .. '\\nours:\\n' .. ours"
            );
            let answer = sandbox.run(&chunk, b"");
            assert_eq!(String::from_utf8_lossy(&answer), "same", "{arguments}");
        }
        let same = sandbox.run("return tostring(strpattern.gfind == strpattern.gmatch)", b"");
        assert_eq!(same, b"true");
    }
}
