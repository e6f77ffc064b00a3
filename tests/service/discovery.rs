//! Where libraries find the keys of access tokens.

use glasshouse::domain::auth::{Keys, SigningAlgorithm};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Engine, Service};

const PATHS: [&str; 2] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

#[tokio::test]
async fn discovery_documents_name_issuer_keys_and_algorithms() {
    let settings = [("GLASSHOUSE_AUTH__ISSUER", "https://id.example.com")];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    let claims: Value = serde_json::from_slice(&decoded(&ann.access_token)).unwrap();
    for path in PATHS {
        let reply = service.client().get(path).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/json"), "{path}");
        assert_eq!(reply.header("cache-control"), "public, max-age=300");
        assert_eq!(reply.json["issuer"], claims["iss"], "{path}");
        assert_eq!(reply.json["jwks_uri"], "https://id.example.com/.well-known/jwks.json", "{path}");
        assert_eq!(reply.json["response_types_supported"], json!([]), "{path}");
        for absent in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint"] {
            assert_eq!(reply.json.get(absent), None, "{path} promises no {absent}");
        }
        let algorithms = path.ends_with("openid-configuration").then(|| json!(["EdDSA"]));
        assert_eq!(reply.json.get("id_token_signing_alg_values_supported"), algorithms.as_ref(), "{path}");
    }
}

fn decoded(token: &str) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()
}

#[tokio::test]
async fn discovery_documents_return_404_unless_the_issuer_is_the_services_url() {
    for issuer in ["glasshouse", "https://example.com/tenant"] {
        let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_AUTH__ISSUER", issuer)]).await;
        for path in PATHS {
            let reply = service.client().get(path).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (404, "route_not_found"), "{path}");
            assert!(reply.json["detail"].as_str().unwrap().contains("auth.issuer"), "{}", reply.text);
        }
    }
}

#[tokio::test]
async fn key_set_holds_keys_of_both_algorithms_with_alg() {
    let folder = TempDir::new().unwrap();
    let old = Keys::parse(&Keys::generate_pem(SigningAlgorithm::EdDsa).unwrap(), &[]).unwrap();
    let file = folder.path().join("old.pub.pem");
    std::fs::write(&file, ed25519_pem(&old)).unwrap();
    let settings = [
        ("GLASSHOUSE_AUTH__SIGNING_ALGORITHM", "ES256"),
        ("GLASSHOUSE_AUTH__ISSUER", "https://id.example.com"),
        ("GLASSHOUSE_AUTH__VERIFICATION_KEY_FILES", file.to_str().unwrap()),
    ];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let reply = service.client().get("/.well-known/jwks.json").await;
    let keys = reply.json["keys"].as_array().unwrap();
    let of_keys = |name: &str| keys.iter().map(|key| key[name].clone()).collect::<Vec<_>>();
    assert_eq!(of_keys("alg"), ["ES256", "EdDSA"], "the key that signs is the first");
    assert_eq!(of_keys("kty"), ["EC", "OKP"]);
    assert_eq!(of_keys("crv"), ["P-256", "Ed25519"]);
    assert_eq!(of_keys("use"), ["sig", "sig"]);
    assert!(!reply.text.contains("\"d\""), "{}", reply.text);
    let configuration = service.client().get(PATHS[1]).await;
    assert_eq!(configuration.json["id_token_signing_alg_values_supported"], json!(["EdDSA", "ES256"]));
}

/// RFC 8410, section 4.
fn ed25519_pem(keys: &Keys) -> String {
    use base64::{
        Engine,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    let jwk = serde_json::to_value(&keys.public().keys[0]).unwrap();
    let point = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
    let der = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &point].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}
