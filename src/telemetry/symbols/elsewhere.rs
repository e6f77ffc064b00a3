//! Lookup of names on a developer's Mac, by the `backtrace` crate and in its memory.

use std::ffi::c_void;

use super::{Frame, Frames, Mapping, cache::Cache};
use std::sync::Arc;

pub(super) fn resolve(addresses: &[usize], cache: &mut Cache, _: &mut Vec<String>) -> Vec<(usize, Frames)> {
    let mut found = Vec::new();
    for &address in addresses {
        let mut frames = Vec::new();
        // The crate takes what it is given for a return address and looks one byte before it.
        backtrace::resolve(address.saturating_add(1) as *mut c_void, |symbol| {
            if let Some(name) = symbol.name() {
                frames.push(Arc::new(Frame {
                    name: cache.text(&format!("{name:#}")),
                    system_name: cache.text(name.as_str().unwrap_or_default()),
                    file: cache.text(&symbol.filename().map(|file| file.display().to_string()).unwrap_or_default()),
                    line: symbol.lineno().unwrap_or_default(),
                }));
            }
        });
        if !frames.is_empty() {
            found.push((address, frames.into()));
        }
    }
    backtrace::clear_symbol_cache();
    found
}

pub(super) fn mappings(_: &[usize], _: &mut Vec<String>) -> Vec<Mapping> {
    Vec::new()
}
