//! Other processes: started, and ended with this one.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Error;

/// A child that ends when this is dropped, or when this process ends in any way.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    _leash: Option<ChildStdin>,
    _output: BufReader<ChildStdout>,
    ready: String,
}

impl Peer {
    /// Start `program` and wait for the line in which it says that it is ready.
    pub fn start(program: &str, arguments: &[&str]) -> Result<Self, Error> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let leash = child.stdin.take();
        let output = child.stdout.take().ok_or("a child without standard output")?;
        let (mut output, mut ready) = (BufReader::new(output), String::new());
        output.read_line(&mut ready)?;
        if ready.is_empty() {
            return Err(format!("{program} {arguments:?} did not start").into());
        }
        let ready = ready.trim().to_owned();
        Ok(Self { child, _leash: leash, _output: output, ready })
    }

    /// What it said.
    #[must_use]
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// Resident memory in bytes; zero where there is no `/proc`.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// End this process when its standard input closes.
pub fn end_with_standard_input() {
    std::thread::spawn(|| {
        let mut sink = [0; 64];
        while matches!(std::io::stdin().read(&mut sink), Ok(bytes) if bytes > 0) {}
        std::process::exit(0);
    });
}
