//! Frames at code addresses, read from DWARF one compilation unit at a time.
//!
//! `addr2line`, which the `backtrace` crate uses, first parses the abbreviations, the file table and the ranges of every
//! unit and keeps them: 80 MB and more for this executable. Here each lookup names all its addresses at once. The reader
//! walks only the units that contain them and keeps one unit at a time, so its memory does not grow with the executable.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashSet},
    ops::Range,
};

use gimli::{
    AttributeValue, DW_AT_MIPS_linkage_name, DW_AT_abstract_origin, DW_AT_call_file, DW_AT_call_line,
    DW_AT_linkage_name, DW_AT_name, DW_AT_specification, DW_TAG_inlined_subroutine, DW_TAG_subprogram, DebugInfoOffset,
    EndianSlice, NativeEndian, UnitOffset,
};

pub(super) type Slice<'a> = EndianSlice<'a, NativeEndian>;
pub(super) type Sections<'a> = gimli::Dwarf<Slice<'a>>;
type Unit<'a> = gimli::Unit<Slice<'a>>;

/// A reference to a name leads to its declaration, and that to another; no compiler needs more steps.
const MAX_REFERENCES: usize = 16;

/// A call as the debug information describes it; inlined calls have one of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// The linkage name. None where there are only line numbers.
    pub(super) name: Option<String>,
    /// Empty where it is unknown.
    pub(super) file: String,
    /// Zero where it is unknown.
    pub(super) line: u32,
}

/// The calls at each of these addresses, which are sorted and distinct, from the innermost outwards; empty where there
/// is no debug information, or none that can be read.
pub(super) fn calls(sections: &Sections<'_>, addresses: &[u64]) -> Vec<Vec<Call>> {
    let mut found = vec![Vec::new(); addresses.len()];
    let references = References { sections, starts: OnceCell::new() };
    for (unit, indices) in units(sections, addresses) {
        let wanted: Vec<u64> = indices.iter().map(|&index| addresses[index]).collect();
        if let Ok(calls) = calls_in_unit(sections, &references, unit, &wanted) {
            indices.into_iter().zip(calls).for_each(|(index, calls)| found[index] = calls);
        }
    }
    found
}

/// Which of the sorted addresses lie in a range, as indices.
pub(super) fn within(addresses: &[u64], range: Range<u64>) -> Range<usize> {
    let first = |bound| addresses.partition_point(|address| *address < bound);
    first(range.start)..first(range.end)
}

/// The units that contain the addresses, each with the indices of those.
fn units(sections: &Sections<'_>, addresses: &[u64]) -> BTreeMap<usize, Vec<usize>> {
    let mut unit_of: Vec<Option<usize>> = vec![None; addresses.len()];
    let note = |unit_of: &mut [Option<usize>], range: gimli::Range, unit: usize| {
        within(addresses, range.begin..range.end).for_each(|index| {
            unit_of[index].get_or_insert(unit);
        });
    };
    let mut listed = HashSet::new();
    let mut headers = sections.debug_aranges.headers();
    while let Ok(Some(header)) = headers.next() {
        let unit = header.debug_info_offset().0;
        let mut entries = header.entries();
        loop {
            match entries.next() {
                Ok(Some(entry)) if entry.length() > 0 => {
                    listed.insert(unit);
                    note(&mut unit_of, entry.range(), unit);
                }
                Ok(None) => break,
                // The iterator ends by itself after an error that it cannot pass over.
                Ok(Some(_)) | Err(_) => {}
            }
        }
    }
    // Some compilers leave units out of that list.
    if unit_of.contains(&None) {
        let mut headers = sections.units();
        while let Ok(Some(header)) = headers.next() {
            let Some(DebugInfoOffset(offset)) = header.debug_info_offset() else { continue };
            if listed.contains(&offset) {
                continue;
            }
            let Ok(unit) = sections.unit(header) else { continue };
            let Ok(mut ranges) = sections.unit_ranges(&unit) else { continue };
            while let Ok(Some(range)) = ranges.next() {
                note(&mut unit_of, range, offset);
            }
        }
    }
    let mut units = BTreeMap::<usize, Vec<usize>>::new();
    for (index, unit) in unit_of.into_iter().enumerate() {
        if let Some(unit) = unit {
            units.entry(unit).or_default().push(index);
        }
    }
    units
}

fn calls_in_unit(
    sections: &Sections<'_>,
    references: &References<'_, '_>,
    offset: usize,
    addresses: &[u64],
) -> gimli::Result<Vec<Vec<Call>>> {
    let unit = sections.unit(sections.unit_header(DebugInfoOffset(offset))?)?;
    let entries = entries(sections, &unit, addresses)?;
    let places = places(&unit, addresses)?;
    let mut found = Vec::with_capacity(addresses.len());
    for (entries, mut place) in entries.into_iter().zip(places) {
        let mut calls = Vec::with_capacity(entries.len().max(1));
        for offset in entries.into_iter().rev() {
            let name = references.name(&unit, offset, MAX_REFERENCES)?;
            calls.push(call(sections, &unit, name, place));
            place = call_site(&unit, offset)?;
        }
        if calls.is_empty() && place.is_some() {
            calls.push(call(sections, &unit, None, place));
        }
        found.push(calls);
    }
    Ok(found)
}

