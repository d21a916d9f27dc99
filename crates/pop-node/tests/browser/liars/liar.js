// Makes the player of this page lie to other viewers: what it sends over its peer connections goes
// through `lies[lie]`, shard by shard. `told` counts them.
{
  const { postMessage } = Worker.prototype;
  // Channels stay in the window, as in browsers that can't give them away.
  Worker.prototype.postMessage = function (message, transfer) {
    if (message.type === 'channel') throw new DOMException('not today', 'DataCloneError');
    return postMessage.call(this, message, transfer);
  };

  const SHARD = 0x22, PIECE_BYTES = 16384, FLOOD = 10_000;
  const { send } = RTCDataChannel.prototype;
  const concatenated = (...parts) => {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  };
  const varint = (number) => {
    const bytes = [];
    for (let rest = number; ; rest = Math.floor(rest / 128)) {
      if (rest < 128) return [...bytes, rest];
      bytes.push(128 + rest % 128);
    }
  };
  /** A number and where it ends; none if it is not all there. */
  const number = (bytes, at) => {
    for (let value = 0, scale = 1, i = at; i < bytes.length; i += 1, scale *= 128) {
      value += (bytes[i] & 127) * scale;
      if (bytes[i] < 128) return [value, i + 1];
    }
    return [];
  };
  const frame = (body) => concatenated(varint(body.length), body);
  /** A shard's request, and all that is said of it. */
  const parted = (body) => {
    const [, inner] = number(body, 1);
    const [, end] = number(body, inner + 1);
    return [body.slice(inner, end), body.slice(end)];
  };
  const joined = (id, rest) => {
    const inner = concatenated(id, rest);
    return frame(concatenated([SHARD], varint(inner.length), inner));
  };

  let kept = null;
  /** What goes out instead of a shard. */
  const lies = {
    flippedBit: (body) => {
      const other = body.slice();
      other[other.length - 1] ^= 1;
      return frame(other);
    },
    wrongProof: (body) => {
      const [id, rest] = parted(body);
      // The first hash of the path within the segment.
      rest[number(rest, 1)[1]] ^= 1;
      return joined(id, rest);
    },
    replayedShard: (body) => {
      const [id, rest] = parted(body);
      kept ??= rest;
      return joined(id, kept);
    },
    unaskedShard: (body) => joined([8, ...varint(2 ** 40)], parted(body)[1]),
    absurdMessage: () => frame(new Uint8Array(1000).fill(255)),
    endlessMessage: () => new Uint8Array(varint(2 ** 31)),
    // Small ones that are nothing wrong each: a byte of credit.
    tenThousandMessages: () => concatenated(...Array(FLOOD).fill([4, 0x12, 2, 8, 1])),
  };

  globalThis.lie = null;
  globalThis.told = 0;
  const waiting = new WeakMap();
  RTCDataChannel.prototype.send = function (data) {
    let bytes = concatenated(waiting.get(this) ?? [], new Uint8Array(data));
    const out = [];
    for (;;) {
      const [length, start] = number(bytes, 0);
      if (start === undefined || bytes.length < start + length) break;
      const body = bytes.slice(start, start + length);
      const isShard = body[0] === SHARD && lie;
      if (isShard) told += 1;
      out.push(isShard ? lies[lie](body) : bytes.slice(0, start + length));
      bytes = bytes.slice(start + length);
    }
    waiting.set(this, bytes);
    const all = concatenated(...out);
    for (let at = 0; at < all.length; at += PIECE_BYTES) {
      send.call(this, all.subarray(at, at + PIECE_BYTES));
    }
  };
}
