//! The members of an input, read one by one, so that all faults are told at once.

use std::{borrow::Cow, fmt};

use secrecy::zeroize::Zeroize;
use serde_json::{Map, Value};

use super::super::problem::{FieldFault, Problem};
use crate::domain::Fault;

/// How many faults are told; who sends more has read no description.
const MAX_FAULTS: usize = 32;
/// How much of an unknown field's name is told back, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Named values of an input, not yet looked at, and the faults found so far.
///
/// Each value is taken once. What nobody has taken when [`Fields::finish`] is called is unknown, and a fault.
pub(in crate::http) struct Fields {
    members: Map<String, Value>,
    faults: Vec<FieldFault>,
}

impl Fields {
    pub(super) const fn new(members: Map<String, Value>, faults: Vec<FieldFault>) -> Self {
        Self { members, faults }
    }

    /// A text that must be there. None if it is faulty: the fault is kept.
    pub(in crate::http) fn required<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        if self.members.contains_key(name) {
            return self.optional(name, parse)?;
        }
        self.faults.push(FieldFault::new(name, Fault::new("required", "is required")));
        None
    }

    /// A text that may be absent, which is `Some(None)`. None if it is faulty: the fault is kept.
    ///
    /// `null` is a fault: nothing that an account has can be removed from it.
    #[expect(
        clippy::option_option,
        reason = "faulty, absent and given are three answers, and `finish` unwraps the first"
    )]
    pub(in crate::http) fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<Option<T>> {
        let read = match self.members.remove(name) {
            None => return Some(None),
            Some(Value::String(mut text)) => {
                let read = parse(&text);
                // It may have been a password, and who reads one keeps it in a type that is wiped, too.
                text.zeroize();
                read
            }
            Some(_) => Err(Fault::new("wrong_type", "must be a string")),
        };
        match read {
            Ok(value) => Some(Some(value)),
            Err(fault) => {
                self.faults.push(FieldFault::new(name, fault));
                None
            }
        }
    }

    /// The values, if all are fine and nothing else is there.
    ///
    /// # Errors
    /// 422 with every fault.
    pub(in crate::http) fn finish<T: Together>(self, values: T) -> Result<T::Values, Problem> {
        let Self { members, mut faults } = self;
        faults.extend(members.keys().map(|name| FieldFault {
            field: name.chars().take(MAX_NAME_CHARS).collect(),
            code: "unknown_field",
            message: Cow::Borrowed("is not known here"),
        }));
        faults.truncate(MAX_FAULTS);
        match values.together() {
            Some(values) if faults.is_empty() => Ok(values),
            _ => Err(Problem::invalid(faults)),
        }
    }
}

/// Never the values: a password may be among them.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields(…)")
    }
}

/// Several values that are there together or not at all.
pub(in crate::http) trait Together {
    /// All of them.
    type Values;

    /// All of them, or nothing.
    fn together(self) -> Option<Self::Values>;
}

macro_rules! together {
    ($($value:ident),+) => {
        impl<$($value),+> Together for ($(Option<$value>,)+) {
            type Values = ($($value,)+);

            #[expect(non_snake_case, reason = "a value is named as its type")]
            fn together(self) -> Option<Self::Values> {
                let ($($value,)+) = self;
                Some(($($value?,)+))
            }
        }
    };
}

together!(A);
together!(A, B);
together!(A, B, C);
together!(A, B, C, D);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Fields, MAX_FAULTS};
    use crate::domain::users::{Email, Name};

    fn fields(value: Value) -> Fields {
        let Value::Object(members) = value else { panic!("an object is needed") };
        Fields::new(members, Vec::new())
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let mut fields = fields(json!({ "email": "nobody", "name": 7, "role": "user", "extra": null }));
        let values = (
            fields.required("email", Email::parse),
            fields.required("name", Name::parse),
            fields.required("password", |text| Ok(text.to_owned())),
        );
        let problem = format!("{:?}", fields.finish(values).expect_err("it is full of faults"));
        for code in ["malformed", "wrong_type", "required", "unknown_field"] {
            assert!(problem.contains(code), "{code} in {problem}");
        }
        assert!(!problem.contains("nobody"), "{problem}");
    }

    #[test]
    fn absent_and_null_are_not_the_same() {
        let mut absent = fields(json!({}));
        let value = absent.optional("name", Name::parse);
        assert_eq!(absent.finish((value,)).expect("it is optional"), (None,));
        let mut null = fields(json!({ "name": null }));
        let value = null.optional("name", Name::parse);
        assert!(null.finish((value,)).is_err());
    }

    #[test]
    fn faults_are_bounded() {
        let members = (0..1000).map(|n| (format!("{n}{}", "x".repeat(1000)), Value::Null)).collect();
        let problem = Fields::new(members, Vec::new()).finish((Some(()),)).expect_err("nothing of it is known");
        let told = format!("{problem:?}");
        assert_eq!(told.matches("unknown_field").count(), MAX_FAULTS);
        assert!(told.len() < 200 * MAX_FAULTS);
    }
}
