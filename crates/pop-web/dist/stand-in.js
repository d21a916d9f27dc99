// Where a browser can't give a data channel away, it stays in the window and its bytes go over a
// port. `serve` is the window's end; `StandIn` is the worker's, and looks like the channel.

/** The window's end: keeps `channel` and speaks to the stand-in at the other end of `port`. */
export function serve(channel, port) {
  const tell = (type, more) => port.postMessage({ type, buffered: channel.bufferedAmount, ...more });
  channel.binaryType = 'arraybuffer';
  channel.onopen = () => tell('open');
  channel.onclose = channel.onerror = () => tell('close');
  channel.onbufferedamountlow = () => tell('bufferedamountlow');
  channel.onmessage = ({ data }) => {
    if (typeof data === 'string') tell('message', { data });
    else port.postMessage({ type: 'message', buffered: channel.bufferedAmount, data }, [data]);
  };
  port.onmessage = ({ data }) => {
    if (data.low) channel.bufferedAmountLowThreshold = data.low;
    if (data.close) channel.close();
    if (!data.bytes) return;
    try {
      channel.send(data.bytes);
      // What was sent and not told about counts at the other end as buffered.
      if (channel.bufferedAmount <= channel.bufferedAmountLowThreshold) tell('bufferedamountlow');
    } catch {
      tell('close');
    }
  };
}

/** The worker's end. */
export class StandIn {
  bufferedAmount = 0;

  constructor(port) {
    this.port = port;
    port.onmessage = ({ data }) => {
      this.bufferedAmount = data.buffered;
      this[`on${data.type}`]?.(data);
    };
  }

  set bufferedAmountLowThreshold(low) {
    this.port.postMessage({ low });
  }

  send(view) {
    const bytes = view.slice().buffer;
    this.bufferedAmount += bytes.byteLength;
    this.port.postMessage({ bytes }, [bytes]);
  }

  close() {
    this.port.postMessage({ close: true });
  }
}
