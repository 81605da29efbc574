//! The generated C++ as text: which functions it has, and which of them are needed.
//!
//! Nothing here knows the language: a function is found by its first argument and ends where its braces do. So what is
//! found is compared with what the header declares, and anything that differs is an error.

use std::collections::{BTreeMap, BTreeSet};

/// The function that fills a row.
pub const ROOT: &str = "step_Top";

/// The namespace of the generated source.
const NAMESPACE: &str = "namespace risc0::circuit::rv32im_v2::cpu {";

/// What the name of each function is followed by, where it is declared and where it is defined.
const ARGUMENTS: &str = "(ExecContext& ctx";

/// A generated function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// What it is called.
    pub name: &'a str,
    /// All of its definition.
    pub text: &'a str,
}

/// The declarations in `header`, the text of `steps.h`, and the end of their namespace.
///
/// # Errors
///
/// If the namespace does not begin just once.
pub fn declared(header: &str) -> Result<&str, String> {
    match header.matches(NAMESPACE).count() {
        1 => Ok(header.split_once(NAMESPACE).map_or("", |(_, declarations)| declarations)),
        found => Err(format!("steps.h has {found} times, not once: {NAMESPACE:?}")),
    }
}

/// All functions of `source`, the text of `steps.cpp`, in their order: just those that `declarations` have.
///
/// # Errors
///
/// If that is not so: a sentence that names a function.
pub fn defined<'a>(source: &'a str, declarations: &str) -> Result<Vec<Function<'a>>, String> {
    let functions = functions(source)?;
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for (at, _) in declarations.match_indices(ARGUMENTS) {
        let name = name_before(declarations, at);
        if !open.insert(name) {
            return Err(format!("steps.h declares the function {name} more than once"));
        }
    }
    for Function { name, .. } in &functions {
        if !open.remove(name) {
            return Err(format!(
                "steps.cpp defines the function {name} more than once, or steps.h does not declare it"
            ));
        }
    }
    match open.first() {
        Some(name) => Err(format!("steps.h declares the function {name}, not found in steps.cpp")),
        None => Ok(functions),
    }
}

/// Whatever looks like a function: it begins at the start of a line.
fn functions(source: &str) -> Result<Vec<Function<'_>>, String> {
    let mut functions = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(ARGUMENTS) {
        let begin = rest[..at].rfind('\n').map_or(0, |end| end + 1);
        let name = name_before(rest, at);
        let mut depth = 0_usize;
        let mut quoted = false;
        let end = rest[at..].bytes().position(|byte| {
            match byte {
                b'"' => quoted = !quoted,
                b'{' if !quoted => depth += 1,
                b'}' if !quoted => {
                    depth = depth.saturating_sub(1);
                    return depth == 0;
                }
                _ => {}
            }
            false
        });
        let end = at + end.ok_or_else(|| format!("steps.cpp: the function {name} has no end"))? + 1;
        functions.push(Function { name, text: &rest[begin..end] });
        rest = &rest[end..];
    }
    Ok(functions)
}

