//! `glasshouse health`: for containers without a shell, whose health check can only be the binary itself.

use std::{net::IpAddr, net::Ipv4Addr, net::SocketAddr, time::Duration};

use anyhow::{Context, anyhow};
use url::Url;

use super::Failure;
use crate::config::Settings;

/// How long a service that is well may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds if the service is ready.
pub(super) fn health(url: Option<Url>, settings: impl FnOnce() -> Result<Settings, Failure>) -> Result<(), Failure> {
    let mut url = match url {
        Some(url) => url,
        None => of_settings(settings()?.internal.listen)?,
    };
    if url.path() == "/" {
        url.set_path("/health/ready");
    }
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { client.get(url).send().await }).context("the service does not answer")?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(anyhow!("the service is not ready: {}", answer.status()).into())
    }
}

/// A service that listens on every address is asked on loopback.
fn of_settings(listen: SocketAddr) -> Result<Url, Failure> {
    let ip = if listen.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen.ip() };
    Ok(format!("http://{}/", SocketAddr::new(ip, listen.port())).parse::<Url>()?)
}
