//! The world a script sees: Lua's libraries without what is dangerous, read-only, and the holes of Lua 5.1 closed.
//!
//! # Read-only tables
//!
//! Lua 5.1 has none. The Lua that is built from `vendor/lua-src` has: a table that [`lua_setreadonly`] has marked can be read as
//! ever, and whatever would change it, raw or not, raises "Attempt to modify a readonly table". Marked are the globals, every
//! library, and the metatables of both and of strings. A read costs nothing, and a write one comparison.
//!
//! Some of Lua's functions get a *screen* in front, which calls them directly and not through Lua, so that errors name them as
//! ever.
//!
//! # Holes of Lua 5.1
//!
//! | hole                                                    | closed by                                                   |
//! |---------------------------------------------------------|-------------------------------------------------------------|
//! | bytecode is loaded unchecked                            | [`load`]: sources only, whatever they begin with            |
//! | the name of a chunk is not anchored while it is parsed, and a reader function may collect garbage | [`load`]: the name stays on the stack |
//! | `unpack` overflows near 2^31                            | [`unpack`], which counts in 64 bits                         |
//! | a long bracket of 2^30 signs overflows an `int`         | [`LONGEST_SOURCE`]                                          |
//! | `table.insert(t, -2^31, x)` moves as many nils          | [`screen_insert`]                                           |
//! | patterns nest as deep as they are long, on the C stack, and may match forever | `lua_strpattern/`, which replaces those functions |
//! | `string.rep('', 2^31)` takes forever; huge results are built before they are refused | [`screen_rep`]                |
//! | of a long string 31 characters are hashed: strings that differ in the others fill one list | a changed line of Lua: `vendor/lua-src` |
//! | finalizers of userdata run at any allocation            | there are no finalizers: a changed line of Lua: `vendor/lua-src` |
//! | strings' metatable can be changed for all scripts       | it is read-only                                             |
//! | `collectgarbage('stop')` and `setfenv(0, …)` last       | both are undone when the script ends (`mod.rs`)             |
//!
//! Upstream leaves the last but two and the last open; here scripts that use those functions keep working.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use mlua_sys::*;

use super::alloc::Host;
use super::boundary::{self, Raise, Returns, push_bytes, set_function, to_bytes, type_name};
use super::{bit, cjson, cmsgpack, lua_strpattern, lua_struct, redis_api, registry};
use crate::lua_callback;
use crate::scripting::script::Kind;

/// Globals of the base library that scripts do not get.
const DENIED: [&[u8]; 3] = [b"dofile", b"loadfile", b"print"];

/// Pushes the table of a library.
type Open = unsafe fn(*mut lua_State);

/// Libraries beside Lua's own, and what leaves the table of each on the stack.
const LIBRARIES: [(&CStr, Open); 4] = [
    (c"cjson", cjson::open),
    (c"struct", lua_struct::open),
    (c"cmsgpack", cmsgpack::open),
    (c"bit", bit::open),
];

/// Places in front of a table that `table.insert` fills with nil at most.
const MOST_NILS_MOVED: f64 = (1 << 20) as f64;

/// Bytes up to which `string.rep` makes its result in one piece.
const SHORT_REPETITION: usize = 64 * 1024;

/// Bytes of the longest source. The parser counts the signs of a long bracket in an `int`, twice.
const LONGEST_SOURCE: usize = 1 << 30;

/// What a piece of a source counts for, in steps of matching: it is the same for an endless number of small ones.
const STEPS_OF_A_PIECE: usize = 100;

unsafe extern "C-unwind" {
    /// Makes the table at `index` read-only, or no longer so.
    pub fn lua_setreadonly(l: *mut lua_State, index: c_int, on: c_int);
    /// Whether the value at `index` is a table that is read-only.
    pub fn lua_isreadonly(l: *mut lua_State, index: c_int) -> c_int;
}

