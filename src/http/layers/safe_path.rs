//! The path of a request without what a client may have put there by mistake, such as an e-mail address.

use uuid::Uuid;

/// What stands for a path that no route matches: anything may be in it.
const REDACTED: &str = "/REDACTED";

/// Returns the path with only what the template fixes and ids; everything else stays the template's word.
pub(super) fn safe_path(template: Option<&str>, path: &str) -> String {
    let Some(template) = template else { return REDACTED.to_owned() };
    let mut segments = path.split('/');
    let told = template.split('/').map(|wanted| match segments.next() {
        Some(segment) if wanted.starts_with('{') && Uuid::try_parse(segment).is_ok() => segment,
        _ => wanted,
    });
    told.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::safe_path;

    #[test]
    fn only_ids_are_told() {
        let id = "0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b";
        let template = "/api/v1/users/{id}/password";
        assert_eq!(safe_path(Some(template), &template.replace("{id}", id)), template.replace("{id}", id));
        assert_eq!(safe_path(Some(template), "/api/v1/users/ann@example.com/password"), template);
        assert_eq!(safe_path(Some("/api/v1/docs/{*rest}"), "/api/v1/docs/a/b"), "/api/v1/docs/{*rest}");
        assert_eq!(safe_path(None, "/ann@example.com"), "/REDACTED");
    }
}
