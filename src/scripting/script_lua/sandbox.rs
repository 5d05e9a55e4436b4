//! The world a script sees: Lua's libraries without what is dangerous, read-only, and the holes of Lua 5.1 closed.
//!
//! # Read-only tables
//!
//! Lua 5.1 has none. A table that scripts must not change is therefore hidden behind a *guard*: an empty table whose
//! metatable forwards reads and refuses writes.
//!
//! ```text
//!   guard {}  ──metatable──►  __index     the real table
//!                             __newindex  raises "Attempt to modify a readonly table"
//!                             [1]         MARK, a pointer that no script can make
//!                             [2]         the real table
//!                             [3]         the metatable that getmetatable shows, itself a guard, or nil
//! ```
//!
//! The globals are one guard, each library is one. What would see through or around a guard gets a *screen* in front of it:
//! `next`, `pairs`, `rawget` and `table.foreach` look at the real table, so that a library can be listed as ever; `rawset`,
//! `setmetatable` and `table.insert` refuse. Everything else finds an empty table, which a library, having no array part, looks
//! like anyway. A read through a guard costs two more lookups of interned strings, about ten nanoseconds; a write costs
//! nothing while it is allowed, since tables of the script's own have no guard.
//!
//! Screens call the function they stand for directly and not through Lua, so that errors name it as ever.
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
//! | finalizers of `newproxy` run at any allocation          | [`newproxy`] gives metatables that take no `__gc`           |
//! | strings' metatable can be changed for all scripts       | it is shown as a guard                                      |
//! | `collectgarbage('stop')` and `setfenv(0, …)` last       | both are undone when the script ends (`mod.rs`)             |
//!
//! Upstream leaves the last three open, or takes the functions away; here scripts that use them keep working.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use mlua_sys::*;

use super::alloc::Host;
use super::boundary::{Raise, Returns, push_bytes, set_function, to_bytes, type_name};
use super::{bit, cjson, cmsgpack, lua_strpattern, lua_struct, redis_api, registry};
use crate::lua_callback;

/// Globals of the base library that scripts do not get.
const REMOVED: [&str; 7] = ["dofile", "loadfile", "print", "require", "module", "package", "io"];

/// Pushes the table of a library.
type Open = unsafe fn(*mut lua_State);

/// Libraries beside Lua's own, and what leaves the table of each on the stack.
const LIBRARIES: [(&str, Open); 4] =
    [("cjson", cjson::open), ("cmsgpack", cmsgpack::open), ("struct", lua_struct::open), ("bit", bit::open)];

/// Places in front of a table that `table.insert` fills with nil at most.
const MOST_NILS_MOVED: f64 = (1 << 20) as f64;

/// Bytes of the longest source. The parser counts the signs of a long bracket in an `int`, twice.
const LONGEST_SOURCE: usize = 1 << 30;

/// What a piece of a source counts for, in steps of matching: it is the same for an endless number of small ones.
const STEPS_OF_A_PIECE: usize = 100;

/// What guards are known by.
static MARK: u8 = 0;

/// Where a guard's metatable has the real table.
pub const GUARDED: c_int = 2;

/// The text of every refused write.
const READ_ONLY: &str = "Attempt to modify a readonly table";

/// Opens the libraries, puts screens before them, and guards it all. The registry then holds what [`registry`] names.
///
/// # Safety
/// `l` is a new state on which nothing runs.
pub unsafe fn open(l: *mut lua_State) {
    // SAFETY: the libraries are opened as Lua asks for; memory is not refused to a state that runs nothing, so none of
    // these calls raises.
    unsafe {
        for open in [luaopen_base as lua_CFunction, luaopen_table, luaopen_string, luaopen_math, luaopen_os] {
            lua_pushcclosure(l, open, 0);
            lua_call(l, 0, 0);
        }
        lua_pushvalue(l, LUA_GLOBALSINDEX);
        replace_base(l);
        replace_in_libraries(l);
        for (name, open) in LIBRARIES {
            push_bytes(l, name.as_bytes());
            open(l);
            lua_rawset(l, -3);
        }
        redis_api::open(l);
        set_function(l, "__redis__err__handler", redis_api::on_error);
        guard_everything(l);
    }
}

