//! Rules keep the labels by which environments are told apart.

use promql_parser::parser::{Expr, LabelModifier, parse};

use crate::queries::rules;

/// The labels that `alerts/README.md` promises to keep: one job may run in several environments.
const KEPT: [&str; 2] = ["job", "environment"];

/// Matching by fewer labels, with the reason: the rule, what it matches by.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "TargetDown",
    "job",
    "the first target of a new environment is down before it was ever scraped: the job says whose it is",
)];

/// Every list of labels by which an expression aggregates or matches, and every aggregation without one.
fn label_lists(expression: &Expr, found: &mut Vec<Result<Vec<String>, String>>) {
    let mut modifier = |modifier: Option<&LabelModifier>, text: String| match modifier {
        Some(LabelModifier::Include(labels)) => found.push(Ok(labels.labels.clone())),
        Some(LabelModifier::Exclude(_)) => {}
        None => found.push(Err(text)),
    };
    match expression {
        Expr::Aggregate(one) => {
            modifier(one.modifier.as_ref(), one.to_string());
            label_lists(&one.expr, found);
        }
        Expr::Binary(two) => {
            if let Some(matching) = two.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref()) {
                modifier(Some(matching), two.to_string());
            }
            label_lists(&two.lhs, found);
            label_lists(&two.rhs, found);
        }
        Expr::Call(call) => call.args.args.iter().for_each(|argument| label_lists(argument, found)),
        Expr::Paren(one) => label_lists(&one.expr, found),
        Expr::Unary(one) => label_lists(&one.expr, found),
        Expr::Subquery(one) => label_lists(&one.expr, found),
        Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => {}
    }
}

#[test]
fn rules_aggregate_and_match_by_job_and_environment() {
    let mut faults = Vec::new();
    let mut needless: Vec<_> = EXCEPTIONS.iter().map(|(rule, by, _)| (*rule, *by)).collect();
    for rule in rules() {
        let mut lists = Vec::new();
        label_lists(&parse(&rule.query.text).unwrap(), &mut lists);
        for list in lists {
            match list {
                Ok(labels) if KEPT.iter().all(|kept| labels.iter().any(|label| label == kept)) => {}
                Ok(labels) => {
                    let by = labels.join(", ");
                    match needless.iter().position(|known| *known == (rule.name.as_str(), by.as_str())) {
                        Some(at) => drop(needless.remove(at)),
                        None => faults.push(format!("{}: ({by})", rule.name)),
                    }
                }
                Err(text) => faults.push(format!("{}: {text} keeps no label", rule.name)),
            }
        }
    }
    assert!(faults.is_empty(), "one environment is added to another:\n{}", faults.join("\n"));
    assert_eq!(needless, [], "these exceptions are not needed");
}

#[test]
fn rules_name_no_job() {
    for rule in rules() {
        assert!(!rule.query.text.contains("job="), "{}: another installation calls its job otherwise", rule.name);
    }
}
