//! `key=value,key2=value2`, as OpenTelemetry's variables write headers and resource attributes.

use secrecy::SecretString;

/// Resource attributes; none if one is malformed.
pub(super) fn attributes(text: &str) -> Option<Vec<(String, String)>> {
    split(text).map(|pair| pair.filter(|(key, _)| !key.is_empty())).collect()
}

/// Headers, their names in lower case as gRPC wants them; none if one could not be sent.
pub(super) fn headers(text: &str) -> Option<Vec<(String, SecretString)>> {
    split(text)
        .map(|pair| {
            let (name, value) = pair?;
            let is_name = !name.is_empty() && name.bytes().all(is_token);
            let is_value = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            (is_name && is_value).then(|| (name.to_ascii_lowercase(), SecretString::from(value)))
        })
        .collect()
}

fn split(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decode(key.trim())?, decode(value.trim())?))
    })
}

/// `token` of RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Percent-decoding of RFC 3986, section 2.1; none where a `%` is not followed by two hexadecimal digits, or where
/// the octets are not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut octets = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        if !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        octets.push(u8::from_str_radix(code, 16).ok()?);
        octets.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::{attributes, headers};

    #[test]
    fn percent_signs_are_decoded_and_broken_ones_refused() {
        let pair = |value: &str| Some(vec![("k".to_owned(), value.to_owned())]);
        for (text, expected) in [
            ("k=a%20b", pair("a b")),
            (" k = v , ", pair("v")),
            ("k=a=b", pair("a=b")),
            ("k=%C3%A4", pair("ä")),
            ("k=", pair("")),
            ("", Some(Vec::new())),
            ("k=%", None),
            ("k=%2", None),
            ("k=%+1", None),
            ("k=%ff", None),
            ("k", None),
            ("=v", None),
        ] {
            assert_eq!(attributes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn headers_that_could_not_be_sent_are_refused() {
        let read = headers("Authorization=Bearer%20abc").expect("a header");
        assert_eq!((read[0].0.as_str(), read[0].1.expose_secret()), ("authorization", "Bearer abc"));
        for text in ["a b=c", "a=%0d%0ab", "a=%C3%A4", "=v"] {
            assert!(headers(text).is_none(), "{text:?}");
        }
    }
}
