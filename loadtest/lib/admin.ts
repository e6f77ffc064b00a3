// What an admin does during and after a run: look at the accounts, and remove what broken journeys left behind.

import { ADMIN } from './settings.ts';
import { type Answer, call, member } from './call.ts';

/** So many pages of a hundred are removed at most: a teardown has an end. */
const PAGES = 100;

function list(token: string, prefix: string): Answer {
  return call('GET', '/api/v1/users', 200, { token, query: `email_prefix=${prefix}&limit=100` });
}

/** Signs in, does that, signs out. */
function visiting(visit: (token: string) => void): void {
  if (!ADMIN) return;
  const token = member(call('POST', '/api/v1/auth/sign-in', 200, { body: ADMIN }), 'access_token');
  if (!token) return;
  visit(token);
  call('POST', '/api/v1/auth/sign-out', 204, { token });
}

/** Looks at the accounts that begin so. */
export function look(prefix: string): void {
  visiting((token) => list(token, prefix));
}

/** Removes the accounts that begin so, and says how many are still there. */
export function sweep(prefix: string): number {
  let left = 0;
  visiting((token) => {
    for (let page = 0; page < PAGES; page++) {
      const answer = list(token, prefix);
      const ids = answer.status === 200 ? (answer.json('users.#.id') as string[]) : [];
      if (ids.length === 0) return;
      left = ids.filter((id) => call('DELETE', '/api/v1/users/{id}', 204, { token, id }).status !== 204).length;
      if (left > 0) return;
    }
  });
  return left;
}