/// The functions that contain each address, and the calls inlined there, from the outermost inwards.
fn entries(sections: &Sections<'_>, unit: &Unit<'_>, addresses: &[u64]) -> gimli::Result<Vec<Vec<UnitOffset>>> {
    let mut found = vec![Vec::new(); addresses.len()];
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let offset = entries.next_offset();
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        entries.skip_attributes(abbreviation.attributes())?;
        let is_function = abbreviation.tag() == DW_TAG_subprogram;
        if !is_function && abbreviation.tag() != DW_TAG_inlined_subroutine {
            continue;
        }
        let mut ranges = sections.die_ranges(unit, &unit.entry(offset)?)?;
        while let Some(range) = ranges.next()? {
            for index in within(addresses, range.begin..range.end) {
                // Linkers that fold identical functions leave several at one address. The last is shown.
                if is_function {
                    found[index].clear();
                }
                found[index].push(offset);
            }
        }
    }
    Ok(found)
}

/// A file by its number in the unit's line program, and a line.
type Place = (u64, u32);

/// The source line of each address.
fn places(unit: &Unit<'_>, addresses: &[u64]) -> gimli::Result<Vec<Option<Place>>> {
    let mut found = vec![None; addresses.len()];
    let Some(program) = unit.line_program.clone() else { return Ok(found) };
    let mut rows = program.rows();
    let mut last: Option<(u64, Place)> = None;
    while let Some((_, row)) = rows.next_row()? {
        if let Some((address, place)) = last {
            within(addresses, address..row.address()).for_each(|index| found[index] = Some(place));
        }
        let line = row.line().map_or(0, |line| u32::try_from(line.get()).unwrap_or_default());
        // Line 0 is code that the compiler made up: it belongs to what is around it.
        let place = match last {
            Some((_, (file, before))) if line == 0 && file == row.file_index() => (file, before),
            _ => (row.file_index(), line),
        };
        last = (!row.end_sequence()).then_some((row.address(), place));
    }
    Ok(found)
}

/// Where an inlined call was written.
fn call_site(unit: &Unit<'_>, offset: UnitOffset) -> gimli::Result<Option<Place>> {
    let entry = unit.entry(offset)?;
    let file = match entry.attr_value(DW_AT_call_file) {
        // Up to version 4, file 0 is none.
        Some(AttributeValue::FileIndex(file)) if file > 0 || unit.header.version() >= 5 => file,
        _ => return Ok(None),
    };
    let line = entry.attr_value(DW_AT_call_line).and_then(|line| line.udata_value()).unwrap_or_default();
    Ok(Some((file, u32::try_from(line).unwrap_or_default())))
}

fn call(sections: &Sections<'_>, unit: &Unit<'_>, name: Option<Slice<'_>>, place: Option<Place>) -> Call {
    let name = name.map(|name| name.to_string_lossy().into_owned());
    let file = place.and_then(|(file, _)| self::file(sections, unit, file)).unwrap_or_default();
    Call { name, file, line: place.map_or(0, |(_, line)| line) }
}

/// The path of a file of the unit's line program.
fn file(sections: &Sections<'_>, unit: &Unit<'_>, number: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(number)?;
    let text = |value| Some(sections.attr_string(unit, value).ok()?.to_string_lossy().into_owned());
    let mut path = unit.comp_dir.map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
    // Folder 0 is the one that was compiled in.
    if file.directory_index() != 0
        && let Some(folder) = file.directory(header)
    {
        push(&mut path, &text(folder)?);
    }
    push(&mut path, &text(file.path_name())?);
    Some(path)
}

fn push(path: &mut String, part: &str) {
    if part.starts_with('/') {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(part);
}

/// References from one entry to another, in the same unit or in another.
struct References<'s, 'd> {
    sections: &'s Sections<'d>,
    /// Where each unit begins. Read at the first reference that leaves its unit.
    starts: OnceCell<Vec<usize>>,
}

impl<'d> References<'_, 'd> {
    /// The linkage name of an entry, or the plain one; its own, or that of the entry that it refers to.
    fn name(&self, unit: &Unit<'d>, offset: UnitOffset, steps: usize) -> gimli::Result<Option<Slice<'d>>> {
        let entry = unit.entry(offset)?;
        for attribute in [DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name] {
            let name = entry.attr_value(attribute).and_then(|value| self.sections.attr_string(unit, value).ok());
            if name.is_some() {
                return Ok(name);
            }
        }
        let origin = entry.attr_value(DW_AT_abstract_origin).or_else(|| entry.attr_value(DW_AT_specification));
        match origin {
            Some(AttributeValue::UnitRef(offset)) if steps > 0 => self.name(unit, offset, steps - 1),
            Some(AttributeValue::DebugInfoRef(offset)) if steps > 0 => {
                let Some(unit) = self.unit(offset)? else { return Ok(None) };
                let Some(offset) = offset.to_unit_offset(&unit.header) else { return Ok(None) };
                self.name(&unit, offset, steps - 1)
            }
            _ => Ok(None),
        }
    }

    /// The unit that contains this offset.
    fn unit(&self, DebugInfoOffset(offset): DebugInfoOffset) -> gimli::Result<Option<Unit<'d>>> {
        let starts = self.starts.get_or_init(|| {
            let mut starts = Vec::new();
            let mut headers = self.sections.units();
            while let Ok(Some(header)) = headers.next() {
                starts.extend(header.debug_info_offset().map(|DebugInfoOffset(offset)| offset));
            }
            starts
        });
        let before = starts.partition_point(|start| *start <= offset);
        let Some(start) = before.checked_sub(1).map(|index| starts[index]) else { return Ok(None) };
        self.sections.unit(self.sections.unit_header(DebugInfoOffset(start))?).map(Some)
    }
}
