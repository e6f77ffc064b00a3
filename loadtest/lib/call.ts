// One request as all of them are made: named by its route, part of a trace, and told of when it fails.

import { check } from 'k6';
import http, { type RefinedResponse } from 'k6/http';
import { Counter } from 'k6/metrics';
import { BASE_URL } from './settings.ts';
import { trace } from './trace.ts';

/** As the objectives count: what the service refuses is no failure of the service. */
http.setResponseCallback(http.expectedStatuses({ min: 100, max: 499 }));

// k6 has it, and @types/k6 does not say so.
declare const console: { error(line: string): void };

/** What a journey asks for, as the summary lists it. */
export const ROUTES = [
  ['POST', '/api/v1/users'],
  ['POST', '/api/v1/auth/sign-in'],
  ['GET', '/api/v1/users/me'],
  ['PATCH', '/api/v1/users/{id}'],
  ['GET', '/api/v1/users/{id}'],
  ['POST', '/api/v1/auth/refresh'],
  ['POST', '/api/v1/auth/sign-out'],
  ['DELETE', '/api/v1/users/{id}'],
  ['GET', '/api/v1/users'],
].map(([method, route]) => ({ method, route }));

/** Why a request is answered with 503: the `code` of the answer, `other` for what a proxy in between answers. */
export const REASONS = ['overloaded', 'store_unavailable', 'other'];

const unavailable = new Counter('unavailable');

export type Answer = RefinedResponse<'text'>;

/** What a request may carry beside its route. */
export interface Carried {
  /** What stands for `{id}`. */
  id?: string;
  query?: string;
  token?: string;
  ifMatch?: string;
  /** Names a request that must happen once. */
  key?: string;
  body?: object;
}

/** Asks, and checks that the answer is the one that is due. */
export function call(method: string, route: string, due: number, carried: Carried = {}): Answer {
  const { id, traceparent } = trace();
  const headers: Record<string, string> = { traceparent };
  if (carried.body) headers['content-type'] = 'application/json';
  if (carried.token) headers['authorization'] = `Bearer ${carried.token}`;
  if (carried.key) headers['idempotency-key'] = carried.key;
  if (carried.ifMatch) headers['if-match'] = carried.ifMatch;
  const url = BASE_URL + route.replace('{id}', carried.id ?? '') + (carried.query ? `?${carried.query}` : '');
  const answer = http.request(method, url, carried.body ? JSON.stringify(carried.body) : null, {
    headers,
    // One name for all users, or each of them would be a series of its own.
    tags: { name: route },
    responseType: 'text',
    // Longer than the service gives itself: its own answer, a 504, says more than a client that went away.
    timeout: '20s',
  });
  if (answer.status === 0 || answer.status >= 500) {
    if (answer.status === 503) unavailable.add(1, { reason: reason(answer) });
    console.error(`trace_id=${id} ${method} ${route}: ${answer.status || answer.error}`);
  }
  check(answer, { [`${method} ${route} is ${due}`]: (answer) => answer.status === due });
  return answer;
}

/** Which of the reasons a 503 has. */
function reason(answer: Answer): string {
  const code = String(answer.headers['Content-Type']).includes('json') ? String(answer.json('code')) : '';
  return REASONS.includes(code) ? code : 'other';
}

/** A member of a JSON answer, as text; empty if it is not there. */
export function member(answer: Answer, name: string): string {
  if (answer.status < 200 || answer.status > 299) return '';
  return String(answer.json(name) ?? '');
}
