//! An error with all that lies below it, on one line.

use std::{error::Error, fmt};

/// Shows an error and its sources, the outermost first, separated by colons: for the log, where an error is seen once.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut below = self.0.source();
        while let Some(error) = below {
            write!(f, ": {error}")?;
            below = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::ParseIntError;

    use super::Chain;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<dyn std::error::Error + 'static>>);

    #[test]
    fn an_error_is_told_with_everything_below_it() {
        let lowest: ParseIntError = "x".parse::<u8>().unwrap_err();
        let middle = Layer("the page is not readable", Some(lowest.into()));
        let error = Layer("the list failed", Some(Box::new(middle)));
        assert_eq!(
            Chain(&error).to_string(),
            "the list failed: the page is not readable: invalid digit found in string"
        );
        assert_eq!(Chain(&Layer("alone", None)).to_string(), "alone");
    }
}