/// Replaces what must be replaced in the table of globals, which is on top.
unsafe fn replace_base(l: *mut lua_State) {
    // SAFETY: the table is on top; see `open`.
    unsafe {
        for name in REMOVED {
            push_bytes(l, name.as_bytes());
            lua_pushnil(l);
            lua_rawset(l, -3);
        }
        for (name, screen) in [
            ("rawset", screen_rawset as lua_CFunction),
            ("setmetatable", screen_setmetatable),
            ("rawget", screen_read),
            ("next", screen_read),
            ("collectgarbage", screen_collectgarbage),
        ] {
            put_screen(l, name, screen);
        }
        for (name, function) in [
            ("getmetatable", getmetatable as lua_CFunction),
            ("load", load),
            ("loadstring", loadstring),
            ("unpack", unpack),
            ("pcall", pcall),
            ("xpcall", xpcall),
            ("newproxy", newproxy),
        ] {
            set_function(l, name, function);
        }
        push_bytes(l, b"pairs");
        push_bytes(l, b"next");
        lua_rawget_(l, -3);
        lua_pushcclosure(l, pairs, 1);
        lua_rawset(l, -3);
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
        put_screen(l, "foreach", screen_read);
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

/// Guards the libraries and the globals on top, makes the guard the state's globals, and leaves the stack without them.
unsafe fn guard_everything(l: *mut lua_State) {
    // SAFETY: see `open`. Values of existing keys may be changed while `lua_next` walks a table.
    unsafe {
        lua_pushnil(l);
        while lua_next(l, -2) != 0 {
            if lua_type(l, -1) != LUA_TTABLE || lua_rawequal(l, -1, -3) != 0 {
                lua_settop(l, -2);
                continue;
            }
            guard(l);
            lua_pushvalue(l, -2);
            lua_insert(l, -2);
            lua_rawset(l, -4);
        }
        show_string_metatable(l);
        // Reading a global that does not exist is an error.
        lua_createtable(l, 0, 1);
        set_function(l, "__index", nonexistent_global);
        lua_pushvalue(l, -1);
        lua_setmetatable(l, -3);
        guard(l); // [globals, guard of their metatable]
        lua_pushvalue(l, -2);
        guard(l);
        show_metatable(l); // [globals, guard]
        push_bytes(l, b"_G");
        lua_pushvalue(l, -2);
        lua_rawset(l, -4);
        lua_pushvalue(l, -1);
        lua_replace(l, LUA_GLOBALSINDEX);
        lua_rawseti_(l, LUA_REGISTRYINDEX, registry::GLOBALS_GUARD);
        lua_rawseti_(l, LUA_REGISTRYINDEX, registry::GLOBALS);
    }
}

/// Has `getmetatable` show a guard instead of the metatable of all strings. The globals, libraries guarded, are on top.
unsafe fn show_string_metatable(l: *mut lua_State) {
    // SAFETY: see `open`. Every string has the metatable that the library has set.
    unsafe {
        lua_createtable(l, 0, 1);
        push_bytes(l, b"__index");
        push_bytes(l, b"string");
        lua_rawget_(l, -4);
        lua_rawset(l, -3);
        guard(l);
        push_bytes(l, b"");
        let has = lua_getmetatable(l, -1);
        debug_assert_eq!(has, 1);
        push_bytes(l, b"__metatable");
        lua_pushvalue(l, -4);
        lua_rawset(l, -3);
        lua_settop(l, -4);
    }
}

/// Replaces the table on top by its guard.
///
/// # Safety
/// `l` is a live state with four free slots and a table on top, and memory is not refused.
pub unsafe fn guard(l: *mut lua_State) {
    // SAFETY: as the caller promises.
    unsafe {
        lua_createtable(l, 0, 0);
        lua_createtable(l, 3, 2);
        push_bytes(l, b"__index");
        lua_pushvalue(l, -4);
        lua_rawset(l, -3);
        set_function(l, "__newindex", refuse_write);
        lua_pushlightuserdata(l, (&raw const MARK).cast_mut().cast());
        lua_rawseti_(l, -2, 1);
        lua_pushvalue(l, -3);
        lua_rawseti_(l, -2, 2);
        lua_setmetatable(l, -2);
        lua_remove(l, -2);
    }
}

/// Has `getmetatable` show the value below the guard on top, which is taken off the stack.
unsafe fn show_metatable(l: *mut lua_State) {
    // SAFETY: see `open`; a guard has a metatable.
    unsafe {
        lua_getmetatable(l, -1);
        lua_pushvalue(l, -3);
        lua_rawseti_(l, -2, 3);
        lua_settop(l, -2);
        lua_remove(l, -2);
    }
}

/// Pushes the metatable of the guard at `index`; nothing if the value there is no guard.
///
/// # Safety
/// `l` is a live state with two free slots.
#[inline]
pub unsafe fn push_guards_metatable(l: *mut lua_State, index: c_int) -> bool {
    // SAFETY: as the caller promises; nothing here allocates.
    unsafe {
        if lua_type(l, index) != LUA_TTABLE || lua_getmetatable(l, index) == 0 {
            return false;
        }
        lua_rawgeti_(l, -1, 1);
        let is_guard = lua_type(l, -1) == LUA_TLIGHTUSERDATA
            && ptr::eq(lua_touserdata(l, -1).cast_const().cast(), &raw const MARK);
        lua_settop(l, if is_guard { -2 } else { -3 });
        is_guard
    }
}

lua_callback! {
    /// `__newindex` of guards.
    fn refuse_write = refuse_write_inner;
    /// `__index` of the globals.
    fn nonexistent_global = nonexistent_global_inner;
}

unsafe fn refuse_write_inner(_l: *mut lua_State) -> Returns {
    Err(Raise::at(READ_ONLY))
}

unsafe fn nonexistent_global_inner(l: *mut lua_State) -> Returns {
    // SAFETY: called with the table and the key; only strings and numbers are read as bytes.
    unsafe {
        match lua_type(l, 2) {
            LUA_TSTRING | LUA_TNUMBER if lua_gettop(l) == 2 => {
                let name = to_bytes(l, 2).unwrap_or_default();
                let text = b"Script attempted to access nonexistent global variable '";
                Err(Raise::At([&text[..], name, b"'"].concat().into()))
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

/// Stands before a function that reads its first argument: a guard is read through.
unsafe extern "C-unwind" fn screen_read(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        if push_guards_metatable(l, 1) {
            lua_rawgeti_(l, -1, 2);
            lua_replace(l, 1);
            lua_settop(l, -2);
        }
        screened(l)(l)
    }
}

/// Stands before a function that changes its first argument: a guard is refused.
unsafe extern "C-unwind" fn screen_write(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots; the text is copied by Lua.
    unsafe {
        if push_guards_metatable(l, 1) {
            lua_pushlstring_(l, READ_ONLY.as_ptr().cast(), READ_ONLY.len());
            lua_error(l);
        }
        screened(l)(l)
    }
}

/// Stands before `rawset`, which looks at its arguments first.
unsafe extern "C-unwind" fn screen_rawset(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        luaL_checktype(l, 1, LUA_TTABLE);
        luaL_checkany(l, 2);
        luaL_checkany(l, 3);
        screen_write(l)
    }
}

/// Stands before `setmetatable`, which looks at its arguments first.
unsafe extern "C-unwind" fn screen_setmetatable(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        luaL_checktype(l, 1, LUA_TTABLE);
        if !matches!(lua_type(l, 2), LUA_TNIL | LUA_TTABLE) {
            luaL_argerror(l, 2, c"nil or table expected".as_ptr());
        }
        screen_write(l)
    }
}

/// Stands before `table.insert`: a guard is refused, and so is a place far in front of the table. Lua would move as many nils
/// there one by one, which takes the memory of all of them.
unsafe extern "C-unwind" fn screen_insert(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        if lua_gettop(l) == 3 && lua_isnumber(l, 2) != 0 && lua_tonumber(l, 2) < -MOST_NILS_MOVED {
            luaL_error(l, c"not enough memory".as_ptr());
        }
        if !matches!(lua_gettop(l), 2 | 3) {
            // The number of arguments is looked at first.
            return screened(l)(l);
        }
        screen_write(l)
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
        if !(*Host::of(l)).has_room(len.saturating_mul(times)) {
            luaL_error(l, c"not enough memory".as_ptr());
        }
        screened(l)(l)
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

/// `pairs(t)`, with our `next` as the first upvalue.
unsafe extern "C-unwind" fn pairs(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        luaL_checktype(l, 1, LUA_TTABLE);
        lua_pushvalue(l, lua_upvalueindex(1));
        lua_pushvalue(l, 1);
        lua_pushnil(l);
        3
    }
}

/// `getmetatable(v)`
unsafe extern "C-unwind" fn getmetatable(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        luaL_checkany(l, 1);
        if push_guards_metatable(l, 1) {
            lua_rawgeti_(l, -1, 3);
        } else if lua_getmetatable(l, 1) == 0 {
            lua_pushnil(l);
        } else if luaL_getmetafield_(l, 1, c"__metatable".as_ptr()) == 0 {
            return 1;
        }
        1
    }
}

/// `pcall(f, ...)`, except that an error object with a text in `err`, as `redis.call` raises them, is given as that text.
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
            lua_pushlstring_(l, c"err".as_ptr(), 3);
            lua_rawget_(l, -2);
            if lua_isstring(l, -1) != 0 {
                lua_replace(l, -2);
            } else {
                lua_settop(l, -2);
            }
        }
        lua_pushboolean(l, 0);
        lua_insert(l, -2);
        2
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

/// `newproxy([boolean or proxy])`: a userdata without contents, and if wanted with a metatable of its own or that of
/// another. The metatable is shown behind a guard that takes every field but `__gc`.
unsafe extern "C-unwind" fn newproxy(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state with free slots.
    unsafe {
        lua_settop(l, 1);
        lua_newuserdata(l, 0);
        match lua_type(l, 1) {
            LUA_TNIL | LUA_TNONE => return 1,
            LUA_TBOOLEAN if lua_toboolean(l, 1) == 0 => return 1,
            LUA_TBOOLEAN => {
                lua_createtable(l, 0, 1); // the metatable
                lua_createtable(l, 0, 0); // what is shown of it
                lua_createtable(l, 0, 2);
                lua_pushlstring_(l, c"__index".as_ptr(), 7);
                lua_pushvalue(l, -4);
                lua_rawset(l, -3);
                lua_pushlstring_(l, c"__newindex".as_ptr(), 10);
                lua_pushvalue(l, -4);
                lua_pushcclosure(l, set_proxy_field, 1);
                lua_rawset(l, -3);
                lua_setmetatable(l, -2);
                lua_pushlstring_(l, c"__metatable".as_ptr(), 11);
                lua_insert(l, -2);
                lua_rawset(l, -3);
            }
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

/// `__newindex` of what is shown of a proxy's metatable, which is the upvalue.
unsafe extern "C-unwind" fn set_proxy_field(l: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a live state, with the guard, the key and the value.
    unsafe {
        lua_settop(l, 3);
        lua_pushlstring_(l, c"__gc".as_ptr(), 4);
        let finalizer = lua_rawequal(l, 2, -1) != 0;
        lua_pushlstring_(l, c"__metatable".as_ptr(), 11);
        if finalizer || lua_rawequal(l, 2, -1) != 0 {
            luaL_error(l, c"cannot change a protected metatable".as_ptr());
        }
        lua_settop(l, 3);
        lua_rawset(l, lua_upvalueindex(1));
        0
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
            return Err(Raise::Argument(number, format!("number expected, got {got}").into_bytes().into()));
        }
        Ok(n as c_int)
    }
}
