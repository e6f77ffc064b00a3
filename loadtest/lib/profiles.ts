// How much load, for how long, and what is judged by it: one entry for each question that a run can answer.

import type { Scenario } from 'k6/options';
import { DURATION, PROFILE, RATE } from './settings.ts';

/** A question, the load that asks it, and what the answer is judged by. */
export interface Profile {
  asks: string;
  scenario: Scenario;
  /**
   * Where the latency objective is judged: nowhere, over the whole run, or for each group too. A 99th percentile of
   * fewer than some hundred requests is the slowest of them, and says nothing.
   */
  latency: 'nowhere' | 'whole' | 'groups';
  /** Whether the run ends as soon as an objective is missed. */
  untilMissed?: boolean;
  /** Where the rate rises from the first to the second number, in one stage: the summary judges each part of it. */
  ramp?: [from: number, to: number];
}

/** A part of a ramp, which is judged by itself. */
export interface Step {
  /** As it is tagged: `4-6`, in journeys a second. */
  label: string;
  from: number;
  to: number;
}

/** Into how many parts a ramp is divided. */
const STEPS = 14;

/** Virtual users for that many journeys a second: for two seconds each to begin with, and then up to a generator's end. */
function users(peak: number) {
  return { preAllocatedVUs: Math.max(10, Math.ceil(peak * 2)), maxVUs: Math.max(300, Math.ceil(peak * 4)) };
}

/** A level that is held. Journeys begin when they are due, whether earlier ones have ended or not: an open model. */
function held(rate: number, duration: string): Scenario {
  // Rates are whole numbers to k6: counted by the minute, half a journey a second is one too.
  const perMinute = Math.round(rate * 60);
  return { executor: 'constant-arrival-rate', rate: perMinute, timeUnit: '1m', duration, ...users(rate) };
}

/** From one level to the next, in the same open model. */
function ramped(from: number, stages: [duration: string, rate: number][]): Scenario {
  return {
    executor: 'ramping-arrival-rate',
    startRate: Math.round(from * 60),
    timeUnit: '1m',
    stages: stages.map(([duration, rate]) => ({ duration, target: Math.round(rate * 60) })),
    ...users(Math.max(from, ...stages.map(([, rate]) => rate))),
  };
}

const profiles: Record<string, Profile> = {
  smoke: {
    asks: 'Does the journey work at all?',
    scenario: { executor: 'shared-iterations', vus: 1, iterations: 5, maxDuration: '1m' },
    latency: 'nowhere',
  },
  ci: {
    asks: 'Does it work under some load, within seconds, on a machine that is busy with other things?',
    scenario: held(RATE, DURATION || '15s'),
    latency: 'whole',
  },
  average: {
    asks: 'Are the objectives met on an ordinary day?',
    scenario: ramped(0, [['30s', RATE], [DURATION || '5m', RATE], ['15s', 0]]),
    latency: 'groups',
  },
  stress: {
    asks: 'Are they met on the busiest day, three times the ordinary?',
    scenario: ramped(RATE, [['1m', RATE * 3], [DURATION || '10m', RATE * 3], ['30s', RATE]]),
    latency: 'groups',
  },
  spike: {
    asks: 'Does a sudden crowd, five times the ordinary, get answers, and is all as before when it has gone?',
    scenario: ramped(RATE, [['1m', RATE], ['5s', RATE * 5], [DURATION || '30s', RATE * 5], ['5s', RATE], ['3m', RATE]]),
    latency: 'whole',
  },
  soak: {
    asks: 'Does anything grow that should not: tasks, heap, memory, file descriptors?',
    scenario: held(RATE, DURATION || '2h'),
    latency: 'groups',
  },
  breakpoint: {
    asks: 'At which rate is an objective missed?',
    scenario: ramped(RATE, [[DURATION || '20m', RATE * 15]]),
    latency: 'whole',
    untilMissed: true,
    ramp: [RATE, RATE * 15],
  },
};

function chosen(): Profile {
  const profile = profiles[PROFILE];
  if (!profile) throw new Error(`PROFILE must be one of ${Object.keys(profiles).join(', ')}`);
  return profile;
}

/** The profile that PROFILE names. */
export const profile: Profile = chosen();

const [from, to] = profile.ramp ?? [0, 0];

/** The rate, in journeys a second, when that share of the ramp is over. */
export function rateAt(progress: number): number {
  return from + (to - from) * progress;
}

/** The parts of the profile's ramp; none where the rate is not ramped. */
export const steps: Step[] = Array.from({ length: profile.ramp ? STEPS : 0 }, (_, at) => {
  const [from, to] = [rateAt(at / STEPS), rateAt((at + 1) / STEPS)];
  return { label: `${from.toFixed(1)}-${to.toFixed(1)}`, from, to };
});

/** The part that is reached when that share of the ramp is over. */
export function stepAt(progress: number): Step | undefined {
  return steps[Math.min(STEPS - 1, Math.floor(progress * STEPS))];
}
