//! What an expression of `PromQL` selects, and which labels its answers have.

use std::{collections::BTreeSet, time::Duration};

use promql_parser::parser::{AggregateExpr, Expr, LabelModifier, VectorSelector, parse as parse_promql};

/// The expression as a tree, its variables for job and instance still in it.
pub(crate) fn parse(expression: &str, rate_interval: &str) -> Result<Expr, String> {
    parse_promql(&expression.replace("$__rate_interval", rate_interval))
}

/// One selector, with what is done to it at once.
pub(crate) struct Selector {
    pub(crate) metric: String,
    /// As they are written: `job=~"$job"`.
    pub(crate) matchers: Vec<String>,
    /// How far back it looks, and the function that is handed all of that.
    pub(crate) range: Option<(Duration, &'static str)>,
}

/// Every selector of an expression, in the order in which they stand.
pub(crate) fn selectors(expression: &Expr) -> Vec<Selector> {
    let mut found = Vec::new();
    collect(expression, "", &mut found);
    found
}

fn collect(expression: &Expr, function: &'static str, found: &mut Vec<Selector>) {
    let selector = |selected: &VectorSelector, range| Selector {
        metric: selected.name.clone().unwrap_or_default(),
        matchers: selected.matchers.matchers.iter().map(ToString::to_string).collect(),
        range,
    };
    match expression {
        Expr::Aggregate(AggregateExpr { expr, param, .. }) => {
            collect(expr, "", found);
            if let Some(param) = param {
                collect(param, "", found);
            }
        }
        Expr::Unary(unary) => collect(&unary.expr, "", found),
        Expr::Binary(binary) => {
            collect(&binary.lhs, "", found);
            collect(&binary.rhs, "", found);
        }
        Expr::Paren(paren) => collect(&paren.expr, function, found),
        Expr::Subquery(subquery) => collect(&subquery.expr, "", found),
        Expr::Call(call) => call.args.args.iter().for_each(|argument| collect(argument, call.func.name, found)),
        Expr::VectorSelector(selected) => found.push(selector(selected, None)),
        Expr::MatrixSelector(selected) => found.push(selector(&selected.vs, Some((selected.range, function)))),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// The labels of an expression's answers; none if only the metric knows them.
pub(crate) fn labels(expression: &Expr) -> Option<BTreeSet<String>> {
    match expression {
        Expr::Aggregate(AggregateExpr { expr, modifier, param, .. }) => match modifier {
            Some(LabelModifier::Include(kept)) => Some(kept.labels.iter().cloned().collect()),
            // topk and its like keep what they are given.
            None if param.is_some() => labels(expr),
            None => Some(BTreeSet::new()),
            Some(LabelModifier::Exclude(_)) => None,
        },
        Expr::Unary(unary) => labels(&unary.expr),
        Expr::Binary(binary) => match (labels(&binary.lhs), labels(&binary.rhs)) {
            (Some(left), Some(right)) => Some(left.union(&right).cloned().collect()),
            _ => None,
        },
        Expr::Paren(paren) => labels(&paren.expr),
        Expr::Call(call) => match call.func.name {
            "scalar" | "vector" | "time" => Some(BTreeSet::new()),
            _ => call.args.args.last().and_then(|argument| labels(argument)),
        },
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Some(BTreeSet::new()),
        Expr::Subquery(_) | Expr::VectorSelector(_) | Expr::MatrixSelector(_) | Expr::Extension(_) => None,
    }
}

#[test]
fn selectors_are_found_with_what_is_done_to_them() {
    let expression =
        parse(r#"sum by (a) (rate(x_total{job=~"$job"}[$__rate_interval])) / 2 * (y or z)"#, "7m").unwrap();
    let found: Vec<_> = selectors(&expression).into_iter().map(|one| (one.metric, one.matchers, one.range)).collect();
    let rate = Some((Duration::from_mins(7), "rate"));
    let job = vec![r#"job=~"$job""#.to_owned()];
    assert_eq!(found, [("x_total".into(), job, rate), ("y".into(), vec![], None), ("z".into(), vec![], None)]);
}

#[test]
fn labels_are_those_that_an_aggregation_keeps() {
    let of = |expression: &str| labels(&parse(expression, "5m").unwrap()).map(|found| found.into_iter().collect());
    assert_eq!(of("histogram_quantile(0.9, sum by (le, a) (x))"), Some(vec!["a".to_owned(), "le".to_owned()]));
    assert_eq!(of("topk(3, sum by (a) (x)) / scalar(sum(y))"), Some(vec!["a".to_owned()]));
    assert_eq!(of("sum(x)"), Some(vec![]));
    assert_eq!(of("x"), None);
}