/// Opens the libraries, replaces what must be replaced, and makes it all read-only, for scripts of this kind. The registry then
/// holds what [`registry`] names.
///
/// In which order `pairs` shows the globals depends on every key that was ever set. So keys are set here as upstream sets them:
/// those that are denied are refused when they come, and `debug`, which upstream's handler of errors needs, is there for a while.
///
/// # Safety
/// `l` is a new state on which nothing runs.
pub unsafe fn open(l: *mut lua_State, kind: Kind) {
    // SAFETY: the libraries are opened as Lua asks for; memory is not refused to a state that runs nothing, so none of
    // these calls raises.
    unsafe {
        lua_pushvalue(l, LUA_GLOBALSINDEX);
        lua_createtable(l, 0, 1);
        set_function(l, "__newindex", admit);
        lua_setmetatable(l, -2);
        for open in [luaopen_base as lua_CFunction, luaopen_table, luaopen_string, luaopen_math] {
            lua_pushcclosure(l, open, 0);
            lua_call(l, 0, 0);
        }
        lua_pushboolean(l, 1);
        lua_setfield(l, LUA_GLOBALSINDEX, c"debug".as_ptr());
        lua_pushcclosure(l, luaopen_os, 0);
        lua_call(l, 0, 0);
        for (name, open) in LIBRARIES {
            open(l);
            lua_setfield(l, LUA_GLOBALSINDEX, name.as_ptr());
        }
        redis_api::open(l, kind);
        lua_setfield(l, LUA_GLOBALSINDEX, c"redis".as_ptr());
        lua_pushnil(l);
        lua_setfield(l, LUA_GLOBALSINDEX, c"debug".as_ptr());
        if kind == Kind::Eval {
            set_function(l, "__redis__err__handler", redis_api::on_error);
        }
        replace_base(l);
        replace_in_libraries(l);
        protect_everything(l);
    }
}

/// `__newindex` of the globals while libraries are opened.
///
/// # Safety
/// For Lua alone, while nothing of a script runs.
unsafe extern "C-unwind" fn admit(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes the table, the key, which is a name, and the value.
    unsafe {
        if !to_bytes(l, 2).is_some_and(|name| DENIED.contains(&name)) {
            lua_rawset(l, 1);
        }
        0
    }
}

/// Replaces what must be replaced in the table of globals, which is on top.
unsafe fn replace_base(l: *mut lua_State) {
    // SAFETY: the table is on top; see `open`.
    unsafe {
        put_screen(l, "collectgarbage", screen_collectgarbage);
        for (name, function) in [
            ("load", load as lua_CFunction),
            ("loadstring", loadstring),
            ("unpack", unpack),
            ("pcall", pcall),
            ("xpcall", xpcall),
            ("newproxy", newproxy),
        ] {
            set_function(l, name, function);
        }
    }
}

/// Replaces what must be replaced in the libraries of the globals on top.
unsafe fn replace_in_libraries(l: *mut lua_State) {
    // SAFETY: see `open`.
    unsafe {
        let library = |name: &str| {
            push_bytes(l, name.as_bytes());
            lua_rawget_(l, -2);
        };
        library("table");
        put_screen(l, "insert", screen_insert);
        lua_settop(l, -2);
        library("string");
        lua_strpattern::open(l);
        put_screen(l, "rep", screen_rep);
        lua_settop(l, -2);
        library("math");
        set_function(l, "random", random);
        set_function(l, "randomseed", randomseed);
        lua_settop(l, -2);
        // Of the system scripts get the processor's time and nothing else.
        library("os");
        push_bytes(l, b"clock");
        lua_rawget_(l, -2);
        lua_createtable(l, 0, 1);
        lua_insert(l, -2);
        push_bytes(l, b"clock");
        lua_insert(l, -2);
        lua_rawset(l, -3);
        lua_remove(l, -2);
        push_bytes(l, b"os");
        lua_insert(l, -2);
        lua_rawset(l, -3);
    }
}

/// Puts a screen before the function `name` of the table on top.
unsafe fn put_screen(l: *mut lua_State, name: &str, screen: lua_CFunction) {
    // SAFETY: see `open`; the function is one of Lua's, and its address outlives the state.
    unsafe {
        push_bytes(l, name.as_bytes());
        push_bytes(l, name.as_bytes());
        lua_rawget_(l, -3);
        let function = lua_tocfunction(l, -1).expect("the library has this function");
        lua_settop(l, -2);
        lua_pushlightuserdata(l, function as *mut c_void);
        lua_pushcclosure(l, screen, 1);
        lua_rawset(l, -3);
    }
}

