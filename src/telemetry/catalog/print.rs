//! The catalogue for people and for programs.

/// As Markdown.
pub fn markdown() -> String {
    String::new()
}
/// As JSON.
pub fn json() -> String {
    String::new()
}
