//! What a query speaks of, held against the series that there really are: metrics, labels and their values.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{
        self, AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
        token::{T_BOTTOMK, T_COUNT_VALUES, T_LAND, T_LOR, T_LUNLESS, T_TOPK},
    },
};

/// The labels that a result may have.
pub(crate) type Labels = BTreeSet<String>;

/// How a fault begins that is about a metric.
const NOBODY: &str = "nobody says";

/// Every series that was seen, by its metric: the labels of each with their values.
#[derive(Default)]
pub(crate) struct Known(BTreeMap<String, Vec<BTreeMap<String, String>>>);

/// What was found out about one query.
#[derive(Default)]
pub(crate) struct Reading {
    /// The metrics that it names.
    pub(crate) metrics: BTreeSet<String>,
    /// The labels of its result; nothing where it is a number.
    pub(crate) labels: Option<Labels>,
    /// What it names and nobody says.
    pub(crate) faults: Vec<String>,
}

impl Known {
    /// One more series, with `__name__` among its labels.
    pub(crate) fn insert(&mut self, mut series: BTreeMap<String, String>) {
        let metric = series.remove("__name__").unwrap_or_default();
        self.0.entry(metric).or_default().push(series);
    }

    /// Reads a query.
    pub(crate) fn read(&self, query: &str) -> Reading {
        let mut reading = Reading::default();
        match parser::parse(query) {
            Ok(expression) => {
                reading.labels = reading.expression(self, &expression);
                // What is not there has no labels either: that is no second fault.
                if reading.faults.iter().any(|fault| fault.starts_with(NOBODY)) {
                    reading.faults.retain(|fault| fault.starts_with(NOBODY));
                }
            }
            Err(complaint) => reading.faults.push(format!("no PromQL: {complaint}")),
        }
        reading
    }

    fn values<'a>(&'a self, metric: &str, label: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.get(metric).into_iter().flatten().filter_map(move |series| series.get(label).map(String::as_str))
    }

    fn labels(&self, metric: &str) -> Labels {
        self.0.get(metric).into_iter().flatten().flat_map(BTreeMap::keys).cloned().collect()
    }
}

impl Reading {
    fn expression(&mut self, known: &Known, expression: &Expr) -> Option<Labels> {
        match expression {
            Expr::VectorSelector(selector) => Some(self.selector(known, selector)),
            Expr::MatrixSelector(matrix) => Some(self.selector(known, &matrix.vs)),
            Expr::Aggregate(aggregate) => self.aggregate(known, aggregate),
            Expr::Binary(binary) => self.binary(known, binary),
            Expr::Call(call) => self.call(known, call),
            Expr::Paren(paren) => self.expression(known, &paren.expr),
            Expr::Unary(unary) => self.expression(known, &unary.expr),
            Expr::Subquery(subquery) => self.expression(known, &subquery.expr),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => None,
        }
    }

    fn selector(&mut self, known: &Known, selector: &VectorSelector) -> Labels {
        let matchers: Vec<&Matcher> =
            selector.matchers.matchers.iter().chain(selector.matchers.or_matchers.iter().flatten()).collect();
        let (named, matchers): (Vec<_>, Vec<_>) = matchers.into_iter().partition(|matcher| matcher.name == "__name__");
        let is_meant = |metric: &String| {
            selector.name.as_ref().is_none_or(|name| name == metric)
                && named.iter().all(|matcher| matcher.is_match(metric))
        };
        let metrics: Vec<&String> = known.0.keys().filter(|metric| is_meant(metric)).collect();
        if metrics.is_empty() {
            self.faults.push(format!("{NOBODY} {selector}"));
        }
        let wanted = named.iter().flat_map(|matcher| alternatives(matcher)).filter(|_| !metrics.is_empty());
        let missing = wanted.filter(|one| !metrics.iter().any(|metric| one.is_match(metric)));
        self.faults.extend(missing.map(|one| format!("{NOBODY} {}", one.value)));
        self.metrics.extend(selector.name.clone());
        self.metrics.extend(metrics.iter().map(|metric| (*metric).clone()));
        let labels: Labels = metrics.iter().flat_map(|metric| known.labels(metric)).collect();
        // The rest would be found out for each label of a metric that is not there.
        for matcher in matchers.into_iter().filter(|_| !metrics.is_empty()) {
            let values: Vec<&str> = metrics.iter().flat_map(|metric| known.values(metric, &matcher.name)).collect();
            if values.is_empty() {
                self.faults.push(format!("{selector}: no label {}", matcher.name));
                continue;
            }
            let unknown =
                alternatives(matcher).into_iter().filter(|one| !values.iter().any(|value| one.is_match(value)));
            self.faults
                .extend(unknown.map(|one| format!("{selector}: no value of {} is {:?}", matcher.name, one.value)));
        }
        labels
    }

