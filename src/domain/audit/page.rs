//! A part of the trail.

use super::{Entry, EntryId};
use crate::domain::{Fault, page};

/// Where a page begins: right after one entry, which need not be there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub EntryId);

impl Cursor {
    const LAYOUT: u8 = 2;

    /// The text handed to a client.
    #[must_use]
    pub fn encode(self) -> String {
        page::encode(Self::LAYOUT, self.0.0.as_bytes())
    }

    /// Reads back what [`Cursor::encode`] wrote.
    ///
    /// # Errors
    /// `malformed` for anything else.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        page::id(&page::decode(Self::LAYOUT, text)?).map(|id| Self(EntryId(id)))
    }
}

/// One page, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most as many as were asked for.
    pub entries: Vec<Entry>,
    /// Where the next page begins; none on the last one.
    pub next: Option<Cursor>,
}
