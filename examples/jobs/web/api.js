/** An answer of the API other than 2xx; its message is for the user. */
export class ApiError extends Error {}

/**
 * The marketplace's HTTP API.
 * @param {string} token
 * @param {() => string | undefined} socketId this window's, so that it isn't
 *   told by event what it learns from the answer
 */
export function createApi(token, socketId) {
  async function call(method, path, body) {
    const headers = { Authorization: `Bearer ${token}`, Accept: 'application/json' };
    if (body) headers['Content-Type'] = 'application/json';
    if (socketId()) headers['X-Socket-ID'] = socketId();
    let response;
    try {
      response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    } catch {
      throw new ApiError('The API does not answer. Try again in a moment.');
    }
    const reply = await response.json();
    if (!response.ok) throw new ApiError(reply.message);
    return reply;
  }
  return {
    jobs: () => call('GET', '/api/jobs'),
    wallet: () => call('GET', '/api/wallet'),
    post: (offer) => call('POST', '/api/jobs', offer),
    claim: (id) => call('POST', `/api/jobs/${id}/claim`),
    advance: (id, progress) => call('PATCH', `/api/jobs/${id}`, { progress }),
  };
}
