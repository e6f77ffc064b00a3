// What is left of a run: a page for people and everything that k6 knows for programs.

import { PROFILE, RATE, SUMMARY_DIR } from './settings.ts';
import { profile } from './profiles.ts';

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

/** What was found out. A run without a journey found out nothing, although no threshold was missed. */
function answer({ metrics, state }: Data): string[] {
  const count = (name: string) => metrics[name]?.values['count'] ?? 0;
  const seconds = (state.testRunDurationMs / 1000).toFixed(0);
  if (count('iterations') === 0) return ['**No journey came to its end: nothing was judged.**'];
  return [
    `${count('iterations')} journeys and ${count('http_reqs')} requests in ${seconds} s, RATE=${RATE}.`,
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
