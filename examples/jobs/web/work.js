import { byId, clone, fill, money, say } from './dom.js';

const STATUS = {
  open: 'Open', claimed: 'Claimed', in_progress: 'In progress', completed: 'Completed',
};

/** What the freelancer gets on claiming, as the API counts it: a fifth, in cents. */
const advanceOf = (job) => Math.floor(Math.round(job.budget * 100) / 5) / 100;

/** What of a job's budget waits in escrow. */
export const escrowOf = (job) =>
  (['claimed', 'in_progress'].includes(job.status) ? job.budget - advanceOf(job) : 0);

/**
 * The user's own jobs: progress, money, and messages with the other party.
 * @param {{me: User, nameOf: (id: number) => string,
 *   advance: (id: number, progress: number) => Promise<void>,
 *   send: (id: number, text: string) => Promise<void>}} page
 */
export function createWork({ me, nameOf, advance, send }) {
  const list = byId('work');
  const cards = new Map();
  const isClient = me.role === 'client';
  fill(byId('work-empty'), isClient
    ? { title: 'You have no jobs yet', text: 'Post one, and you will be told here when somebody claims it.' }
    : { title: 'You have claimed no jobs yet', text: 'Claim one from the feed: the first to ask gets it.' });

  function add(job) {
    const card = clone('work-template');
    card.dataset.job = job.id;
    card.querySelector('progress').setAttribute('aria-label', `Progress of ${job.title}`);
    for (const button of card.querySelectorAll('[data-step]')) {
      button.addEventListener('click', async () => {
        try {
          await advance(job.id, Number(button.dataset.step));
          say(card.querySelector('.error'));
        } catch (error) {
          say(card.querySelector('.error'), error.message);
        }
      });
    }
    const form = card.querySelector('form');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = form.elements.text.value.trim();
      form.reset();
      if (text) sendFrom(card, job.id, text);
    });
    list.prepend(card);
    cards.set(job.id, card);
    return card;
  }

  async function sendFrom(card, id, text) {
    const line = appendMessage(card, text, 'mine');
    line.dataset.state = 'waiting';
    try {
      await send(id, text);
      delete line.dataset.state;
    } catch {
      line.dataset.state = 'lost';
    }
  }

  function appendMessage(card, text, side) {
    const line = document.createElement('li');
    line.className = side;
    line.textContent = text;
    const messages = card.querySelector('.messages');
    messages.append(line);
    messages.scrollTop = messages.scrollHeight;
    return line;
  }

  function update(card, job) {
    const partnerId = isClient ? job.freelancer_id : job.client_id;
    const escrow = escrowOf(job);
    fill(card, {
      title: job.title,
      status: STATUS[job.status],
      partner: partnerId ? `${isClient ? 'with' : 'for'} ${nameOf(partnerId)}` : 'Waiting for a freelancer',
      percent: `${job.progress} %`,
      money: escrow
        ? `${money(job.budget)} budget: ${money(advanceOf(job))} paid in advance, ${money(escrow)} in escrow`
        : `${money(job.budget)} ${job.status === 'completed' ? 'paid in full' : 'budget'}`,
    });
    card.dataset.status = job.status;
    card.querySelector('progress').value = job.progress;
    card.querySelector('.progress').hidden = job.status === 'open';
    card.querySelector('.steps').hidden = isClient || job.status === 'completed';
    card.querySelector('.talk').hidden = !partnerId;
    for (const button of card.querySelectorAll('[data-step]')) {
      button.disabled = Number(button.dataset.step) <= job.progress;
    }
  }

  return {
    /** Shows exactly these jobs. */
    show(jobs) {
      for (const job of jobs) update(cards.get(job.id) ?? add(job), job);
      byId('work-count').textContent = jobs.length || '';
      byId('work-empty').hidden = jobs.length > 0;
    },
    /** Adds what was said elsewhere; side is 'mine' or 'theirs'. */
    message: (id, text, side) => appendMessage(cards.get(id), text, side),
  };
}
