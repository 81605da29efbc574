//! Turns panics of code that is fed by others into values, without the noise on stderr.
//!
//! RISC Zero asserts where it could return errors: the executor on a segment limit that is too small, the
//! verifier on a seal that is too short. The panic hook is global to the process, so one that honours a
//! thread-local flag is installed once; every other thread keeps the hook that was there before.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
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
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if QUIET.get() {
                let message: String = info.to_string().chars().take(MESSAGE_CHARS_MAX).collect();
                MESSAGE.with_borrow_mut(|slot| *slot = Some(message));
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
        assert!(message.contains("segment limit 13 too small"), "{message}");
    }

    #[test]
    fn a_caught_panic_leaves_nothing_behind_for_the_next() {
        let _ = catch(|| catch(|| panic!("inner")));
        assert_eq!(catch(|| 7), Ok(7));
        assert!(!QUIET.get());
    }
}
