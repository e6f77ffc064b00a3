// What a run must keep to: the objectives of alerts/slo.json, from which the alerts have their numbers too.

import type { Threshold } from 'k6/options';
import { profile, steps } from './profiles.ts';
import { REASONS, ROUTES } from './call.ts';
import { GROWTH } from './growth.ts';
import { INTERNAL_URL } from './settings.ts';

interface Objectives {
  availability: { objective: number };
  latency: { objective: number; threshold_seconds: number };
}

const slo: Objectives = JSON.parse(open(import.meta.resolve('../../alerts/slo.json')));

/** The parts of the journey, each held to the same objectives: what is rare cannot hide behind what is frequent. */
export const GROUPS = ['join', 'use', 'leave'];

/** A number without the dust that arithmetic with binary fractions leaves. */
function clean(value: number): number {
  return Number(value.toPrecision(12));
}

/** The least that is accepted, for the parts of a ramp, which are judged in the summary. */
export const MOST_FAILED = clean(1 - slo.availability.objective);
export const PERCENTILE = `p(${clean(slo.latency.objective * 100)})`;
export const MOST_MILLISECONDS = clean(slo.latency.threshold_seconds * 1000);

const AVAILABLE = `rate<=${MOST_FAILED}`;
const QUICK = `${PERCENTILE}<=${MOST_MILLISECONDS}`;

function judged(threshold: string): Threshold[] {
  // A moment later: of the first few requests a single one would decide.
  return profile.untilMissed ? [{ threshold, abortOnFail: true, delayAbortEval: '30s' }] : [threshold];
}

/** By the names that k6 has for them. What setup and teardown ask is in no scenario, so it is not judged. */
export function thresholds(scenario: string): Record<string, Threshold[]> {
  const all: Record<string, Threshold[]> = {
    // Whatever answers wrongly misses the objective like what fails.
    checks: judged(`rate>=${slo.availability.objective}`),
    // Otherwise the generator was the one that could not keep up, and nothing else that was measured is true.
    dropped_iterations: judged('count<1'),
    accounts_left: ['count<1'],
    [`http_req_failed{scenario:${scenario}}`]: judged(AVAILABLE),
  };
  if (profile.latency !== 'nowhere') all[`http_req_duration{scenario:${scenario}}`] = judged(QUICK);
  for (const group of GROUPS) {
    all[`http_req_failed{group:::${group}}`] = judged(AVAILABLE);
    if (profile.latency === 'groups') all[`http_req_duration{group:::${group}}`] = judged(QUICK);
  }
  // No thresholds: k6 keeps the numbers of a tag's values where some are asked for, if only none.
  const shown = ROUTES.map(({ method, route }) => `method:${method},name:${route}`).concat(steps.map(({ label }) => `rate:${label}`));
  for (const tags of shown) {
    for (const metric of ['http_reqs', 'http_req_failed', 'http_req_duration']) all[`${metric}{${tags}}`] = [];
  }
  for (const reason of REASONS) all[`unavailable{reason:${reason}}`] = [];
  if (INTERNAL_URL) for (const { metric, most } of GROWTH) all[metric] = [`value<=${most}`];
  return all;
}
