//! schemathesis reads the contract and asks the service whatever fits it, and whatever does not, with every check it has.

use std::{path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    support::{PASSWORD, Service},
    tool,
};

/// The same inputs each time; other seeds and more examples are for whoever looks deeper.
const SEED: &str = "20";
/// For each operation, in each phase that makes them up.
const EXAMPLES: &str = "10";

/// Without the ways to end its own session: whoever reads the own account, or the list, finds whom to remove.
const LASTING: &[&str] = &["--exclude-operation-id", "signOut", "--exclude-operation-id", "remove"];

/// An access token of a new account.
async fn user(service: &Service) -> String {
    let email = "caller@schemathesis.example";
    assert_eq!(service.client().register(email).await.status, 201);
    let grant = service.client().sign_in(email, PASSWORD).await;
    grant.json["access_token"].as_str().unwrap().to_owned()
}

/// The same of an admin.
async fn admin(service: &Service) -> String {
    service.admin("caller@schemathesis.example").await.access_token
}

/// Asks as the bearer of a token, or as nobody, and fails with the whole report.
async fn fuzz(service: &Service, token: Option<&str>, more: &[&str]) {
    let folder = TempDir::new().unwrap();
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/schemathesis.toml");
    let mut command = Command::new(tool::program("schemathesis"));
    command.current_dir(&folder).arg("--no-color").arg("--config-file").arg(settings);
    command.arg("run").arg(service.client().url("/api/v1/openapi.json"));
    command.args(["--checks", "all", "--continue-on-failure", "--seed", SEED, "--max-examples", EXAMPLES]).args(more);
    if let Some(token) = token {
        command.arg("--header").arg(format!("Authorization: Bearer {token}"));
    }
    let output = tool::output(command, []).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" passed"), "{said}");
}

/// Nothing that was asked has made the service fail, or its process complain.
async fn unharmed(service: Service) {
    let panics = service.metric("glasshouse_panics_total").await;
    assert_eq!(panics, Some(0.0));
    let stopped = service.stop().await;
    stopped.outcome.unwrap();
    let errors: Vec<_> = stopped.lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_finds_anything() {
    let service = Service::start().await;
    fuzz(&service, None, &[]).await;
    unharmed(service).await;
}

/// Whoever was shut out halfway has seen little.
async fn lasted(service: &Service, token: &str) {
    assert_eq!(service.client().as_bearer(token).me().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_finds_nothing() {
    let service = Service::start().await;
    let token = user(&service).await;
    fuzz(&service, Some(&token), LASTING).await;
    lasted(&service, &token).await;
    unharmed(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_finds_nothing() {
    let service = Service::start().await;
    let token = admin(&service).await;
    fuzz(&service, Some(&token), LASTING).await;
    lasted(&service, &token).await;
    unharmed(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_end_its_session_and_its_account_finds_nothing() {
    let service = Service::start().await;
    let token = user(&service).await;
    fuzz(&service, Some(&token), &[]).await;
    unharmed(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_that_may_remove_everyone_finds_nothing() {
    let service = Service::start().await;
    let token = admin(&service).await;
    fuzz(&service, Some(&token), &["--exclude-operation-id", "signOut"]).await;
    unharmed(service).await;
}
