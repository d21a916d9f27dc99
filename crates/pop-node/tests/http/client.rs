//! A client that shows what is on the wire, broken bodies included.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// What arrived of the body.
    pub(crate) body: Vec<u8>,
    /// Whether all of it arrived.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is sent twice");
        value
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends to somebody who may close meanwhile.
    pub(crate) async fn try_send(&mut self, text: &str) {
        let _ = self.stream.get_mut().write_all(text.as_bytes()).await;
    }

    /// A line without its end, or `None` when the connection is closed.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }

    /// Status and headers of the next response, or `None` when the connection is closed.
    pub(crate) async fn head(&mut self) -> Option<Answer> {
        let status = self.line().await?;
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else {
                return Some(Answer { status, headers, body: Vec::new(), whole: true });
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:")) {
            text.push_str("Host: localhost\r\n");
        }
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        self.send(&(text + "\r\n")).await;
        let mut answer = self.head().await.expect("an answer");
        let no_body = method == "HEAD" || answer.status == 304;
        let length = answer.header("content-length").map(|length| length.parse().unwrap());
        let length: usize = length.filter(|_| !no_body).unwrap_or(0);
        while answer.body.len() < length {
            let mut chunk = vec![0; (length - answer.body.len()).min(1 << 16)];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.body.extend_from_slice(&chunk[..count]),
            }
        }
        answer.whole = answer.body.len() == length;
        answer
    }

    /// Waits until the other side closes, and returns what it still said.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is a way to close.
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[&str]) -> Answer {
    Client::connect(address).await.ask(method, path, headers).await
}
