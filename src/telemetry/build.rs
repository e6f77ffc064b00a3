//! Which build this is.

use super::{Metrics, catalog};

/// What is known of a build.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// The package's version.
    pub version: &'static str,
    /// The commit, with `-dirty` if it was not all of it; `unknown` outside a checkout.
    pub revision: &'static str,
    /// The compiler.
    pub rustc: &'static str,
    /// `debug` or `release`.
    pub profile: &'static str,
    /// The target triple.
    pub target: &'static str,
}

/// This build.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: env!("BUILD_REVISION"),
    rustc: env!("BUILD_RUSTC"),
    profile: env!("BUILD_PROFILE"),
    target: env!("BUILD_TARGET"),
};

/// Reports the build: always 1.
pub(super) fn register(metrics: &Metrics) {
    metrics.gauge(&catalog::BUILD_INFO).set(&[BUILD.version, BUILD.revision, BUILD.rustc], 1.0);
}
