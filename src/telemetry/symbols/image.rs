//! An executable or a library as a file: its sections, its symbols, its build ID.

use std::{fmt::Write, fs::File, io, path::Path};

use memmap2::Mmap;
use object::{
    NativeEndian,
    elf::{
        ELF_NOTE_GNU, FileHeader64, NT_GNU_BUILD_ID, PF_X, PT_LOAD, SHF_COMPRESSED, SHT_DYNSYM, SHT_SYMTAB, STT_FUNC,
    },
    read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym},
};

use super::dwarf::{Sections, Slice, within};

type Elf = FileHeader64<NativeEndian>;

/// A mapped file. Its pages are the system's, which takes them back when memory is short.
pub(super) struct Image(Mmap);

impl Image {
    /// Maps it; nothing is read yet.
    ///
    /// # Errors
    /// When it cannot be opened or mapped.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        #[expect(unsafe_code, reason = "a map of a file that shrinks would end the process")]
        // SAFETY: the system lets no process write to a file that is being executed. A library whose file is cut short has
        // ended the process already, since its code is mapped as well.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self(map))
    }

    /// Its tables.
    ///
    /// # Errors
    /// When it is no ELF file of 64 bits and this machine's byte order, or is damaged.
    pub(super) fn tables(&self) -> object::Result<Tables<'_>> {
        let data = &*self.0;
        let header = Elf::parse(data)?;
        let endian = header.endian()?;
        Ok(Tables { data, header, endian, sections: header.sections(endian, data)? })
    }
}

/// What the file says of itself.
pub(super) struct Tables<'a> {
    data: &'a [u8],
    header: &'a Elf,
    endian: NativeEndian,
    sections: SectionTable<'a, Elf>,
}

impl<'a> Tables<'a> {
    /// The address that the file's own tables use for the code at this offset in the file.
    pub(super) fn address(&self, offset: u64) -> Option<u64> {
        let headers = self.header.program_headers(self.endian, self.data).ok()?;
        let mut code = headers
            .iter()
            .filter(|header| header.p_type(self.endian) == PT_LOAD && header.p_flags(self.endian) & PF_X == PF_X);
        code.find_map(|header| {
            // A mapping begins on a page boundary, up to a page before the segment.
            let inside = offset.checked_sub(header.p_offset(self.endian))?;
            (inside < header.p_filesz(self.endian)).then(|| header.p_vaddr(self.endian) + inside)
        })
    }

    /// The debug information. Sections that are not there, or are compressed, are empty.
    pub(super) fn debug_information(&self) -> Sections<'a> {
        let load = |id: gimli::SectionId| -> Result<Slice<'a>, gimli::Error> {
            let section = self.sections.section_by_name(self.endian, id.name().as_bytes());
            let section =
                section.filter(|(_, section)| section.sh_flags(self.endian) & SHF_COMPRESSED != SHF_COMPRESSED);
            let data = section.and_then(|(_, section)| section.data(self.endian, self.data).ok());
            Ok(Slice::new(data.unwrap_or_default(), gimli::NativeEndian))
        };
        Sections::load(load).unwrap_or_default()
    }

    /// The name of the function at each of these addresses, which are sorted, by the symbol table.
    pub(super) fn symbols(&self, addresses: &[u64]) -> Vec<Option<&'a str>> {
        let mut found = vec![None; addresses.len()];
        for kind in [SHT_SYMTAB, SHT_DYNSYM] {
            let Ok(table) = self.sections.symbols(self.endian, self.data, kind) else { continue };
            for symbol in table.iter().filter(|symbol| symbol.st_type() == STT_FUNC) {
                let start = symbol.st_value(self.endian);
                let end = start.saturating_add(symbol.st_size(self.endian));
                for index in within(addresses, start..end) {
                    let name = symbol.name(self.endian, table.strings()).ok();
                    found[index] = found[index].or(name.and_then(|name| std::str::from_utf8(name).ok()));
                }
            }
        }
        found
    }

    /// In hexadecimal, as `readelf -n` and pprof write it; empty where there is none.
    pub(super) fn build_id(&self) -> String {
        let headers = self.header.program_headers(self.endian, self.data).unwrap_or_default();
        for header in headers {
            let Ok(Some(mut notes)) = header.notes(self.endian, self.data) else { continue };
            while let Ok(Some(note)) = notes.next() {
                if note.name() == ELF_NOTE_GNU && note.n_type(self.endian) == NT_GNU_BUILD_ID {
                    let mut text = String::new();
                    for byte in note.desc() {
                        write!(text, "{byte:02x}").expect("writing to memory cannot fail");
                    }
                    return text;
                }
            }
        }
        String::new()
    }
}
