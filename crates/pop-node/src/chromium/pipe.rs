//! The browser's debugging protocol over two pipes: JSON with a zero byte after each message.
//! When the pipes close the browser ends, so that none outlives the process that started it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::{ANSWER_TIMEOUT, ChromiumError};

/// A connection to one browser, for calls from any thread; each waits for its answer.
#[derive(Debug)]
pub struct Pipe {
    writer: Mutex<Writer>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Writer {
    pipe: ChildStdin,
    calls: u64,
}

/// What the browser told so far.
#[derive(Debug, Default)]
struct Seen {
    waiting: BTreeMap<u64, Sender<Value>>,
    targets: Vec<Target>,
    console: Vec<(String, String)>,
    /// State of each version of a service worker that any page told of.
    service_workers: BTreeMap<String, String>,
    gone: bool,
}

/// Something that runs scripts: a page or a worker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Target {
    /// The browser's name of it.
    pub id: String,
    /// `page`, `worker`, ...
    pub kind: String,
    /// Its address.
    pub url: String,
    /// The session in which calls concern it.
    pub session: String,
    /// The session of the page that started it; empty of a page.
    pub parent: String,
}

impl Pipe {
    /// Speak over these, and attach to every page and worker that comes up.
    pub(super) fn new(input: ChildStdin, output: ChildStdout) -> Result<Arc<Self>, ChromiumError> {
        let writer = Mutex::new(Writer { pipe: input, calls: 0 });
        let pipe = Arc::new(Self { writer, seen: Mutex::default() });
        let reading = Arc::clone(&pipe);
        std::thread::spawn(move || reading.read(BufReader::new(output)));
        pipe.call("", "Target.setAutoAttach", attach_all())?;
        Ok(pipe)
    }

    /// Call a method in a session, or of the browser itself if that is empty.
    ///
    /// # Errors
    /// [`ChromiumError`]: it is refused, or the browser is gone or silent.
    pub fn call(
        &self,
        session: &str,
        method: &'static str,
        parameters: Value,
    ) -> Result<Value, ChromiumError> {
        let answer = self.start(session, method, parameters)?;
        match answer.recv_timeout(ANSWER_TIMEOUT) {
            Ok(mut answer) => match answer.get("error") {
                Some(error) => Err(ChromiumError::Refused { method, reason: error.to_string() }),
                None => Ok(answer["result"].take()),
            },
            Err(RecvTimeoutError::Disconnected) => Err(ChromiumError::Gone),
            Err(RecvTimeoutError::Timeout) => Err(ChromiumError::Silent { method }),
        }
    }

