//! The command line. Wrong usage ends with exit code 2, as clap has it; wrong settings end with 78.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

/// The user service you can see through.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "glasshouse", version, arg_required_else_help = false, max_term_width = 100)]
pub struct Arguments {
    /// Where settings are read from, below the environment.
    #[arg(
        long,
        help = "Read settings from this TOML file, or from that in GLASSHOUSE_CONFIG; the environment counts more",
        value_name = "FILE",
        global = true
    )]
    pub config: Option<PathBuf>,
    /// What to do; nothing said means serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Arguments {
    /// What to do.
    #[must_use]
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve)
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the service until it is told to stop (the default)
    Serve,
    /// Bring the database's tables up to date, back, or say how they are
    #[command(subcommand)]
    Migrate(Migrate),
    #[command(about = "Print the API's description as OpenAPI 3.1")]
    /// Print the API's description as `OpenAPI` 3.1
    Openapi,
    /// Check, print or explain the settings
    #[command(subcommand)]
    Config(Config),
    /// Print every metric, span, log field and internal URL there is
    Signals {
        /// How to print them
        #[arg(long, value_enum, default_value_t = Format::Markdown)]
        format: Format,
    },
    /// Manage users without the API
    #[command(subcommand)]
    User(User),
    /// Ask a running service whether it is ready; exit code 0 if it is
    Health {
        /// What to ask [default: /health/ready on the internal port of the settings]
        #[arg(long)]
        url: Option<Url>,
    },
}

/// What to do with the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Migrate {
    /// Apply all migrations that are not applied yet
    Up,
    /// Take the newest migration back; data it added is lost
    Down,
    /// Say which migrations are applied
    Status,
}

/// What to do with the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Config {
    /// Say everything that is wrong, and change nothing; exit code 78 if something is
    Check,
    /// Print what is in effect and where it comes from, without secrets
    Print,
    /// Print every setting with its meaning and default: config/reference.toml
    Reference,
}

/// What to do with users.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum User {
    /// Create a user; the password is asked for
    Create(NewUser),
}

/// Who is created.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct NewUser {
    /// The address to sign in with
    #[arg(long)]
    pub email: String,
    /// What to call the user
    #[arg(long)]
    pub name: String,
    /// Make an admin, who may do everything
    #[arg(long)]
    pub admin: bool,
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    pub password_stdin: bool,
}

/// How signals are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Markdown,
    /// For programs
    Json,
    /// A registry for OpenTelemetry's weaver
    Weaver,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory, Parser};

    use super::{Arguments, Command, Config, Format, Migrate, User};

    fn parse(line: &str) -> Result<Arguments, i32> {
        Arguments::try_parse_from(line.split(' ')).map_err(|error| error.exit_code())
    }

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn serving_is_what_happens_without_a_word() {
        let arguments = parse("glasshouse --config a.toml").expect("no command");
        assert_eq!(arguments.config.as_deref(), Some(Path::new("a.toml")));
        assert_eq!(arguments.into_command(), Command::Serve);
    }

    #[test]
    fn each_command_is_understood() {
        for (line, expected) in [
            ("glasshouse serve", Command::Serve),
            ("glasshouse migrate up", Command::Migrate(Migrate::Up)),
            ("glasshouse migrate down", Command::Migrate(Migrate::Down)),
            ("glasshouse migrate status", Command::Migrate(Migrate::Status)),
            ("glasshouse openapi", Command::Openapi),
            ("glasshouse config check", Command::Config(Config::Check)),
            ("glasshouse config print --config a.toml", Command::Config(Config::Print)),
            ("glasshouse config reference", Command::Config(Config::Reference)),
            ("glasshouse signals", Command::Signals { format: Format::Markdown }),
            ("glasshouse signals --format json", Command::Signals { format: Format::Json }),
            ("glasshouse signals --format weaver", Command::Signals { format: Format::Weaver }),
            ("glasshouse health", Command::Health { url: None }),
        ] {
            assert_eq!(parse(line).expect(line).into_command(), expected, "{line}");
        }
        let created = parse("glasshouse user create --email a@b.co --name Ann --admin --password-stdin");
        let Ok(Command::User(User::Create(user))) = created.map(Arguments::into_command) else {
            panic!("a user is created")
        };
        assert_eq!(
            (user.email.as_str(), user.name.as_str(), user.admin, user.password_stdin),
            ("a@b.co", "Ann", true, true)
        );
    }

    #[test]
    fn wrong_usage_has_an_exit_code_of_its_own() {
        for line in [
            "glasshouse fly",
            "glasshouse migrate",
            "glasshouse user create --name Ann",
            "glasshouse user create --email a@b.co --name Ann --password hush",
            "glasshouse health --url nowhere",
            "glasshouse signals --format xml",
        ] {
            assert_eq!(parse(line).expect_err(line), 2, "{line}");
        }
    }
}
