//! Runs the cases of the libraries in a state that has nothing but Lua's own libraries and ours.
//!
//! A case is a line of a file in `testdata/`: an expression, a tabulator, and its results as upstream wrote them down, escaped as
//! [`slice::escape_ascii`] does. What expressions have at hand is `testdata/show.lua`. Cases run in order in one state, because
//! some change the configuration that later ones are about.

use super::library_sandbox::Sandbox;

/// Checks all cases of a file.
#[track_caller]
pub fn check(cases: &str) {
    let sandbox = Sandbox::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases.lines() {
        let (expression, expected) = case.split_once('\t').expect("a tabulator");
        let chunk = [
            include_str!("testdata/show.lua"),
            "\nreturn show(pcall(function() return ",
            expression,
            " end))",
        ];
        let result = sandbox.run(&chunk.concat(), b"").escape_ascii().to_string();
        if result != expected {
            wrong.push(format!("{expression}\n  expected {expected}\n  found    {result}"));
        }
        count += 1;
    }
    assert!(count > 100, "only {count} cases");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
