import { byId, clone, fill, hue, initials, money, say } from './dom.js';

/** How long a card takes to leave, as in parts.css. */
const LEAVING_MS = 300;

/**
 * The feed of open jobs, newest first.
 * @param {{me: User, nameOf: (id: number) => string, claim: (id: number) => Promise<void>}} page
 */
export function createFeed({ me, nameOf, claim }) {
  const list = byId('feed');
  const cards = new Map();

  function add(job) {
    const card = clone('offer-template');
    const client = nameOf(job.client_id);
    fill(card, {
      title: job.title, description: job.description, budget: money(job.budget),
      client, initials: initials(client),
    });
    card.dataset.job = job.id;
    card.querySelector('.avatar').style.setProperty('--hue', hue(job.client_id));
    card.querySelector('[data-field="yours"]').hidden = job.client_id !== me.id;
    const button = card.querySelector('button');
    button.hidden = me.role !== 'freelancer';
    button.setAttribute('aria-label', `Claim ${job.title}`);
    button.addEventListener('click', async () => {
      button.disabled = true;
      try {
        await claim(job.id);
      } catch (error) {
        say(card.querySelector('.error'), error.message);
      }
      button.disabled = false;
    });
    const older = [...list.children].find((other) => Number(other.dataset.job) < job.id);
    list.insertBefore(card, older ?? null);
    cards.set(job.id, card);
    return card;
  }

  function remove(id) {
    const card = cards.get(id);
    cards.delete(id);
    card.classList.add('leaving');
    setTimeout(() => card.remove(), LEAVING_MS);
  }

  return {
    /** Shows exactly these jobs; those that are new come with a highlight. */
    show(jobs, { highlight }) {
      const ids = new Set(jobs.map((job) => job.id));
      for (const id of [...cards.keys()]) if (!ids.has(id)) remove(id);
      for (const job of jobs) {
        if (cards.has(job.id)) continue;
        add(job).classList.toggle('arriving', highlight);
      }
      byId('feed-count').textContent = jobs.length || '';
      byId('feed-empty').hidden = jobs.length > 0;
    },
  };
}