/// Those that [`ROOT`] reaches by name, in their order: callees come first in the source, and do here.
///
/// # Errors
///
/// If there is no such function.
pub fn needed(functions: Vec<Function<'_>>) -> Result<Vec<Function<'_>>, String> {
    let by_name: BTreeMap<_, _> =
        functions.iter().map(|function| (function.name, function.text)).collect();
    let mut needed = BTreeSet::new();
    let mut open = vec![ROOT];
    while let Some(name) = open.pop() {
        let text = by_name.get(name).ok_or_else(|| format!("steps.cpp: no function {name}"))?;
        if needed.insert(name) {
            let calls = text.match_indices("(ctx").map(|(at, _)| name_before(text, at));
            open.extend(calls.filter(|name| by_name.contains_key(name)));
        }
    }
    Ok(functions.iter().copied().filter(|function| needed.contains(function.name)).collect())
}

/// The word that ends at `end`.
fn name_before(text: &str, end: usize) -> &str {
    let begin = text[..end].rfind(|c: char| !c.is_alphanumeric() && c != '_');
    &text[begin.map_or(0, |begin| begin + 1)..end]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HEADER: &str = "#pragma once
namespace risc0::circuit::rv32im_v2::cpu {

extern Reg exec_Reg(ExecContext& ctx,Val arg0)  ;
extern Reg exec_Other(ExecContext& ctx,Val arg0)  ;
extern void step_Top(ExecContext& ctx,MutableBuf data0)  ;

} // namespace
";

    const SOURCE: &str = "namespace risc0::circuit::rv32im_v2::cpu {
Reg exec_Reg(ExecContext& ctx,Val arg0)   {
EQZ(arg0, \"a brace } in a text\");
if (arg0) { return Reg{arg0}; }
return Reg{.x = {arg0}};
}
Reg exec_Other(ExecContext& ctx,Val arg0)   {
return exec_Reg(ctx,arg0);
}
void step_Top(ExecContext& ctx,MutableBuf data0)   {
exec_Reg(ctx,extern_get(ctx));
}
} // namespace
";

    fn names(functions: &[Function<'_>]) -> Vec<String> {
        functions.iter().map(|function| function.name.to_owned()).collect()
    }

    /// Why a header and a source do not go together.
    fn refusal(header: &str, source: &str) -> String {
        declared(header).and_then(|declarations| defined(source, declarations)).unwrap_err()
    }

    #[test]
    fn every_declared_function_is_found_whole_and_those_that_the_root_reaches_are_taken() {
        let functions = defined(SOURCE, declared(HEADER).unwrap()).unwrap();
        assert_eq!(names(&functions), ["exec_Reg", "exec_Other", "step_Top"]);
        assert!(functions[0].text.starts_with("Reg exec_Reg("));
        assert!(functions[0].text.ends_with("return Reg{.x = {arg0}};\n}"));
        assert_eq!(names(&needed(functions).unwrap()), ["exec_Reg", "step_Top"]);
    }

    #[test]
    fn a_header_whose_namespace_does_not_begin_just_once_is_refused() {
        let error = refusal(&HEADER.replace("rv32im_v2", "rv32im_v3"), SOURCE);
        assert!(error.starts_with("steps.h has 0 times, not once: \"namespace risc0"), "{error}");
        let error = refusal(&HEADER.repeat(2), SOURCE);
        assert!(error.starts_with("steps.h has 2 times, not once: \"namespace risc0"), "{error}");
    }

    #[test]
    fn functions_that_header_and_source_do_not_both_have_once_are_named() {
        let declaration = "extern Reg exec_Other(ExecContext& ctx,Val arg0)  ;\n";
        let without = HEADER.replace(declaration, "");
        let expected = "steps.cpp defines the function exec_Other more than once, or steps.h does \
                        not declare it";
        assert_eq!(refusal(&without, SOURCE), expected);
        let twice = HEADER.replace(declaration, &declaration.repeat(2));
        let expected = "steps.h declares the function exec_Other more than once";
        assert_eq!(refusal(&twice, SOURCE), expected);
        let expected = "steps.h declares the function exec_Other, not found in steps.cpp";
        assert_eq!(refusal(HEADER, &SOURCE.replace("exec_Other(ExecContext& ctx", "x(")), expected);
    }

    /// As a text with a quotation mark that nothing closes would have it.
    #[test]
    fn a_function_that_swallows_the_next_is_an_error() {
        let swallows = SOURCE.replace("return Reg{.x = {arg0}};\n}", "return Reg{.x = {arg0};\n}");
        let expected = "steps.h declares the function exec_Other, not found in steps.cpp";
        assert_eq!(refusal(HEADER, &swallows), expected);
        let endless = SOURCE.replace("a brace }", "a brace } \"");
        assert_eq!(refusal(HEADER, &endless), "steps.cpp: the function exec_Reg has no end");
    }

    #[test]
    fn a_source_without_the_root_is_refused() {
        let (header, source) =
            (HEADER.replace("step_Top", "step_Other"), SOURCE.replace("step_Top", "step_Other"));
        let functions = defined(&source, declared(&header).unwrap()).unwrap();
        assert_eq!(needed(functions).unwrap_err(), "steps.cpp: no function step_Top");
    }
}
