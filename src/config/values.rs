//! Every setting with its value: defaults, then the file, then the environment.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::{
    environment::Variables,
    faults::{Fault, Faults},
    file::Contents,
    hint, redact,
    setting::{self, Setting},
    shape::{Given, Value},
    sources::Origin,
};

/// What one setting holds, and why.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) setting: &'static Setting,
    pub(super) origin: Origin,
    pub(super) value: Option<Value>,
}

/// What every setting holds. Where something else is wrong with one, its default stands in, so that all the rest
/// can still be checked.
#[derive(Clone)]
pub(super) struct Values(BTreeMap<&'static str, Held>);

const HAS_DEFAULT: &str = "a setting that is read so has a default of that shape";

impl Values {
    /// Reads every setting, and says which of them hold what they do not accept.
    pub(super) fn read(file: Option<&Contents<'_>>, variables: &Variables, faults: &mut Faults) -> Self {
        Self(setting::all().map(|setting| (setting.name, Self::held(setting, file, variables, faults))).collect())
    }

    fn held(
        setting: &'static Setting,
        file: Option<&Contents<'_>>,
        variables: &Variables,
        faults: &mut Faults,
    ) -> Held {
        let shape = setting.shape;
        let mut held = Held { setting, origin: Origin::Default, value: None };
        let name = setting.variable();
        let entry = file.filter(|_| !setting.is_standard()).and_then(|file| file.get(setting));
        let given = if let Some(text) = variables.get(&name) {
            held.origin = Origin::Variable(name);
            Some((Given::Text(text), text.as_str()))
        } else {
            entry.map(|entry| {
                held.origin = entry.origin;
                (Given::Toml(entry.value), entry.source)
            })
        };
        match given {
            Some((given, _)) if given.is_empty() => held.origin = Origin::Default,
            Some((given, source)) => {
                held.value = shape.read(given);
                if held.value.is_none() {
                    faults.add(Fault {
                        setting: setting.name.to_owned(),
                        origin: held.origin.clone(),
                        read: Some(redact::shown(shape, given, source)),
                        accepted: hint::accepted(shape, given),
                    });
                }
            }
            None => {}
        }
        held.value = held.value.or_else(|| match setting.default {
            "" => shape.empty(),
            default => shape.read(Given::Text(default)),
        });
        held
    }

    /// Puts the text of a file in the place of a setting that was not set.
    pub(super) fn replace(&mut self, setting: &'static Setting, path: PathBuf, text: &str, faults: &mut Faults) {
        let (shape, given, origin) = (setting.shape, Given::Text(text), Origin::File { path, line: None });
        let value = if given.is_empty() { None } else { shape.read(given) };
        let Some(value) = value else {
            faults.add(Fault {
                setting: setting.name.to_owned(),
                origin,
                read: Some(redact::shown(shape, given, text)),
                accepted: hint::accepted(shape, given),
            });
            return;
        };
        self.0.insert(setting.name, Held { setting, origin, value: Some(value) });
    }

    /// Everything, in the order of the list.
    pub(super) fn all(&self) -> impl Iterator<Item = &Held> {
        setting::all().map(|setting| self.get(setting.name))
    }

    pub(super) fn get(&self, name: &str) -> &Held {
        self.0.get(name).expect("the name of a setting in the list")
    }

    /// Whether somebody set it.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.get(name).origin != Origin::Default
    }

    /// That a value, though accepted by itself, does not do.
    pub(super) fn fault(&self, name: &str, accepted: impl Into<String>) -> Fault {
        let held = self.get(name);
        let read = held.value.as_ref().map(|value| value.shown(held.setting.shape));
        Fault { setting: name.to_owned(), origin: held.origin.clone(), read, accepted: accepted.into() }
    }

    fn pick<'a, T>(&'a self, name: &str, pick: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        self.get(name).value.as_ref().and_then(pick)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.pick(name, |value| if let Value::Flag(flag) = value { Some(*flag) } else { None }).expect(HAS_DEFAULT)
    }

    pub(super) fn whole<T: TryFrom<u64>>(&self, name: &str) -> T {
        self.pick(name, |value| if let Value::Whole(number) = value { T::try_from(*number).ok() } else { None })
            .expect(HAS_DEFAULT)
    }

    pub(super) fn ratio(&self, name: &str) -> f64 {
        self.pick(name, |value| if let Value::Ratio(ratio) = value { Some(*ratio) } else { None }).expect(HAS_DEFAULT)
    }

    pub(super) fn duration(&self, name: &str) -> Duration {
        self.pick(name, |value| if let Value::Duration(duration) = value { Some(*duration) } else { None })
            .expect(HAS_DEFAULT)
    }

    pub(super) fn address(&self, name: &str) -> SocketAddr {
        self.pick(name, |value| if let Value::Address(address) = value { Some(*address) } else { None })
            .expect(HAS_DEFAULT)
    }

    pub(super) fn url(&self, name: &str) -> Url {
        self.pick(name, |value| if let Value::Url(url) = value { Some(url.clone()) } else { None }).expect(HAS_DEFAULT)
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.optional_text(name).expect(HAS_DEFAULT)
    }

    pub(super) fn optional_text(&self, name: &str) -> Option<&str> {
        self.pick(name, |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.text(name))
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.pick(name, |value| if let Value::Secret(secret) = value { Some(secret.clone()) } else { None })
    }

    pub(super) fn networks(&self, name: &str) -> Vec<IpNet> {
        self.pick(name, |value| if let Value::Networks(networks) = value { Some(networks.clone()) } else { None })
            .expect(HAS_DEFAULT)
    }

    pub(super) fn texts(&self, name: &str) -> &[String] {
        self.pick(name, |value| if let Value::Texts(texts) = value { Some(texts.as_slice()) } else { None })
            .expect(HAS_DEFAULT)
    }

    pub(super) fn pairs(&self, name: &str) -> &[(String, String)] {
        self.pick(name, |value| if let Value::Pairs(pairs) = value { Some(pairs.as_slice()) } else { None })
            .expect(HAS_DEFAULT)
    }

    pub(super) fn headers(&self, name: &str) -> &[(String, SecretString)] {
        self.pick(name, |value| if let Value::Headers(headers) = value { Some(headers.as_slice()) } else { None })
            .expect(HAS_DEFAULT)
    }
}
