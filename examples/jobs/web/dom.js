// Small helpers to put data into the page. Everything goes in as text.

/** The element with an id of the page. */
export const byId = (id) => document.getElementById(id);

/** A copy of a <template>'s first element. */
export function clone(templateId) {
  return byId(templateId).content.firstElementChild.cloneNode(true);
}

/** Puts texts into the elements marked data-field="…" inside root. */
export function fill(root, texts) {
  for (const [field, text] of Object.entries(texts)) {
    const element = root.querySelector(`[data-field="${field}"]`);
    if (element.textContent !== text) element.textContent = text;
  }
}

/** Shows a message in an element that is hidden while there is none. */
export function say(element, message) {
  element.textContent = message ?? '';
  element.hidden = !message;
}

/** Adds an element for a moment, as confirmation of something that happened. */
export function toast(text) {
  const element = document.createElement('p');
  element.textContent = text;
  byId('toasts').append(element);
  setTimeout(() => element.remove(), 6000);
}

const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });

/** An amount as people write it. */
export const money = (amount) => euros.format(amount);

/** The first letters of a name's words. */
export const initials = (name) => name.split(' ').map((word) => word[0]).join('');

/** The hue that stands for a user, as a CSS colour component. */
export const hue = (userId) => `${(userId * 67) % 360}`;