    fn aggregate(&mut self, known: &Known, aggregate: &AggregateExpr) -> Option<Labels> {
        let inner = self.expression(known, &aggregate.expr)?;
        if let Some(parameter) = &aggregate.param {
            self.expression(known, parameter);
        }
        let keeps = [T_TOPK, T_BOTTOMK].contains(&aggregate.op.id());
        let mut labels = match &aggregate.modifier {
            None if keeps => inner,
            None => Labels::new(),
            Some(modifier) => {
                self.expect(&inner, modifier.labels().labels.iter(), aggregate);
                let named: Labels = modifier.labels().labels.iter().cloned().collect();
                match modifier {
                    _ if keeps => inner,
                    LabelModifier::Include(_) => named,
                    LabelModifier::Exclude(_) => &inner - &named,
                }
            }
        };
        if let (T_COUNT_VALUES, Some(Expr::StringLiteral(name))) = (aggregate.op.id(), aggregate.param.as_deref()) {
            labels.insert(name.val.clone());
        }
        Some(labels)
    }

    fn binary(&mut self, known: &Known, binary: &BinaryExpr) -> Option<Labels> {
        let (left, right) = (self.expression(known, &binary.lhs), self.expression(known, &binary.rhs));
        let (Some(left), Some(right)) = (left.clone(), right.clone()) else { return left.or(right) };
        let matching = binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref());
        match matching {
            Some(LabelModifier::Include(named)) => {
                self.expect(&left, named.labels.iter(), binary);
                self.expect(&right, named.labels.iter(), binary);
            }
            Some(LabelModifier::Exclude(named)) => self.expect(&(&left | &right), named.labels.iter(), binary),
            None => {}
        }
        let card = binary.modifier.as_ref().map(|modifier| &modifier.card);
        let joined = |labels: &promql_parser::label::Labels| labels.labels.iter().cloned().collect::<Labels>();
        Some(match (binary.op.id(), card, matching) {
            (T_LOR, ..) => &left | &right,
            (T_LAND | T_LUNLESS, ..) => left,
            (_, Some(VectorMatchCardinality::ManyToOne(named)), _) => {
                self.expect(&right, named.labels.iter(), binary);
                &left | &joined(named)
            }
            (_, Some(VectorMatchCardinality::OneToMany(named)), _) => {
                self.expect(&left, named.labels.iter(), binary);
                &right | &joined(named)
            }
            (_, _, Some(LabelModifier::Include(named))) => joined(named),
            (_, _, Some(LabelModifier::Exclude(named))) => &left - &joined(named),
            _ => left,
        })
    }

    fn call(&mut self, known: &Known, call: &Call) -> Option<Labels> {
        let read: Vec<_> = call.args.args.iter().map(|argument| self.expression(known, argument)).collect();
        let text = |at: usize| match call.args.args.get(at).map(AsRef::as_ref) {
            Some(Expr::StringLiteral(text)) => Some(text.val.clone()),
            _ => None,
        };
        let mut labels = read.into_iter().flatten().next()?;
        match call.func.name {
            "label_replace" => {
                self.expect(&labels, text(3).iter(), call);
                labels.extend(text(1));
            }
            "label_join" => {
                let sources: Vec<String> = (3..call.args.args.len()).filter_map(text).collect();
                self.expect(&labels, sources.iter(), call);
                labels.extend(text(1));
            }
            "histogram_quantile" => {
                self.expect(&labels, [&"le".to_owned()].into_iter(), call);
                labels.remove("le");
            }
            "scalar" => return None,
            _ => {}
        }
        Some(labels)
    }

    fn expect<'a>(&mut self, labels: &Labels, named: impl Iterator<Item = &'a String>, place: &impl std::fmt::Display) {
        let missing = named.filter(|label| !labels.contains(*label));
        self.faults.extend(missing.map(|label| format!("{place}: there is no label {label}")));
    }
}

