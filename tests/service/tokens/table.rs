//! The attacks and their answers.

use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use glasshouse::domain::auth::SigningAlgorithm;
use serde_json::{Value, json};

use super::{
    forge::{Forge, changed, decoded, encoded, followed, malleable, preceded, respelled, signed_by},
    two_algorithms::{ecdsa, families},
};

/// What is tried, the token, and the code of the answer.
pub(super) type Attack = (String, String, &'static str);

const MALFORMED: &str = "token_malformed";
pub(super) const ALGORITHM: &str = "token_algorithm";
const UNKNOWN_KEY: &str = "token_unknown_key";
pub(super) const SIGNATURE: &str = "token_signature";
const WRONG_PARTY: &str = "token_wrong_party";
const EXPIRED: &str = "token_expired";
const NOT_YET: &str = "token_not_yet";
const ENDED: &str = "session_ended";

pub(super) fn attacks(forge: &Forge) -> Vec<Attack> {
    let parts = [
        algorithms, families, confusions, keys, headers, signatures, spellings, shapes, parties, times, claims,
        repeated,
    ];
    parts.into_iter().flat_map(|part| part(forge)).collect()
}

pub(super) fn row(name: impl Into<String>, token: impl Into<String>, code: &'static str) -> Attack {
    (name.into(), token.into(), code)
}

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name);
}

/// The message of a token, without its signature.
fn message(token: &str) -> &str {
    token.rsplit_once('.').unwrap().0
}

fn algorithms(forge: &Forge) -> Vec<Attack> {
    let mut rows = Vec::new();
    let names = [
        "none", "None", "nOnE", "NONE", "", "eddsa", "EdDSA ", "Ed25519", "HS256", "RS256", "PS512", "es256", "ES256 ",
        "ES256K", "ES384", "ES512", "ESP256", "ECDH-ES",
    ];
    let names = names.into_iter().chain([forge.other.algorithm.as_str()]);
    for name in names {
        let signed = forge.with_head(|head| head["alg"] = json!(name));
        rows.push(row(format!("alg {name:?}, and no signature"), format!("{}.", message(&signed)), ALGORITHM));
        rows.push(row(format!("alg {name:?}"), signed, ALGORITHM));
    }
    for value in [json!(null), json!(["EdDSA"]), json!({ "EdDSA": null }), json!(0)] {
        rows.push(row(format!("alg {value}"), forge.with_head(|head| head["alg"] = value), MALFORMED));
    }
    rows.push(row("no alg", forge.with_head(|head| remove(head, "alg")), MALFORMED));
    rows
}

/// The public key, which everybody has, for a secret.
fn confusions(forge: &Forge) -> Vec<Attack> {
    let mut rows = Vec::new();
    for (form, secret) in forge.public_forms() {
        for (algorithm, name) in [(HMAC_SHA256, "HS256"), (HMAC_SHA384, "HS384"), (HMAC_SHA512, "HS512")] {
            rows.push(row(format!("{name} with {form}"), forge.with_secret(algorithm, name, &secret), ALGORITHM));
        }
        let name = forge.key.algorithm.as_str();
        rows.push(row(
            format!("HMAC with {form}, said to be {name}"),
            forge.with_secret(HMAC_SHA256, name, &secret),
            SIGNATURE,
        ));
    }
    rows
}

fn keys(forge: &Forge) -> Vec<Attack> {
    let kid = serde_json::from_str::<Value>(&forge.head).unwrap()["kid"].as_str().unwrap().to_owned();
    let (padded, long) = (format!("{kid}="), "k".repeat(1000));
    let (nul, lower) = (format!("{kid}\0"), kid.to_lowercase());
    let unknown = [
        "",
        "another",
        "0",
        "*",
        ".",
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "../signing-key.pem",
        "https://attacker.example/key",
        "' OR '1'='1",
        "' UNION SELECT 'key' --",
        "\"; DROP TABLE users; --",
        "${jndi:ldap://a}",
        "| cat /etc/passwd",
        "$(id)",
        "\r\nX-Injected: 1",
        &padded,
        &long,
        &nul,
        &lower,
    ];
    let mut rows = Vec::new();
    for name in unknown {
        let short: String = name.chars().take(30).collect();
        rows.push(row(format!("kid {short:?}"), forge.with_head(|head| head["kid"] = json!(name)), UNKNOWN_KEY));
    }
    rows.push(row("no kid", forge.with_head(|head| remove(head, "kid")), UNKNOWN_KEY));
    rows.push(row("kid null", forge.with_head(|head| head["kid"] = Value::Null), UNKNOWN_KEY));
    for value in [json!([kid]), json!({ "kid": kid }), json!(0), json!(true)] {
        rows.push(row(format!("kid {value}"), forge.with_head(|head| head["kid"] = value), MALFORMED));
    }
    rows
}

