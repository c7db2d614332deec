import { readFileSync } from 'node:fs';

const read = (name) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url)));

// What a real Laravel application published in Redis, posted to the HTTP API,
// and answered at /broadcasting/auth.
export const published = read('redis-publish.json');
export const posted = read('http-api.json');
export const authorised = read('broadcasting-auth.json');

/** The socket id that the recorded requests came with. */
export const RECORDED_SOCKET = '123456.789012';

/** The app's encryption_master_key when it was recorded. */
export const ENCRYPTION_MASTER_KEY = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
