//! Access tokens: as they come, and with the right signature below whatever they say.

use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::DateTime;
use glasshouse::{
    domain::{
        Clock,
        auth::{Keys, TokenTimes, Tokens},
    },
    telemetry::Metrics,
};
use serde_json::Value;

use super::Trial;

const NOW: i64 = 1_790_000_000;

/// A key like any other, for nothing but this: the same each time, so that a corpus stays one.
fn der() -> Vec<u8> {
    let prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    [&prefix[..], &[7; 32]].concat()
}

/// The first byte says which: `!` before a token, anything else before header, a line end, and claims, to be signed.
/// `KID` stands for the key's name.
pub(super) fn target() -> Trial {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der()).unwrap();
    let pem = format!("-----BEGIN {0} KEY-----\n{1}\n-----END {0} KEY-----\n", "PRIVATE", STANDARD.encode(der()));
    let keys = Keys::parse(&pem.into(), &[]).unwrap();
    let kid = keys.public().keys[0].common.key_id.clone().unwrap();
    let clock = Clock::from_fn(|| DateTime::from_timestamp(NOW, 0).unwrap());
    let times = TokenTimes { lifetime: Duration::from_mins(15), clock_skew: Duration::from_secs(30) };
    let tokens = Tokens::new(keys, "here".to_owned(), "there".to_owned(), times, clock, &Metrics::silent(1));
    Box::new(move |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Some(token) = text.strip_prefix('!') {
            for _ in 0..2 {
                assert!(tokens.check(token).is_err(), "no key signed it");
            }
            return;
        }
        let text = text.replace("KID", &kid);
        let (head, claims) = text.split_once('\n').unwrap_or((&text, ""));
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())));
        let checked = tokens.check(&token);
        assert_eq!(tokens.check(&token), checked, "a cached token gets the same verdict");
        if let Ok((user, session)) = checked {
            let (head, claims): (Value, Value) =
                (serde_json::from_str(head).unwrap(), serde_json::from_str(claims).unwrap());
            assert!(head.as_object().unwrap().len() == 3 && head["alg"] == "EdDSA", "{head}");
            let is_rfc_9068 = head["typ"] == "at+jwt" && claims["jti"].is_string() && claims["client_id"] == "there";
            assert!(is_rfc_9068 || head["typ"] == "JWT", "{head} {claims}");
            assert!(claims["iss"] == "here" && claims["aud"] == "there", "{claims}");
            assert!(claims["exp"].as_i64().unwrap() > NOW && claims["nbf"].as_i64().unwrap() <= NOW + 5, "{claims}");
            assert_eq!((&claims["sub"], &claims["sid"]), (&user.0.to_string().into(), &session.0.to_string().into()));
        }
    })
}
