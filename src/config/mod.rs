//! The settings: defaults, file, environment; every fault is reported at once.
