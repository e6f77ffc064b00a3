//! Addresses in this executable, and the functions that they lie in.

use std::{
    collections::HashMap,
    ffi::c_void,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use backtrace::SymbolName;

/// A function in a stack. One address can be in several: what was inlined has a frame of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::internal) struct Frame {
    /// As a person writes it: demangled, without the hash.
    pub(in crate::internal) name: String,
    /// As the linker knows it. pprof takes names in angle brackets for C++ if the two are the same.
    pub(in crate::internal) system_name: String,
    /// Empty where the debug information says nothing.
    pub(in crate::internal) file: String,
    /// Zero where the debug information says nothing.
    pub(in crate::internal) line: u32,
}

impl Frame {
    /// Whether this is a function with a name, and not only an address.
    pub(in crate::internal) fn is_known(&self) -> bool {
        !self.name.starts_with("0x")
    }
}

/// How many look addresses up: the library keeps what it has read for all of them together.
static READERS: AtomicUsize = AtomicUsize::new(0);

/// Looks addresses up, each once. Blocks: reading the debug information for the first time takes a second or more and
/// 100 MB, which are given back when the last of those that there are at a time is dropped.
pub(in crate::internal) struct Symbols {
    known: HashMap<usize, Vec<Arc<Frame>>>,
}

impl Symbols {
    pub(in crate::internal) fn new() -> Self {
        READERS.fetch_add(1, SeqCst);
        Self { known: HashMap::new() }
    }

    /// The frames at an address *inside* the instruction meant: the program counter itself for the innermost frame, and
    /// the return address minus one for its callers, or the line after the call is blamed. From the innermost (inlined)
    /// outwards; never empty.
    pub(in crate::internal) fn frames(&mut self, address: usize) -> &[Arc<Frame>] {
        self.known.entry(address).or_insert_with(|| resolve(address))
    }

    /// The frames of a whole stack of such addresses, innermost first.
    pub(in crate::internal) fn stack(&mut self, addresses: &[usize]) -> Vec<Arc<Frame>> {
        addresses.iter().flat_map(|&address| self.frames(address).to_vec()).collect()
    }
}

impl Drop for Symbols {
    fn drop(&mut self) {
        // Who drew it away from under the others would have each of them read it all again.
        if READERS.fetch_sub(1, SeqCst) == 1 {
            backtrace::clear_symbol_cache();
        }
    }
}

fn resolve(address: usize) -> Vec<Arc<Frame>> {
    let mut frames = Vec::new();
    // The library takes what it is given for a return address and looks one octet before it.
    backtrace::resolve(address.saturating_add(1) as *mut c_void, |symbol| {
        let name = symbol.name();
        frames.push(Arc::new(Frame {
            name: name.as_ref().map_or_else(|| unknown(address), |name| format!("{name:#}")),
            system_name: name.as_ref().and_then(SymbolName::as_str).map_or_else(|| unknown(address), str::to_owned),
            file: symbol.filename().map(|file| file.display().to_string()).unwrap_or_default(),
            line: symbol.lineno().unwrap_or_default(),
        }));
    });
    if frames.is_empty() {
        let name = unknown(address);
        frames.push(Arc::new(Frame { system_name: name.clone(), name, file: String::new(), line: 0 }));
    }
    frames
}

/// What has no name is still told apart.
fn unknown(address: usize) -> String {
    format!("{address:#x}")
}

#[cfg(test)]
mod tests {
    use super::Symbols;

    #[inline(never)]
    fn somewhere() -> usize {
        let mut here = 0;
        backtrace::trace(|frame| {
            let name = "somewhere";
            backtrace::resolve_frame(frame, |symbol| {
                if symbol.name().is_some_and(|symbol| symbol.to_string().contains(name)) {
                    here = frame.ip() as usize - 1;
                }
            });
            here == 0
        });
        here
    }

    #[test]
    fn an_address_has_a_name_a_file_and_a_line() {
        let mut symbols = Symbols::new();
        let frames = symbols.frames(somewhere());
        let frame = frames.last().unwrap();
        assert!(frame.name.ends_with("symbols::tests::somewhere"), "{frame:?}");
        assert!(frame.system_name.starts_with("_R") || frame.system_name.starts_with("_ZN"), "{frame:?}");
        assert!(frame.file.ends_with("profile/symbols.rs") && frame.line > 0, "{frame:?}");
    }

    #[test]
    fn an_address_in_nothing_is_told_as_it_is() {
        assert_eq!(Symbols::new().frames(16)[0].name, "0x10");
    }
}
