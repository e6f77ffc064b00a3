//! What is mapped into this process to be executed, and the tables that say how to unwind it.
#![expect(unsafe_code, reason = "the dynamic linker hands out its list by pointers")]

use std::{borrow::Cow, ffi::c_int, ops::Range, slice};

use framehop::{ExplicitModuleSectionInfo, Module};
use libc::{Elf64_Phdr, c_void, dl_phdr_info};

/// Unwinding tables: of the executable as they lie in memory, since that is never unmapped; of libraries a copy.
pub(super) type Table = Cow<'static, [u8]>;

/// The executable, the libraries and the kernel's own page, as they are loaded now. Those without tables in the usual
/// form are left out: their frames are found by their frame pointers.
pub(super) fn modules() -> Vec<Module<Table>> {
    let mut found = Found { seen: 0, modules: Vec::new() };
    // SAFETY: the callback gets back the pointer that is given here, and only during the call.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut found).cast()) };
    found.modules
}

struct Found {
    seen: usize,
    modules: Vec<Module<Table>>,
}

/// Called for each object, under the dynamic linker's lock: nothing is unmapped meanwhile.
unsafe extern "C" fn look(info: *mut dl_phdr_info, _: usize, found: *mut c_void) -> c_int {
    // SAFETY: `found` is what `modules` gave; the linker's description is valid during this call.
    unsafe {
        let (info, found) = (&*info, &mut *found.cast::<Found>());
        // The executable itself comes first.
        let is_executable = found.seen == 0;
        found.seen += 1;
        let headers = slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
        found.modules.extend(module(info.dlpi_addr, headers, is_executable));
    }
    0
}

/// # Safety
/// The headers describe what is mapped at `base` now; if `stays`, for the life of the process.
unsafe fn module(base: u64, headers: &[Elf64_Phdr], stays: bool) -> Option<Module<Table>> {
    let loaded = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let range = |header: &Elf64_Phdr| header.p_vaddr..header.p_vaddr.saturating_add(header.p_memsz);
    let code = loaded().filter(|header| header.p_flags & libc::PF_X != 0).map(range);
    let code = code.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end))?;
    let index = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME).map(range)?;
    // SAFETY: both ranges are inside of what is mapped readable: the index by its header, the table since it is looked
    // up in the segment that contains it.
    let (index_octets, table, table_octets) = unsafe {
        let index_octets = octets(base, &index, stays);
        let table = table_address(&index_octets, index.start)?;
        let segment = loaded().map(range).find(|segment| segment.contains(&table))?;
        let table = table..segment.end;
        (index_octets, table.clone(), octets(base, &table, stays))
    };
    let sections = ExplicitModuleSectionInfo {
        eh_frame_hdr_svma: Some(index),
        eh_frame_hdr: Some(index_octets),
        eh_frame_svma: Some(table),
        eh_frame: Some(table_octets),
        ..ExplicitModuleSectionInfo::default()
    };
    Some(Module::new(String::new(), base.wrapping_add(code.start)..base.wrapping_add(code.end), base, sections))
}

/// Where `.eh_frame` begins, from the head of `.eh_frame_hdr`: version, three encodings, and the address in the first
/// of them, which is relative to itself and signed wherever a linker of our platforms writes it.
fn table_address(index: &[u8], index_address: u64) -> Option<u64> {
    const RELATIVE_SIGNED_32: u8 = 0x1b;
    let ([1, RELATIVE_SIGNED_32, _, _], rest) = index.split_first_chunk::<4>()? else { return None };
    let distance = i32::from_ne_bytes(*rest.first_chunk::<4>()?);
    index_address.checked_add(4)?.checked_add_signed(i64::from(distance))
}

/// # Safety
/// The range, moved by `base`, is mapped readable now; if `stays`, for the life of the process.
unsafe fn octets(base: u64, range: &Range<u64>, stays: bool) -> Table {
    let (from, length) = (base.wrapping_add(range.start) as *const u8, (range.end - range.start) as usize);
    // SAFETY: as promised.
    unsafe {
        if stays {
            Cow::Borrowed(slice::from_raw_parts(from, length))
        } else {
            Cow::Owned(slice::from_raw_parts(from, length).to_vec())
        }
    }
}
