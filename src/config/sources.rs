//! Where settings come from.

use std::{ffi::OsString, fmt, path::PathBuf};

/// What settings are read from, beside the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that the command line names; otherwise `GLASSHOUSE_CONFIG` may name one.
    pub file: Option<PathBuf>,
    /// The environment's variables; of two with one name the last counts.
    pub environment: Vec<(OsString, OsString)>,
}

impl Sources {
    /// The environment of this process, and the file that its command line names.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>) -> Self {
        Self { file, environment: std::env::vars_os().collect() }
    }

    /// These variables and nothing else of this process's environment.
    #[must_use]
    pub fn given(file: Option<PathBuf>, environment: Vec<(String, String)>) -> Self {
        let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { file, environment }
    }
}

/// Where one setting was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The command line.
    CommandLine,
    /// This environment variable.
    Variable(String),
    /// This file; lines count from one.
    File {
        /// As it was named.
        path: PathBuf,
        /// Where in it; none where the file as a whole is meant.
        line: Option<usize>,
    },
}

/// On one line in any case.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::CommandLine => f.write_str("the command line"),
            Self::Variable(name) => write!(f, "{}", name.escape_debug()),
            Self::File { path, line: Some(line) } => write!(f, "{} line {line}", path.to_string_lossy().escape_debug()),
            Self::File { path, line: None } => write!(f, "{}", path.to_string_lossy().escape_debug()),
        }
    }
}
