// A user's whole life with the service: joins, uses it, leaves, and nothing of it remains. `PROFILE` says how many do so.

import { group } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Gauge } from 'k6/metrics';
import type { Options } from 'k6/options';
import { look, sweep } from './lib/admin.ts';
import { call, member } from './lib/call.ts';
import { type Held, compare, held } from './lib/growth.ts';
import { thresholds } from './lib/objectives.ts';
import { profile, rateAt, stepAt } from './lib/profiles.ts';
import { ADMIN, BASE_URL, PROFILE } from './lib/settings.ts';
import { summary } from './lib/summary.ts';

const PASSWORD = 'as good as any other';

/** How often a user looks at the own account: people read more than they write. */
const LOOKS = 5;

/** One journey in so many sees an admin list accounts. */
const JOURNEYS_PER_ADMIN = 20;

// Counters that stand at zero from the start, so that the first increase is seen as one. k6's own count of journeys that
// nobody was free to begin comes up only with the first of them.
const accountsLeft = new Counter('accounts_left');
const dropped = new Counter('dropped_iterations');

/** How many journeys a second were due when the newest began, where that number rises. */
const rate = new Gauge('journey_rate');

export const options: Options = {
  scenarios: { [PROFILE]: { ...profile.scenario, exec: 'users' } },
  thresholds: thresholds(PROFILE),
  // Without `url` and `ip`: each value of a tag is a series in Prometheus.
  systemTags: ['check', 'error_code', 'expected_response', 'group', 'method', 'name', 'scenario', 'status'],
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
  // Each journey is somebody else, who comes with a connection of their own.
  noVUConnectionReuse: true,
  setupTimeout: '30s',
  teardownTimeout: '2m',
  userAgent: 'glasshouse-loadtest',
};

interface Run {
  /** How the addresses of this run's accounts begin, and of no other's. */
  prefix: string;
  before: Held | undefined;
}

export function setup(): Run {
  const ready = http.get(`${BASE_URL}/health/ready`, { tags: { name: '/health/ready' } });
  if (ready.status !== 200) throw new Error(`${BASE_URL} is not ready: ${ready.status || ready.error}`);
  accountsLeft.add(0);
  dropped.add(0);
  const run = Date.now().toString(36) + Math.random().toString(36).slice(2, 6);
  return { prefix: `k6-${run}-`, before: held() };
}

/** One journey. What it made it removes, whatever went wrong in between. */
export function users(run: Run): void {
  const journey = exec.scenario.iterationInTest;
  const { progress } = exec.scenario;
  const step = stepAt(progress);
  if (step) {
    rate.add(rateAt(progress));
    exec.vu.metrics.tags['rate'] = step.label;
  }
  const email = `${run.prefix}${journey}@example.com`;
  const signIn = () => call('POST', '/api/v1/auth/sign-in', 200, { body: { email, password: PASSWORD } });

  const { id, grant } = group('join', () => {
    const body = { email, password: PASSWORD, name: 'Load Test' };
    // As a client does that may have to ask again: each journey's address is its own, and so is its key.
    const id = member(call('POST', '/api/v1/users', 201, { body, key: email }), 'id');
    return { id, grant: id ? signIn() : undefined };
  });
  if (!grant) return;

  let token = member(grant, 'access_token');
  if (token) {
    token = group('use', () => use(id, token, member(grant, 'refresh_token')));
    if (journey % JOURNEYS_PER_ADMIN === 0) group('use', () => look(run.prefix));
  }

  const removed = group('leave', () => {
    if (token) call('POST', '/api/v1/auth/sign-out', 204, { token });
    // Signing out ended the session, and an account is removed by who has shown the password a moment ago.
    const again = member(signIn(), 'access_token');
    return again !== '' && call('DELETE', '/api/v1/users/{id}', 204, { id, token: again }).status === 204;
  });
  // Where there is an admin, the teardown sees to it, and counts.
  if (!removed && !ADMIN) accountsLeft.add(1);
}

/** What somebody does who is signed in; the access token that is good afterwards. */
function use(id: string, token: string, refreshToken: string): string {
  let own = call('GET', '/api/v1/users/me', 200, { token });
  for (let look = 1; look < LOOKS; look++) own = call('GET', '/api/v1/users/me', 200, { token });
  const ifMatch = own.headers['Etag'];
  if (ifMatch) call('PATCH', '/api/v1/users/{id}', 200, { id, token, ifMatch, body: { name: 'Load Tested' } });
  call('GET', '/api/v1/users/{id}', 200, { id, token });
  const fresh = call('POST', '/api/v1/auth/refresh', 200, { body: { refresh_token: refreshToken } });
  return member(fresh, 'access_token') || token;
}

export function teardown(run: Run): void {
  const left = sweep(run.prefix);
  if (left > 0) accountsLeft.add(left);
  compare(run.before);
}

export { summary as handleSummary };
