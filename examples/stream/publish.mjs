// Adds an event to broadcastd's log in Redis:
//   node publish.mjs CHANNEL EVENT DATA [SOCKET_ID]
// DATA is JSON; SOCKET_ID is a connection that doesn't get it. It speaks to Redis
// itself, so that it needs no package. With npm's `redis`, adding is
//   await client.xAdd(logOf(channel), '*', fields);

import net from 'node:net';
import { crc32 } from 'node:zlib';

const {
  REDIS_URL = 'redis://127.0.0.1:6379', APP_ID = 'app-id', PREFIX = 'broadcastd:', PARTITIONS = '1',
} = process.env;

/** The log that a channel's events are added to. */
const logOf = (channel) => `${PREFIX}{${APP_ID}:${crc32(channel) % Number(PARTITIONS)}}:log`;

/** Sends commands, one after the other, and returns Redis's answers, each of one line or a short text. */
async function ask({ hostname, port, username, password }, ...commands) {
  const socket = net.connect(Number(port || 6379), hostname).setEncoding('utf8').setTimeout(3000);
  socket.on('timeout', () => socket.destroy(new Error('Redis does not answer')));
  const login = password ? [['AUTH', ...(username ? [username] : []), password].map(decodeURIComponent)] : [];
  for (const words of [...login, ...commands]) {
    const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${bulk.join('')}`);
  }
  socket.end(); // Redis answers what it has got, and closes
  let text = '';
  for await (const piece of socket) text += piece;
  const lines = text.split('\r\n').filter((line) => line !== '' && !line.startsWith('$'));
  const refusal = lines.find((line) => line.startsWith('-'));
  if (refusal) throw new Error(`Redis: ${refusal.slice(1)}`);
  if (lines.length < login.length + commands.length) throw new Error('Redis ended the connection');
  return lines.slice(login.length);
}

const [channel, event, data, socket] = process.argv.slice(2);
JSON.parse(data);
const fields = { channel, event, data, ...(socket && { socket }) };
const [id] = await ask(new URL(REDIS_URL), ['XADD', logOf(channel), '*', ...Object.entries(fields).flat()]);
console.log(id);
