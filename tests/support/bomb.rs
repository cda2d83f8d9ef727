//! Panics on purpose: quiet ones, and one that kills the thread it is caught on.

use std::panic::{panic_any, set_hook, take_hook};
use std::sync::Once;

/// How the message of a quiet panic begins.
pub(crate) const ON_PURPOSE: &str = "on purpose";

/// Keeps panics that are made on purpose off the screen, where they would hide real ones.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let message = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or_default();
            if !message.starts_with(ON_PURPOSE) && !payload.is::<Bomb>() {
                loud(info);
            }
        }));
    });
}

/// The payload of a panic that panics again when it is dropped: whoever catches the first panic and
/// drops what it caught dies of the second one.
#[derive(Debug)]
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{ON_PURPOSE}: the payload of a panic panics when it is dropped");
    }
}

/// Panics with a [`Bomb`].
pub(crate) fn explode() -> ! {
    quiet();
    panic_any(Bomb)
}