/// Headers that ask for another key, or to be read in another way.
fn headers(forge: &Forge) -> Vec<Attack> {
    let x = encoded([7; 32]);
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x });
    let more = [
        ("jwk", jwk.clone()),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("x5u", json!("https://attacker.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
        ("epk", jwk.clone()),
        ("p2c", json!(2_147_483_647)),
        ("url", json!("https://attacker.example/")),
        ("nonce", json!("a")),
        ("KID", json!("another")),
    ];
    let mut rows = Vec::new();
    for (name, value) in more {
        let asked = |head: &mut Value| head[name] = value.clone();
        rows.push(row(format!("{name} {value}"), forge.with_head(asked), MALFORMED));
        let by_stranger = signed_by(&forge.stranger, changed(&forge.head, asked), &forge.claims);
        rows.push(row(format!("{name} {value}, signed by a stranger"), by_stranger, MALFORMED));
    }
    let types = ["jwt", "jwt ", "AT+JWT", "at+JWT", "application/at+jwt", "application/jwt", "id+jwt", "JOSE", ""];
    for value in types.map(|text| json!(text)).into_iter().chain([json!(null), json!(["JWT"]), json!(["at+jwt"])]) {
        rows.push(row(format!("typ {value}"), forge.with_head(|head| head["typ"] = value), MALFORMED));
    }
    rows.push(row("no typ", forge.with_head(|head| remove(head, "typ")), MALFORMED));
    rows
}

fn signatures(forge: &Forge) -> Vec<Attack> {
    let (token, other) = (&forge.ann.access_token, &forge.bob.access_token);
    let (body, signature) = token.rsplit_once('.').unwrap();
    let of_other = other.rsplit_once('.').unwrap().1;
    let claims = changed(&forge.claims, |claims| claims["sub"] = json!(forge.bob.id));
    let admin = changed(&forge.claims, |claims| claims["role"] = json!("admin"));
    let unsigned = |claims: &str| format!("{}.{}.{signature}", encoded(&forge.head), encoded(claims));
    let mut rows = vec![
        row("signature stripped", format!("{body}."), SIGNATURE),
        row("signature of another token", format!("{body}.{of_other}"), SIGNATURE),
        row("signature of a stranger", signed_by(&forge.stranger, &forge.head, &forge.claims), SIGNATURE),
        row("signature of nothing but zeros", format!("{body}.{}", encoded([0; 64])), SIGNATURE),
        row("signature cut short", format!("{body}.{}", &signature[..84]), SIGNATURE),
        row("signature and more", format!("{body}.{signature}AAAA"), SIGNATURE),
        row("another's name under the old signature", unsigned(&claims), SIGNATURE),
        row("a role under the old signature", unsigned(&admin), SIGNATURE),
    ];
    match forge.key.algorithm {
        SigningAlgorithm::EdDsa => rows.push(row("signature with the order added to S", malleable(token), SIGNATURE)),
        SigningAlgorithm::Es256 => {
            for (name, bytes) in ecdsa(&decoded(signature)) {
                rows.push(row(name, format!("{body}.{}", encoded(bytes)), SIGNATURE));
            }
        }
    }
    rows
}

/// Other ways to write the same octets in base64.
fn spellings(forge: &Forge) -> Vec<Attack> {
    let token = &forge.ann.access_token;
    let parts: Vec<&str> = token.split('.').collect();
    let (body, signature) = token.rsplit_once('.').unwrap();
    let spaced = preceded(&forge.head, " \"typ\":\"at+jwt\"").replacen("\"typ\":\"at+jwt\",", "", 1);
    // Of a length that leaves bits over in the last character.
    let claims = (0..3).map(|count| followed(&forge.claims, &format!("\"a\":\"{}\"", "a".repeat(count))));
    let claims = claims.into_iter().find(|claims| claims.len() % 3 != 0).unwrap();
    let resigned = |claims: &str| {
        let message = format!("{}.{claims}", parts[0]);
        let signed = forge.signed_message(&message);
        format!("{message}.{signed}")
    };
    vec![
        row("signature padded", format!("{token}=="), MALFORMED),
        row("signature padded by one", format!("{token}="), MALFORMED),
        row("signature with other last bits", format!("{body}.{}", respelled(signature)), MALFORMED),
        row("signature with a space in it", format!("{body}.{} {}", &signature[..40], &signature[40..]), MALFORMED),
        row("signature with a tab before it", format!("{body}.\t{signature}"), MALFORMED),
        row("signature in the other alphabet", format!("{body}.+/{}", &signature[2..]), MALFORMED),
        row("header padded", format!("{}=.{}.{}", parts[0], parts[1], parts[2]), MALFORMED),
        row("claims padded, under the old signature", format!("{}.{}=.{}", parts[0], parts[1], parts[2]), SIGNATURE),
        row("claims padded", resigned(&format!("{}=", encoded(&claims))), MALFORMED),
        row("claims with other last bits", resigned(&respelled(&encoded(&claims))), MALFORMED),
        row("claims with a space in them", resigned(&format!("{} ", encoded(&claims))), MALFORMED),
        row("a space before the header's object", forge.signed(format!(" {}", forge.head), &forge.claims), MALFORMED),
        row("a repeated typ", forge.signed(spaced.replacen('{', "{\"typ\":\"at+jwt\",", 1), &forge.claims), MALFORMED),
    ]
}

/// What is no token of three parts, or whose parts are no objects.
fn shapes(forge: &Forge) -> Vec<Attack> {
    let token = &forge.ann.access_token;
    let parts: Vec<&str> = token.split('.').collect();
    let values = |json: &str| {
        let object: Value = serde_json::from_str(json).unwrap();
        Value::Array(object.as_object().unwrap().values().cloned().collect()).to_string()
    };
    let padded = forge.with_claims(|claims| claims["padding"] = json!("x".repeat(2000)));
    let nested = format!("\"sub\":{}{}", "[".repeat(300), "]".repeat(300));
    let deep = forge.claims.replacen(&format!("\"sub\":\"{}\"", forge.ann.id), &nested, 1);
    let jws = json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] }).to_string();
    let two = message(token).to_owned();
    let mut rows = vec![
        row("oversized, signed", padded, MALFORMED),
        row("oversized", "x".repeat(3000), MALFORMED),
        row("deep", forge.signed(&forge.head, deep), MALFORMED),
        row("a refresh token", forge.ann.refresh_token.clone(), MALFORMED),
        row("one part", "x", MALFORMED),
        row("two parts", two, MALFORMED),
        row("four parts", format!("{token}.{}", parts[2]), SIGNATURE),
        row("five parts, as an encrypted token has", format!("{}....", parts[0]), SIGNATURE),
        row("nothing but dots", "..", MALFORMED),
        row("a dot before it", format!(".{token}"), MALFORMED),
        row("as JSON", jws, MALFORMED),
        row("twice", format!("{token} {token}"), SIGNATURE),
        row("twice, with a comma", format!("{token},{token}"), SIGNATURE),
        row("a token in a token", forge.signed(&forge.head, token), MALFORMED),
        row("a header that is a list", forge.signed(values(&forge.head), &forge.claims), MALFORMED),
        row("claims that are a list", forge.signed(&forge.head, values(&forge.claims)), MALFORMED),
        row("claims in the order of a list", forge.signed(&forge.head, ordered(&forge.claims)), MALFORMED),
        row("claims of latin-1", forge.signed(&forge.head, b"{\"iss\":\"\xe9\"}"), MALFORMED),
        row("claims behind a mark of order", forge.signed(&forge.head, format!("\u{feff}{}", forge.claims)), MALFORMED),
        row("claims and more", forge.signed(&forge.head, format!("{}{{}}", forge.claims)), MALFORMED),
    ];
    for text in ["", "{}", "[]", "null", "\"\"", "0", "{", "{\"alg\":\"EdDSA\""] {
        rows.push(row(format!("header {text}"), forge.signed(text, &forge.claims), MALFORMED));
        rows.push(row(format!("claims {text}"), forge.signed(&forge.head, text), MALFORMED));
    }
    rows
}

