//! Lookup of names on Linux: from the mapped files' own debug information and symbol tables.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Frame, Frames, Mapping,
    cache::Cache,
    dwarf::{Call, calls},
    image::{Image, Tables},
    maps::{Module, modules},
};

/// The frames at these addresses, which are sorted and distinct. Why some have none is added to `missing`.
pub(super) fn resolve(addresses: &[usize], cache: &mut Cache, missing: &mut Vec<String>) -> Vec<(usize, Frames)> {
    if addresses.is_empty() {
        return Vec::new();
    }
    let modules = match modules() {
        Ok(modules) => modules,
        Err(reason) => {
            missing.push(reason);
            return Vec::new();
        }
    };
    let mut found = Vec::with_capacity(addresses.len());
    for (source, modules) in by_file(&modules) {
        let within: Vec<(usize, &Module)> =
            addresses.iter().filter_map(|&address| containing(&modules, address)).collect();
        if within.is_empty() {
            continue;
        }
        let named = source.and_then(|path| {
            let image = Image::open(path.as_ref()).map_err(|error| format!("{path} cannot be read: {error}"))?;
            let tables = image.tables().map_err(|error| format!("{path} cannot be read: {error}"))?;
            // Distributions keep the symbols of their libraries in files of their own.
            let separate = Image::open(separate_debug_file(&tables.build_id()).as_ref()).ok();
            let separate = separate.as_ref().and_then(|image| image.tables().ok());
            Ok(name(&tables, separate.as_ref().unwrap_or(&tables), &within, cache))
        });
        match named {
            Ok(frames) if frames.iter().any(|(_, frames)| frames[0].is_known()) => found.extend(frames),
            Ok(_) => missing.push(format!("{} has no symbols for {} addresses", within[0].1.path, within.len())),
            Err(reason) => missing.push(format!("{} addresses have no names: {reason}", within.len())),
        }
    }
    found
}

/// The mappings in which these addresses lie. Those of one file share its build ID.
pub(super) fn mappings(addresses: &[usize], missing: &mut Vec<String>) -> Vec<Mapping> {
    let modules = modules().unwrap_or_else(|reason| {
        missing.push(reason);
        Vec::new()
    });
    let has_addresses = |module: &Module| {
        let after = addresses.partition_point(|address| *address < module.range.start);
        addresses.get(after).is_some_and(|address| module.range.contains(address))
    };
    // Tools take the first one for the program.
    let mut modules: Vec<_> = modules.iter().filter(|module| module.is_executable || has_addresses(module)).collect();
    modules.sort_by_key(|module| !module.is_executable);
    modules
        .into_iter()
        .map(|module| {
            let image = module.source().ok().and_then(|path| Image::open(&path).ok());
            let build_id = image.and_then(|image| Some(image.tables().ok()?.build_id())).unwrap_or_default();
            Mapping { range: module.range.clone(), offset: module.offset, file: module.path.clone(), build_id }
        })
        .collect()
}

/// The modules of each file: a file can have several mappings of code.
fn by_file(modules: &[Module]) -> BTreeMap<Result<String, String>, Vec<&Module>> {
    let mut files = BTreeMap::<_, Vec<&Module>>::new();
    for module in modules {
        let source = module.source().map(|path| path.to_string_lossy().into_owned());
        files.entry(source).or_default().push(module);
    }
    files
}

fn containing<'a>(modules: &[&'a Module], address: usize) -> Option<(usize, &'a Module)> {
    modules.iter().find(|module| module.range.contains(&address)).map(|module| (address, *module))
}

/// Where Linux distributions install what was stripped from the file with this build ID.
fn separate_debug_file(build_id: &str) -> String {
    let (folder, rest) = build_id.split_at_checked(2).unwrap_or_default();
    format!("/usr/lib/debug/.build-id/{folder}/{rest}.debug")
}

/// Names the addresses by `debug`, in the same addresses as the mapped file's own `tables`.
fn name(
    tables: &Tables<'_>,
    debug: &Tables<'_>,
    addresses: &[(usize, &Module)],
    cache: &mut Cache,
) -> Vec<(usize, Frames)> {
    let mut inside: Vec<(u64, usize)> = addresses
        .iter()
        .filter_map(|(address, module)| {
            let offset = module.offset + (address - module.range.start) as u64;
            Some((tables.address(offset)?, *address))
        })
        .collect();
    inside.sort_unstable();
    let in_file: Vec<u64> = inside.iter().map(|(in_file, _)| *in_file).collect();
    let calls = calls(&debug.debug_information(), &in_file);
    let has_name = |calls: &[Call]| calls.last().is_some_and(|call| call.name.is_some());
    let symbols = if calls.iter().all(|calls| has_name(calls)) { Vec::new() } else { debug.symbols(&in_file) };
    let mut found = Vec::with_capacity(inside.len());
    for (index, ((_, address), mut calls)) in inside.into_iter().zip(calls).enumerate() {
        // Assembly has lines and no functions, a library without debug information has functions and no lines.
        if !has_name(&calls) {
            let symbol = symbols.get(index).copied().flatten().map(str::to_owned);
            match calls.last_mut() {
                Some(outermost) => outermost.name = symbol,
                None => calls.push(Call { name: symbol, ..Call::default() }),
            }
        }
        let frames: Frames = calls.into_iter().map(|call| Arc::new(frame(call, address, cache))).collect();
        found.push((address, frames));
    }
    found
}

fn frame(call: Call, address: usize, cache: &mut Cache) -> Frame {
    let system_name = call.name.unwrap_or_else(|| format!("{address:#x}"));
    let name = format!("{:#}", rustc_demangle::demangle(&system_name));
    Frame {
        name: cache.text(&name),
        system_name: cache.text(&system_name),
        file: cache.text(&call.file),
        line: call.line,
    }
}
