import { byId, clone, fill } from './dom.js';

/** Events that stay in the list. */
const KEPT = 40;

const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

/** The list of events that this window heard, and how long they took. */
export function createEventLog() {
  const list = byId('events');
  const delays = [];

  function figures() {
    const sorted = delays.toSorted((a, b) => a - b);
    const median = sorted[(sorted.length - 1) >> 1];
    return `${delays.length} timed: median ${median} ms, slowest ${sorted.at(-1)} ms`;
  }

  return {
    /**
     * Adds an event that arrived just now. The API's sent_at and this device's
     * clock are compared as they are; whispers carry no time.
     */
    add({ name, channel, data }) {
      const now = Date.now();
      const item = clone('event-template');
      fill(item, { time: clock.format(now), name, channel });
      if (Number.isFinite(data.sent_at)) {
        const delay = Math.max(0, now - data.sent_at);
        delays.push(delay);
        fill(item, { delay: `${delay} ms` });
        byId('events-figures').textContent = figures();
      }
      list.prepend(item);
      while (list.children.length > KEPT) list.lastElementChild.remove();
      byId('events-empty').hidden = true;
    },
  };
}