/// Makes the libraries and the globals on top read-only, with their metatables, and leaves the stack without them.
unsafe fn protect_everything(l: *mut lua_State) {
    // SAFETY: see `open`. Every string has the metatable that the library has set.
    unsafe {
        lua_pushnil(l);
        while lua_next(l, -2) != 0 {
            if lua_type(l, -1) == LUA_TTABLE {
                lua_setreadonly(l, -1, 1);
            }
            lua_settop(l, -2);
        }
        push_bytes(l, b"");
        let has = lua_getmetatable(l, -1);
        debug_assert_eq!(has, 1);
        lua_setreadonly(l, -1, 1);
        lua_settop(l, -3);
        // The globals are one of their own fields, and so read-only already.
        lua_setreadonly(l, -1, 0);
        make_strict(l);
        lua_setreadonly(l, -1, 1);
        lua_pushvalue(l, -1);
        lua_rawseti_(l, LUA_REGISTRYINDEX, registry::ENVIRONMENT);
        lua_rawseti_(l, LUA_REGISTRYINDEX, registry::GLOBALS);
    }
}

/// Undoes what `setfenv(0, …)` may have done: has the state's globals be what scripts are to see.
///
/// # Safety
/// `l` is a live state with a free slot that runs nothing.
pub unsafe fn restore_environment(l: *mut lua_State) {
    // SAFETY: as the caller promises; the registry holds a table.
    unsafe {
        lua_rawgeti_(l, LUA_REGISTRYINDEX, registry::ENVIRONMENT);
        lua_replace(l, LUA_GLOBALSINDEX);
    }
}

/// Has reading what does not exist in the table on top be an error.
///
/// # Safety
/// `l` is a live state with four free slots and a table on top, and memory is not refused.
pub unsafe fn make_strict(l: *mut lua_State) {
    // SAFETY: as the caller promises.
    unsafe {
        lua_createtable(l, 0, 1);
        set_function(l, "__index", nonexistent_global);
        lua_setreadonly(l, -1, 1);
        lua_setmetatable(l, -2);
    }
}

lua_callback! {
    /// `__index` of the globals.
    fn nonexistent_global = nonexistent_global_inner;
}

unsafe fn nonexistent_global_inner(l: *mut lua_State) -> Returns {
    // SAFETY: called with the table and the key; only strings and numbers are read as bytes.
    unsafe {
        match lua_type(l, 2) {
            LUA_TSTRING | LUA_TNUMBER if lua_gettop(l) == 2 => {
                let name = to_bytes(l, 2).unwrap_or_default();
                let text = b"Script attempted to access nonexistent global variable '";
                Err(Raise::at([&text[..], name, b"'"].concat()))
            }
            _ => Err(Raise::at("Second argument to luaProtectedTableError must be a string or number")),
        }
    }
}

// ---- screens ----
//
// What follows is called by Lua and calls functions of Lua's that may raise. Such a function owns nothing but numbers and
// pointers at any time: it is a shell and an inner function in one (see `boundary.rs`).

/// The function that a screen stands before.
unsafe fn screened(l: *mut lua_State) -> lua_CFunction {
    // SAFETY: `put_screen` gave the screen a function's address.
    unsafe {
        let address = lua_touserdata(l, lua_upvalueindex(1));
        std::mem::transmute::<*mut c_void, lua_CFunction>(address)
    }
}

/// Stands before `table.insert`: a place far in front of the table is refused. Lua would move as many nils there one by one, which
/// takes the memory of all of them.
unsafe extern "C-unwind" fn screen_insert(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        if lua_gettop(l) == 3 && lua_isnumber(l, 2) != 0 && lua_tonumber(l, 2) < -MOST_NILS_MOVED {
            luaL_error(l, c"not enough memory".as_ptr());
        }
        screened(l)(l)
    }
}

