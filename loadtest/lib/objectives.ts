// What a run must keep to: the objectives of alerts/slo.json, from which the alerts have their numbers too.

import type { Threshold } from 'k6/options';
import { profile } from './profiles.ts';
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

const AVAILABLE = `rate<=${clean(1 - slo.availability.objective)}`;
const QUICK = `p(${clean(slo.latency.objective * 100)})<=${clean(slo.latency.threshold_seconds * 1000)}`;

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
  if (INTERNAL_URL) for (const { metric, most } of GROWTH) all[metric] = [`value<=${most}`];
  return all;
}