/// What must be there for a matcher to find all that it is meant to: of `a|b` both. What is only kept out need not be
/// there, and neither need nothing.
fn alternatives(matcher: &Matcher) -> Vec<Matcher> {
    match &matcher.op {
        MatchOp::Equal if !matcher.value.is_empty() => vec![matcher.clone()],
        MatchOp::Re(_) if matcher.value.contains(['(', '[']) => vec![matcher.clone()],
        MatchOp::Re(_) => matcher.value.split('|').filter(|one| !one.is_empty()).filter_map(anchored).collect(),
        _ => Vec::new(),
    }
}

/// A matcher of that pattern alone, made by who makes all of them.
fn anchored(pattern: &str) -> Option<Matcher> {
    let pattern = pattern.replace('\\', "\\\\");
    match parser::parse(&format!("x{{l=~\"{pattern}\"}}")) {
        Ok(Expr::VectorSelector(selector)) => selector.matchers.matchers.into_iter().next(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Known, Labels};

    fn known() -> Known {
        let mut known = Known::default();
        for series in [
            "requests_total route=/a status=200 job=x",
            "requests_total route=/b status=503 job=x error=panic",
            "took_bucket route=/a le=0.25 job=x",
            "build_info version=1 job=x",
        ] {
            let (name, labels) = series.split_once(' ').unwrap();
            let labels = labels.split(' ').filter_map(|pair| pair.split_once('='));
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
            known.insert(labels.chain([("__name__".to_owned(), name.to_owned())]).collect::<BTreeMap<_, _>>());
        }
        known
    }

    #[test]
    fn a_query_that_speaks_of_what_is_there_has_no_fault() {
        for (query, labels) in [
            ("sum by (route) (rate(requests_total{status=~\"5..\"}[5m]))", "route"),
            ("histogram_quantile(0.99, sum by (le, job) (rate(took_bucket[5m])))", "job"),
            ("topk(3, requests_total{error!~\"|cancelled\"})", "error job route status"),
            ("requests_total * on (job) group_left (version) build_info", "error job route status version"),
            ("sum without (status, error) (requests_total) unless requests_total offset 1h > 0", "job route"),
            ("label_replace(up_or(), \"\", \"\", \"\", \"\") or vector(0)", "!"),
            ("label_replace(build_info, \"v\", \"$1\", \"version\", \"(.*)\")", "job v version"),
            ("{__name__=~\"requests_.+\", status=\"503\"}", "error job route status"),
            ("requests_total{route=~\"/a|/b\"} / ignoring (route, status, error) build_info", "job"),
        ] {
            let reading = known().read(query);
            if labels == "!" {
                assert!(reading.faults[0].starts_with("no PromQL"), "{query}");
                continue;
            }
            assert_eq!(reading.faults, Vec::<String>::new(), "{query}");
            assert_eq!(reading.labels.unwrap(), labels.split(' ').map(str::to_owned).collect::<Labels>(), "{query}");
        }
    }

    #[test]
    fn whatever_nobody_says_is_a_fault() {
        for (query, fault) in [
            ("rate(request_total[5m])", "nobody says request_total"),
            ("requests_total{rout=\"/a\"}", "no label rout"),
            ("requests_total{rout!=\"/a\"}", "no label rout"),
            ("requests_total{route=\"/c\"}", "no value of route is \"/c\""),
            ("requests_total{route=~\"/a|/c\"}", "no value of route is \"/c\""),
            ("requests_total{status=~\"4..\"}", "no value of status is \"4..\""),
            ("sum by (rout) (requests_total)", "there is no label rout"),
            ("sum without (rout) (requests_total)", "there is no label rout"),
            ("requests_total * on (version) build_info", "there is no label version"),
            ("requests_total * on (job) group_left (revision) build_info", "there is no label revision"),
            ("sum by (le) (sum by (job) (took_bucket))", "there is no label le"),
            ("histogram_quantile(0.9, sum by (job) (rate(took_bucket[5m])))", "there is no label le"),
            ("label_replace(build_info, \"v\", \"$1\", \"vers\", \"(.*)\")", "there is no label vers"),
            ("{__name__=~\"nothing_.+\"}", "nobody says"),
            ("{__name__=~\"build_info|request_total\"}", "nobody says request_total"),
        ] {
            let faults = known().read(query).faults;
            assert!(faults.len() == 1 && faults[0].contains(fault), "{query}: {faults:?}");
        }
    }
}