/// Stands before `string.rep`: what cannot end well does not begin.
unsafe extern "C-unwind" fn screen_rep(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state; every state has a host.
    unsafe {
        let mut len = 0;
        luaL_checklstring(l, 1, &mut len);
        let times = luaL_checkinteger(l, 2).max(0) as usize;
        if len == 0 {
            lua_pushlstring_(l, ptr::dangling(), 0);
            return 1;
        }
        let total = len.saturating_mul(times);
        if !(*Host::of(l)).has_room(total) {
            luaL_error(l, c"not enough memory".as_ptr());
        }
        if total > SHORT_REPETITION {
            return screened(l)(l);
        }
        boundary::enter(l, repeat)
    }
}

/// `string.rep(s, n)` of a short result: in one piece, where Lua's own function adds one after the other.
unsafe fn repeat(l: *mut lua_State) -> Returns {
    // SAFETY: the arguments are a string, whose bytes are a copy's own from here on, and a number.
    unsafe {
        let repeated = to_bytes(l, 1).unwrap_or_default().repeat(lua_tointeger_(l, 2).max(0) as usize);
        push_bytes(l, &repeated);
        Ok(1)
    }
}

/// Stands before `collectgarbage`: notes when the collector's habits are changed, so that they can be restored.
unsafe extern "C-unwind" fn screen_collectgarbage(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state; every state has a host.
    unsafe {
        if lua_gettop(l) > 0 {
            (*Host::of(l)).note_collector_touched();
        }
        screened(l)(l)
    }
}

// ---- functions of our own ----

/// `pcall(f, ...)`, except that an error object with a text in `err`, as `redis.call` raises them, is given as that text. What
/// else is in `err` is one more result, as it is upstream.
unsafe extern "C-unwind" fn pcall(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        if lua_gettop(l) == 0 {
            // Upstream calls the `true` that it has put there for the result.
            lua_pushboolean(l, 1);
            lua_pushboolean(l, 0);
            lua_pushlstring_(l, c"attempt to call a boolean value".as_ptr(), 31);
            return 3;
        }
        let status = lua_pcall(l, lua_gettop(l) - 1, LUA_MULTRET, 0);
        if status == 0 {
            // The function and its arguments are gone, so there is room for one value more.
            lua_checkstack(l, 1);
            lua_pushboolean(l, 1);
            lua_insert(l, 1);
            return lua_gettop(l);
        }
        if lua_type(l, -1) == LUA_TTABLE {
            lua_getfield_(l, -1, c"err".as_ptr());
            if lua_isstring(l, -1) != 0 {
                lua_replace(l, -2);
            }
        }
        lua_pushboolean(l, 0);
        lua_insert(l, 1);
        lua_gettop(l)
    }
}

/// `xpcall(f, handler)`, which unlike Lua's own asks for the room of the result that it adds to those of `f`.
unsafe extern "C-unwind" fn xpcall(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        luaL_checkany(l, 2);
        lua_settop(l, 2);
        lua_insert(l, 1);
        let status = lua_pcall(l, 0, LUA_MULTRET, 1);
        lua_checkstack(l, 1);
        lua_pushboolean(l, c_int::from(status == 0));
        lua_replace(l, 1);
        lua_gettop(l)
    }
}

/// `unpack(list [, i [, j]])`
unsafe extern "C-unwind" fn unpack(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state; there is room for what is pushed, because it was asked for.
    unsafe {
        luaL_checktype(l, 1, LUA_TTABLE);
        let first = luaL_optinteger(l, 2, 1) as c_int;
        let last = match lua_type(l, 3) {
            LUA_TNONE | LUA_TNIL => lua_objlen(l, 1) as c_int,
            _ => luaL_checkinteger(l, 3) as c_int,
        };
        let count = i64::from(last) - i64::from(first) + 1;
        if count <= 0 {
            return 0;
        }
        if count > c_int::MAX as i64 || lua_checkstack(l, count as c_int) == 0 {
            luaL_error(l, c"too many results to unpack".as_ptr());
        }
        for i in 0..count {
            lua_rawgeti_(l, 1, (i64::from(first) + i) as c_int);
        }
        count as c_int
    }
}

