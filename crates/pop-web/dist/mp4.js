// The little of MP4 that playing fragments takes: boxes, codecs, and where fragments begin.

const type = (view, at) => String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, 4));
const hex = (...bytes) => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Boxes between two offsets, as far as they are here: `{ name, start, body, end }`. */
export function* boxes(view, start = 0, end = view.byteLength) {
  let at = start;
  while (at + 8 <= end) {
    let size = view.getUint32(at), header = 8;
    if (size === 1 && at + 16 <= end) {
      size = Number(view.getBigUint64(at + 8));
      header = 16;
    }
    if (size < header) return;
    yield { name: type(view, at + 4), start: at, body: at + header, end: at + size };
    at += size;
  }
}

function* inside(view, start, end, [name, ...path]) {
  for (const box of boxes(view, start, end)) {
    if (box.name !== name) continue;
    if (path.length) yield* inside(view, box.body, Math.min(box.end, end), path);
    else yield box;
  }
}

/** Where the initialisation ends, and whether fragments follow it; `null` if it is not all here. */
export function initialisation(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const box of boxes(view)) {
    if (box.name === 'mdat') return null;
    if (box.name !== 'moov') continue;
    if (box.end > bytes.length) return null;
    const [extends_] = inside(view, box.body, box.end, ['mvex']);
    return extends_ ? { end: box.end, codecs: codecs(view, box), index: index(view, box.end) } : null;
  }
  return null;
}

/** Codec strings of a `moov`, as `MediaSource.isTypeSupported` takes them. */
function codecs(view, moov) {
  const found = [];
  for (const stsd of inside(view, moov.body, moov.end, ['trak', 'mdia', 'minf', 'stbl', 'stsd'])) {
    const [entry] = boxes(view, stsd.body + 8, stsd.end);
    const name = entry && codec(view, entry);
    if (name) found.push(name);
  }
  return found;
}

function codec(view, entry) {
  const video = entry.body + 78, audio = entry.body + 28;
  const child = (from, name) => inside(view, from, entry.end, [name]).next().value?.body;
  const byte = (at) => view.getUint8(at);
  switch (entry.name) {
    case 'avc1': case 'avc3': {
      const at = child(video, 'avcC');
      return at && `${entry.name}.${hex(byte(at + 1), byte(at + 2), byte(at + 3))}`;
    }
    case 'av01': {
      const at = child(video, 'av1C');
      if (!at) return null;
      const tier = byte(at + 2) & 0x80 ? 'H' : 'M';
      const depth = byte(at + 2) & 0x40 ? '10' : '08';
      const level = String(byte(at + 1) & 0x1f).padStart(2, '0');
      return `av01.${byte(at + 1) >> 5}.${level}${tier}.${depth}`;
    }
    case 'vp09': {
      const at = child(video, 'vpcC');
      const two = (value) => String(value).padStart(2, '0');
      return at && `vp09.${two(byte(at + 4))}.${two(byte(at + 5))}.${two(byte(at + 6) >> 4)}`;
    }
    case 'mp4a': return child(audio, 'esds') ? 'mp4a.40.2' : null;
    case 'Opus': return 'opus';
    case 'fLaC': return 'flac';
    default: return entry.name;
  }
}

/** Times and offsets of fragments out of a `sidx`; empty if there is none. */
function index(view, from) {
  const [box] = inside(view, from, view.byteLength, ['sidx']);
  if (!box || box.end > view.byteLength) return [];
  const wide = view.getUint8(box.body) === 1;
  const scale = view.getUint32(box.body + 8);
  let at = box.body + 12;
  const next = () => {
    const value = wide ? Number(view.getBigUint64(at)) : view.getUint32(at);
    at += wide ? 8 : 4;
    return value;
  };
  let time = next(), offset = box.end + next();
  const count = view.getUint16(at + 2);
  at += 4;
  const found = [];
  for (let i = 0; i < count && at + 12 <= box.end; i += 1, at += 12) {
    found.push({ seconds: time / scale, offset });
    offset += view.getUint32(at) & 0x7fffffff;
    time += view.getUint32(at + 4);
  }
  return found;
}

/** Where the first `moof` in these bytes begins; -1 if there is none. */
export function fragmentIn(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 16 <= bytes.length; at += 1) {
    if (bytes[at + 4] === 0x6d && type(view, at + 4) === 'moof' && type(view, at + 12) === 'mfhd') return at;
  }
  return -1;
}
