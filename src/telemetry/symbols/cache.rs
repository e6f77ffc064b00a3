//! Names that were looked up before, and the texts they share.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Frame, Frames};

/// How much the cache may hold, in bytes of texts and entries. A CPU profile of the service at work needs half of it.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Frames by address. Emptied when it is full.
pub(super) struct Cache {
    frames: Option<HashMap<usize, Frames>>,
    texts: Option<HashSet<Arc<str>>>,
    bytes: usize,
}

impl Cache {
    pub(super) const fn new() -> Self {
        Self { frames: None, texts: None, bytes: 0 }
    }

    pub(super) fn get(&self, address: usize) -> Option<Frames> {
        self.frames.as_ref()?.get(&address).map(Arc::clone)
    }

    pub(super) fn insert(&mut self, address: usize, frames: &Frames) {
        self.add(size_of::<usize>() + size_of::<Frames>() + frames.len() * size_of::<(usize, usize, Frame)>());
        self.frames.get_or_insert_default().insert(address, Arc::clone(frames));
    }

    /// The text, shared with all that are equal.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.as_ref().and_then(|texts| texts.get(text)) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.add(text.len() + size_of::<Arc<str>>() * 2);
        self.texts.get_or_insert_default().insert(Arc::clone(&shared));
        shared
    }

    fn add(&mut self, bytes: usize) {
        if self.bytes + bytes > MAX_BYTES {
            *self = Self::new();
        }
        self.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Cache, Frame, MAX_BYTES};

    #[test]
    fn symbol_cache_holds_a_bounded_number_of_bytes() {
        let mut cache = Cache::new();
        let frames = |cache: &mut Cache, address: usize| -> super::Frames {
            let name = cache.text(&format!("{address:0>1000}"));
            Arc::new([Arc::new(Frame {
                name: Arc::clone(&name),
                system_name: name,
                file: cache.text("a.rs"),
                line: 1,
            })])
        };
        for address in 0..2 * MAX_BYTES / 1000 {
            let frames = frames(&mut cache, address);
            cache.insert(address, &frames);
            assert_eq!(cache.get(address), Some(frames));
            assert!(cache.bytes <= MAX_BYTES);
        }
        assert_eq!(cache.get(0), None, "the cache was emptied in between");
        assert!(Arc::ptr_eq(&cache.text("a.rs"), &cache.text("a.rs")));
    }
}
