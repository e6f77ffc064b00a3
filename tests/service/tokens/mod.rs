//! The known attacks on access tokens, each with its answer. One token is accepted: the one that nobody touched.

mod forge;
mod table;

use std::collections::BTreeMap;

use forge::Forge;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_known_attack_on_a_token_is_refused_with_its_reason() {
    let forge = Forge::open().await;
    let rows = table::attacks(&forge);
    assert!(rows.len() > 100, "{}", rows.len());
    let mut reasons: BTreeMap<&str, f64> = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, token, code) in &rows {
        let reply = forge.service.client().as_bearer(token).me().await;
        if reply.status != 401 || reply.code() != *code {
            faults.push(format!("{name}: {} {} and not {code}: {token}", reply.status, reply.text));
        }
        let challenge = reply.header("www-authenticate");
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{name}: {challenge}");
        *reasons.entry(code).or_default() += 1.0;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (reason, count) in reasons {
        let series = format!("glasshouse_token_rejections_total{{reason=\"{reason}\"}}");
        assert_eq!(forge.service.metric(&series).await, Some(count), "{reason}");
    }
    assert_eq!(forge.ann.client.me().await.json["id"], forge.ann.id);
}

/// Or the table would show nothing: what is refused there is signed like this.
#[tokio::test]
async fn the_forger_would_be_believed_if_it_said_nothing_odd() {
    let forge = Forge::open().await;
    let token = forge.signed(&forge.head, &forge.claims);
    assert_eq!(token, forge.ann.access_token, "Ed25519 signs the same way each time");
    let further = forge.with_claims(|claims| claims["scope"] = json!(["a", "later", "version"]));
    assert_eq!(forge.service.client().as_bearer(&further).me().await.json["id"], forge.ann.id);
}
