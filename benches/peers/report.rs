//! Tables as Markdown writes them.

/// The median of some values, and between which they lie.
pub(crate) struct Spread {
    pub(crate) median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(values.len() / 2), low: at(0), high: at(values.len().saturating_sub(1)) }
    }

    /// The median, and in brackets the lowest and the highest value.
    pub(crate) fn text(&self, decimals: usize) -> String {
        let Self { median, low, high } = self;
        format!("{median:.decimals$} ({low:.decimals$} to {high:.decimals$})")
    }
}

/// A table.
pub(crate) struct Report {
    lines: Vec<String>,
}

impl Report {
    pub(crate) fn new(columns: &[&str]) -> Self {
        let rule = format!("|{}", " --- |".repeat(columns.len()));
        Self { lines: vec![format!("| {} |", columns.join(" | ")), rule] }
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        self.lines.push(format!("| {} |", cells.join(" | ")));
    }

    pub(crate) fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }
}
