//! Names, files and lines of code addresses in this process.
//!
//! A lookup streams through the debug information: it needs a few MiB of memory, whatever the size of the executable. One
//! lookup runs at a time, the others queue. Names that were found are kept in a cache of bounded size.

mod cache;
#[cfg(target_os = "linux")]
mod dwarf;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod maps;

use std::{
    cell::Cell,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use cache::Cache;
#[cfg(not(target_os = "linux"))]
use elsewhere::{mappings, resolve};
#[cfg(target_os = "linux")]
use linux::{mappings, resolve};

use super::{allocator::unsampled, memory_limit::memory_left};

/// A function in a stack. One address can be in several: what was inlined has a frame of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Demangled, without the hash; the address where there is no name.
    pub name: Arc<str>,
    /// As the linker knows it. pprof takes names in angle brackets for C++ if the two are the same.
    pub system_name: Arc<str>,
    /// Empty where the debug information says nothing.
    pub file: Arc<str>,
    /// Zero where the debug information says nothing.
    pub line: u32,
}

impl Frame {
    /// A frame without an address of its own, such as a task that has no stack.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), system_name: name.into(), file: "".into(), line: 0 }
    }

    /// Whether this is a function with a name, and not only an address.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.name.starts_with("0x")
    }
}

/// An address with the frames there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// Inside the instruction: the program counter of the innermost call, and the return address minus one of its callers.
    pub address: usize,
    /// From the innermost (inlined) outwards; never empty.
    pub frames: Arc<[Arc<Frame>]>,
}

impl Location {
    /// A location for a frame that has no address. Tools identify stacks by addresses, so it gets one that no code has,
    /// the same for the same frame.
    #[must_use]
    pub fn without_address(frame: Frame) -> Self {
        let mut hasher = DefaultHasher::new();
        frame.hash(&mut hasher);
        // The upper half of the addresses is the kernel's.
        let address = usize::try_from(hasher.finish()).unwrap_or(usize::MAX) | !(usize::MAX >> 1);
        Self { address, frames: Arc::new([Arc::new(frame)]) }
    }
}

/// A mapping of code, as profiles name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Where it lies in memory.
    pub range: Range<usize>,
    /// Where it begins in the file.
    pub offset: u64,
    /// The path when it was mapped.
    pub file: String,
    /// In hexadecimal; empty where the file has none or cannot be read.
    pub build_id: String,
}

/// Too little memory is left for looking up names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory limit leaves {} MiB, and this needs {}: raise the limit, or look at another instance",
    left >> 20,
    ROOM >> 20
)]
pub struct ShortOfMemory {
    left: u64,
}

/// How much memory must be left for a profile or a dump with its names: four times what was measured for the largest.
const ROOM: u64 = 12 * 1024 * 1024;

/// Checks that a profile or a dump can be taken without danger for the process.
///
/// # Errors
/// When the memory limit of the process leaves too little.
pub fn check_room() -> Result<(), ShortOfMemory> {
    match memory_left() {
        Some(left) if left < ROOM => Err(ShortOfMemory { left }),
        _ => Ok(()),
    }
}

/// The most addresses that one lookup names.
const MAX_ADDRESSES: usize = 50_000;

/// The one lookup at a time, and what earlier ones found.
static CACHE: Mutex<Cache> = Mutex::new(Cache::new());

thread_local! {
    /// Whether this thread is looking up names: a panic in there must not wait for itself.
    static IS_LOOKING: Cell<bool> = const { Cell::new(false) };
}

type Frames = Arc<[Arc<Frame>]>;

/// The names of some addresses.
#[derive(Debug, Default)]
pub struct Symbols {
    known: HashMap<usize, Frames>,
    /// The mappings of code in which these addresses lie.
    pub mappings: Vec<Mapping>,
    /// Why addresses have no names, a sentence each.
    pub missing: Vec<String>,
}

impl Symbols {
    /// Looks up all of these addresses, each *inside* the instruction meant. Blocks: for milliseconds where the names are
    /// known already, otherwise up to a second or two. Its allocations are not sampled.
    ///
    /// # Errors
    /// When the memory limit of the process leaves too little.
    pub fn look_up(addresses: impl IntoIterator<Item = usize>) -> Result<Self, ShortOfMemory> {
        check_room()?;
        Ok(unsampled(|| Self::find(addresses)))
    }

    /// No names, for this reason.
    #[must_use]
    pub fn unnamed(reason: String) -> Self {
        Self { missing: vec![reason], ..Self::default() }
    }

