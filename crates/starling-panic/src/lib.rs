//! Turns panics of code that works on others' data into values, without the noise on stderr.
//!
//! RISC Zero asserts where it could return errors: the executor on a segment limit that is too small, the
//! verifier on a seal that is too short. The panic hook is global to the process, so one that honours a
//! thread-local flag is installed once; every other thread keeps the hook that was there before.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook},
    sync::Once,
};

/// The most characters of a panic message that are kept: enough for a sentence and a location.
const MESSAGE_CHARS_MAX: usize = 1000;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic on this thread becomes its message.
///
/// Panics on threads that `work` starts are printed as usual.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if QUIET.get() {
                MESSAGE.with_borrow_mut(|slot| *slot = Some(message_of(info)));
            } else {
                previous(info);
            }
        }));
    });

    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    let message = MESSAGE.take();
    result.map_err(|_| message.unwrap_or_else(|| "panic without a message".into()))
}

/// One line, for logs and for peers, who need not know where this machine keeps its sources.
fn message_of(info: &PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("panic without a message");
    let text: String = text.chars().take(MESSAGE_CHARS_MAX).collect();
    let text = text.replace(char::is_control, " ");
    match info.location() {
        Some(at) => {
            let parts: Vec<&str> = at.file().rsplit(['/', '\\']).take(3).collect();
            let file = parts.into_iter().rev().collect::<Vec<_>>().join("/");
            format!("{text} ({file}:{})", at.line())
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        let caught = catch(|| panic!("segment limit {} too small", 13));
        let message = match caught {
            Ok(()) => unreachable!("the closure panics"),
            Err(message) => message,
        };
        assert!(message.starts_with("segment limit 13 too small ("), "{message}");
        assert!(message.contains("src/lib.rs:"), "{message}");
    }

    #[test]
    fn a_message_is_one_line_and_names_no_folder_of_this_machine() {
        let caught: Result<(), String> = catch(|| panic!("one\n\x1b[31mtwo"));
        let message = caught.expect_err("the closure panics");
        assert!(message.starts_with("one  [31mtwo ("), "{message}");
        assert!(!message.contains(char::is_control) && !message.contains("(/"), "{message}");
    }

    #[test]
    fn a_caught_panic_leaves_nothing_behind_for_the_next() {
        let _ = catch(|| catch(|| panic!("inner")));
        assert_eq!(catch(|| 7), Ok(7));
        assert!(!QUIET.get());
    }
}
