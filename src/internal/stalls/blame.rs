//! Which function of a stack is to blame: the innermost that somebody wrote for a service.

use std::sync::Arc;

use crate::telemetry::symbols::{Frame, Location};

/// What waits, locks, polls and wakes on behalf of others; and what stands around every task of ours.
const MACHINERY: &[&str] = &[
    "alloc",
    "backtrace",
    "compiler_builtins",
    "core",
    "crossbeam*",
    "futures*",
    "hashbrown",
    "libc",
    "lock_api",
    "mio",
    "parking_lot*",
    "rustix",
    "std",
    "tikv_jemalloc*",
    "tokio*",
    concat!(env!("CARGO_PKG_NAME"), "::telemetry::tasks"),
];

/// The name of that function; the innermost one's where all is machinery. None where there is no stack, or where a function
/// without a name may be the one to blame.
pub(super) fn blamed(stack: &[Location]) -> Option<Arc<str>> {
    let frames = || stack.iter().flat_map(|location| location.frames.iter());
    let frame = frames().find(|frame| !frame.is_known() || !is_machinery(frame)).or_else(|| frames().next())?;
    frame.is_known().then(|| Arc::clone(&frame.name))
}

fn is_machinery(frame: &Frame) -> bool {
    // The standard library's sources lie where it was built or is installed; parts of it have names of all kinds.
    if frame.file.starts_with("/rustc/") || frame.file.contains("/lib/rustlib/src/") {
        return true;
    }
    let path = path(&frame.name);
    // C has no paths: libc's and the kernel's, or a library's whose caller is to blame.
    !path.contains("::") || MACHINERY.iter().any(|crates| is_of(path, crates))
}

/// The path of whose function it is: of the type where it is a method, of the trait where the type is only a letter.
fn path(name: &str) -> &str {
    let Some(inside) = name.strip_prefix('<') else { return name };
    let inside = inside.trim_start_matches(['<', '&', '*', '(', '[']);
    let (of_type, of_trait) = inside.split_once(" as ").unwrap_or((inside, ""));
    let of_type = of_type.trim_start_matches("mut ").trim_start_matches("const ").trim_start_matches("dyn ");
    if of_type.contains("::") { of_type } else { of_trait }
}

fn is_of(path: &str, rule: &str) -> bool {
    let begins = |rest: &str| rest.is_empty() || rest.starts_with("::") || rest.starts_with(['<', '>']);
    match rule.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path.strip_prefix(rule).is_some_and(begins),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Frame, Location, blamed};

    fn stack(names: &[&str]) -> Vec<Location> {
        let location = |name: &&str| Location { address: 1, frames: Arc::new([Arc::new(Frame::named(name))]) };
        names.iter().map(location).collect()
    }

    #[test]
    fn stack_with_unnamed_function_blames_nothing() {
        assert_eq!(blamed(&stack(&["syscall", "0x55d0a119e840", "0x55d0a119e850"])), None);
        assert_eq!(blamed(&stack(&["0x55d0a119e840", "shop::main"])), None);
        assert_eq!(blamed(&stack(&["shop::till::close", "0x55d0a119e850"])).as_deref(), Some("shop::till::close"));
    }

    #[test]
    fn the_innermost_function_of_a_service_is_to_blame() {
        for (names, guilty) in [
            (&["syscall", "std::sys::sync::condvar::futex::Condvar::wait", "shop::till::close", "shop::main"][..], 2),
            (&["core::hint::spin_loop", "<shop::Till as core::future::future::Future>::poll", "shop::main"], 1),
            (&["<T as core::convert::Into<U>>::into", "<&mut shop::Till as core::fmt::Display>::fmt"], 1),
            (&["<std::sync::poison::mutex::Mutex<shop::Till>>::lock", "shop::till::close::{closure#0}"], 1),
            (&["sqlite3_step", "sqlx_sqlite::statement::step", "shop::read"], 1),
            (&["tokio_util::sync::wait", "corelib::wait", "shop::wait"], 1),
            (&["glasshouse::domain::users::read", "<glasshouse::telemetry::tasks::spawn::Seen<F>>::poll"], 0),
            (&["epoll_wait", "mio::poll::Poll::poll", "tokio::runtime::park"], 0),
        ] {
            assert_eq!(blamed(&stack(names)).as_deref(), Some(names[guilty]));
        }
        assert_eq!(blamed(&[]), None);
    }
}
