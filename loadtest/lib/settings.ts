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

/** The threads on which the service hashes passwords: `auth.password_workers`, or one less than its cores, at least one. */
export const HASHING_THREADS = number('HASHING_THREADS', 1, 1, 1024);

/**
 * Journeys begun each second while a profile holds its level. Each journey has three passwords hashed, about 25 ms of a
 * hashing thread each, so that 13 a second is the most that a thread can do: 2 a second keep it busy for 15 % of the time,
 * `stress` for 45 % and `spike` for 75 %.
 */
export const RATE = number('RATE', 2 * HASHING_THREADS, 0.1, 1000);

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