    /// The value of an expression; of a promise, what it resolves to. It runs as if the user had
    /// clicked.
    ///
    /// # Errors
    /// [`ChromiumError`]: what it threw, or that the page is being replaced.
    pub fn evaluate(&self, session: &str, expression: &str) -> Result<Value, ChromiumError> {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
            "userGesture": true,
        });
        let mut answer = self.call(session, "Runtime.evaluate", parameters)?;
        match answer.get("exceptionDetails") {
            Some(_) => Err(ChromiumError::Script(exception(&answer))),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Open a tab in front of the others, and begin to load its page.
    ///
    /// # Errors
    /// [`ChromiumError`]: there is no such address, or the browser is gone.
    pub fn open(&self, url: &str) -> Result<Target, ChromiumError> {
        self.open_in(json!({ "url": "about:blank" }), url)
    }

    /// Open a tab that shares no storage with any other, as on a machine of its own, and begin to
    /// load its page. It runs as if it were in front, whatever is.
    ///
    /// # Errors
    /// [`ChromiumError`]: there is no such address, or the browser is gone.
    pub fn open_apart(&self, url: &str) -> Result<Target, ChromiumError> {
        let made = self.call("", "Target.createBrowserContext", json!({}))?;
        let context = made["browserContextId"].as_str().unwrap_or_default();
        let place = json!({ "url": "about:blank", "browserContextId": context, "newWindow": true });
        let target = self.open_in(place, "about:blank")?;
        let in_front = json!({ "enabled": true });
        self.call(&target.session, "Emulation.setFocusEmulationEnabled", in_front)?;
        self.navigate(&target, url)?;
        Ok(target)
    }

    fn open_in(&self, place: Value, url: &str) -> Result<Target, ChromiumError> {
        let made = self.call("", "Target.createTarget", place)?;
        // It is attached to before the call is answered.
        let target = self.targets().into_iter().find(|target| made["targetId"] == *target.id);
        let target = target.ok_or(ChromiumError::Gone)?;
        self.navigate(&target, url)?;
        Ok(target)
    }

    /// Begin to load another page in a tab.
    ///
    /// # Errors
    /// [`ChromiumError`]: there is no such address, or the tab is gone.
    pub fn navigate(&self, tab: &Target, url: &str) -> Result<(), ChromiumError> {
        let method = "Page.navigate";
        let answer = self.call(&tab.session, method, json!({ "url": url }))?;
        match answer.get("errorText") {
            Some(reason) => Err(ChromiumError::Refused { method, reason: reason.to_string() }),
            None => Ok(()),
        }
    }

    /// The same without waiting for the answer.
    fn start(
        &self,
        session: &str,
        method: &str,
        parameters: Value,
    ) -> Result<Receiver<Value>, ChromiumError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.calls += 1;
        let mut call = json!({ "id": writer.calls, "method": method, "params": parameters });
        if !session.is_empty() {
            call["sessionId"] = session.into();
        }
        let (answered, answer) = channel();
        {
            let mut seen = self.seen();
            if seen.gone {
                return Err(ChromiumError::Gone);
            }
            seen.waiting.insert(writer.calls, answered);
        }
        let mut bytes = call.to_string().into_bytes();
        bytes.push(0);
        let sent = writer.pipe.write_all(&bytes).and_then(|()| writer.pipe.flush());
        sent.map_err(|_closed| ChromiumError::Gone)?;
        Ok(answer)
    }

    /// What is attached now.
    pub fn targets(&self) -> Vec<Target> {
        self.seen().targets.clone()
    }

    /// What these sessions printed, and the exceptions that nobody caught there.
    pub fn console(&self, of: impl Fn(&str) -> bool) -> Vec<String> {
        let seen = self.seen();
        seen.console.iter().filter(|(it, _)| of(it)).map(|(_, line)| line.clone()).collect()
    }

    /// State of each service worker: `starting`, `running`, `stopping`, `stopped`.
    pub fn service_workers(&self) -> Vec<String> {
        self.seen().service_workers.values().cloned().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, mut output: BufReader<ChildStdout>) {
        let mut bytes = Vec::new();
        while output.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
            bytes.pop();
            if let Ok(message) = serde_json::from_slice::<Value>(&bytes) {
                self.take(message);
            }
            bytes.clear();
        }
        let mut seen = self.seen();
        seen.gone = true;
        // Whoever waits is told by the end of its channel.
        seen.waiting.clear();
    }

    fn take(&self, message: Value) {
        if let Some(id) = message["id"].as_u64() {
            if let Some(waiting) = self.seen().waiting.remove(&id) {
                let _nobody_waits = waiting.send(message);
            }
            return;
        }
        let session = text(&message["sessionId"]);
        let event = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Target.attachedToTarget" => self.attached(session, event),
            "Target.detachedFromTarget" => {
                let ended = text(&event["sessionId"]);
                self.seen().targets.retain(|target| target.session != ended);
            }
            "Target.targetInfoChanged" => {
                let (id, url) =
                    (text(&event["targetInfo"]["targetId"]), &event["targetInfo"]["url"]);
                let mut seen = self.seen();
                for target in seen.targets.iter_mut().filter(|target| target.id == id) {
                    target.url = text(url);
                }
            }
            "ServiceWorker.workerVersionUpdated" => {
                let mut seen = self.seen();
                for version in event["versions"].as_array().into_iter().flatten() {
                    let state = text(&version["runningStatus"]);
                    seen.service_workers.insert(text(&version["versionId"]), state);
                }
            }
            method => {
                if let Some(line) = console_line(method, event) {
                    self.seen().console.push((session, line));
                }
            }
        }
    }

    /// A page or worker came up: listen to it, and to the workers that it starts.
    fn attached(&self, parent: String, event: &Value) {
        let (session, info) = (text(&event["sessionId"]), &event["targetInfo"]);
        let kind = text(&info["type"]);
        let mut listen = vec![
            ("Runtime.enable", json!({})),
            ("Log.enable", json!({})),
            ("Target.setAutoAttach", attach_all()),
        ];
        if kind == "page" {
            listen.extend([("Page.enable", json!({})), ("ServiceWorker.enable", json!({}))]);
        }
        for (method, parameters) in listen {
            let _answer = self.start(&session, method, parameters);
        }
        let (id, url) = (text(&info["targetId"]), text(&info["url"]));
        self.seen().targets.push(Target { id, kind, url, session, parent });
    }
}

/// Service workers are left alone: one that is debugged never ends by itself.
fn attach_all() -> Value {
    json!({
        "autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true,
        "filter": [{ "type": "service_worker", "exclude": true }, { "type": "page" }, { "type": "worker" }],
    })
}

fn console_line(method: &str, event: &Value) -> Option<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match method {
        "Runtime.consoleAPICalled" => {
            let values = event["args"].as_array()?.iter();
            let shown = values.map(|it| text(it.get("value").unwrap_or(&it["description"])));
            let line = shown.collect::<Vec<_>>().join(" ");
            Some(format!("{}: {line}", text(&event["type"])))
        }
        "Runtime.exceptionThrown" => Some(format!("exception: {}", exception(event))),
        "Log.entryAdded" => {
            let entry = &event["entry"];
            Some(format!(
                "{}: {} {}",
                text(&entry["level"]),
                text(&entry["text"]),
                text(&entry["url"])
            ))
        }
        "ServiceWorker.workerErrorReported" => {
            Some(format!("service worker: {}", text(&event["errorMessage"]["errorMessage"])))
        }
        "Inspector.targetCrashed" => Some("crashed".to_owned()),
        _ => None,
    }
}

/// The readable part of an exception.
fn exception(event: &Value) -> String {
    let details = &event["exceptionDetails"];
    let described = &details["exception"]["description"];
    let described = if described.is_null() { &details["exception"]["value"] } else { described };
    if described.is_null() { details.to_string() } else { text(described) }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(
        || if value.is_null() { String::new() } else { value.to_string() },
        str::to_owned,
    )
}
