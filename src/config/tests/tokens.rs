//! Settings of access tokens: the algorithm with its key, and the issuer.

use secrecy::ExposeSecret as _;

use super::{pem, with};
use crate::domain::auth::{Keys, SigningAlgorithm};

#[test]
fn signing_key_must_be_of_the_signing_algorithm() {
    let es256 = Keys::generate_pem(SigningAlgorithm::Es256).expect("random numbers").expose_secret().to_owned();
    let fault = with(&[]).set("GLASSHOUSE_AUTH__SIGNING_KEY", &es256).fault();
    assert!(fault.contains("Ed25519") && fault.ends_with("set auth.signing_algorithm to ES256"), "{fault}");
    let given = with(&[("GLASSHOUSE_AUTH__SIGNING_ALGORITHM", "ES256")]);
    let keys = Keys::parse(&given.settings().auth.signing_key, &[]).expect("a key that was just made");
    assert_eq!(keys.algorithm(), SigningAlgorithm::Es256, "development makes a key of the algorithm");
    assert!(
        given.set("GLASSHOUSE_AUTH__SIGNING_KEY", es256).settings().warnings.iter().all(|text| !text.contains("key"))
    );
    let fault =
        with(&[("GLASSHOUSE_AUTH__SIGNING_ALGORITHM", "ES256")]).set("GLASSHOUSE_AUTH__SIGNING_KEY", pem()).fault();
    assert!(fault.contains("P-256") && fault.ends_with("set auth.signing_algorithm to EdDSA"), "{fault}");
    let fault = with(&[("GLASSHOUSE_AUTH__SIGNING_ALGORITHM", "RS256")]).fault();
    assert!(fault.starts_with("auth.signing_algorithm: \"RS256\""), "{fault}");
}

#[test]
fn issuer_that_looks_like_a_url_must_be_a_plain_one() {
    for issuer in ["glasshouse", "https://id.example.com", "https://id.example.com/tenant", "http://localhost:8080"] {
        assert_eq!(with(&[("GLASSHOUSE_AUTH__ISSUER", issuer)]).settings().auth.issuer, issuer);
    }
    for issuer in ["https://", "https://a@example.com", "https://example.com?a", "https://example.com#a", "http:/"] {
        let fault = with(&[("GLASSHOUSE_AUTH__ISSUER", issuer)]).fault();
        assert!(fault.starts_with("auth.issuer") && fault.contains("without user"), "{fault}");
    }
    let production = [("GLASSHOUSE_ENVIRONMENT", "production"), ("DATABASE_URL", "postgres://db/users")];
    let given = with(&production).set("GLASSHOUSE_AUTH__SIGNING_KEY", pem());
    let fault = given.set("GLASSHOUSE_AUTH__ISSUER", "http://id.example.com").fault();
    assert!(fault.contains("in production, an https URL"), "{fault}");
}
