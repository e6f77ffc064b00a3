// What is left of a run: a page for people and everything that k6 knows for programs.

import { REASONS, ROUTES } from './call.ts';
import { MOST_FAILED, MOST_MILLISECONDS, PERCENTILE } from './objectives.ts';
import { type Step, profile, steps } from './profiles.ts';
import { HASHING_THREADS, PROFILE, RATE, SUMMARY_DIR } from './settings.ts';

/** What of k6's data is shown here; summary.json has all of it. */
export interface Data {
  state: { testRunDurationMs: number };
  metrics: Record<string, Metric>;
}

interface Metric {
  contains: string;
  values: Record<string, number>;
  thresholds?: Record<string, { ok: boolean }>;
}

/** A number with its unit: times in milliseconds, rates in per cent, everything else as it is. */
function shown(metric: Metric, name: string): string {
  const value = metric.values[name] ?? 0;
  if (metric.contains === 'time') return `${value.toFixed(1)} ms`;
  return name === 'rate' && !('count' in metric.values) ? `${(value * 100).toFixed(3)} %` : String(value);
}

/** One line for each threshold: what it says, what was measured, whether it was met. */
function judgements(metrics: Data['metrics']): string[] {
  return Object.entries(metrics).sort().flatMap(([name, metric]) =>
    Object.entries(metric.thresholds ?? {}).map(([threshold, { ok }]) => {
      const measured = shown(metric, threshold.split(/[<>=]/)[0] ?? '');
      return `| \`${name}\` | \`${threshold}\` | ${measured} | ${ok ? 'met' : '**missed**'} |`;
    }),
  );
}

const STATS = ['med', 'p(95)', 'p(99)', 'max'];
const HEADINGS = 'requests | failed | median | p95 | p99 | longest |';
const RULE = '| --- '.repeat(STATS.length + 3) + '|';

/** How many requests have these tags, and what became of them; all requests without tags. */
function requests(metrics: Data['metrics'], tags = '') {
  const of = (metric: string, value: string) => metrics[metric + tags]?.values[value] ?? 0;
  const count = of('http_reqs', 'count');
  const failed = of('http_req_failed', 'rate');
  const times = STATS.map((stat) => `${of('http_req_duration', stat).toFixed(1)} ms`);
  const percentile = of('http_req_duration', PERCENTILE);
  return {
    count,
    cells: `${count} | ${(failed * 100).toFixed(3)} % | ${times.join(' | ')} |`,
    kept: failed <= MOST_FAILED && percentile <= MOST_MILLISECONDS,
    measured: `${(failed * 100).toFixed(3)} % failed, ${PERCENTILE} was ${percentile.toFixed(1)} ms`,
  };
}

/** Requests by route, for those that were asked for. */
function routes(metrics: Data['metrics']): string[] {
  const rows = ROUTES.flatMap(({ method, route }) => {
    const { count, cells } = requests(metrics, `{method:${method},name:${route}}`);
    return count > 0 ? [`| ${method} ${route} | ${cells}`] : [];
  });
  return [`| | ${HEADINGS}`, RULE, `| all | ${requests(metrics).cells}`, ...rows];
}

/** How many requests were answered with 503, by the reason that the answer gives. */
function unavailable(metrics: Data['metrics']): string[] {
  const rows = REASONS.flatMap((reason) => {
    const count = metrics[`unavailable{reason:${reason}}`]?.values['count'] ?? 0;
    return count > 0 ? [`| ${reason} | ${count} |`] : [];
  });
  return rows.length > 0 ? ['', '| 503 because of | requests |', '| --- | --- |', ...rows] : [];
}

/** At which rate an objective was missed, where the rate rises. */
function breakpoint(metrics: Data['metrics']): string[] {
  const reached = steps.map((step) => ({ step, ...requests(metrics, `{rate:${step.label}}`) })).filter(({ count }) => count > 0);
  const missed = reached.findIndex(({ kept }) => !kept);
  const kept = reached[missed < 0 ? reached.length - 1 : missed - 1];
  const between = ({ from, to }: Step) => `${from.toFixed(1)} to ${to.toFixed(1)} journeys a second`;
  const rate = metrics['journey_rate']?.values['max'] ?? 0;
  const rows = reached.map((part) => `| ${part.step.label} | ${part.cells.slice(0, -1)}| ${part.kept ? 'kept' : '**missed**'} |`);
  const first = reached[missed];
  return [
    kept && (missed !== 0) ? `All objectives were kept up to **${kept.step.to.toFixed(1)} journeys a second**.` : 'No part of the ramp kept all objectives.',
    first ? `The first miss was at **${between(first.step)}**: ${first.measured}.` : 'No part of the ramp missed one.',
    `The run ended at ${rate.toFixed(1)} journeys a second.`,
    '',
    `| journeys a second | ${HEADINGS.slice(0, -1)}| |`,
    `${RULE}${' --- |'}`,
    ...rows,
    '',
  ];
}

/** What was found out. A run without a journey found out nothing, although no threshold was missed. */
function answer({ metrics, state }: Data): string[] {
  const count = (name: string) => metrics[name]?.values['count'] ?? 0;
  const seconds = state.testRunDurationMs / 1000;
  const each = (name: string) => (count(name) / seconds).toFixed(1);
  if (count('iterations') === 0) return ['**No journey came to its end: nothing was judged.**'];
  return [
    `${count('iterations')} journeys and ${count('http_reqs')} requests in ${seconds.toFixed(0)} s: ` +
      `${each('iterations')} journeys and ${each('http_reqs')} requests a second. RATE=${RATE}, ` +
      `HASHING_THREADS=${HASHING_THREADS}.`,
    '',
    ...(profile.ramp ? breakpoint(metrics) : []),
    ...routes(metrics),
    ...unavailable(metrics),
    '',
    '| Of | must be | was | |',
    '| --- | --- | --- | --- |',
    ...judgements(metrics),
  ];
}

export function summary(data: Data): Record<string, string> {
  const page = [`# Load test: ${PROFILE}`, '', profile.asks, '', ...answer(data), ''].join('\n');
  return {
    stdout: `\n${page}\n`,
    [`${SUMMARY_DIR}/summary.md`]: page,
    [`${SUMMARY_DIR}/summary.json`]: JSON.stringify(data, null, 2),
  };
}
