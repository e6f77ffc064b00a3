/** PromQL in a few words, each of them narrowed to the chosen job, environment and instances. */
import { SERVICE } from './links.js';
import type { Query, Source } from './shape.js';

export const source: Source = { type: 'prometheus', uid: '${datasource}' };

/** One question to Prometheus, and what its answers are called. */
export interface Question {
    expr: string;
    legend: string;
}

export const ask = (expr: string, legend: string): Question => ({ expr, legend });

const selector = (metric: string, matchers: string[]) => `${metric}{${matchers.filter(Boolean).join(', ')}}`;

/** Of one environment only: the same job may run in several, and their sum describes none of them. */
const JOB = 'job=~"$job"';
const ENVIRONMENT = 'environment=~"$environment"';
export const chosen = `${JOB}, ${ENVIRONMENT}`;

/** A metric of the chosen instances. */
export const of = (metric: string, matchers = '') =>
    selector(metric, [JOB, ENVIRONMENT, 'instance=~"$instance"', matchers]);

/** Of what every program exports (`process_…`), that of the service: where every job is chosen, others are among them. */
export const ours = (expr: string) => `${expr} and on (job, environment, instance) ${of(`${SERVICE}_build_info`)}`;

/** What a rule has recorded for the whole job: it has no instance. */
export const recorded = (metric: string, matchers = '') => selector(metric, [JOB, ENVIRONMENT, matchers]);

export const rate = (metric: string, matchers = '') => `rate(${of(metric, matchers)}[$__rate_interval])`;
export const increase = (metric: string, matchers = '') => `increase(${of(metric, matchers)}[$__rate_interval])`;

const aggregation =
    (name: string) =>
    (expr: string, by = '') =>
        by ? `${name} by (${by}) (${expr})` : `${name}(${expr})`;
export const sum = aggregation('sum');
export const max = aggregation('max');
export const min = aggregation('min');

/** Zero and not nothing where what is counted has never happened, as long as `present` is there. */
export const orZero = (expr: string, present: string) => `${expr} or 0 * ${present}`;

export const ratio = (part: string, whole: string) => `${part} / ${whole}`;

/** Which share of `whole` is `part`: zero if there was no part, nothing if there was no whole. */
export const share = (part: string, whole: string) => ratio(`(${orZero(part, whole)})`, whole);

/** The observations of a histogram a second. */
export const observations = (metric: string, by = '', matchers = '') => sum(rate(`${metric}_count`, matchers), by);

export const quantile = (quantile: number, metric: string, by = '', matchers = '') =>
    `histogram_quantile(${quantile}, ${sum(rate(`${metric}_bucket`, matchers), by ? `le, ${by}` : 'le')})`;

export const mean = (metric: string, by = '', matchers = '') =>
    ratio(sum(rate(`${metric}_sum`, matchers), by), observations(metric, by, matchers));

/** The questions of a panel as Grafana wants them. A histogram's answers bring their exemplars. */
export const targets = (questions: Question[], format: Query['format']): Query[] =>
    questions.map(({ expr, legend }, at) => ({
        refId: String.fromCharCode('A'.charCodeAt(0) + at),
        datasource: source,
        editorMode: 'code',
        expr,
        legendFormat: legend,
        format,
        exemplar: format !== 'table' && expr.includes('_bucket{'),
        instant: format === 'table',
        range: format !== 'table',
    }));