/// `newproxy([boolean or proxy])`: a userdata without contents, and if wanted with a metatable of its own or that of another.
/// Lua's own keeps the metatables in a weak table, which stays as large as it ever was.
unsafe extern "C-unwind" fn newproxy(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        lua_settop(l, 1);
        lua_newuserdata(l, 0);
        match lua_type(l, 1) {
            LUA_TNIL => return 1,
            LUA_TBOOLEAN if lua_toboolean(l, 1) == 0 => return 1,
            LUA_TBOOLEAN => lua_createtable(l, 0, 0),
            // No other userdata reaches scripts, so that one with a metatable is a proxy.
            LUA_TUSERDATA if lua_getmetatable(l, 1) != 0 => {}
            _ => {
                luaL_argerror(l, 1, c"boolean or proxy expected".as_ptr());
            }
        }
        lua_setmetatable(l, 2);
        1
    }
}

// ---- sources ----

/// A source that is loaded, by indices of the stack of whoever loads it.
struct Source {
    /// Where the function is that gives one piece after the other; 0 if there is one piece only.
    reader: c_int,
    /// Where the piece is that is parsed: a string.
    piece: c_int,
    /// How far it is given to the parser.
    stage: Stage,
    /// Bytes that were given.
    given: usize,
}

impl Source {
    /// Nothing is given of it yet.
    fn new(reader: c_int, piece: c_int) -> Source {
        Source { reader, piece, stage: Stage::Begin, given: 0 }
    }
}

/// How far a [`Source`] is given to the parser.
enum Stage {
    /// Nothing is given.
    Begin,
    /// Only the blank is that goes in front of the piece.
    Blank,
    /// The piece is.
    Given,
}

/// Gives Lua's parser one piece after the other. In front of a source that begins like bytecode it puts a blank, so that it
/// is parsed as a source, and refused at its first byte.
unsafe extern "C-unwind" fn read_piece(l: *mut lua_State, ud: *mut c_void, len: *mut usize) -> *const c_char {
    // SAFETY: `load_source` passes its `Source`, and Lua calls back with the stack as it was then, and other things on top. The
    // piece stays on the stack. This is a part of a shell.
    unsafe {
        let source = &mut *ud.cast::<Source>();
        *len = 0;
        match source.stage {
            Stage::Given if source.reader == 0 => return ptr::null(),
            Stage::Begin | Stage::Given if source.reader != 0 => {
                if !call_reader(l, source.reader) {
                    return ptr::null();
                }
                lua_replace(l, source.piece);
            }
            _ => {}
        }
        let start = lua_tolstring(l, source.piece, len);
        let begins_as_bytecode = *len > 0 && *start.cast::<u8>() == LUA_SIGNATURE[0];
        if begins_as_bytecode && matches!(source.stage, Stage::Begin) {
            source.stage = Stage::Blank;
            *len = 1;
            return c" ".as_ptr();
        }
        source.stage = Stage::Given;
        source.given += *len;
        if source.given > LONGEST_SOURCE {
            luaL_error(l, c"not enough memory".as_ptr());
        }
        start
    }
}

/// Has the function at `reader` give a piece, and pushes it; answers whether there was one.
unsafe fn call_reader(l: *mut lua_State, reader: c_int) -> bool {
    // SAFETY: a part of a shell.
    unsafe {
        lua_strpattern::spend(l, STEPS_OF_A_PIECE);
        luaL_checkstack_(l, 2, c"too many nested functions".as_ptr());
        lua_pushvalue(l, reader);
        lua_call(l, 0, 1);
        match lua_type(l, -1) {
            LUA_TNIL => return false,
            LUA_TSTRING | LUA_TNUMBER => {}
            _ => {
                luaL_error(l, c"reader function must return a string".as_ptr());
            }
        }
        true
    }
}

/// Loads a source under the name on top of the stack. As `lua_load`, it pushes the function or an error's text, and answers
/// the status.
unsafe fn load_source(l: *mut lua_State, mut source: Source) -> c_int {
    // SAFETY: the name is a string on the stack, so that what the parser makes of it is the same string and stays; unless the
    // name holds a NUL: then what is in front of that is put there as well.
    unsafe {
        let name = lua_tolstring(l, -1, ptr::null_mut());
        lua_pushstring_(l, name);
        lua_load(l, read_piece, (&raw mut source).cast(), lua_tolstring(l, -1, ptr::null_mut()))
    }
}

