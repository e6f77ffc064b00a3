//! From a copied stack to the addresses in it.

use std::ops::Range;

use framehop::{CacheNative, MayAllocateDuringUnwind, UnwindRegsNative, Unwinder as _, UnwinderNative};

use super::{
    super::Stack,
    modules::{Table, modules},
    slot::{Registers, Seen},
};

/// Deeper than anything but runaway recursion.
const DEEPEST: usize = 512;

/// Follows the unwinding tables of what is loaded when it is made, and frame pointers where there is none.
pub(super) struct Unwinder {
    unwinder: UnwinderNative<Table, MayAllocateDuringUnwind>,
    cache: CacheNative<MayAllocateDuringUnwind>,
    code: Vec<Range<u64>>,
}

impl Unwinder {
    /// Blocks for a millisecond or so: the tables of the libraries are copied.
    pub(super) fn new() -> Self {
        let mut unwinder = UnwinderNative::new();
        let mut code = Vec::new();
        for module in modules() {
            code.push(module.avma_range());
            unwinder.add_module(module);
        }
        Self { unwinder, cache: CacheNative::new(), code }
    }

    pub(super) fn stack(&mut self, seen: &Seen) -> Stack {
        let mut cut = false;
        let mut addresses = Vec::new();
        let mut read = |address| {
            let word = seen.word(address);
            cut |= word.is_none() && seen.is_beyond(address);
            word.ok_or(())
        };
        let registers = self.registers(&seen.registers);
        let mut frames = self.unwinder.iter_frames(seen.registers.pc, registers, &mut self.cache, &mut read);
        // An error is the end as well: what was found so far is right.
        while let Ok(Some(frame)) = frames.next() {
            let address = frame.address_for_lookup();
            // What follows a caller that is no code is not a stack any more. The innermost may be anywhere.
            if !addresses.is_empty() && !self.code.iter().any(|code| code.contains(&address)) {
                break;
            }
            if addresses.len() == DEEPEST {
                cut = true;
                break;
            }
            addresses.push(usize::try_from(address).unwrap_or_default());
        }
        Stack { addresses, cut }
    }

    #[cfg(target_arch = "x86_64")]
    #[expect(clippy::unused_self, reason = "other architectures need the modules for it")]
    fn registers(&self, seen: &Registers) -> UnwindRegsNative {
        UnwindRegsNative::new(seen.pc, seen.sp, seen.fp)
    }

    /// Return addresses may carry a signature in the bits above the largest address.
    #[cfg(target_arch = "aarch64")]
    fn registers(&self, seen: &Registers) -> UnwindRegsNative {
        let largest = self.unwinder.max_known_code_address().max(seen.pc);
        let mask = framehop::aarch64::PtrAuthMask::from_max_known_address(largest);
        UnwindRegsNative::new_with_ptr_auth_mask(mask, seen.lr, seen.sp, seen.fp)
    }
}
