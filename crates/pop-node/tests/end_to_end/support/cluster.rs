//! A small network of masternode processes on loopback, and clients of it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::Value;
use tempfile::TempDir;

use super::program::{self, Outcome, pop_node};
use super::{http, wait_for};

/// On loopback.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Masternode processes that know each other. They end with it, and with this process.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Masternode>,
    _directory: TempDir,
}

impl Cluster {
    pub(crate) fn start(count: usize) -> Self {
        Self::start_with(count, |_, _| {})
    }

    /// Start with some nodes that are not like the others.
    pub(crate) fn start_with(count: usize, peculiar: impl Fn(usize, &mut Peculiarity)) -> Self {
        let directory = tempfile::Builder::new().prefix("pop-e2e-").tempdir().unwrap();
        let mut nodes: Vec<Masternode> = Vec::new();
        for index in 0..count {
            let mut peculiarity = Peculiarity::default();
            peculiar(index, &mut peculiarity);
            let bootstrap = nodes.first().map(|node| node.address.clone());
            let home = directory.path().join(format!("node-{index}"));
            nodes.push(Masternode::start(home, bootstrap, peculiarity));
        }
        let cluster = Self { nodes, _directory: directory };
        cluster.wait_until_known(count - 1);
        cluster
    }

    /// The five nodes that several tests share: none of them may kill one.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::start(5));
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    /// Wait until the first node, whom all clients ask, has heard of so many others.
    pub(crate) fn wait_until_known(&self, others: usize) {
        let others = u64::try_from(others).unwrap();
        wait_for("the nodes know each other", || {
            let known = self.nodes[0].status()["known_masternodes"].as_u64().unwrap();
            (known >= others).then_some(())
        });
    }

    /// Addresses of all nodes, dead ones included, as `--bootstrap` takes them.
    pub(crate) fn bootstrap(&self) -> String {
        let addresses: Vec<&str> = self.nodes.iter().map(|node| node.address.as_str()).collect();
        addresses.join(",")
    }

    /// A user of the network with a home of its own.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.bootstrap())
    }

    /// Columns that all living nodes hold.
    pub(crate) fn columns(&self) -> u64 {
        let living = self.nodes.iter().filter(|node| node.is_alive());
        living.map(|node| node.status()["columns"].as_u64().unwrap()).sum()
    }
}

/// How a node differs from the others.
#[derive(Default, Clone)]
pub(crate) struct Peculiarity {
    /// Arguments more.
    pub(crate) arguments: Vec<String>,
    /// Largest file that it may write, in blocks of 512 bytes.
    pub(crate) file_blocks_max: Option<u64>,
    /// Where its data is, if not in the cluster's directory.
    pub(crate) home: Option<PathBuf>,
    /// What it listens on, if not TCP.
    pub(crate) listen: Option<&'static str>,
    /// The first node serves the ledger in its home, the others use it.
    pub(crate) has_ledger: bool,
}

/// One `pop-node run`.
pub(crate) struct Masternode {
    pub(crate) peer: String,
    pub(crate) address: String,
    pub(crate) http: SocketAddr,
    /// Where browsers reach it.
    web: SocketAddr,
    pub(crate) home: PathBuf,
    log: PathBuf,
    bootstrap: Option<String>,
    peculiarity: Peculiarity,
    child: Option<Child>,
}

impl Masternode {
    fn start(home: PathBuf, bootstrap: Option<String>, peculiarity: Peculiarity) -> Self {
        let mut node = Self {
            peer: String::new(),
            address: String::new(),
            http: ANY_PORT,
            web: ANY_PORT,
            log: home.with_extension("log"),
            home: peculiarity.home.clone().unwrap_or(home),
            bootstrap,
            peculiarity,
            child: None,
        };
        node.start_process(node.peculiarity.listen.unwrap_or("/ip4/127.0.0.1/tcp/0"));
        node
    }

    /// Start the process again, with the same data and at the same addresses.
    pub(crate) fn restart(&mut self) {
        assert!(!self.is_alive());
        let (listen, _peer) = self.address.split_once("/p2p/").unwrap();
        let listen = listen.to_owned();
        self.start_process(&listen);
    }

    /// Start the process again, with the same data at another address.
    pub(crate) fn restart_elsewhere(&mut self) {
        assert!(!self.is_alive());
        let before = self.address.clone();
        self.web = ANY_PORT;
        self.start_process("/ip4/127.0.0.1/tcp/0");
        assert_ne!(self.address, before);
    }

