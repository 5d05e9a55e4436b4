//! Libraries and their functions, by name.
//!
//! A library comes and goes as a whole. Names of libraries are told apart by case; names of functions are not, and are
//! unique among all libraries. Nothing is changed before everything has been checked, so that what is refused leaves
//! everything as it was.
//!
//! What is compiled lives in the engine's Lua state; a [`Function`] holds a reference to it, which has to be given back when
//! a library is removed: so whatever removes libraries returns them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::c_int;
use std::sync::Arc;

use bytes::Bytes;

use crate::scripting::script::ScriptFlags;

use super::error::LoadError;

/// Names up to this length are looked up without an allocation.
const SHORT_NAME: usize = 64;

/// What FCALL calls.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// The name as it was registered: letters, digits and underscores.
    pub name: Arc<str>,
    /// What it is for, in the words of its author.
    pub description: Option<Box<[u8]>>,
    /// What it promises and asks for.
    pub flags: ScriptFlags,
    /// Where the engine's registry has the Lua function.
    pub callback: c_int,
}

/// Functions that came in one source.
#[derive(Debug, PartialEq, Eq)]
pub struct Library {
    /// Its name.
    pub name: Box<[u8]>,
    /// The source, first line included.
    pub source: Bytes,
    /// Its functions, in the order in which they were registered.
    pub functions: Vec<Arc<Function>>,
}

impl Library {
    /// Bytes that the library takes, without what is compiled.
    fn mem_bytes(&self) -> usize {
        let of_function = |f: &Arc<Function>| {
            // The index has the name once more.
            size_of::<Function>() + 2 * f.name.len() + f.description.as_ref().map_or(0, |text| text.len())
        };
        size_of::<Library>()
            + self.name.len()
            + self.source.len()
            + self.functions.iter().map(of_function).sum::<usize>()
    }
}

/// A function of a library.
#[derive(Debug)]
struct Owned {
    function: Arc<Function>,
    library: Box<[u8]>,
}

/// All libraries.
#[derive(Debug, Default)]
pub struct Libraries {
    by_name: BTreeMap<Box<[u8]>, Library>,
    /// Functions by their names in lower case.
    functions: HashMap<Box<[u8]>, Owned>,
    mem_bytes: usize,
}

impl Libraries {
    /// Number of libraries.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Number of functions in all of them.
    pub fn functions_len(&self) -> usize {
        self.functions.len()
    }

    /// Bytes that they take, without what is compiled.
    pub fn mem_bytes(&self) -> usize {
        size_of::<Libraries>() + self.mem_bytes + self.functions.capacity() * size_of::<(Box<[u8]>, Owned)>()
    }

