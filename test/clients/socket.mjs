import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';

import { eventually } from './process.mjs';

const TEXT = 1, CLOSE = 8;

/**
 * Opens a bare WebSocket, for what pusher-js can't do: headers and a query at
 * the handshake, messages of any shape, and a look at close codes.
 * @param {{after: (stop: () => any) => void}} t
 * @param {{port: number}} daemon
 * @param {{key?: string, query?: string, headers?: object}} [options]
 */
export async function openSocket(t, daemon, { key = 'app-key', query = '', headers = {} } = {}) {
  const request = http.get({
    host: '127.0.0.1',
    port: daemon.port,
    path: `/app/${key}?protocol=7${query}`,
    headers: {
      Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'), ...headers,
    },
  });
  const [, tcp, head] = await once(request, 'upgrade');
  t.after(() => tcp.destroy());

  const socket = {
    /** What came, parsed, in order. */
    messages: [],
    /** The close frame's code, once it came. */
    closed: undefined,
    send: (message) => tcp.write(masked(TEXT, Buffer.from(JSON.stringify(message)))),
    subscribe: (channel) => socket.send({ event: 'pusher:subscribe', data: { channel } }),
    unsubscribe: (channel) => socket.send({ event: 'pusher:unsubscribe', data: { channel } }),
    /** Waits for a message of that name, about a channel if one is given. */
    hears: (event, channel) => eventually(event, () => socket.messages.find((message) =>
      message.event === event && (channel === undefined || message.channel === channel))),
    closes: () => eventually('a close frame', () => socket.closed),
  };
  let unread = head;
  const read = (bytes) => {
    unread = Buffer.concat([unread, bytes]);
    for (let frame; (frame = firstFrame(unread)); unread = unread.subarray(frame.size)) {
      if (frame.opcode === TEXT) socket.messages.push(JSON.parse(frame.payload));
      if (frame.opcode === CLOSE) socket.closed = frame.payload.readUInt16BE(0);
    }
  };
  tcp.on('error', () => {}); // of a connection that the daemon has ended
  tcp.on('data', read);
  read(Buffer.alloc(0));
  return socket;
}

/** A client's frame; a mask of zeros leaves the payload as it is. */
function masked(opcode, payload) {
  const header = Buffer.alloc(payload.length < 126 ? 6 : 8);
  header[0] = 0x80 | opcode;
  if (payload.length < 126) {
    header[1] = 0x80 | payload.length;
  } else {
    header[1] = 0x80 | 126;
    header.writeUInt16BE(payload.length, 2);
  }
  return Buffer.concat([header, payload]);
}

/** The first whole frame of a server's bytes, or nothing. */
function firstFrame(bytes) {
  if (bytes.length < 2) return undefined;
  let length = bytes[1], start = 2;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    [length, start] = [bytes.readUInt16BE(2), 4];
  } else if (length === 127) {
    if (bytes.length < 10) return undefined;
    [length, start] = [Number(bytes.readBigUInt64BE(2)), 10];
  }
  if (bytes.length < start + length) return undefined;
  return { opcode: bytes[0] & 0x0f, payload: bytes.subarray(start, start + length), size: start + length };
}
