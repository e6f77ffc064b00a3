//! Credentials in URLs: sent as a header, and known to the redactor.

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    pairs, redact,
    shape::{Shape, Value},
    values::Values,
};

const AUTHORIZATION: &str = "authorization";

/// Takes user and password out of a collector's URL and sends them as HTTP's Basic scheme (RFC 7617) does.
///
/// # Errors
/// What would be accepted: credentials in one place, and without a colon in the user.
pub(super) fn move_to_header(url: &mut Url, headers: &mut Vec<(String, SecretString)>) -> Result<(), &'static str> {
    let Some(basic) = basic(url) else { return Ok(()) };
    let basic = basic?;
    // No URL with http or https is without an authority.
    url.set_username("").and_then(|()| url.set_password(None)).ok();
    if headers.iter().any(|(name, _)| name == AUTHORIZATION) {
        return Err("a URL without user and password where the headers have an authorization");
    }
    headers.push((AUTHORIZATION.to_owned(), format!("Basic {basic}").into()));
    Ok(())
}

/// The credentials of a URL in base64, if it has any.
fn basic(url: &Url) -> Option<Result<String, &'static str>> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let (user, password) = (pairs::decode(url.username()), pairs::decode(url.password().unwrap_or_default()));
    let credentials = user.filter(|user| !user.contains(':')).zip(password);
    let encoded = credentials.map(|(user, password)| STANDARD.encode(format!("{user}:{password}")));
    Some(encoded.ok_or("user and password in percent-encoded UTF-8, the user without a colon"))
}

/// Every secret that the settings hold or name, in every form in which a library could write it.
pub(super) fn secrets(values: &Values, others: &[&SecretString]) -> Vec<SecretString> {
    let mut secrets: Vec<String> = others.iter().map(|secret| secret.expose_secret().to_owned()).collect();
    for held in values.all() {
        match (&held.value, held.setting.shape) {
            (Some(Value::Secret(secret)), _) => secrets.push(secret.expose_secret().to_owned()),
            (Some(Value::Headers(headers)), _) => {
                for (_, value) in headers {
                    let value = value.expose_secret();
                    secrets.push(value.to_owned());
                    // `Bearer` and what follows it.
                    secrets.extend(value.split_once(' ').map(|(_, credentials)| credentials.to_owned()));
                }
            }
            (Some(Value::Url(url)), _) => of_url(url, url.password(), &mut secrets),
            (Some(Value::Text(text)), Shape::Endpoint) => {
                let url = if text.contains("://") { text.clone() } else { format!("http://{text}") };
                if let Ok(url) = Url::parse(&url) {
                    // A user without a password is a token.
                    let user = Some(url.username()).filter(|user| !user.is_empty());
                    of_url(&url, url.password().or(user), &mut secrets);
                }
            }
            _ => {}
        }
    }
    secrets.into_iter().map(SecretString::from).collect()
}

/// The password, and the values of parameters that are not known to be harmless; encoded and decoded.
fn of_url(url: &Url, password: Option<&str>, secrets: &mut Vec<String>) {
    secrets.extend(password.map(str::to_owned));
    secrets.extend(password.and_then(pairs::decode));
    secrets.extend(basic(url).and_then(Result::ok));
    let parameters = url.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    for (_, value) in parameters.filter(|(name, _)| !redact::is_open_parameter(name)) {
        secrets.push(value.to_owned());
        secrets.extend(pairs::decode(value));
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::{move_to_header, of_url};

    #[test]
    fn user_and_password_of_a_url_become_a_basic_header() {
        let moved = |text: &str, authorization: Option<&str>| {
            let (mut url, mut headers) = (text.parse().unwrap(), Vec::new());
            headers.extend(authorization.map(|value| ("authorization".to_owned(), value.into())));
            let outcome = move_to_header(&mut url, &mut headers);
            outcome.map(|()| (url.to_string(), headers.first().map(|(_, value)| value.expose_secret().to_owned())))
        };
        let header = |value: &str| Some(value.to_owned());
        for (text, expected) in [
            ("http://c:4318/v1/traces", None),
            ("http://ann:hush@c:4318/v1/traces", header("Basic YW5uOmh1c2g=")),
            ("http://ann@c:4318/v1/traces", header("Basic YW5uOg==")),
            ("http://a%40b:p%3A%20%C3%A4@c:4318/v1/traces", header("Basic YUBiOnA6IMOk")),
        ] {
            assert_eq!(moved(text, None).unwrap(), ("http://c:4318/v1/traces".to_owned(), expected), "{text}");
        }
        assert!(moved("http://c", Some("Bearer hush")).is_ok());
        for text in ["http://a%3Ab:hush@c", "http://ann:%ff@c"] {
            assert!(moved(text, None).unwrap_err().contains("percent-encoded"), "{text}");
        }
        assert!(moved("http://ann:hush@c", Some("Bearer hush")).unwrap_err().contains("authorization"));
    }

    #[test]
    fn secrets_of_a_url_are_known_encoded_and_decoded() {
        let mut secrets = Vec::new();
        let url: url::Url = "postgres://ann:h%40sh@db/users?sslmode=require&sslpassword=a%20b".parse().unwrap();
        of_url(&url, url.password(), &mut secrets);
        assert_eq!(secrets, ["h%40sh", "h@sh", "YW5uOmhAc2g=", "a%20b", "a b"]);
    }
}
