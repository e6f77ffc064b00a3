//! The known attacks on access tokens, each with its answer, for both algorithms. Besides the service's own tokens, only
//! those of versions before RFC 9068 are accepted.

mod forge;
mod table;
mod two_algorithms;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use forge::{Forge, changed, signed_by};
use glasshouse::domain::auth::SigningAlgorithm;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::Service;

async fn assert_every_attack_is_refused(algorithm: SigningAlgorithm) {
    let forge = Forge::open(algorithm).await;
    let rows = table::attacks(&forge);
    assert!(rows.len() > 250, "{}", rows.len());
    let mut reasons: BTreeMap<&str, f64> = BTreeMap::new();
    let mut faults = Vec::new();
    // The cache of verified tokens is empty at first, and then holds the token that most attacks are made of.
    // Of the attacks, only tokens whose signature and times are right enter it: those refused for their session.
    let cached = rows.iter().filter(|(_, _, code)| *code == "session_ended").count();
    for (cache, expected_hits) in [("cold", cached), ("warm", 2 * cached)] {
        let hits = hits(&forge.service).await;
        for (name, token, code) in rows.iter().flat_map(|attack| [attack, attack]) {
            let reply = forge.service.client().as_bearer(token).me().await;
            if reply.status != 401 || reply.code() != *code {
                faults.push(format!("{name}, {cache}: {} {} and not {code}: {token}", reply.status, reply.text));
            }
            let challenge = reply.header("www-authenticate");
            assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{name}: {challenge}");
            *reasons.entry(code).or_default() += 1.0;
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        assert_eq!(self::hits(&forge.service).await - hits, expected_hits, "{cache}");
        for _ in 0..2 {
            assert_eq!(forge.ann.client.me().await.json["id"], forge.ann.id);
        }
    }
    assert_eq!(hits(&forge.service).await, 3 * cached + 3, "the accepted token is cached");
    for (reason, count) in reasons {
        let series = format!("glasshouse_token_rejections_total{{reason=\"{reason}\"}}");
        assert_eq!(forge.service.metric(&series).await, Some(count), "{reason}");
    }
}

async fn hits(service: &Service) -> usize {
    let hits = service.metric("glasshouse_token_cache_lookups_total{result=\"hit\"}").await;
    hits.map(|hits| hits.to_string()).unwrap_or_default().parse().expect("a whole number")
}

#[tokio::test]
async fn cached_token_is_refused_after_expiry_sign_out_and_removal() {
    let service = Service::start().await;
    let client = service.client();
    let (ann, bob, eve) = (
        client.joined("ann@example.com").await,
        client.joined("bob@example.com").await,
        client.joined("eve@example.com").await,
    );
    for session in [&ann, &bob, &eve] {
        for _ in 0..2 {
            assert_eq!(session.client.me().await.status, 200);
        }
    }
    assert_eq!(ann.client.sign_out().await.status, 204);
    assert_eq!(bob.client.remove(&bob.id).await.status, 204);
    for session in [&ann, &bob] {
        let reply = session.client.me().await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "session_ended"));
    }
    assert_eq!(eve.client.me().await.status, 200);
    service.pass(TimeDelta::minutes(16));
    let reply = eve.client.me().await;
    assert_eq!((reply.status.as_u16(), reply.code()), (401, "token_expired"));
    assert!(hits(&service).await >= 9, "the tokens were cached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_known_attack_on_an_eddsa_token_is_refused_with_its_reason() {
    assert_every_attack_is_refused(SigningAlgorithm::EdDsa).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_known_attack_on_an_es256_token_is_refused_with_its_reason() {
    assert_every_attack_is_refused(SigningAlgorithm::Es256).await;
}

async fn status(forge: &Forge, token: &str) -> StatusCode {
    forge.service.client().as_bearer(token).me().await.status
}

/// Or the table would show nothing: what is refused there is signed like this.
#[tokio::test]
async fn forged_tokens_that_say_nothing_odd_are_accepted() {
    for algorithm in SigningAlgorithm::ALL {
        let forge = Forge::open(algorithm).await;
        let token = forge.signed(&forge.head, &forge.claims);
        if algorithm == SigningAlgorithm::EdDsa {
            assert_eq!(token, forge.ann.access_token, "Ed25519 signs the same way each time");
        }
        assert_eq!(status(&forge, &token).await, 200);
        let further = forge.with_claims(|claims| claims["scope"] = json!(["a", "later", "version"]));
        assert_eq!(status(&forge, &further).await, 200);
        let head = changed(&forge.head, |head| {
            head["alg"] = json!(forge.other.algorithm.as_str());
            head["kid"] = json!(forge.other.id);
        });
        assert_eq!(
            status(&forge, &signed_by(&forge.other, head, &forge.claims)).await,
            200,
            "the other algorithm's key"
        );
    }
}

#[tokio::test]
async fn issued_token_follows_rfc_9068() {
    let forge = Forge::open(SigningAlgorithm::Es256).await;
    let (head, claims): (Value, Value) =
        (serde_json::from_str(&forge.head).unwrap(), serde_json::from_str(&forge.claims).unwrap());
    assert_eq!(head, json!({ "typ": "at+jwt", "alg": "ES256", "kid": forge.key.id }));
    assert_eq!(
        (&claims["sub"], &claims["client_id"], &claims["aud"]),
        (&json!(forge.ann.id), &json!("glasshouse"), &json!("glasshouse"))
    );
    let again = forge.service.client().signed_in("ann@example.com").await;
    let claims_again = forge::decoded(again.access_token.split('.').nth(1).unwrap());
    let claims_again: Value = serde_json::from_slice(&claims_again).unwrap();
    assert_ne!(claims_again["jti"], claims["jti"], "each token has a jti of its own");
}

/// The service issued such tokens before RFC 9068: of the type `JWT`, without `jti` and `client_id`.
fn former(forge: &Forge, change: impl FnOnce(&mut Value)) -> String {
    let head = changed(&forge.head, |head| head["typ"] = json!("JWT"));
    let claims = changed(&forge.claims, |claims| {
        let members = claims.as_object_mut().unwrap();
        members.remove("jti");
        members.remove("client_id");
        change(claims);
    });
    forge.signed(head, claims)
}

#[tokio::test]
async fn tokens_issued_before_an_upgrade_are_accepted_until_they_expire() {
    let forge = Forge::open(SigningAlgorithm::EdDsa).await;
    assert_eq!(status(&forge, &former(&forge, |_| ())).await, 200);
    let expired = former(&forge, |claims| claims["exp"] = claims["iat"].clone());
    let reply = forge.service.client().as_bearer(&expired).me().await;
    assert_eq!((reply.status.as_u16(), reply.code()), (401, "token_expired"));
    let forge = Forge::open(SigningAlgorithm::Es256).await;
    let reply = forge.service.client().as_bearer(&former(&forge, |_| ())).me().await;
    assert_eq!((reply.status.as_u16(), reply.code()), (401, "token_malformed"), "none was ever signed with ES256");
}
