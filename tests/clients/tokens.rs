//! Access tokens and libraries of other languages: they verify with the key set what the service signs, and the service
//! accepts nothing that `PyJWT` forges.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    support::{Engine, PASSWORD, Service},
    tool,
};

#[tokio::test(flavor = "multi_thread")]
async fn pyjwt_verifies_our_eddsa_tokens_and_none_that_it_forges_is_accepted() {
    assert_pyjwt_verifies_and_forges_nothing("EdDSA").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pyjwt_verifies_our_es256_tokens_and_none_that_it_forges_is_accepted() {
    assert_pyjwt_verifies_and_forges_nothing("ES256").await;
}

/// A service that signs with ES256, its key set, a token of Ann's, and her id.
async fn signed_with_es256() -> (Service, String, String, String) {
    let settings = [
        ("GLASSHOUSE_AUTH__SIGNING_ALGORITHM", "ES256"),
        ("GLASSHOUSE_AUTH__ISSUER", ISSUER),
        ("GLASSHOUSE_AUTH__AUDIENCE", AUDIENCE),
    ];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    let jwks = service.client().get("/.well-known/jwks.json").await.text;
    (service, jwks, ann.access_token, ann.id)
}

const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "api.example.com";

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn jsonwebtoken_of_node_verifies_an_es256_token() {
    let (_service, jwks, token, id) = signed_with_es256().await;
    let mut node = Command::new(tool::program("node"));
    let library = tool::path("token-libraries/node_modules/jsonwebtoken/package.json");
    node.arg(script("verify.js")).arg(library.parent().unwrap().parent().unwrap());
    node.args([&jwks, &token, ISSUER, AUDIENCE]);
    let claims = tool::json(node, []).await;
    assert_eq!(claims["sub"], id, "{claims}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nimbus_of_java_verifies_an_es256_token() {
    let (_service, jwks, token, id) = signed_with_es256().await;
    let mut java = Command::new(tool::program("java"));
    java.arg("-cp").arg(tool::path("token-libraries/nimbus-jose-jwt.jar")).arg(script("Verify.java"));
    java.args([&jwks, &token, ISSUER, AUDIENCE]);
    let claims = tool::json(java, []).await;
    assert_eq!(claims["sub"], id, "{claims}");
}

async fn assert_pyjwt_verifies_and_forges_nothing(algorithm: &str) {
    // The key is made elsewhere too, so that tokens can be made that nothing but one claim is wrong with.
    let pem = tool::json(tool::python("tokens.py", &["key", algorithm]), []).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("signing.pem");
    fs::write(&file, pem.as_str().unwrap()).unwrap();
    let settings = [
        ("GLASSHOUSE_AUTH__SIGNING_ALGORITHM", algorithm),
        ("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", file.to_str().unwrap()),
    ];
    let service = Service::start_with(Engine::Sqlite, &settings).await;

    let ann = service.client().register("ann@example.com").await;
    let grant = service.client().sign_in("ann@example.com", PASSWORD).await;
    let jwks = service.client().get("/.well-known/jwks.json").await;
    assert_eq!(jwks.header("content-type"), "application/json");
    assert!(jwks.json["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()), "{}", jwks.text);
    let given = json!({ "token": grant.json["access_token"], "key": pem, "jwks": jwks.json });
    let made = tool::json(tool::python("tokens.py", &["forge"]), given.to_string()).await;

    let claims = &made["claims"];
    assert_eq!(claims["sub"], ann.json["id"]);
    let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(Some(lifetime), grant.json["expires_in"].as_i64());

    let forged: BTreeMap<String, String> = serde_json::from_value(made["forged"].clone()).unwrap();
    let mut answers = BTreeMap::new();
    for (name, token) in &forged {
        let reply = service.client().as_bearer(token).me().await;
        if reply.status == 200 {
            answers.insert(name.as_str(), "accepted".to_owned());
            continue;
        }
        assert_eq!(reply.status, 401, "{name}: {}", reply.text);
        assert!(reply.header("www-authenticate").contains("error=\"invalid_token\""), "{name}: {reply:?}");
        answers.insert(name.as_str(), reply.code().to_owned());
    }
    let wrong: Vec<_> = answers.iter().filter(|(name, code)| !name.starts_with(&format!("{code}: "))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");

    let rejected = service.metric("glasshouse_token_rejections_total{reason=\"token_algorithm\"}").await;
    assert_eq!(rejected, Some(7.0));
    let stopped = service.stop().await;
    let secrets = forged.values().map(|token| token.rsplit('.').next().unwrap()).filter(|text| text.len() > 40);
    for signature in secrets {
        assert!(!stopped.log.contains(signature), "a token is in the log");
    }
    assert!(!stopped.lines.iter().any(|line| line["level"] == "ERROR"));
}
