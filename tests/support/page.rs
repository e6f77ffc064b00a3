//! A page of the runbook: its sections, and the commands that stand in them, run as somebody would who pastes them.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// How long one paste, or all pastes into one shell, may take.
const PATIENCE: &str = "180";

/// Ends what a shell has left running. What it waits for is killed, since nobody will wait for it any more.
const TIDY: &str = "trap 'jobs -p | xargs -r kill -KILL 2>/dev/null' EXIT";

/// One section with the commands in it, in their order.
pub(crate) struct Section {
    pub(crate) heading: String,
    pub(crate) commands: Vec<String>,
    /// Commands that are only shown, in blocks called `console`: a test cannot run them.
    pub(crate) only_shown: Vec<String>,
}

/// The sections of `runbook/<name>.md`; what stands above the first heading has none.
pub(crate) fn sections(name: &str) -> Vec<Section> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook").join(name).with_extension("md");
    parse(&fs::read_to_string(page).unwrap())
}

fn parse(page: &str) -> Vec<Section> {
    let mut sections = Vec::<Section>::new();
    let mut block: Option<(String, bool, usize)> = None;
    for line in page.lines() {
        let bare = line.trim_start();
        match (line.strip_prefix("## "), block.as_mut()) {
            (_, Some(_)) if bare == "```" => {
                let section = sections.last_mut().expect("a command stands in a section");
                let (command, is_run, _) = block.take().expect("a block has begun");
                if is_run { &mut section.commands } else { &mut section.only_shown }.push(command);
            }
            (_, Some((command, _, indented))) => command.extend([line.get(*indented..).unwrap_or_default(), "\n"]),
            (Some(heading), None) => {
                sections.push(Section { heading: heading.to_owned(), commands: Vec::new(), only_shown: Vec::new() });
            }
            (None, None) if bare == "```sh" || bare == "```console" => {
                block = Some((String::new(), bare == "```sh", line.len() - bare.len()));
            }
            (None, None) => {}
        }
    }
    sections
}

/// Where commands are pasted: a folder, and what pages call by its default address.
#[derive(Clone)]
pub(crate) struct Place {
    folder: PathBuf,
    addresses: Vec<(&'static str, String)>,
    environment: Vec<(String, String)>,
}

impl Place {
    /// That folder, with the internal port and the public one in their places.
    pub(crate) fn new(folder: &Path, internal: SocketAddr, public: SocketAddr) -> Self {
        let addresses = vec![("localhost:6060", internal.to_string()), ("localhost:8080", public.to_string())];
        Self { folder: folder.to_owned(), addresses, environment: Vec::new() }
    }

    /// With Prometheus and Alertmanager in their places.
    pub(crate) fn watched(mut self, prometheus: SocketAddr, alertmanager: SocketAddr) -> Self {
        self.addresses.push(("localhost:9090", prometheus.to_string()));
        self.addresses.push(("localhost:9093", alertmanager.to_string()));
        self
    }

    /// With a variable that pages speak of.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and addresses are small, and texts are lent")]
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same in another folder.
    pub(crate) fn in_folder(&self, folder: &Path) -> Self {
        Self { folder: folder.to_owned(), ..self.clone() }
    }

    /// The command as it is run here. Five seconds are one, except for Go's tool, which waits half as long again as a
    /// profile takes, and here that may be too short.
    fn here(&self, command: &str) -> String {
        let command = self.addresses.iter().fold(command.to_owned(), |text, (from, to)| text.replace(from, to));
        if command.starts_with("go ") { command } else { command.replace("seconds=5", "seconds=1") }
    }

    /// Runs one command.
    pub(crate) async fn paste(&self, command: &str) -> Output {
        self.shell(self.here(command)).await
    }

    /// Runs commands in one shell, so that each finds the variables and processes of those before it. Says what each has
    /// answered.
    ///
    /// # Panics
    /// If one fails; which, and what was said until then, is in the message.
    pub(crate) async fn paste_all(&self, commands: &[String]) -> Vec<String> {
        const MARK: &str = "-- next command --";
        let marked = |command: &String| format!("echo '{MARK}'\n{}", self.here(command));
        let script = commands.iter().map(marked).collect::<Vec<_>>().join("\n");
        let output = self.shell(format!("{TIDY}\n{script}")).await;
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        let answers: Vec<String> = said.split(&format!("{MARK}\n")).skip(1).map(str::to_owned).collect();
        let last = answers.len().checked_sub(1).and_then(|last| commands.get(last));
        assert!(output.status.success(), "{last:?}\n{said}\n{complaint}");
        answers
    }

    async fn shell(&self, script: String) -> Output {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
        let built = Path::new(env!("CARGO_BIN_EXE_glasshouse")).parent().unwrap();
        let script = format!("PATH={}:{}:$PATH\n{script}", built.display(), tools.display());
        let mut bash = Command::new("timeout");
        bash.args([PATIENCE, "bash", "-euo", "pipefail", "-c", &script]);
        bash.current_dir(&self.folder).env("PPROF_TMPDIR", self.folder.join("pprof"));
        bash.envs(self.environment.iter().map(|(name, value)| (name, value)));
        tokio::task::spawn_blocking(move || bash.output().unwrap()).await.unwrap()
    }
}

#[test]
fn commands_are_found_where_they_stand() {
    let page = "# A\n## B\ntext\n```sh\none\n  two\n```\n   ```sh\n   three\n\n   four\n   ```\n## C\n```text\nno\n```\n\
                ```console\nshown\n```\n";
    let sections = parse(page);
    let found: Vec<_> = sections.iter().map(|section| (section.heading.as_str(), section.commands.len())).collect();
    assert_eq!(found, [("B", 2), ("C", 0)]);
    assert_eq!(sections[0].commands, ["one\n  two\n", "three\n\nfour\n"]);
    assert_eq!(sections[1].only_shown, ["shown\n"]);
}
