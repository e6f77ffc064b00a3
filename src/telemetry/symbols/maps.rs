//! The files whose code is mapped into this process, from `/proc/self/maps`.

use std::{fs, ops::Range, path::PathBuf};

/// A mapping of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    /// Where it lies in memory.
    pub(super) range: Range<usize>,
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// The path of the file when it was mapped; `[vdso]` for the kernel's own page.
    pub(super) path: String,
    /// Whether it is of the program itself.
    pub(super) is_executable: bool,
    is_deleted: bool,
}

/// What Linux appends to the path of a file that has been removed or replaced.
const DELETED: &str = " (deleted)";

/// Every mapping of code, by address.
///
/// # Errors
/// When the system does not list them, in words.
pub(super) fn modules() -> Result<Vec<Module>, String> {
    let maps = fs::read("/proc/self/maps").map_err(|error| format!("/proc/self/maps cannot be read: {error}"))?;
    let own = modules as fn() -> _ as usize;
    let mut modules: Vec<Module> = String::from_utf8_lossy(&maps).lines().filter_map(Module::parse).collect();
    let executable = modules.iter().find(|module| module.range.contains(&own)).map(|module| module.path.clone());
    for module in &mut modules {
        module.is_executable = executable.as_ref() == Some(&module.path);
    }
    Ok(modules)
}

impl Module {
    /// A line as proc(5) describes it; none where no code is mapped.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (range, access, offset) = (fields.next()?, fields.next()?, fields.next()?);
        let (start, end) = range.split_once('-')?;
        let path = fields.nth(2).unwrap_or_default().trim_start();
        if path.is_empty() || !access.contains('x') {
            return None;
        }
        let address = |text| usize::from_str_radix(text, 16).ok();
        Some(Self {
            range: address(start)?..address(end)?,
            offset: u64::from_str_radix(offset, 16).ok()?,
            path: path.strip_suffix(DELETED).unwrap_or(path).to_owned(),
            is_executable: false,
            is_deleted: path.ends_with(DELETED),
        })
    }

    /// Where to open the file. `/proc/self/exe` leads to the executable that runs, whatever lies at its path now.
    ///
    /// # Errors
    /// When the mapped file cannot be opened any more, or is none, in words.
    pub(super) fn source(&self) -> Result<PathBuf, String> {
        if self.is_executable {
            Ok("/proc/self/exe".into())
        } else if self.is_deleted {
            Err(format!("{} was removed or replaced after it was loaded", self.path))
        } else if self.path.starts_with('/') {
            Ok(self.path.as_str().into())
        } else {
            Err(format!("{} is no file", self.path))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Module, modules};

    #[test]
    fn maps_line_of_code_has_range_offset_and_path() {
        let line = "55d0a0000000-55d0a2000000 r-xp 0119d000 08:01 1234    /usr/bin/a program (deleted)";
        let module = Module::parse(line).unwrap();
        assert_eq!((module.range.clone(), module.offset), (0x55d0_a000_0000..0x55d0_a200_0000, 0x0119_d000));
        assert_eq!((module.path.as_str(), module.is_deleted), ("/usr/bin/a program", true));
        assert!(module.source().unwrap_err().contains("replaced after it was loaded"));
        for line in
            ["", "a", "1-2 r--p 0 08:01 1 /a", "1-2 r-xp 0 00:00 0", "x-y r-xp 0 00:00 0 /a", "1-2 r-xp z 0 0 /a"]
        {
            assert_eq!(Module::parse(line), None, "{line}");
        }
        let vdso = Module::parse("7ffc1000-7ffc3000 r-xp 00000000 00:00 0    [vdso]").unwrap();
        assert_eq!(vdso.source().unwrap_err(), "[vdso] is no file");
    }

    #[test]
    fn executable_is_opened_through_proc_self_exe() {
        let executable = modules().unwrap().into_iter().find(|module| module.is_executable).unwrap();
        assert_eq!(executable.source().unwrap().to_str(), Some("/proc/self/exe"));
        assert_eq!(executable.path, std::fs::read_link("/proc/self/exe").unwrap().to_str().unwrap());
    }
}