    /// The libraries, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Library> + '_ {
        self.by_name.values()
    }

    /// Takes the libraries out.
    pub fn into_libraries(self) -> impl Iterator<Item = Library> {
        self.by_name.into_values()
    }

    /// The library of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Library> {
        self.by_name.get(name)
    }

    /// The function of this name, in any case.
    #[inline]
    pub fn function(&self, name: &[u8]) -> Option<&Arc<Function>> {
        self.lookup(name).map(|owned| &owned.function)
    }

    #[inline]
    fn lookup(&self, name: &[u8]) -> Option<&Owned> {
        if name.len() > SHORT_NAME {
            return self.functions.get(name.to_ascii_lowercase().as_slice());
        }
        let mut lower = [0; SHORT_NAME];
        let lower = &mut lower[..name.len()];
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.functions.get(&*lower)
    }

    /// Adds a library, in place of the one of its name: that is returned.
    pub fn insert(&mut self, library: Library) -> Result<Option<Library>, (LoadError, Library)> {
        if let Some(name) = self.taken(&library, |owner| owner == library.name.as_ref()) {
            return Err((LoadError::FunctionExists(name), library));
        }
        let replaced = self.remove(&library.name);
        self.link(library);
        Ok(replaced)
    }

    /// Removes a library.
    pub fn remove(&mut self, name: &[u8]) -> Option<Library> {
        let library = self.by_name.remove(name)?;
        for function in &library.functions {
            self.functions.remove(function.name.to_ascii_lowercase().as_bytes());
        }
        self.mem_bytes -= library.mem_bytes();
        Some(library)
    }

    /// Adds all libraries of `others`. Those of the same names are replaced, and returned, if that is allowed. When
    /// something stands in the way nothing is added, and all of `others` comes back.
    pub fn join(&mut self, others: Libraries, replace: bool) -> Result<Vec<Library>, (LoadError, Libraries)> {
        if let Some(error) = self.obstacle(&others, replace) {
            return Err((error, others));
        }
        let mut replaced = Vec::new();
        for name in others.by_name.keys() {
            replaced.extend(self.remove(name));
        }
        others.by_name.into_values().for_each(|library| self.link(library));
        Ok(replaced)
    }

    /// Why `others` cannot be added, if they cannot.
    fn obstacle(&self, others: &Libraries, replace: bool) -> Option<LoadError> {
        let same = others.iter().find(|library| self.by_name.contains_key(&library.name));
        if let (Some(library), false) = (same, replace) {
            return Some(LoadError::LibraryExistsAlready(library.name.clone()));
        }
        let leaves = |owner: &[u8]| others.by_name.contains_key(owner);
        others.iter().find_map(|library| self.taken(library, leaves)).map(LoadError::FunctionExists)
    }

    /// The name of a function of `library` that another library has, unless that `leaves`.
    fn taken(&self, library: &Library, leaves: impl Fn(&[u8]) -> bool) -> Option<Box<[u8]>> {
        let is_taken = |function: &&Arc<Function>| {
            self.lookup(function.name.as_bytes()).is_some_and(|theirs| !leaves(&theirs.library))
        };
        library.functions.iter().find(is_taken).map(|function| function.name.as_bytes().into())
    }

    fn link(&mut self, library: Library) {
        for function in &library.functions {
            let owned = Owned { function: function.clone(), library: library.name.clone() };
            self.functions.insert(function.name.to_ascii_lowercase().into_bytes().into(), owned);
        }
        self.mem_bytes += library.mem_bytes();
        let before = self.by_name.insert(library.name.clone(), library);
        debug_assert!(before.is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &[&str]) -> Library {
        let function = |name: &&str| Function {
            name: (*name).into(),
            description: None,
            flags: ScriptFlags::default(),
            callback: 0,
        };
        Library {
            name: name.as_bytes().into(),
            source: Bytes::from(format!("#!lua name={name}\n")),
            functions: functions.iter().map(function).map(Arc::new).collect(),
        }
    }

    fn libraries(of: &[(&str, &[&str])]) -> Libraries {
        let mut all = Libraries::default();
        for (name, functions) in of {
            all.insert(library(name, functions)).unwrap();
        }
        all
    }

    /// Names of libraries, each with those of its functions; and that the index agrees.
    fn shown(all: &Libraries) -> String {
        let mut text = String::new();
        let mut functions = 0;
        for library in all.iter() {
            let names: Vec<_> = library.functions.iter().map(|f| &*f.name).collect();
            text += &format!("{}({}) ", String::from_utf8_lossy(&library.name), names.join(","));
            functions += names.len();
            for function in &library.functions {
                let found = all.function(function.name.to_ascii_uppercase().as_bytes()).unwrap();
                assert!(Arc::ptr_eq(found, function));
            }
        }
        assert_eq!(functions, all.functions_len());
        assert_eq!(all.mem_bytes, all.iter().map(Library::mem_bytes).sum());
        text
    }

    #[test]
    fn functions_are_found_in_any_case_and_at_any_length() {
        let long = "x".repeat(SHORT_NAME + 1);
        let all = libraries(&[("a", &["Get", &long])]);
        assert!(all.function(b"gET").is_some() && all.function(long.to_uppercase().as_bytes()).is_some());
        assert!(all.function(b"").is_none() && all.function(&long.as_bytes()[1..]).is_none());
        assert!(all.get(b"a").is_some() && all.get(b"A").is_none());
    }

    #[test]
    fn a_library_may_replace_its_own_functions_only() {
        let mut all = libraries(&[("a", &["f", "g"]), ("b", &["h"])]);
        let (error, refused) = all.insert(library("c", &["x", "H"])).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), refused.name.as_ref()),
            ("Function H already exists", &b"c"[..])
        );
        assert_eq!(shown(&all), "a(f,g) b(h) ");
        let replaced = all.insert(library("a", &["F", "i"])).unwrap();
        assert_eq!(replaced.unwrap().functions.len(), 2);
        assert_eq!(shown(&all), "a(F,i) b(h) ");
        assert!(all.remove(b"b").is_some() && all.remove(b"b").is_none());
        assert_eq!(shown(&all), "a(F,i) ");
    }

    #[test]
    fn joining_is_all_or_nothing() {
        let mut all = libraries(&[("a", &["f"]), ("b", &["g"])]);
        let (error, others) = all.join(libraries(&[("b", &["x"]), ("c", &["y"])]), false).unwrap_err();
        assert_eq!((error.to_string().as_str(), others.len()), ("Library b already exists", 2));
        let (error, _) = all.join(libraries(&[("b", &["x"]), ("c", &["F"])]), true).unwrap_err();
        assert_eq!(error.to_string(), "Function F already exists");
        assert_eq!(shown(&all), "a(f) b(g) ");
        // A function may move from one library to another if both are replaced.
        let replaced = all.join(libraries(&[("a", &["g"]), ("b", &["f"]), ("c", &["h"])]), true).unwrap();
        assert_eq!(replaced.len(), 2);
        assert_eq!(shown(&all), "a(g) b(f) c(h) ");
    }
}
