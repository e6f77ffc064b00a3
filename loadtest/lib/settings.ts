// What a run is told from outside, by `k6 run -e NAME=value` or the environment, read in this one place.

function text(name: string, otherwise: string): string {
  return __ENV[name] || otherwise;
}

function number(name: string, otherwise: number, least: number, most: number): number {
  const value = Number(text(name, String(otherwise)));
  if (!(value >= least && value <= most)) throw new Error(`${name} must be a number from ${least} to ${most}`);
  return value;
}

function address(name: string, otherwise: string): string {
  return text(name, otherwise).replace(/\/+$/, '');
}

/** The public port. */
export const BASE_URL = address('BASE_URL', 'http://localhost:8080');

/** One of the names in profiles.ts. */
export const PROFILE = text('PROFILE', 'smoke');

/**
 * Journeys begun each second while a profile holds its level. Each journey has three passwords hashed, about 25 ms of a
 * core each: 4 a second ask 0.3 of a core for that alone, and nothing of two cores can answer more than 26.
 */
export const RATE = number('RATE', 4, 0.1, 1000);

/** How long a profile holds its level, such as `90s`; each profile has its own answer where this is empty. */
export const DURATION = text('DURATION', '');

/** The share of requests whose trace is asked for. */
export const TRACE_RATIO = number('TRACE_RATIO', 0.05, 0, 1);

/** Where summary.md and summary.json go: a folder that exists. */
export const SUMMARY_DIR = address('SUMMARY_DIR', '.');

/** The internal port, scraped before and after: of soak always, of the others if it is named. */
export const INTERNAL_URL = address('INTERNAL_URL', PROFILE === 'soak' ? 'http://localhost:6060' : '');

/** An admin, if there is one: accounts are then listed too, and what failed journeys leave behind is removed. */
export const ADMIN = __ENV.ADMIN_EMAIL
  ? { email: __ENV.ADMIN_EMAIL, password: text('ADMIN_PASSWORD', '') }
  : undefined;