    fn start_process(&mut self, listen: &str) {
        std::fs::create_dir_all(&self.home).unwrap();
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = pop_node();
        command
            .args(["run", "--init", "--no-stake", "--json", "--exit-on-stdin-eof"])
            .args(["--listen", listen, "--http-listen", "127.0.0.1:0"])
            .args(["--web-listen", &self.web.to_string(), "--diversity-exempt-loopback"])
            .args(&self.peculiarity.arguments)
            .arg("--data-dir")
            .arg(&self.home);
        if let Some(bootstrap) = &self.bootstrap {
            command.args(["--bootstrap", bootstrap]);
        }
        match &self.bootstrap {
            _ if !self.peculiarity.has_ledger => {}
            None => drop(command.arg("--serve-ledger")),
            Some(first) => drop(command.args(["--ledger", first])),
        }
        if let Some(blocks) = self.peculiarity.file_blocks_max {
            command = program::limited(&command, blocks);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.child = Some(child);
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}", self.log()));
        ready["peer"].as_str().unwrap().clone_into(&mut self.peer);
        ready["addresses"][0].as_str().unwrap().clone_into(&mut self.address);
        self.http = ready["http"].as_str().unwrap().parse().unwrap();
        let port = ready["web"][0].as_str().unwrap().split('/').nth(4).unwrap();
        self.web.set_port(port.parse().unwrap());
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.child.is_some()
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and wait for the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        program::signal(child.id(), "TERM");
        program::wait(&mut child).and_then(|status| status.code())
    }

    pub(crate) fn status(&self) -> Value {
        http::get(self.http, "/api/v1/status", &[]).json()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Files of columns that are on their way in.
    pub(crate) fn partial_columns(&self) -> usize {
        let files = super::files_below(&self.home.join("columns"));
        files.iter().filter(|path| path.extension().is_some_and(|it| it == "part")).count()
    }
}

impl Drop for Masternode {
    fn drop(&mut self) {
        if self.is_alive() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("{} said:\n{}", self.home.display(), self.log());
        }
    }
}

/// Processes that are stopped until this is dropped.
pub(crate) struct Hanging(Vec<u32>);

impl Hanging {
    pub(crate) fn new<'a>(nodes: impl IntoIterator<Item = &'a Masternode>) -> Self {
        let processes: Vec<u32> = nodes.into_iter().map(Masternode::process).collect();
        processes.iter().for_each(|process| program::signal(*process, "STOP"));
        Self(processes)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.iter().for_each(|process| program::signal(*process, "CONT"));
    }
}

/// A publisher and viewer: runs the other verbs.
pub(crate) struct Client {
    bootstrap: String,
    directory: TempDir,
}

impl Client {
    pub(crate) fn new(bootstrap: String) -> Self {
        let directory = tempfile::Builder::new().prefix("pop-e2e-client-").tempdir().unwrap();
        let client = Self { bootstrap, directory };
        let init = client.run(pop_node().args(["init", "--json"]));
        assert_eq!(init.code, Some(0), "{init:?}");
        client
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// A path of this client's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file with these bytes.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[track_caller]
    fn run(&self, command: &mut Command) -> Outcome {
        program::run(command.arg("--data-dir").arg(self.home()))
    }

    /// A verb that talks to the network, ready to be started.
    pub(crate) fn verb(&self, verb: &str) -> Command {
        let mut command = pop_node();
        command.args([verb, "--json", "--diversity-exempt-loopback"]);
        command.args(["--bootstrap", &self.bootstrap]).arg("--data-dir").arg(self.home());
        command
    }

    #[track_caller]
    pub(crate) fn publish(&self, file: &Path, more: &[&str]) -> Outcome {
        program::run(self.verb("publish").arg(file).args(more))
    }

    /// Publish with the geometry of the network; the link.
    #[track_caller]
    pub(crate) fn publish_link(&self, file: &Path) -> String {
        self.publish(file, &[]).report()["link"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn get(&self, link: &str, output: &Path, more: &[&str]) -> Outcome {
        program::run(self.verb("get").arg(link).arg("-o").arg(output).args(more))
    }

    /// Fetch the whole content and compare.
    #[track_caller]
    pub(crate) fn assert_gets(&self, link: &str, expected: &[u8]) -> Outcome {
        let output = self.path("fetched");
        let outcome = self.get(link, &output, &[]);
        assert_eq!(outcome.report()["bytes"], u64::try_from(expected.len()).unwrap());
        assert!(std::fs::read(&output).unwrap() == expected, "the bytes differ");
        std::fs::remove_file(&output).unwrap();
        outcome
    }

    /// Fetching fails with this error, and leaves no half of a file behind.
    #[track_caller]
    pub(crate) fn assert_cannot_get(&self, link: &str, exit_code: i32, error: &str) -> Outcome {
        let output = self.path("never");
        let before = std::fs::read_dir(self.directory.path()).unwrap().count();
        let outcome = self.get(link, &output, &[]);
        outcome.refused(exit_code, error);
        assert!(!output.exists());
        let left = std::fs::read_dir(self.directory.path()).unwrap().count();
        assert_eq!(left, before, "something is left behind");
        outcome
    }

    #[track_caller]
    pub(crate) fn repair(&self, link: &str) -> Outcome {
        program::run(self.verb("repair").arg(link))
    }
}