/// The claims as a list in the order in which a reader of lists would want them.
fn ordered(claims: &str) -> String {
    let claims: Value = serde_json::from_str(claims).unwrap();
    json!(["iss", "aud", "sub", "sid", "iat", "nbf", "exp"].map(|name| claims[name].clone())).to_string()
}

/// By or for others, or about others.
fn parties(forge: &Forge) -> Vec<Attack> {
    let mut rows = Vec::new();
    let set = |name: &'static str, value: Value| forge.with_claims(|claims| claims[name] = value);
    for name in ["iss", "aud"] {
        for value in ["", "Glasshouse", "glasshouse ", "glasshouse\0", "https://attacker.example"] {
            rows.push(row(format!("{name} {value:?}"), set(name, json!(value)), WRONG_PARTY));
        }
        for value in [json!(["glasshouse"]), json!(["glasshouse", "other"]), json!([]), json!(null), json!(0)] {
            rows.push(row(format!("{name} {value}"), set(name, value), MALFORMED));
        }
    }
    let bobs = changed(&forge.claims, |claims| claims["sub"] = json!(forge.bob.id));
    let nobody = json!("0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b");
    rows.push(row("sub of another, in one's own session", forge.signed(&forge.head, bobs), ENDED));
    rows.push(row("sub of nobody", set("sub", nobody.clone()), ENDED));
    rows.push(row("sid of nobody", set("sid", nobody), ENDED));
    rows.push(row("sid of the user", set("sid", json!(forge.ann.id)), ENDED));
    let id = &forge.ann.id;
    let respelled = [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), format!("urn:uuid:{id}")];
    let odd = ["", "ann@example.com", "' OR '1'='1", "../me", "%"].map(str::to_owned);
    for value in respelled.into_iter().chain(odd) {
        rows.push(row(format!("sub {value:?}"), set("sub", json!(value)), MALFORMED));
        rows.push(row(format!("sid {value:?}"), set("sid", json!(value)), MALFORMED));
    }
    rows
}

