//! The settings of the rate limits.

/// Settings of the rate limits: `[limits]`.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Whether there are any.
    pub enabled: bool,
    /// How many requests a second one client address may make for long.
    pub address_rate: u32,
    /// How many it may make at once after a pause.
    pub address_burst: u32,
    /// How many times an hour somebody may try in vain to sign in to one account for long.
    pub sign_in_rate: u32,
    /// How many times in a row after a pause.
    pub sign_in_burst: u32,
    /// How many addresses, and how many accounts, are remembered at once.
    pub max_clients: usize,
}
