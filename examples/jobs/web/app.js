import { createApi } from './api.js';
import { byId, clone, fill, hue, initials, money, say, toast } from './dom.js';
import { createEventLog } from './events.js';
import { createFeed } from './feed.js';
import { createRealtime } from './realtime.js';
import { createWork, escrowOf } from './work.js';

/** @typedef {{id: number, name: string, role: 'client' | 'freelancer', token: string}} User */

const { users, realtime: options } = await (await fetch('/api/session')).json();
// Each window is somebody: the address says who, so that several windows can
// stand side by side.
const asked = Number(new URLSearchParams(location.search).get('as'));
/** @type {User} */
const me = users.find((user) => user.id === asked) ?? users[0];
const nameOf = (id) => users.find((user) => user.id === id)?.name ?? `User ${id}`;

const log = createEventLog();
const realtime = createRealtime({
  ...options,
  token: () => me.token,
  onState: showConnection,
  onEvent: log.add,
});
const api = createApi(me.token, realtime.socketId);

/** How often load() asks again while events keep coming. */
const MAX_LOADS = 5;

/** @type {Map<number, object>} */
const jobs = new Map();
const followed = new Set(); // ids of the jobs that are subscribed to
let balance;
let loading = false; // load() is under way
let changed = false; // an event came meanwhile: what load() gets may be older
let shown = false; // the first list comes without highlights

const feed = createFeed({ me, nameOf, claim: async (id) => put(await api.claim(id)) });
const work = createWork({
  me,
  nameOf,
  advance: async (id, progress) => put(await api.advance(id, progress)),
  send: (id, text) => realtime.whisperToJob(id, { from: me.id, text }),
});

showPeople();
byId('post').hidden = me.role !== 'client';
byId('post-form').addEventListener('submit', post);
byId('retry').addEventListener('click', realtime.reconnect);
// A phone that wakes up shouldn't wait for pusher-js's next attempt.
document.addEventListener('visibilitychange', () => document.hidden || realtime.reconnect());

realtime.subscribeToDiscovery({
  subscribed: load,
  posted({ job }) {
    put({ status: 'open', progress: 0, ...job });
    if (me.role === 'freelancer') toast(`New: “${job.title}”`);
  },
  updated: change,
});
realtime.subscribeToUser(me.id, {
  subscribed: load,
  refused: () => toast('You are not allowed to hear your own events.'),
  claimed({ job, freelancer }) {
    change({ id: job.id, changes: { status: job.status, freelancer_id: freelancer.id } });
    toast(`${freelancer.name} claimed “${jobs.get(job.id)?.title ?? 'a job'}”`);
  },
  wallet: showWallet,
});
await load();

/** Hears a job's events and messages from now on, if it is one of the user's. */
function follow(id) {
  if (followed.has(id)) return;
  followed.add(id);
  realtime.subscribeToJob(id, {
    subscribed: load,
    refused: () => toast('You are not allowed to follow this job.'),
    claimed: ({ job, freelancer }) =>
      change({ id, changes: { status: job.status, freelancer_id: freelancer.id } }),
    updated: (update) => {
      change(update);
      if (update.changes.status === 'completed') toast(`“${jobs.get(id).title}” is done`);
    },
    // From the other party, or from another window of one's own.
    message: ({ from, text }) => work.message(id, String(text), from === me.id ? 'mine' : 'theirs'),
  });
}

/** Takes a job as the API or an event has it. */
function put(job) {
  changed = true;
  jobs.set(job.id, job);
  show();
}

/** Takes what an event says has changed about a job. */
function change({ id, changes }) {
  if (jobs.has(id)) put({ ...jobs.get(id), ...changes });
}

/** Loads the state of everything; events say what happens from then on. */
async function load() {
  if (loading) {
    changed = true;
    return;
  }
  loading = true;
  try {
    let list, wallet;
    for (let tries = 0; tries === 0 || (changed && tries < MAX_LOADS); tries++) {
      changed = false;
      [list, wallet] = await Promise.all([api.jobs(), api.wallet()]);
    }
    jobs.clear();
    for (const job of list) jobs.set(job.id, job);
    show();
    showWallet(wallet);
  } catch (error) {
    toast(error.message);
  } finally {
    loading = false;
  }
}

function show() {
  const all = [...jobs.values()];
  const mine = all.filter((job) => job.client_id === me.id || job.freelancer_id === me.id);
  feed.show(all.filter((job) => job.status === 'open'), { highlight: shown });
  work.show(mine);
  for (const job of mine) follow(job.id);
  const escrow = mine.reduce((sum, job) => sum + escrowOf(job), 0);
  byId('escrow').textContent = me.role === 'client'
    ? `${money(escrow)} in escrow for work under way`
    : `${money(escrow)} to come when your work is done`;
  shown = true;
}

function showWallet(wallet) {
  changed = true;
  const difference = Number(wallet.balance) - balance;
  balance = Number(wallet.balance);
  byId('balance').textContent = money(balance);
  if (!difference) return; // also the first time, when it is NaN
  const note = byId('change');
  note.textContent = (difference > 0 ? '+' : '−') + money(Math.abs(difference));
  note.dataset.direction = difference > 0 ? 'up' : 'down';
  toast(`Your wallet now holds ${money(balance)}`);
}

function showConnection(state) {
  const label = {
    connected: 'Live', connecting: 'Connecting…', offline: 'Offline, trying again', refused: 'Disconnected',
  }[state];
  fill(byId('connection'), { label });
  byId('connection').dataset.state = state;
  byId('offline').hidden = state === 'connected';
}

function showPeople() {
  byId('token').textContent = me.token;
  document.title = `${me.name} · Jobs`;
  for (const user of users) {
    const person = clone('person-template');
    fill(person, { name: user.name, role: user.role, initials: initials(user.name) });
    person.style.setProperty('--hue', hue(user.id));
    const [be, beside] = person.querySelectorAll('a');
    be.href = beside.href = `?as=${user.id}`;
    beside.title = `Open ${user.name} in a new window`;
    beside.setAttribute('aria-label', beside.title);
    if (user.id === me.id) be.setAttribute('aria-current', 'true');
    byId('people').append(person);
  }
}

async function post(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const { title, description, budget } = Object.fromEntries(new FormData(form));
  try {
    put(await api.post({ title, description, budget: Number(budget) }));
    say(byId('post-error'));
    form.reset();
    form.elements.title.focus();
  } catch (error) {
    say(byId('post-error'), error.message);
  }
}