/// Leaves what `load` and `loadstring` answer: the function, or nil and a text.
unsafe fn answer_load(l: *mut lua_State, status: c_int) -> c_int {
    // SAFETY: the function or the text is on top.
    unsafe {
        if status == 0 {
            return 1;
        }
        lua_pushnil(l);
        lua_insert(l, -2);
        2
    }
}

/// `loadstring(s [, name])`
unsafe extern "C-unwind" fn loadstring(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        let source = luaL_checklstring(l, 1, ptr::null_mut());
        luaL_optlstring(l, 2, source, ptr::null_mut());
        lua_settop(l, 2);
        lua_pushvalue(l, if lua_type(l, 2) == LUA_TNIL { 1 } else { 2 });
        let status = load_source(l, Source::new(0, 1));
        answer_load(l, status)
    }
}

/// `load(function [, name])`
unsafe extern "C-unwind" fn load(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        luaL_optlstring(l, 2, c"=(load)".as_ptr(), ptr::null_mut());
        luaL_checktype(l, 1, LUA_TFUNCTION);
        lua_settop(l, 3);
        match lua_type(l, 2) {
            LUA_TNIL => lua_pushlstring_(l, c"=(load)".as_ptr(), 7),
            _ => lua_pushvalue(l, 2),
        }
        let status = load_source(l, Source::new(1, 3));
        answer_load(l, status)
    }
}

/// Compiles a source of ours: pushes the function, or the error's text. Answers whether it is a function.
///
/// # Safety
/// `l` is a live state that runs nothing, with six free slots.
pub unsafe fn compile(l: *mut lua_State, source: &[u8], name: &str) -> bool {
    // SAFETY: as the caller promises. Parsing raises within `lua_load` only, which catches it.
    unsafe {
        let top = lua_gettop(l);
        push_bytes(l, source);
        push_bytes(l, name.as_bytes());
        let status = load_source(l, Source::new(0, top + 1));
        lua_replace(l, top + 1);
        lua_settop(l, top + 1);
        status == 0
    }
}

// ---- chance ----

lua_callback! {
    /// `math.random([m [, n]])`, from upstream's generator: the same seed gives the same numbers everywhere.
    fn random = random_inner;
    /// `math.randomseed(x)`
    fn randomseed = randomseed_inner;
}

/// Upstream divides by the largest value instead of the number of values.
const RANDOM_MAX: i64 = i32::MAX as i64;

unsafe fn random_inner(l: *mut lua_State) -> Returns {
    // SAFETY: Lua passes a live state with free slots; every state has a host.
    unsafe {
        let drawn = (*Host::of(l)).next_random();
        let share = (drawn % RANDOM_MAX) as f64 / RANDOM_MAX as f64;
        let number = match lua_gettop(l) {
            0 => share,
            1 => {
                let most = int_argument(l, 1)?;
                if most < 1 {
                    return Err(Raise::argument(1, "interval is empty"));
                }
                (share * f64::from(most)).floor() + 1.0
            }
            2 => {
                let (least, most) = (int_argument(l, 1)?, int_argument(l, 2)?);
                if least > most {
                    return Err(Raise::argument(2, "interval is empty"));
                }
                // The width wraps around as a C int does.
                let width = most.wrapping_sub(least).wrapping_add(1);
                (share * f64::from(width)).floor() + f64::from(least)
            }
            _ => return Err(Raise::at("wrong number of arguments")),
        };
        lua_pushnumber(l, number);
        Ok(1)
    }
}

unsafe fn randomseed_inner(l: *mut lua_State) -> Returns {
    // SAFETY: as above.
    unsafe {
        let seed = int_argument(l, 1)?;
        (*Host::of(l)).seed_random(seed as u32);
        Ok(0)
    }
}

/// An argument as `luaL_checkint` reads it.
unsafe fn int_argument(l: *mut lua_State, number: c_int) -> Result<c_int, Raise> {
    // SAFETY: reading an argument as a number does not raise.
    unsafe {
        let n = lua_tointeger_(l, number);
        if n == 0 && lua_isnumber(l, number) == 0 {
            let got = type_name(l, number);
            return Err(Raise::argument(number, format!("number expected, got {got}")));
        }
        Ok(n as c_int)
    }
}
