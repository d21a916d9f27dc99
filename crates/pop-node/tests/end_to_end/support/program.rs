//! One run of the program, from its arguments to its exit code.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pop_node::clock::monotonic_now;
use serde_json::Value;

use super::HANG;

/// The program under test, without any settings but those that a test gives it.
pub(crate) fn pop_node() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pop-node"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POP_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
}

/// The same command, with a limit on the size of every file that it writes, in blocks of 512
/// bytes.
pub(crate) fn limited(command: &Command, file_blocks_max: u64) -> Command {
    let mut shell = Command::new("sh");
    // Without the signal a write beyond the limit fails as it does on a full disk.
    let line = format!("trap '' XFSZ; ulimit -f {file_blocks_max}; exec \"$0\" \"$@\"");
    shell.args(["-c", &line]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The last line of standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.stdout);
        let last = text.lines().next_back().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// It worked: what it reports.
    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stderr, self.text());
        self.json()
    }

    /// It failed as it should, and says so to programs and to people. Returns the message.
    #[track_caller]
    pub(crate) fn refused(&self, exit_code: i32, error: &str) -> String {
        assert_eq!(self.code, Some(exit_code), "{}\n{}", self.stderr, self.text());
        let report = self.json();
        assert_eq!(report["error"], error, "{report}");
        assert_eq!(report["exit_code"], exit_code, "{report}");
        let message = report["message"].as_str().unwrap().to_owned();
        assert!(!message.is_empty());
        assert!(self.stderr.contains(&message), "people are told something else: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        message
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(2000)]).into_owned()
    }
}

/// Run to the end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Outcome {
    let child = start(command);
    finish(child)
}

/// Start with everything piped.
pub(crate) fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Wait for a child's end.
#[track_caller]
pub(crate) fn finish(mut child: Child) -> Outcome {
    let mut out = child.stdout.take().unwrap();
    let mut err = child.stderr.take().unwrap();
    let stdout = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    let stderr = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).map(|_| bytes)
    });
    let code = wait(&mut child);
    let stdout = stdout.join().unwrap().unwrap();
    let stderr = String::from_utf8_lossy(&stderr.join().unwrap().unwrap()).into_owned();
    match code {
        Some(status) => Outcome { code: status.code(), stdout, stderr },
        None => panic!("it hangs; standard error so far:\n{stderr}"),
    }
}

/// The exit status; `None` of a child that hung and was killed.
pub(crate) fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let started = monotonic_now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if started.elapsed() > HANG {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Send a signal by its name.
pub(crate) fn signal(process: u32, name: &str) {
    let line = format!("kill -{name} {process}");
    let status = Command::new("sh").args(["-c", &line]).status().unwrap();
    assert!(status.success(), "{line}");
}
