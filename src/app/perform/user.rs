//! `glasshouse user create`: the first admin has nobody to ask.

use std::io::{self, BufRead, Read};

use anyhow::{Context, anyhow};

use super::{Failure, print};
use crate::{
    app::{
        command::{NewUser, User as Command},
        stack::Stack,
    },
    config::Settings,
    domain::{
        Clock, Fault,
        auth::Password,
        users::{Email, Name, Registration, Role},
    },
    faults::Switchboard,
    store::Store,
    telemetry::{Metrics, Tracer},
};

/// Creates an account, as an admin if that is asked for, and prints its id.
pub(super) fn user(settings: &Settings, Command::Create(user): Command) -> Result<(), Failure> {
    let password = if user.password_stdin { first_line(io::stdin())? } else { asked()? };
    let registration = registration(&user, &password)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let metrics = Metrics::new(settings.telemetry.max_series);
        let store = Store::open(&settings.store, Tracer::off(), Switchboard::off(), &metrics).await?;
        let users = Stack::build(settings, &store, &Clock::system(), &metrics)?.users;
        let role = if user.admin { Role::Admin } else { Role::User };
        let created = users.register_by_hand(registration, role).await.context("the user was not created")?;
        print(&format!("{}\n", created.id.0))
    })
}

/// Every fault at once, by the name of its argument.
fn registration(user: &NewUser, password: &str) -> Result<Registration, Failure> {
    let (email, name, password) = (Email::parse(&user.email), Name::parse(&user.name), Password::parse(password));
    let faults =
        [("--email", email.as_ref().err()), ("--name", name.as_ref().err()), ("password", password.as_ref().err())];
    let faults = faults
        .into_iter()
        .filter_map(|(argument, fault): (_, Option<&Fault>)| Some(format!("{argument} {}", fault?.message)));
    let faults = faults.collect::<Vec<_>>().join("; ");
    match (email, name, password) {
        (Ok(email), Ok(name), Ok(password)) => Ok(Registration { email, name, password }),
        _ => Err(anyhow!(faults).into()),
    }
}

/// The password, typed without being shown.
fn asked() -> anyhow::Result<String> {
    rpassword::prompt_password("password: ")
        .context("the password cannot be asked for without a terminal: use --password-stdin")
}

/// More than this in one line is no password.
const MAX_LINE_BYTES: u64 = 64 * 1024;

fn first_line(input: impl Read) -> anyhow::Result<String> {
    let mut line = Vec::new();
    io::BufReader::new(input.take(MAX_LINE_BYTES))
        .read_until(b'\n', &mut line)
        .context("the password cannot be read from standard input")?;
    anyhow::ensure!(
        !line.is_empty(),
        "standard input is empty: --password-stdin reads the password from its first line"
    );
    let line = String::from_utf8(line).map_err(|_| anyhow!("the password on standard input is no UTF-8"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