    fn find(addresses: impl IntoIterator<Item = usize>) -> Self {
        let mut addresses: Vec<usize> = addresses.into_iter().collect();
        addresses.sort_unstable();
        addresses.dedup();
        if IS_LOOKING.get() {
            return Self::unnamed("looking up names has failed".to_owned());
        }
        let mut missing = Vec::new();
        if addresses.len() > MAX_ADDRESSES {
            let count = addresses.len() - MAX_ADDRESSES;
            missing.push(format!("{count} addresses have no names: {MAX_ADDRESSES} are looked up at most"));
            addresses.truncate(MAX_ADDRESSES);
        }
        IS_LOOKING.set(true);
        let _done = Done;
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut known, mut unknown) = (HashMap::with_capacity(addresses.len()), Vec::new());
        for &address in &addresses {
            match cache.get(address) {
                Some(frames) => drop(known.insert(address, frames)),
                None => unknown.push(address),
            }
        }
        let found = resolve(&unknown, &mut cache, &mut missing);
        for (address, frames) in found {
            cache.insert(address, &frames);
            known.insert(address, frames);
        }
        let mappings = mappings(&addresses, &mut missing);
        missing.sort_unstable();
        missing.dedup();
        Self { known, mappings, missing }
    }

    /// The frames at an address.
    #[must_use]
    pub fn frames(&self, address: usize) -> Frames {
        self.known
            .get(&address)
            .map_or_else(|| Arc::new([Arc::new(Frame::named(&format!("{address:#x}")))]), Arc::clone)
    }

    /// The address with its frames.
    #[must_use]
    pub fn location(&self, address: usize) -> Location {
        Location { address, frames: self.frames(address) }
    }

    /// The locations of a whole stack of addresses.
    #[must_use]
    pub fn stack(&self, addresses: &[usize]) -> Vec<Location> {
        addresses.iter().map(|&address| self.location(address)).collect()
    }
}

/// Ends the lookup of this thread, also by a panic.
struct Done;

impl Drop for Done {
    fn drop(&mut self) {
        IS_LOOKING.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, ffi::c_void};

    use super::{Frame, Location, Symbols};

    #[inline(never)]
    fn calls() -> Vec<usize> {
        let mut calls = Vec::new();
        backtrace::trace(|frame| {
            calls.push((frame.ip() as usize).saturating_sub(1));
            true
        });
        calls
    }

    #[test]
    fn lookup_names_function_file_and_line() {
        let calls = calls();
        let symbols = Symbols::look_up(calls.iter().copied()).unwrap();
        let stack = symbols.stack(&calls);
        let mut frames = stack.iter().flat_map(|location| location.frames.iter());
        let frame = frames.find(|frame| frame.name.ends_with("symbols::tests::calls")).unwrap();
        assert!(frame.system_name.starts_with("_R") || frame.system_name.starts_with("_ZN"), "{frame:?}");
        assert!(frame.file.ends_with("symbols/mod.rs") && frame.line > 0, "{frame:?}");
        let executable = &symbols.mappings[0];
        assert!(executable.range.contains(&(Symbols::unnamed as *const () as usize)), "{executable:x?}");
        assert_eq!(executable.file, std::fs::read_link("/proc/self/exe").unwrap().to_str().unwrap());
    }

    #[test]
    fn lookup_finds_what_the_backtrace_crate_finds() {
        // Functions of all kinds: of ours, of libraries, of the standard library. Of shared libraries the crate also reads
        // debug information that is installed beside them.
        let mut addresses: Vec<usize> = calls();
        addresses.extend([
            Symbols::unnamed as *const () as usize,
            serde_json::from_str::<serde_json::Value> as *const () as usize,
            crate::telemetry::Metrics::gather as *const () as usize,
        ]);
        let inside: Vec<usize> =
            addresses.iter().flat_map(|address| (0..400).map(move |step| address + step * 13)).collect();
        let symbols = Symbols::look_up(inside.iter().copied()).unwrap();
        let executable = symbols.mappings[0].range.clone();
        let (mut compared, mut inlined) = (HashSet::new(), 0);
        for address in inside.into_iter().filter(|address| executable.contains(address)) {
            let mut expected = Vec::new();
            backtrace::resolve((address + 1) as *mut c_void, |symbol| {
                let name = symbol.name().map(|name| format!("{name:#}")).unwrap_or_default();
                let file = symbol.filename().map(|file| file.display().to_string()).unwrap_or_default();
                expected.push((name, file, symbol.lineno().unwrap_or_default()));
            });
            expected.retain(|(name, ..)| !name.is_empty());
            let frames = symbols.frames(address);
            let known = frames.iter().filter(|frame| frame.is_known());
            let mut found: Vec<_> =
                known.map(|frame| (frame.name.to_string(), frame.file.to_string(), frame.line)).collect();
            // The crate leaves line 0 as it is.
            if let (Some(innermost), Some((.., 0))) = (found.first_mut(), expected.first()) {
                innermost.2 = 0;
            }
            // Between functions the crate names the one before.
            if found.is_empty() && expected.iter().all(|(_, file, _)| file.is_empty()) {
                continue;
            }
            assert_eq!(found, expected, "at {address:#x}");
            inlined += usize::from(found.len() > 1);
            compared.extend(found);
        }
        assert!(compared.len() > 200 && inlined > 100, "{} lines, {inlined} inlined", compared.len());
    }

    #[test]
    fn address_outside_of_code_has_no_name() {
        let symbols = Symbols::look_up([16, usize::MAX]).unwrap();
        assert_eq!(&*symbols.frames(16)[0].name, "0x10");
        assert!(!symbols.frames(usize::MAX)[0].is_known());
    }

    #[test]
    fn frames_without_address_get_distinct_addresses_that_no_code_has() {
        let [one, same, other] = ["one", "one", "other"].map(|name| Location::without_address(Frame::named(name)));
        assert_eq!(one.address, same.address);
        assert_ne!(one.address, other.address);
        assert!(one.address.cast_signed() < 0);
    }
}
