//! What the program is asked for: by `cargo test`, by `make gameday`, by `make stack-local`.

use std::time::Duration;

use crate::{fault::Fault, faults};

/// How much faster than in production time goes when nobody says.
const SCALE: f64 = 60.0;
/// How many stacks run at once when nobody says: as many as two cores carry.
const LANES: usize = 4;

/// What to do.
pub(crate) enum Asked {
    /// The names, as `cargo test -- --list` wants them.
    List,
    /// The stack alone, until it is interrupted.
    Standing,
    /// Faults that come and go, for so long.
    Soak(Duration),
    Drills(Drills),
}

/// Which faults, and how.
pub(crate) struct Drills {
    pub(crate) faults: Vec<&'static Fault>,
    pub(crate) scale: f64,
    pub(crate) lanes: usize,
}

/// What the arguments ask for, or what is wrong with them.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let (mut wanted, mut scale, mut lanes) = (None::<Vec<_>>, SCALE, LANES);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--list" => return Ok(Asked::List),
            "--stack" => return Ok(Asked::Standing),
            "--soak" => {
                let length = humantime::parse_duration(&value()?);
                return length.map(Asked::Soak).map_err(|error| format!("--soak: {error}, such as 30m"));
            }
            "--fault" => wanted.get_or_insert_default().extend(named(&value()?)?),
            "--scale" => scale = number(&value()?).filter(|scale| (1.0..=100_000.0).contains(scale)).ok_or(SCALES)?,
            "--lanes" => {
                lanes = number(&value()?).filter(|lanes| (1..=64).contains(lanes)).ok_or("--lanes: 1 to 64")?;
            }
            // What `cargo test` hands on for tests of its own harness, and what makes no difference here.
            "--nocapture" | "--show-output" | "-q" | "--quiet" | "--exact" | "--include-ignored" => {}
            "--test-threads" | "--skip" | "--format" | "--color" => drop(value()?),
            _ if argument.starts_with('-') => {
                return Err(format!("{argument} is not known: --fault --scale --lanes --soak --stack"));
            }
            filter => {
                let matching = faults::all().filter(|fault| fault.name.contains(filter));
                wanted.get_or_insert_default().extend(matching);
            }
        }
    }
    let faults = wanted.unwrap_or_else(|| faults::all().collect());
    Ok(Asked::Drills(Drills { faults, scale, lanes }))
}

const SCALES: &str = "--scale: how much faster than in production time goes, from 1 to 100000";

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn named(name: &str) -> Result<Vec<&'static Fault>, String> {
    let faults: Vec<_> = faults::all().filter(|fault| name == "all" || fault.name == name).collect();
    let names = || faults::all().map(|fault| fault.name).collect::<Vec<_>>().join(", ");
    if faults.is_empty() { Err(format!("no fault is called {name}: all, {}", names())) } else { Ok(faults) }
}