fn times(forge: &Forge) -> Vec<Attack> {
    let claims: Value = serde_json::from_str(&forge.claims).unwrap();
    let now = claims["iat"].as_i64().unwrap();
    let set = |name: &'static str, value: Value| forge.with_claims(|claims| claims[name] = value);
    let mut rows = vec![
        row("expired as it was made", set("exp", json!(now)), EXPIRED),
        row("expired before it was made", set("exp", json!(now - 1)), EXPIRED),
        row("expired at the beginning of time", set("exp", json!(0)), EXPIRED),
        row("expired before that", set("exp", json!(i64::MIN)), EXPIRED),
        row("valid in an hour", set("nbf", json!(now + 3600)), NOT_YET),
        row("valid at the end of time", set("nbf", json!(i64::MAX)), NOT_YET),
        row("made in an hour", set("iat", json!(now + 3600)), NOT_YET),
    ];
    let exp = now + 900;
    let odd =
        [json!(exp.to_string()), json!(null), json!(true), json!([exp]), json!(9e18), json!(u64::MAX), json!(1.5)];
    for name in ["exp", "nbf", "iat"] {
        for value in &odd {
            rows.push(row(format!("{name} {value}"), set(name, value.clone()), MALFORMED));
        }
        let member = format!("\"{name}\":{}", claims[name]);
        let huge = forge.claims.replacen(&member, &format!("\"{name}\":1e999"), 1);
        rows.push(row(format!("{name} beyond every number"), forge.signed(&forge.head, huge), MALFORMED));
    }
    rows
}

fn claims(forge: &Forge) -> Vec<Attack> {
    let names = ["iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti", "client_id"];
    let rows = names.map(|name| row(format!("no {name}"), forge.with_claims(|claims| remove(claims, name)), MALFORMED));
    let mut rows = Vec::from(rows);
    let set = |name: &'static str, value: Value| forge.with_claims(|claims| claims[name] = value);
    for value in
        [json!(""), json!("a"), json!(null), json!(0), json!([forge.ann.id]), json!(forge.ann.id.to_uppercase())]
    {
        rows.push(row(format!("jti {value}"), set("jti", value), MALFORMED));
    }
    for value in [json!(null), json!(0), json!(["glasshouse"])] {
        rows.push(row(format!("client_id {value}"), set("client_id", value), MALFORMED));
    }
    rows.push(row("client_id of another", set("client_id", json!("other")), WRONG_PARTY));
    rows
}

/// Twice the same member: the first wins here and the last there, so neither may.
fn repeated(forge: &Forge) -> Vec<Attack> {
    let mut rows = Vec::new();
    let claims: Value = serde_json::from_str(&forge.claims).unwrap();
    let later = claims["exp"].as_i64().unwrap() + 1;
    let sub = json!(forge.bob.id);
    let others = [
        ("sub", sub),
        ("exp", json!(later)),
        ("iss", json!("other")),
        ("sid", claims["sid"].clone()),
        ("jti", claims["sid"].clone()),
    ];
    for (name, value) in others {
        let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
        for name in [name.to_owned(), escaped] {
            let member = format!("\"{name}\":{value}");
            rows.push(row(
                format!("{name} before"),
                forge.signed(&forge.head, preceded(&forge.claims, &member)),
                MALFORMED,
            ));
            rows.push(row(
                format!("{name} behind"),
                forge.signed(&forge.head, followed(&forge.claims, &member)),
                MALFORMED,
            ));
        }
    }
    for member in
        ["\"alg\":\"none\"", "\"alg\":\"EdDSA\"", "\"kid\":\"another\"", "\"\\u0061lg\":\"none\"", "\"kid\":null"]
    {
        rows.push(row(
            format!("{member} before"),
            forge.signed(preceded(&forge.head, member), &forge.claims),
            MALFORMED,
        ));
        rows.push(row(
            format!("{member} behind"),
            forge.signed(followed(&forge.head, member), &forge.claims),
            MALFORMED,
        ));
    }
    rows
}
