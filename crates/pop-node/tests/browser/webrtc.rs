//! What the player asks of a browser besides video: that the tests' Chromium has it.

use serde_json::json;

use crate::chromium::{self, Browser, Page};

/// A peer connection, and how to get its description with all candidates in it.
const CONNECTION: &str = r"
    globalThis.connection = new RTCPeerConnection();
    globalThis.describe = async (description) => {
        await connection.setLocalDescription(description);
        while (connection.iceGatheringState !== 'complete')
            await new Promise(resolve => connection.onicegatheringstatechange = resolve);
        return connection.localDescription.sdp;
    };
";

/// Opens the channel and says something.
const OFFERER: &str = r"
    globalThis.channel = connection.createDataChannel('', { negotiated: true, id: 0 });
    channel.onopen = () => channel.send('a word');
    channel.onmessage = ({ data }) => globalThis.heard = data;
";

/// Gives the channel to a worker, which must happen in the task that created it.
const ANSWERER: &str = r#"
    globalThis.worker = new Worker('data:text/javascript,' + encodeURIComponent(`
        onmessage = ({ data: channel }) =>
            channel.onmessage = ({ data }) => channel.send('the worker heard ' + data);
    `));
    const channel = connection.createDataChannel('', { negotiated: true, id: 0 });
    worker.postMessage(channel, [channel]);
"#;

fn open(browser: &Browser, script: &str) -> Page {
    let page = browser.open("data:text/html,<title>a peer</title>");
    page.eval(CONNECTION);
    page.eval(script);
    page
}

#[test]
fn two_browsers_connect_on_loopback_and_a_worker_has_the_channel() {
    let Some(_turn) = chromium::turn() else { return };
    let (left, right) = (Browser::start(), Browser::start());
    let (offerer, answerer) = (open(&left, OFFERER), open(&right, ANSWERER));
    let offer = json!({ "type": "offer", "sdp": offerer.eval("describe()") });
    let answer =
        answerer.eval(&format!("connection.setRemoteDescription({offer}).then(() => describe())"));
    let answer = json!({ "type": "answer", "sdp": answer });
    offerer.eval(&format!("connection.setRemoteDescription({answer})"));
    assert_eq!(offerer.wait("the worker answers", "globalThis.heard"), "the worker heard a word");

    // A killed browser says nothing; the other side notices all the same.
    right.kill();
    offerer.wait("the loss is noticed", "connection.iceConnectionState !== 'connected'");
}
